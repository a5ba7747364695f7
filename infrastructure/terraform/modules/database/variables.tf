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

variable "vpc_id" {
  description = "The network."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets, in two zones at least."
  type        = list(string)
}

variable "functions_security_group_id" {
  description = "The group of those who connect."
  type        = string
}

variable "engine_version" {
  description = "Of Aurora PostgreSQL, as in 17.6."
  type        = string
}

variable "capacity" {
  description = "How small and how large an instance gets, in Aurora capacity units. The proxy keeps connections, so that it never sleeps."
  type        = object({ min = number, max = number })

  validation {
    condition     = var.capacity.min >= 0.5 && var.capacity.max >= var.capacity.min
    error_message = "Write min of 0.5 or more, and max not below it."
  }
}

variable "instances" {
  description = "How many: with two, one takes over where the other's zone fails."
  type        = number

  validation {
    condition     = var.instances >= 1 && var.instances <= 15
    error_message = "A cluster has 1 to 15 instances."
  }
}

variable "backup_retention_days" {
  description = "How far back the database can be restored to any second."
  type        = number

  validation {
    condition     = var.backup_retention_days >= 1 && var.backup_retention_days <= 35
    error_message = "Aurora keeps backups for 1 to 35 days."
  }
}

variable "is_protected" {
  description = "Whether the database cannot be deleted by a mistake, and leaves a snapshot when it is deleted on purpose."
  type        = bool
}

variable "users" {
  description = "The roles within Postgres that log in by IAM: app reads and writes, migrator owns the tables."
  type        = object({ app = string, migrator = string })
  default     = { app = "prosa_app", migrator = "prosa_migrator" }
}

variable "log_retention_days" {
  description = "How long logs are kept."
  type        = number
}

variable "kms_key_arn" {
  description = "The key that encrypts data, backups, logs and the owner's password."
  type        = string
}
