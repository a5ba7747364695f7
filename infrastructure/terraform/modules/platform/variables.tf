variable "name" {
  description = "What every name begins with, as in prosa-dev: an account may have several."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,24}$", var.name))
    error_message = "Write 3 to 25 lower-case letters, digits and dashes, a letter first."
  }
}

variable "region" {
  description = "The region that all of this is in."
  type        = string
}

variable "environment" {
  description = "PROSA_ENVIRONMENT: outside development, start-up is stricter."
  type        = string

  validation {
    condition     = contains(["development", "staging", "production"], var.environment)
    error_message = "Write development, staging or production."
  }
}

variable "is_protected" {
  description = "Whether data, users, keys and packages are kept where somebody deletes them by mistake."
  type        = bool
}

variable "network" {
  description = "The network: modules/network says what each is."
  type = object({
    cidr_block          = string
    availability_zones  = list(string)
    nat_gateways        = string
    interface_endpoints = set(string)
  })
}

variable "database" {
  description = "The database: modules/database says what each is."
  type = object({
    engine_version        = string
    capacity              = object({ min = number, max = number })
    instances             = number
    backup_retention_days = number
  })
}

variable "packages" {
  description = "The packages of functions: server, turns and relay. The key of each in the bucket, and its SHA-256 in Base64."
  type = object({
    server = object({ key = string, sha256 = string })
    turns  = object({ key = string, sha256 = string })
    relay  = object({ key = string, sha256 = string })
  })
}

variable "runtime" {
  description = "The Python that the packages were built for, as in python3.13."
  type        = string
}

variable "layers" {
  description = "The Lambda Web Adapter, and the collector of the AWS Distro for OpenTelemetry, both for arm64 and this region."
  type        = object({ web_adapter = string, collector = string })
}

variable "concurrency" {
  description = "How many run at once, at most: of the API (and how many of them are kept warm), of what takes messages, of each task."
  type        = object({ http = number, http_provisioned = number, messages = number, tasks = number })
}

variable "are_schedules_on" {
  description = "Whether schedules run: off until the database has tables."
  type        = bool
  default     = true
}

variable "turn_runner" {
  description = "Where turns run: inline, where words stream as they come, or step_functions, where each has a history."
  type        = string

  validation {
    condition     = contains(["inline", "step_functions"], var.turn_runner)
    error_message = "Write inline or step_functions."
  }
}

variable "models" {
  description = "PROSA_MODELS: the chain of language models."
  type        = list(string)

  validation {
    condition     = length(var.models) > 0 && alltrue([for model in var.models : startswith(model, "bedrock:") || startswith(model, "openai:")])
    error_message = "Name models of bedrock or openai: the packages hold no other."
  }
}

variable "bedrock_model_arns" {
  description = "What of Bedrock may be asked: foundation models, and inference profiles with the models behind them in each of their regions."
  type        = list(string)
}

variable "bedrock_guardrail" {
  description = "A guardrail of Bedrock's, which its models apply."
  type        = object({ id = string, version = string })
  default     = null
}

variable "intent_classifier" {
  description = "PROSA_INTENT_CLASSIFIER: rules, or prompted, which costs a call for each turn."
  type        = string
  default     = "rules"
}

variable "locale" {
  description = "PROSA_LOCALE: the language of the platform's own sentences, pt-BR or en."
  type        = string
  default     = "pt-BR"
}

variable "time_zone" {
  description = "PROSA_TIME_ZONE: where customers live, as in America/Sao_Paulo."
  type        = string
  default     = "America/Sao_Paulo"
}

variable "degraded_reply" {
  description = "PROSA_DEGRADED_REPLY: whether a canned sentence answers where no model does."
  type        = bool
  default     = false
}

variable "deadline_seconds" {
  description = "PROSA_DEADLINE_SECONDS: by when a turn has its answer. The timeouts of functions and tasks are made for 25."
  type        = number
  default     = 25

  validation {
    condition     = var.deadline_seconds > 0 && var.deadline_seconds <= 25
    error_message = "Write 25 at most: the functions end soon after."
  }
}

variable "secrets" {
  description = "Secrets of others: openai-api-key where a model of OpenAI's is named. modules/secrets says what each has."
  type = map(object({
    description = string
    rotation    = optional(object({ function_arn = string, days = number }))
  }))
  default = {}
}

variable "cors_origins" {
  description = "PROSA_CORS_ORIGINS: web pages that may call the API."
  type        = list(string)
}

variable "callback_urls" {
  description = "Pages to which people come back when they have signed in."
  type        = list(string)
}

variable "programs" {
  description = "Programs of tenants that call the API: the tenant of each, by the program's name."
  type        = map(string)
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

variable "throttling" {
  description = "How many requests a second, and at once above that, of all clients together."
  type        = object({ rate = number, burst = number })
}

variable "requests_of_an_address" {
  description = "How many requests one address may make in five minutes."
  type        = number
}

variable "sets_up_account" {
  description = "Whether API Gateway's role for logs is made here: once for an account and region."
  type        = bool
  default     = true
}

variable "emails" {
  description = "Who is told when an alarm rings, and of costs."
  type        = set(string)
}

variable "latency_milliseconds" {
  description = "From when on an answer is late."
  type        = number
}

variable "failed_turns" {
  description = "How many turns may fail in five minutes."
  type        = number
}

variable "log_retention_days" {
  description = "How long logs are kept."
  type        = number
}

variable "archive_days" {
  description = "How long events are kept to be replayed."
  type        = number
}

variable "budget" {
  description = "What a month may cost, from which unusual cost on somebody is told, and whether this account pays for others."
  type        = object({ monthly_usd = number, anomaly_usd = number, activates_tags = bool })
}

variable "pipeline" {
  description = "The pipeline that deploys: modules/delivery says what each is."
  type = object({
    repository        = string
    environment       = string
    oidc_provider_arn = optional(string)
    state             = object({ bucket_arn = string, key = string })
    other_writer_arns = optional(list(string), [])
    deployment_config = string
  })
}
