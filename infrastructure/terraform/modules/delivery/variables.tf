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

variable "repository" {
  description = "The repository whose pipeline deploys, as in example/prosa."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", var.repository))
    error_message = "Write OWNER/NAME; a pattern would let other repositories in."
  }
}

variable "environment" {
  description = "The GitHub environment whose jobs deploy here."
  type        = string
}

variable "oidc_provider_arn" {
  description = "GitHub's identity provider, where the account has it already."
  type        = string
  default     = null
}

variable "state" {
  description = "Where Terraform's state is: its bucket, and its key there."
  type        = object({ bucket_arn = string, key = string })
}

variable "other_writer_arns" {
  description = "Roles of people who may put a package there, as before there is a pipeline."
  type        = list(string)
  default     = []
}

variable "package_days" {
  description = "How long packages are kept: as far back as one may want to go."
  type        = number
  default     = 180
}

variable "function_names" {
  description = "The functions whose aliases are moved, by their short names."
  type        = map(string)
}

variable "deployment_config" {
  description = "How an alias moves, as CodeDeploy calls it."
  type        = string

  validation {
    condition     = startswith(var.deployment_config, "CodeDeployDefault.Lambda")
    error_message = "Write one of CodeDeploy's own for Lambda, as in CodeDeployDefault.LambdaCanary10Percent5Minutes."
  }
}

variable "watched_alarms" {
  description = "Alarms that take every new version back."
  type        = list(string)
}

variable "error_alarms" {
  description = "The alarm on each function's errors, by its short name."
  type        = map(string)
}

variable "is_protected" {
  description = "Whether the bucket is kept while it has packages."
  type        = bool
}

variable "kms_key_arn" {
  description = "The key that encrypts packages."
  type        = string
}
