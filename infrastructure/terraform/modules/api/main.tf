# The door: a REST API whose answers stream, with limits, a firewall, a name and a log.

locals {
  # Lambda's API for answers that stream:
  # https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode-lambda.html
  uri = "arn:${var.partition}:apigateway:${var.region}:lambda:path/2021-11-15/functions/${var.function.alias_arn}/response-streaming-invocations"

  # What the gateway answers by itself has the shape of Prosa's own problems (RFC 9457).
  problems = {
    DEFAULT_4XX       = { code = "bad_request", title = "Bad request", retry_after = null }
    DEFAULT_5XX       = { code = "unavailable", title = "Unavailable", retry_after = "5" }
    THROTTLED         = { code = "rate_limited", title = "Too many requests", retry_after = "1" }
    REQUEST_TOO_LARGE = { code = "body_too_large", title = "Body too large", retry_after = null }
    WAF_FILTERED      = { code = "forbidden", title = "Forbidden", retry_after = null }
  }

  # Neither an address nor a token: who called is in the log of the function, where it matters.
  access_log = {
    request_id          = "$context.requestId"
    trace_id            = "$context.xrayTraceId"
    time                = "$context.requestTime"
    method              = "$context.httpMethod"
    path                = "$context.path"
    status              = "$context.status"
    milliseconds        = "$context.responseLatency"
    integration_status  = "$context.integration.status"
    integration_latency = "$context.integrationLatency"
    error               = "$context.error.responseType"
    waf                 = "$context.waf.status"
    bytes               = "$context.responseLength"
  }
}

resource "aws_api_gateway_rest_api" "this" {
  name        = var.name
  description = "Prosa's HTTP API."
  # Whoever knows the default name would go around the domain.
  disable_execute_api_endpoint = var.domain != null

  endpoint_configuration {
    types = ["REGIONAL"]
  }

  lifecycle {
    create_before_destroy = true
  }
}

# --- Every path and method goes to the function, which knows its routes.

resource "aws_api_gateway_resource" "any" {
  rest_api_id = aws_api_gateway_rest_api.this.id
  parent_id   = aws_api_gateway_rest_api.this.root_resource_id
  path_part   = "{proxy+}"
}

resource "aws_api_gateway_method" "any" {
  #checkov:skip=CKV_AWS_59:Prosa checks the token itself, before it reads a body, and answers in its own words.
  #checkov:skip=CKV2_AWS_53:Prosa checks requests itself, by the schema that it documents.
  for_each = { root = aws_api_gateway_rest_api.this.root_resource_id, any = aws_api_gateway_resource.any.id }

  rest_api_id   = aws_api_gateway_rest_api.this.id
  resource_id   = each.value
  http_method   = "ANY"
  authorization = "NONE"
}

resource "aws_api_gateway_integration" "any" {
  for_each = aws_api_gateway_method.any

  rest_api_id             = aws_api_gateway_rest_api.this.id
  resource_id             = each.value.resource_id
  http_method             = each.value.http_method
  type                    = "AWS_PROXY"
  integration_http_method = "POST"
  uri                     = local.uri
  response_transfer_mode  = "STREAM"
  timeout_milliseconds    = 1000 * var.function_timeout_seconds
}

resource "aws_lambda_permission" "api" {
  statement_id  = "api"
  action        = "lambda:InvokeFunction"
  function_name = var.function.function_name
  qualifier     = var.function.alias_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_api_gateway_rest_api.this.execution_arn}/*/*"
}

resource "aws_api_gateway_gateway_response" "this" {
  for_each = local.problems

  rest_api_id   = aws_api_gateway_rest_api.this.id
  response_type = each.key

  response_parameters = merge(
    { "gatewayresponse.header.Content-Type" = "'application/problem+json'" },
    each.value.retry_after == null ? {} : { "gatewayresponse.header.Retry-After" = "'${each.value.retry_after}'" },
  )

  response_templates = {
    "application/json" = jsonencode({
      type     = "urn:prosa:problem:${each.value.code}"
      title    = each.value.title
      code     = each.value.code
      trace_id = "$context.xrayTraceId"
    })
  }
}

# --- The stage: limits, logs, traces.

resource "aws_api_gateway_deployment" "this" {
  rest_api_id = aws_api_gateway_rest_api.this.id

  triggers = {
    changed = sha256(jsonencode([
      local.uri, var.function_timeout_seconds, local.problems, filesha256("${path.module}/main.tf"),
    ]))
  }

  lifecycle {
    create_before_destroy = true
  }

  depends_on = [aws_api_gateway_integration.any, aws_api_gateway_gateway_response.this]
}

resource "aws_cloudwatch_log_group" "access" {
  name              = "/aws/apigateway/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_api_gateway_stage" "live" {
  #checkov:skip=CKV_AWS_120:Answers are a customer's own, and may not be kept for others.
  #checkov:skip=CKV2_AWS_77:As CKV_AWS_192 of the firewall.
  #checkov:skip=CKV2_AWS_51:Clients show a token; Lambda needs no certificate to know the gateway by.
  rest_api_id          = aws_api_gateway_rest_api.this.id
  deployment_id        = aws_api_gateway_deployment.this.id
  stage_name           = "live"
  xray_tracing_enabled = true

  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.access.arn
    format          = jsonencode(local.access_log)
  }

  depends_on = [aws_api_gateway_account.this]
}

resource "aws_api_gateway_method_settings" "all" {
  #checkov:skip=CKV_AWS_225:As CKV_AWS_120: nothing is cached.
  rest_api_id = aws_api_gateway_rest_api.this.id
  stage_name  = aws_api_gateway_stage.live.stage_name
  method_path = "*/*"

  settings {
    throttling_rate_limit  = var.throttling.rate
    throttling_burst_limit = var.throttling.burst
    metrics_enabled        = true
    logging_level          = "ERROR"
    # It would write down what customers say.
    data_trace_enabled = false
  }
}

# API Gateway writes logs as a role that is set once for an account and region.

data "aws_iam_policy_document" "logs_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["apigateway.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "logs" {
  count = var.sets_up_account ? 1 : 0

  name               = "${var.name}-api-logs"
  description        = "API Gateway writes logs by it."
  assume_role_policy = data.aws_iam_policy_document.logs_trust.json
}

resource "aws_iam_role_policy_attachment" "logs" {
  count = var.sets_up_account ? 1 : 0

  role       = aws_iam_role.logs[0].name
  policy_arn = "arn:${var.partition}:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
}

resource "aws_api_gateway_account" "this" {
  count = var.sets_up_account ? 1 : 0

  cloudwatch_role_arn = aws_iam_role.logs[0].arn

  depends_on = [aws_iam_role_policy_attachment.logs]
}
