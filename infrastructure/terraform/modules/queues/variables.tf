variable "name" {
  description = "What every name here begins with."
  type        = string
}

variable "consumer_timeout_seconds" {
  description = "The timeout of the function that takes messages."
  type        = number
}

variable "reply_visibility_seconds" {
  description = "How long the channel's software may take to send a reply on."
  type        = number
  default     = 60
}

variable "channel_role_arns" {
  description = "Roles of the software of channels, which sends messages and takes replies. They need the key, too."
  type        = list(string)
  default     = []
}

variable "kms_key_arn" {
  description = "The key that encrypts what customers wrote."
  type        = string
}
