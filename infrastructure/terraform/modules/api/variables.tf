variable "name" {
  description = "The API, and what every name here begins with."
  type        = string
}

variable "region" {
  description = "The region that all of this is in."
  type        = string
}

variable "partition" {
  description = "What ARNs here begin with: aws in most regions."
  type        = string
}

variable "function" {
  description = "The function that answers: its name, and the alias by which it is called."
  type        = object({ function_name = string, alias_name = string, alias_arn = string })
}

variable "function_timeout_seconds" {
  description = "The timeout of that function: the gateway waits as long."
  type        = number
}

variable "throttling" {
  description = "How many requests a second, and how many at once above that, are let through, of all clients together."
  type        = object({ rate = number, burst = number })
}

variable "requests_of_an_address" {
  description = "How many requests one address may make in five minutes. Many customers may be behind one."
  type        = number

  validation {
    condition     = var.requests_of_an_address >= 100
    error_message = "Allow 100 requests or more."
  }
}

variable "domain" {
  description = "The API's name, and the Route 53 zone that it is in; null leaves it the name that AWS gives it."
  type        = object({ name = string, zone_id = string })
  default     = null
}

variable "sets_up_account" {
  description = "Whether the role by which API Gateway writes logs is made here: once for an account and region."
  type        = bool
  default     = true
}

variable "log_retention_days" {
  description = "How long logs are kept."
  type        = number
}

variable "kms_key_arn" {
  description = "The key that encrypts logs."
  type        = string
}
