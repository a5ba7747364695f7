mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }

  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_data "aws_region" {
    defaults = { region = "eu-west-1" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/test" }
  }

  mock_resource "aws_iam_openid_connect_provider" {
    defaults = { arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com" }
  }

  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::artifacts" }
  }

  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:eu-west-1:123456789012:queue", url = "https://sqs.eu-west-1.amazonaws.com/123456789012/queue.fifo" }
  }

  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-west-1:123456789012:topic" }
  }

  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-west-1:123456789012:key/test" }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:123456789012:log-group:test" }
  }

  mock_resource "aws_cloudwatch_event_bus" {
    defaults = { arn = "arn:aws:events:eu-west-1:123456789012:event-bus/prosa-test" }
  }

  mock_resource "aws_cloudwatch_event_rule" {
    defaults = { arn = "arn:aws:events:eu-west-1:123456789012:rule/prosa-test/rule" }
  }

  mock_resource "aws_lambda_alias" {
    defaults = { arn = "arn:aws:lambda:eu-west-1:123456789012:function:test:live" }
  }

  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-west-1:123456789012:function:test" }
  }

  mock_resource "aws_rds_cluster" {
    defaults = {
      arn                 = "arn:aws:rds:eu-west-1:123456789012:cluster:prosa-test"
      cluster_resource_id = "cluster-ABC"
      master_user_secret  = [{ kms_key_id = "key", secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:owner", secret_status = "active" }]
    }
  }

  mock_resource "aws_db_proxy" {
    defaults = {
      arn      = "arn:aws:rds:eu-west-1:123456789012:db-proxy:prx-0abc"
      endpoint = "prosa-test.proxy-abc.eu-west-1.rds.amazonaws.com"
    }
  }

  mock_resource "aws_cognito_user_pool" {
    defaults = { id = "eu-west-1_abc", arn = "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_abc" }
  }

  mock_resource "aws_sfn_state_machine" {
    defaults = { arn = "arn:aws:states:eu-west-1:123456789012:stateMachine:prosa-test-take-turn" }
  }

  mock_resource "aws_secretsmanager_secret" {
    defaults = { arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:test" }
  }

  mock_resource "aws_wafv2_web_acl" {
    defaults = { arn = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/test/1" }
  }

  mock_resource "aws_api_gateway_stage" {
    defaults = { arn = "arn:aws:apigateway:eu-west-1::/restapis/1/stages/live" }
  }

  mock_resource "aws_ce_anomaly_monitor" {
    defaults = { arn = "arn:aws:ce::123456789012:anomalymonitor/1" }
  }
}

mock_provider "archive" {}

variables {
  name         = "prosa-test"
  region       = "eu-west-1"
  environment  = "staging"
  is_protected = true
  network = {
    cidr_block          = "10.20.0.0/16"
    availability_zones  = ["eu-west-1a", "eu-west-1b"]
    nat_gateways        = "one"
    interface_endpoints = []
  }
  database = {
    engine_version        = "17.6"
    capacity              = { min = 0.5, max = 2 }
    instances             = 1
    backup_retention_days = 7
  }
  packages = {
    server = { key = "lambda/server.zip", sha256 = "a=" }
    turns  = { key = "lambda/turns.zip", sha256 = "b=" }
    relay  = { key = "lambda/relay.zip", sha256 = "c=" }
  }
  runtime            = "python3.13"
  layers             = { web_adapter = "arn:aws:lambda:eu-west-1:753240598075:layer:LambdaAdapterLayerArm64:25", collector = "arn:aws:lambda:eu-west-1:901920570463:layer:aws-otel-collector-arm64-ver-0-117-0:1" }
  concurrency        = { http = 10, http_provisioned = 0, messages = 2, tasks = 5 }
  turn_runner        = "inline"
  models             = ["bedrock:amazon.nova-lite-v1:0"]
  bedrock_model_arns = ["arn:aws:bedrock:eu-west-1::foundation-model/amazon.nova-lite-v1:0"]
  cors_origins       = ["https://www.example.com"]
  callback_urls      = ["https://www.example.com/signed-in"]
  programs           = { acme-crm = "acme" }
  throttling         = { rate = 20, burst = 40 }

  requests_of_an_address = 1000
  emails                 = ["oncall@example.com"]
  latency_milliseconds   = 20000
  failed_turns           = 10
  log_retention_days     = 30
  archive_days           = 30
  budget                 = { monthly_usd = 200, anomaly_usd = 20, activates_tags = false }

  pipeline = {
    repository        = "example/prosa"
    environment       = "test"
    state             = { bucket_arn = "arn:aws:s3:::example-state", key = "prosa/test.tfstate" }
    deployment_config = "CodeDeployDefault.LambdaCanary10Percent5Minutes"
  }
}

run "every_part_is_wired" {
  command = apply

  assert {
    condition     = local.environment.PROSA_EVENT_BUS == "eventbridge:prosa-test" && local.channels.PROSA_REPLY_QUEUE == module.queues.replies.url
    error_message = "Functions publish to our bus and reply to our queue."
  }

  assert {
    condition     = local.http.PROSA_JWT_ISSUER == "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_abc" && local.http.PROSA_AUTH == "jwt"
    error_message = "The API believes our pool."
  }

  assert {
    condition     = startswith(local.environment.PROSA_DATABASE_URL, "postgresql+asyncpg://prosa_app@prosa-test.proxy") && startswith(local.functions.migrate.environment.PROSA_DATABASE_URL, "postgresql+asyncpg://prosa_migrator@")
    error_message = "Only migrations connect as the owner of the tables."
  }
}

run "every_function_has_an_alarm_and_a_deployment" {
  command = apply

  assert {
    condition     = alltrue([for key in keys(local.functions) : contains(keys(module.observability.alarm_names), "${key}-errors") && contains(keys(module.observability.alarm_names), "${key}-throttles")])
    error_message = "No function fails in silence."
  }
}

run "every_queue_of_what_was_given_up_has_an_alarm" {
  command = apply

  assert {
    condition = alltrue([
      for key in concat(keys(module.queues.dead_letter_names), keys(module.functions.failure_queue_names), ["events"]) :
      contains(keys(module.observability.alarm_names), "${key}-dead-letters")
    ])
    error_message = "Somebody looks at each."
  }
}

run "inline_turns_need_models_and_no_machine" {
  command = apply

  assert {
    condition     = contains(local.functions.http.grants, "models") && !contains(local.functions.http.grants, "turns") && local.turns.PROSA_TURN_RUNNER == "inline"
    error_message = "The API takes turns itself."
  }
}

run "turns_in_the_machine_need_it_and_no_models_at_the_door" {
  command = apply

  variables {
    turn_runner = "step_functions"
  }

  assert {
    condition     = contains(local.functions.http.grants, "turns") && !contains(local.functions.http.grants, "models")
    error_message = "The door starts executions, and asks no model."
  }

  assert {
    condition     = local.turns.PROSA_TURN_RUNNER == "step_functions:${module.workflows.state_machine_arn}"
    error_message = "The name that is put together is the machine's."
  }
}

run "a_secret_is_named_and_granted_where_there_is_one" {
  command = apply

  variables {
    models  = ["openai:gpt-4o-mini"]
    secrets = { openai-api-key = { description = "Of OpenAI." } }
  }

  assert {
    condition     = local.turns.OPENAI_API_KEY == "secretsmanager:prosa-test/openai-api-key" && length(local.grants.secrets[0].resources) == 1
    error_message = "The setting refers to the secret; its value is nowhere."
  }
}

run "a_guardrail_is_named_and_granted_where_there_is_one" {
  command = apply

  variables {
    bedrock_guardrail = { id = "gr-abc123", version = "1" }
  }

  assert {
    condition     = local.turns.PROSA_BEDROCK_GUARDRAIL == "gr-abc123:1" && one(local.grants.models[1].resources) == "arn:aws:bedrock:eu-west-1:123456789012:guardrail/gr-abc123"
    error_message = "The setting and the permission name the same."
  }
}

run "a_model_that_no_package_holds_is_refused" {
  command = plan

  variables {
    models = ["local"]
  }

  expect_failures = [var.models]
}
