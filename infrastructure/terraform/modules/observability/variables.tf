variable "name" {
  description = "The page, and what every name here begins with."
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

variable "emails" {
  description = "Who is told; each address has to confirm."
  type        = set(string)
}

variable "metrics_namespace" {
  description = "The namespace of Prosa's own metrics."
  type        = string
}

variable "function_names" {
  description = "The functions, by their short names."
  type        = map(string)
}

variable "log_groups" {
  description = "The functions' logs, by their short names."
  type        = map(string)
}

variable "breaker_log_group" {
  description = "The log of breakers that opened."
  type        = string
}

variable "dead_letter_names" {
  description = "Every queue of what was given up, by a short name."
  type        = map(string)
}

variable "messages_queue_name" {
  description = "The queue of customers' messages."
  type        = string
}

variable "replies_queue_name" {
  description = "The queue of replies."
  type        = string
}

variable "event_bus_name" {
  description = "The bus."
  type        = string
}

variable "rule_names" {
  description = "The rules of the bus."
  type        = list(string)
}

variable "state_machine_arn" {
  description = "The machine that takes turns."
  type        = string
}

variable "api" {
  description = "The API and its stage."
  type        = object({ name = string, stage = string })
}

variable "web_acl_name" {
  description = "The firewall."
  type        = string
}

variable "database_cluster" {
  description = "The database."
  type        = string
}

variable "database_proxy" {
  description = "The database's proxy."
  type        = string
}

variable "latency_milliseconds" {
  description = "From when on an answer is late."
  type        = number
}

variable "failed_turns" {
  description = "How many turns may fail in five minutes: some fail because customers ask for what no model may answer."
  type        = number
}

variable "kms_key_arn" {
  description = "The key that encrypts topics."
  type        = string
}
