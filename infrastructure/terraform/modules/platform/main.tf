# All of Prosa in one account and region. An environment is this, with its own values.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition

  # By its name, since the machine needs the functions and some functions need the machine.
  state_machine_arn = "arn:${local.partition}:states:${var.region}:${local.account_id}:stateMachine:${var.name}-take-turn"

  metrics_namespace = var.name
}

module "secrets" {
  source = "../secrets"

  name         = var.name
  account_id   = local.account_id
  region       = var.region
  partition    = local.partition
  is_protected = var.is_protected
  secrets      = var.secrets
}

module "network" {
  source = "../network"

  name                = var.name
  account_id          = local.account_id
  cidr_block          = var.network.cidr_block
  availability_zones  = var.network.availability_zones
  nat_gateways        = var.network.nat_gateways
  interface_endpoints = var.network.interface_endpoints
  log_retention_days  = var.log_retention_days
  kms_key_arn         = module.secrets.kms_key_arn
}

module "database" {
  source = "../database"

  name                        = var.name
  account_id                  = local.account_id
  region                      = var.region
  partition                   = local.partition
  vpc_id                      = module.network.vpc_id
  subnet_ids                  = module.network.private_subnet_ids
  functions_security_group_id = module.network.functions_security_group_id
  engine_version              = var.database.engine_version
  capacity                    = var.database.capacity
  instances                   = var.database.instances
  backup_retention_days       = var.database.backup_retention_days
  is_protected                = var.is_protected
  log_retention_days          = var.log_retention_days
  kms_key_arn                 = module.secrets.kms_key_arn
}

module "queues" {
  source = "../queues"

  name                     = var.name
  consumer_timeout_seconds = local.messages_seconds
  channel_role_arns        = var.channel_role_arns
  kms_key_arn              = module.secrets.kms_key_arn
}

module "event_bus" {
  source = "../event_bus"

  name               = var.name
  account_id         = local.account_id
  archive_days       = var.archive_days
  channel_role_arns  = var.channel_role_arns
  log_retention_days = var.log_retention_days
  kms_key_arn        = module.secrets.kms_key_arn

  consumers = {
    consume-events = {
      function_name = module.functions.functions["consume-events"].function_name
      alias_name    = module.functions.functions["consume-events"].alias_name
      alias_arn     = module.functions.functions["consume-events"].alias_arn
      event_types   = ["conversation.message.received.v1"]
    }
  }
}

module "identity" {
  source = "../identity"

  name               = var.name
  account_id         = local.account_id
  region             = var.region
  is_protected       = var.is_protected
  callback_urls      = var.callback_urls
  programs           = var.programs
  runtime            = var.runtime
  log_retention_days = var.log_retention_days
  kms_key_arn        = module.secrets.kms_key_arn
}

module "functions" {
  source = "../functions"

  name                = var.name
  account_id          = local.account_id
  region              = var.region
  partition           = local.partition
  functions           = local.functions
  grants              = local.grants
  environment         = local.environment
  package_bucket      = module.delivery.artifact_bucket
  packages            = var.packages
  runtime             = var.runtime
  collector_layer_arn = var.layers.collector
  metrics_namespace   = local.metrics_namespace
  are_schedules_on    = var.are_schedules_on
  subnet_ids          = module.network.private_subnet_ids
  security_group_id   = module.network.functions_security_group_id
  log_retention_days  = var.log_retention_days
  kms_key_arn         = module.secrets.kms_key_arn
}

module "workflows" {
  source = "../workflows"

  name               = var.name
  account_id         = local.account_id
  task_alias_arns    = { for task in local.tasks : task => module.functions.functions[task].alias_arn }
  log_retention_days = var.log_retention_days
  kms_key_arn        = module.secrets.kms_key_arn
}

module "api" {
  source = "../api"

  name                     = var.name
  region                   = var.region
  partition                = local.partition
  function                 = module.functions.functions["http"]
  function_timeout_seconds = local.functions["http"].timeout_seconds
  throttling               = var.throttling
  requests_of_an_address   = var.requests_of_an_address
  domain                   = var.domain
  sets_up_account          = var.sets_up_account
  log_retention_days       = var.log_retention_days
  kms_key_arn              = module.secrets.kms_key_arn
}

module "observability" {
  source = "../observability"

  name                 = var.name
  account_id           = local.account_id
  region               = var.region
  emails               = var.emails
  metrics_namespace    = local.metrics_namespace
  function_names       = { for key, function in module.functions.functions : key => function.function_name }
  log_groups           = module.functions.log_groups
  breaker_log_group    = module.event_bus.breaker_log_group
  messages_queue_name  = module.queues.messages.name
  replies_queue_name   = module.queues.replies.name
  event_bus_name       = module.event_bus.name
  rule_names           = module.event_bus.rule_names
  state_machine_arn    = module.workflows.state_machine_arn
  api                  = { name = module.api.api_name, stage = module.api.stage_name }
  web_acl_name         = module.api.web_acl_name
  database_cluster     = module.database.cluster_identifier
  database_proxy       = module.database.proxy_name
  latency_milliseconds = var.latency_milliseconds
  failed_turns         = var.failed_turns
  kms_key_arn          = module.secrets.kms_key_arn

  dead_letter_names = merge(
    module.queues.dead_letter_names,
    module.functions.failure_queue_names,
    { events = module.event_bus.dead_letter_name },
  )
}

module "cost" {
  source = "../cost"

  name            = var.name
  monthly_usd     = var.budget.monthly_usd
  anomaly_usd     = var.budget.anomaly_usd
  activates_tags  = var.budget.activates_tags
  tag             = { key = "environment", value = var.name }
  allocation_tags = ["application", "environment", "owner"]
  topic_arn       = module.observability.tickets_topic_arn
}

module "delivery" {
  source = "../delivery"

  name              = var.name
  account_id        = local.account_id
  region            = var.region
  partition         = local.partition
  repository        = var.pipeline.repository
  environment       = var.pipeline.environment
  oidc_provider_arn = var.pipeline.oidc_provider_arn
  state             = var.pipeline.state
  other_writer_arns = var.pipeline.other_writer_arns
  deployment_config = var.pipeline.deployment_config
  function_names    = { for key in keys(local.functions) : key => "${var.name}-${key}" }
  watched_alarms    = [for key in ["api-errors", "api-latency", "turns-failing"] : module.observability.alarm_names[key]]
  error_alarms      = { for key in keys(local.functions) : key => module.observability.alarm_names["${key}-errors"] }
  is_protected      = var.is_protected
  kms_key_arn       = module.secrets.kms_key_arn
}
