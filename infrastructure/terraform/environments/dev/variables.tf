variable "account_id" {
  description = "The account; Terraform touches no other."
  type        = string
}

variable "region" {
  description = "The region."
  type        = string
}

variable "owner" {
  description = "Who answers for it: a tag on everything."
  type        = string
}

variable "state_bucket" {
  description = "The bucket that has the state, as in -backend-config."
  type        = string
}

variable "repository" {
  description = "The repository whose pipeline deploys, as in example/prosa."
  type        = string
}

variable "oidc_provider_arn" {
  description = "GitHub's identity provider, where the account has it already."
  type        = string
  default     = null
}

variable "other_writer_arns" {
  description = "Roles of people who may put a package there, as before there is a pipeline."
  type        = list(string)
  default     = []
}

variable "packages" {
  description = "The packages of functions, as the pipeline put them there: make lambda-package."
  type = object({
    server = object({ key = string, sha256 = string })
    turns  = object({ key = string, sha256 = string })
    relay  = object({ key = string, sha256 = string })
  })
}

variable "layers" {
  description = "The Lambda Web Adapter, and the collector of the AWS Distro for OpenTelemetry, both for arm64 and this region."
  type        = object({ web_adapter = string, collector = string })
}

variable "are_schedules_on" {
  description = "Whether schedules run: off until the database has tables."
  type        = bool
  default     = true
}

variable "programs" {
  description = "Programs of tenants that call the API: the tenant of each, by the program's name."
  type        = map(string)
  default     = {}
}

variable "channel_role_arns" {
  description = "Roles of the software of channels."
  type        = list(string)
  default     = []
}

variable "domain" {
  description = "The API's name and its Route 53 zone; null leaves it the name that AWS gives it."
  type        = object({ name = string, zone_id = string })
  default     = null
}

variable "emails" {
  description = "Who is told when an alarm rings, and of costs."
  type        = set(string)
}
