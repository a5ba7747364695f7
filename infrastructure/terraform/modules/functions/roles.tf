# One role for each function, with what that function calls and nothing else.

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "function" {
  for_each = var.functions

  name               = local.names[each.key]
  description        = "Of the function ${local.names[each.key]}."
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy" "function" {
  for_each = var.functions

  name   = "function"
  role   = aws_iam_role.function[each.key].id
  policy = data.aws_iam_policy_document.function[each.key].json
}

data "aws_iam_policy_document" "function" {
  #checkov:skip=CKV_AWS_111:As CKV_AWS_356.
  #checkov:skip=CKV_AWS_356:Two statements have "*" as their resource; beside each is why.
  for_each = var.functions

  statement {
    sid       = "Log"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.function[each.key].arn}:*"]
  }

  # X-Ray knows no resources: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html
  statement {
    sid       = "Trace"
    actions   = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
    resources = ["*"]
  }

  # Lambda attaches the function to its network as this role. The interfaces do not exist before, and some of these
  # actions know no resources: https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html
  statement {
    sid = "AttachToNetwork"
    actions = [
      "ec2:AssignPrivateIpAddresses",
      "ec2:CreateNetworkInterface",
      "ec2:DeleteNetworkInterface",
      "ec2:DescribeNetworkInterfaces",
      "ec2:DescribeSubnets",
      "ec2:UnassignPrivateIpAddresses",
    ]
    resources = ["*"]
  }

  # That is for Lambda only: the function's own code may not.
  statement {
    sid    = "CodeLeavesNetworkAlone"
    effect = "Deny"
    actions = [
      "ec2:AssignPrivateIpAddresses",
      "ec2:CreateNetworkInterface",
      "ec2:DeleteNetworkInterface",
      "ec2:DescribeNetworkInterfaces",
      "ec2:DescribeSubnets",
      "ec2:UnassignPrivateIpAddresses",
    ]
    resources = ["*"]

    condition {
      test     = "ArnEquals"
      variable = "lambda:SourceFunctionArn"
      values   = [local.arns[each.key]]
    }
  }

  statement {
    sid       = "Measure"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.metrics.arn}:*"]
  }

  dynamic "statement" {
    for_each = contains(keys(local.asynchronous), each.key) ? [aws_sqs_queue.failures[each.key].arn] : []

    content {
      sid       = "ReportFailures"
      actions   = ["sqs:SendMessage"]
      resources = [statement.value]
    }
  }

  dynamic "statement" {
    for_each = contains(keys(local.asynchronous), each.key) ? [var.kms_key_arn] : []

    content {
      sid       = "EncryptFailures"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [statement.value]
    }
  }

  dynamic "statement" {
    for_each = [
      for grant in flatten([for name in each.value.grants : var.grants[name]]) : grant
      if length(grant.resources) > 0
    ]

    content {
      actions   = statement.value.actions
      resources = statement.value.resources
    }
  }
}

# --- Who starts what is scheduled.

data "aws_iam_policy_document" "scheduler_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["scheduler.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.account_id]
    }
  }
}

data "aws_iam_policy_document" "scheduler" {
  statement {
    sid       = "Start"
    actions   = ["lambda:InvokeFunction"]
    resources = [for key in keys(local.scheduled) : aws_lambda_alias.live[key].arn]
  }

  statement {
    sid       = "ReportFailures"
    actions   = ["sqs:SendMessage"]
    resources = [for key in keys(local.scheduled) : aws_sqs_queue.failures[key].arn]
  }

  statement {
    sid       = "Encrypt"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [var.kms_key_arn]
  }
}

resource "aws_iam_role" "scheduler" {
  name               = "${var.name}-scheduler"
  description        = "Starts the functions that are scheduled."
  assume_role_policy = data.aws_iam_policy_document.scheduler_trust.json
}

resource "aws_iam_role_policy" "scheduler" {
  name   = "start"
  role   = aws_iam_role.scheduler.id
  policy = data.aws_iam_policy_document.scheduler.json
}
