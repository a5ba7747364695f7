variable "name" {
  description = "What every name here begins with."
  type        = string
}

variable "monthly_usd" {
  description = "What a month may cost, in US dollars."
  type        = number

  validation {
    condition     = var.monthly_usd > 0
    error_message = "A budget is more than nothing."
  }
}

variable "anomaly_usd" {
  description = "From which unusual cost on somebody is told, in US dollars."
  type        = number
}

variable "tag" {
  description = "The tag by which costs of this environment are known."
  type        = object({ key = string, value = string })
}

variable "allocation_tags" {
  description = "The tags that bills are divided by."
  type        = list(string)
}

variable "activates_tags" {
  description = "Whether this is the account that pays, in which tags are switched on; budgets by tag see nothing before."
  type        = bool
}

variable "topic_arn" {
  description = "Who is told."
  type        = string
}
