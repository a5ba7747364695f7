variable "name" {
  description = "The pool, and what every name here begins with."
  type        = string
}

variable "account_id" {
  description = "The account that all of this is in; it makes the sign-in address unique."
  type        = string
}

variable "region" {
  description = "The region that all of this is in."
  type        = string
}

variable "is_protected" {
  description = "Whether the pool cannot be deleted by a mistake."
  type        = bool
}

variable "callback_urls" {
  description = "Pages to which people come back when they have signed in."
  type        = list(string)

  validation {
    condition     = length(var.callback_urls) > 0 && alltrue([for url in var.callback_urls : startswith(url, "https://") || startswith(url, "http://localhost")])
    error_message = "Name one page at least; each needs https, but for http://localhost."
  }
}

variable "programs" {
  description = "Programs of tenants that call the API by themselves: the tenant of each, by the program's name."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for tenant in values(var.programs) : can(regex("^[A-Za-z0-9._-]{1,100}$", tenant))])
    error_message = "A tenant is 1 to 100 letters, digits, dots, dashes and underscores."
  }
}

variable "claims_concurrency" {
  description = "How many tokens are made at once."
  type        = number
  default     = 20
}

variable "runtime" {
  description = "The Python of the function that writes claims."
  type        = string
}

variable "log_retention_days" {
  description = "How long logs are kept."
  type        = number
}

variable "kms_key_arn" {
  description = "The key that encrypts logs."
  type        = string
}
