variable "name" {
  description = "What every name here begins with."
  type        = string
}

variable "account_id" {
  description = "The account that all of this is in."
  type        = string
}

variable "task_alias_arns" {
  description = "The functions' aliases, by the task that they do."
  type = object({
    classify = string
    generate = string
    record   = string
    publish  = string
    fail     = string
  })
}

variable "log_retention_days" {
  description = "How long logs are kept."
  type        = number
}

variable "kms_key_arn" {
  description = "The key that encrypts executions and logs."
  type        = string
}
