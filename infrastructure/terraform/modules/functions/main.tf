# Every function of Prosa on Lambda: its role, log, alias, schedule or queue, and where its failures go.

locals {
  names = { for key in keys(var.functions) : key => "${var.name}-${key}" }

  arns = {
    for key, name in local.names : key =>
    "arn:${var.partition}:lambda:${var.region}:${var.account_id}:function:${name}"
  }

  scheduled    = { for key, function in var.functions : key => function if function.schedule != null }
  asynchronous = { for key, function in var.functions : key => function if function.schedule != null || function.takes_events }
  from_queues  = { for key, function in var.functions : key => function if function.queue != null }
  provisioned  = { for key, function in var.functions : key => function if function.provisioned_concurrency > 0 }

  # A collector beside each function takes its telemetry and passes it on to X-Ray and CloudWatch.
  collector_environment = {
    COLLECTOR_CONFIG = templatefile("${path.module}/collector.yaml.tftpl", {
      log_group = aws_cloudwatch_log_group.metrics.name
      namespace = var.metrics_namespace
      region    = var.region
    })
    OPENTELEMETRY_COLLECTOR_CONFIG_URI = "env:COLLECTOR_CONFIG"
    OTEL_EXPORTER_OTLP_ENDPOINT        = "http://localhost:4318"
  }
}

resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_116:Asynchronous functions have an on-failure destination, below, which says more than a dead-letter queue.
  #checkov:skip=CKV_AWS_272:Only the pipeline's role writes packages, and Terraform names each by its digest.
  for_each = var.functions

  function_name = local.names[each.key]
  description   = each.value.description
  role          = aws_iam_role.function[each.key].arn

  runtime       = var.runtime
  architectures = ["arm64"]
  handler       = each.value.handler
  layers        = concat(each.value.layers, [var.collector_layer_arn])

  s3_bucket        = var.package_bucket
  s3_key           = var.packages[each.value.package].key
  source_code_hash = var.packages[each.value.package].sha256

  memory_size                    = each.value.memory_mb
  timeout                        = each.value.timeout_seconds
  reserved_concurrent_executions = each.value.reserved_concurrency
  # Each change is a version; the alias is moved to it by the pipeline, gradually.
  publish = true

  kms_key_arn = var.kms_key_arn

  environment {
    variables = merge(var.environment, local.collector_environment, each.value.environment)
  }

  ephemeral_storage {
    size = 512
  }

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.function[each.key].name
  }

  tracing_config {
    mode = "Active"
  }

  vpc_config {
    subnet_ids         = var.subnet_ids
    security_group_ids = [var.security_group_id]
  }

  depends_on = [aws_iam_role_policy.function]
}

resource "aws_lambda_alias" "live" {
  for_each = var.functions

  name             = "live"
  description      = "What is called; the pipeline moves it."
  function_name    = aws_lambda_function.this[each.key].function_name
  function_version = aws_lambda_function.this[each.key].version

  lifecycle {
    ignore_changes = [function_version, routing_config]
  }
}

resource "aws_lambda_provisioned_concurrency_config" "this" {
  for_each = local.provisioned

  function_name                     = aws_lambda_function.this[each.key].function_name
  qualifier                         = aws_lambda_alias.live[each.key].name
  provisioned_concurrent_executions = each.value.provisioned_concurrency
}

resource "aws_cloudwatch_log_group" "function" {
  for_each = var.functions

  name              = "/aws/lambda/${local.names[each.key]}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_cloudwatch_log_group" "metrics" {
  name              = "/metrics/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

# --- What an asynchronous function failed of, or could not be called with.

resource "aws_sqs_queue" "failures" {
  for_each = local.asynchronous

  name                              = "${local.names[each.key]}-failed"
  message_retention_seconds         = 1209600
  kms_master_key_id                 = var.kms_key_arn
  kms_data_key_reuse_period_seconds = 300
}

data "aws_iam_policy_document" "failures" {
  for_each = aws_sqs_queue.failures

  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["sqs:*"]
    resources = [each.value.arn]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_sqs_queue_policy" "failures" {
  for_each = aws_sqs_queue.failures

  queue_url = each.value.id
  policy    = data.aws_iam_policy_document.failures[each.key].json
}

resource "aws_lambda_function_event_invoke_config" "this" {
  for_each = local.asynchronous

  function_name = aws_lambda_function.this[each.key].function_name
  qualifier     = aws_lambda_alias.live[each.key].name
  # What a schedule starts comes again by itself in a minute; an event does not.
  maximum_retry_attempts       = each.value.schedule != null ? 0 : 2
  maximum_event_age_in_seconds = each.value.schedule != null ? 60 : 21600

  destination_config {
    on_failure {
      destination = aws_sqs_queue.failures[each.key].arn
    }
  }
}

# --- Schedules.

resource "aws_scheduler_schedule_group" "this" {
  name = var.name
}

resource "aws_scheduler_schedule" "this" {
  for_each = local.scheduled

  name                = each.key
  group_name          = aws_scheduler_schedule_group.this.name
  description         = each.value.description
  schedule_expression = each.value.schedule
  state               = var.are_schedules_on ? "ENABLED" : "DISABLED"
  kms_key_arn         = var.kms_key_arn

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_alias.live[each.key].arn
    role_arn = aws_iam_role.scheduler.arn

    dead_letter_config {
      arn = aws_sqs_queue.failures[each.key].arn
    }

    retry_policy {
      maximum_event_age_in_seconds = 60
      maximum_retry_attempts       = 0
    }
  }
}

# --- Queues.

resource "aws_lambda_event_source_mapping" "this" {
  for_each = local.from_queues

  event_source_arn = each.value.queue.arn
  function_name    = aws_lambda_alias.live[each.key].arn
  batch_size       = each.value.queue.batch_size
  # Only what the function names as failed comes again.
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    # Otherwise the mapping takes messages that the function's reserved concurrency refuses, and each counts as received.
    maximum_concurrency = each.value.reserved_concurrency
  }
}
