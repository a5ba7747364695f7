variable "name" {
  description = "The bus, and what every name here begins with."
  type        = string
}

variable "account_id" {
  description = "The account that all of this is in."
  type        = string
}

variable "archive_days" {
  description = "How long events are kept to be replayed."
  type        = number

  validation {
    condition     = var.archive_days >= 1
    error_message = "Keep events for a day at least; zero would be for ever."
  }
}

variable "consumers" {
  description = "Functions that take events, by name: by which alias, and which types of events (docs/events.md)."
  type = map(object({
    function_name = string
    alias_name    = string
    alias_arn     = string
    event_types   = list(string)
  }))
  default = {}
}

variable "channel_role_arns" {
  description = "Roles of the software of channels, which may put customers' messages on the bus; nobody else may."
  type        = list(string)
  default     = []
}

variable "log_retention_days" {
  description = "How long logs are kept."
  type        = number
}

variable "kms_key_arn" {
  description = "The key that encrypts bus, archive, queue and log."
  type        = string
}
