# Settings of Prosa, as environment variables. An empty one is as if it were not there.

locals {
  log_levels = { development = "DEBUG", staging = "INFO", production = "INFO" }

  # Of every function.
  environment = {
    PROSA_ENVIRONMENT       = var.environment
    PROSA_DATABASE_URL      = module.database.urls.app
    PROSA_DATABASE_PASSWORD = module.database.passwords.app
    PROSA_EVENT_BUS         = "eventbridge:${module.event_bus.name}"
    PROSA_LOG_LEVEL         = local.log_levels[var.environment]
    OTEL_SERVICE_NAME       = var.name
    # Those that Lambda's own system trusts: the driver would look in a home folder.
    PGSSLROOTCERT = "/etc/pki/tls/certs/ca-bundle.crt"
  }

  # Of those that take turns or steps of them, or start them.
  turns = {
    PROSA_MODELS            = join(",", var.models)
    PROSA_DEADLINE_SECONDS  = tostring(var.deadline_seconds)
    PROSA_DEGRADED_REPLY    = tostring(var.degraded_reply)
    PROSA_BEDROCK_GUARDRAIL = var.bedrock_guardrail == null ? "" : "${var.bedrock_guardrail.id}:${var.bedrock_guardrail.version}"
    PROSA_INTENT_CLASSIFIER = var.intent_classifier
    PROSA_LOCALE            = var.locale
    PROSA_TIME_ZONE         = var.time_zone
    PROSA_TURN_RUNNER       = local.runs_elsewhere ? "step_functions:${local.state_machine_arn}" : "inline"
    OPENAI_API_KEY          = lookup(module.secrets.references, "openai-api-key", "")
  }

  # Of those that answer channels.
  channels = {
    PROSA_REPLY_QUEUE = module.queues.replies.url
  }

  # Of the HTTP API, and of the Web Adapter in front of it: docs/aws.md.
  http = {
    PROSA_AUTH           = "jwt"
    PROSA_JWT_ISSUER     = module.identity.issuer
    PROSA_JWT_CLIENT_IDS = join(",", module.identity.client_ids)
    PROSA_CORS_ORIGINS   = join(",", var.cors_origins)
    # Lambda writes JSON for handlers, but not for a server; alarms count what logs say.
    PROSA_LOG_FORMAT = "json"

    AWS_LAMBDA_EXEC_WRAPPER      = "/opt/bootstrap"
    AWS_LWA_INVOKE_MODE          = "response_stream"
    AWS_LWA_PORT                 = "8000"
    AWS_LWA_READINESS_CHECK_PATH = "/healthz"
    # The stage's name is no part of a path of Prosa's.
    AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH = "true"
  }
}
