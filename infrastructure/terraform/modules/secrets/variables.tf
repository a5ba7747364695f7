variable "name" {
  description = "What every name here begins with."
  type        = string
}

variable "account_id" {
  description = "The account that all of this is in."
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

variable "is_protected" {
  description = "Whether what is deleted can be brought back for a month."
  type        = bool
}

variable "secrets" {
  description = <<-TEXT
    Secrets of others, by name. A rotation names a function that asks whoever gave the secret for a new one
    (https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html) and how often, in days.
  TEXT
  type = map(object({
    description = string
    rotation    = optional(object({ function_arn = string, days = number }))
  }))
  default = {}

  validation {
    condition     = alltrue([for one in values(var.secrets) : one.rotation == null ? true : one.rotation.days <= 90])
    error_message = "Rotate every 90 days or more often."
  }
}
