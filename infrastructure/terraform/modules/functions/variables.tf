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

variable "functions" {
  description = <<-TEXT
    Functions by name. A function names the grants that it needs; has a schedule, takes events of the bus, or has a queue, or is called by others.
    Provisioned containers are warm before anybody asks, and cost by the hour.
  TEXT
  type = map(object({
    description             = string
    handler                 = string
    package                 = string
    memory_mb               = number
    timeout_seconds         = number
    reserved_concurrency    = number
    provisioned_concurrency = optional(number, 0)
    grants                  = list(string)
    environment             = optional(map(string), {})
    layers                  = optional(list(string), [])
    schedule                = optional(string)
    takes_events            = optional(bool, false)
    queue                   = optional(object({ arn = string, batch_size = number }))
  }))

  validation {
    condition     = alltrue([for one in values(var.functions) : one.provisioned_concurrency <= one.reserved_concurrency])
    error_message = "Provisioned concurrency is a part of what is reserved."
  }

  validation {
    condition     = alltrue([for one in values(var.functions) : one.queue == null ? true : one.reserved_concurrency >= 2])
    error_message = "What takes from a queue needs a reserved concurrency of 2 or more: SQS's mapping allows no less."
  }
}

variable "grants" {
  description = "What may be allowed to a function, by name: actions and on what."
  type        = map(list(object({ actions = list(string), resources = list(string) })))
}

variable "environment" {
  description = "What the environment of every function says."
  type        = map(string)
}

variable "package_bucket" {
  description = "Where the packages are."
  type        = string
}

variable "packages" {
  description = "The packages, by name: the key of each in the bucket, and its SHA-256 in Base64."
  type        = map(object({ key = string, sha256 = string }))
}

variable "runtime" {
  description = "The Python that the packages were built for."
  type        = string
}

variable "collector_layer_arn" {
  description = "The layer of the AWS Distro for OpenTelemetry's collector, for arm64."
  type        = string
}

variable "metrics_namespace" {
  description = "The namespace of Prosa's own metrics in CloudWatch."
  type        = string
}

variable "are_schedules_on" {
  description = "Whether schedules run: off until the database has tables."
  type        = bool
  default     = true
}

variable "subnet_ids" {
  description = "Private subnets."
  type        = list(string)
}

variable "security_group_id" {
  description = "The group of all functions."
  type        = string
}

variable "log_retention_days" {
  description = "How long logs are kept."
  type        = number
}

variable "kms_key_arn" {
  description = "The key that encrypts logs, failures and environments."
  type        = string
}
