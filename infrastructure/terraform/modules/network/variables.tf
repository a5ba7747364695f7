variable "name" {
  description = "What every name here begins with, as in prosa-dev."
  type        = string
}

variable "account_id" {
  description = "The account that all of this is in."
  type        = string
}

variable "cidr_block" {
  description = "The network's addresses: a /20 or larger, which no network has that is to be connected with it."
  type        = string

  validation {
    condition     = can(cidrnetmask(var.cidr_block)) && tonumber(split("/", var.cidr_block)[1]) <= 20
    error_message = "Write a block of IPv4 addresses of /20 or larger, as in 10.20.0.0/16."
  }
}

variable "availability_zones" {
  description = "In which zones there are subnets: two at least, since a database needs them."
  type        = list(string)

  validation {
    condition     = length(var.availability_zones) >= 2 && length(var.availability_zones) <= 8
    error_message = "Name two to eight availability zones."
  }
}

variable "nat_gateways" {
  description = "How functions reach the internet: none (they do not), one (its zone takes all along when it fails), each_zone."
  type        = string

  validation {
    condition     = contains(["none", "one", "each_zone"], var.nat_gateways)
    error_message = "Write none, one or each_zone."
  }
}

variable "interface_endpoints" {
  description = "Services of AWS that are reached within the network, as in bedrock-runtime. Each costs by the hour and zone."
  type        = set(string)
}

variable "log_retention_days" {
  description = "How long it is kept who talked to whom."
  type        = number
}

variable "kms_key_arn" {
  description = "The key that encrypts logs."
  type        = string
}
