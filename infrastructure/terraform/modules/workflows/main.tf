# The state machine that takes turns: infrastructure/workflows/take_turn.asl.json, with our functions in it.

locals {
  file = "${path.module}/../../../workflows/take_turn.asl.json"
}

resource "aws_cloudwatch_log_group" "this" {
  # Names that begin so keep the log's own policy short enough.
  name              = "/aws/vendedlogs/states/${var.name}-take-turn"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["states.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.account_id]
    }
  }
}

data "aws_iam_policy_document" "this" {
  #checkov:skip=CKV_AWS_111:As CKV_AWS_356.
  #checkov:skip=CKV_AWS_356:Two statements have "*" as their resource; beside each is why.
  statement {
    sid       = "CallTasks"
    actions   = ["lambda:InvokeFunction"]
    resources = values(var.task_alias_arns)
  }

  # Deliveries of logs know no resources: https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html
  statement {
    sid = "Log"
    actions = [
      "logs:CreateLogDelivery",
      "logs:DeleteLogDelivery",
      "logs:DescribeLogGroups",
      "logs:DescribeResourcePolicies",
      "logs:GetLogDelivery",
      "logs:ListLogDeliveries",
      "logs:PutResourcePolicy",
      "logs:UpdateLogDelivery",
    ]
    resources = ["*"]
  }

  # X-Ray knows no resources: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html
  statement {
    sid       = "Trace"
    actions   = ["xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets"]
    resources = ["*"]
  }

  statement {
    sid       = "Encrypt"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [var.kms_key_arn]
  }
}

resource "aws_iam_role" "this" {
  name               = "${var.name}-take-turn"
  description        = "Of the state machine that takes turns."
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy" "this" {
  name   = "tasks"
  role   = aws_iam_role.this.id
  policy = data.aws_iam_policy_document.this.json
}

resource "aws_sfn_state_machine" "take_turn" {
  name = "${var.name}-take-turn"
  # Executions of a Standard machine are unique by name: an attempt runs once.
  type       = "STANDARD"
  role_arn   = aws_iam_role.this.arn
  definition = templatefile(local.file, { for task, arn in var.task_alias_arns : "${task}_function" => arn })

  logging_configuration {
    level           = "ERROR"
    log_destination = "${aws_cloudwatch_log_group.this.arn}:*"
    # The state holds identifiers only, and an error says nothing of what was said.
    include_execution_data = true
  }

  tracing_configuration {
    enabled = true
  }

  encryption_configuration {
    type                              = "CUSTOMER_MANAGED_KMS_KEY"
    kms_key_id                        = var.kms_key_arn
    kms_data_key_reuse_period_seconds = 300
  }

  depends_on = [aws_iam_role_policy.this]
}
