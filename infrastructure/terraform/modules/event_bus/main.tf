# The bus that Prosa publishes its events to, who takes which of them, and what is kept.

locals {
  # The source of what is said of conversations, and of what a process says of its language models.
  conversations   = "prosa.conversations"
  language_models = "prosa.language_models"

  # What a customer wrote, from the software of a channel. Who may put it there may speak for any customer.
  messages = "conversation.message.received.v1"
}

resource "aws_cloudwatch_event_bus" "this" {
  name               = var.name
  description        = "What happened in Prosa: docs/events.md."
  kms_key_identifier = var.kms_key_arn

  dead_letter_config {
    arn = aws_sqs_queue.dead_letters.arn
  }
}

data "aws_iam_policy_document" "bus" {
  statement {
    sid       = "OnlyChannelsPutMessages"
    effect    = "Deny"
    actions   = ["events:PutEvents"]
    resources = [aws_cloudwatch_event_bus.this.arn]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "StringEquals"
      variable = "events:detail-type"
      values   = [local.messages]
    }

    dynamic "condition" {
      for_each = length(var.channel_role_arns) > 0 ? [var.channel_role_arns] : []

      content {
        test     = "ArnNotEquals"
        variable = "aws:PrincipalArn"
        values   = condition.value
      }
    }
  }
}

resource "aws_cloudwatch_event_bus_policy" "this" {
  event_bus_name = aws_cloudwatch_event_bus.this.name
  policy         = data.aws_iam_policy_document.bus.json
}

# What customers wrote is in no archive: their messages have other sources.
resource "aws_cloudwatch_event_archive" "this" {
  name               = var.name
  description        = "All events of Prosa, to be replayed to a consumer that lost them."
  event_source_arn   = aws_cloudwatch_event_bus.this.arn
  retention_days     = var.archive_days
  kms_key_identifier = var.kms_key_arn
  event_pattern      = jsonencode({ source = [local.conversations] })
}

# --- What a consumer could not be given.

resource "aws_sqs_queue" "dead_letters" {
  name                              = "${var.name}-events-dead"
  message_retention_seconds         = 1209600
  kms_master_key_id                 = var.kms_key_arn
  kms_data_key_reuse_period_seconds = 300
}

data "aws_iam_policy_document" "dead_letters" {
  statement {
    sid       = "RulesSend"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.dead_letters.arn]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.account_id]
    }
  }

  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["sqs:*"]
    resources = [aws_sqs_queue.dead_letters.arn]

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

resource "aws_sqs_queue_policy" "dead_letters" {
  queue_url = aws_sqs_queue.dead_letters.id
  policy    = data.aws_iam_policy_document.dead_letters.json
}

# --- Functions that take events.

resource "aws_cloudwatch_event_rule" "consumer" {
  for_each = var.consumers

  name           = "${var.name}-${each.key}"
  description    = "Events for ${each.key}."
  event_bus_name = aws_cloudwatch_event_bus.this.name
  event_pattern  = jsonencode({ detail-type = each.value.event_types })
}

resource "aws_cloudwatch_event_target" "consumer" {
  for_each = var.consumers

  event_bus_name = aws_cloudwatch_event_bus.this.name
  rule           = aws_cloudwatch_event_rule.consumer[each.key].name
  target_id      = each.key
  arn            = each.value.alias_arn

  retry_policy {
    maximum_event_age_in_seconds = 86400
    maximum_retry_attempts       = 185
  }

  dead_letter_config {
    arn = aws_sqs_queue.dead_letters.arn
  }
}

resource "aws_lambda_permission" "consumer" {
  for_each = var.consumers

  statement_id  = "events-${each.key}"
  action        = "lambda:InvokeFunction"
  function_name = each.value.function_name
  qualifier     = each.value.alias_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.consumer[each.key].arn
}

# --- A language model that is not asked any more: the log has each, and an alarm counts them.

resource "aws_cloudwatch_event_rule" "breaker_opened" {
  name           = "${var.name}-breaker-opened"
  description    = "A circuit breaker opened: a language model fails."
  event_bus_name = aws_cloudwatch_event_bus.this.name
  event_pattern = jsonencode({
    source      = [local.language_models]
    detail-type = ["language_model.breaker.moved.v1"]
    detail      = { data = { after = ["open"] } }
  })
}

resource "aws_cloudwatch_log_group" "breaker" {
  # EventBridge writes to groups of this beginning only.
  name              = "/aws/events/${var.name}-breaker"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

data "aws_iam_policy_document" "breaker" {
  statement {
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.breaker.arn}:*"]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com", "delivery.logs.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_cloudwatch_event_rule.breaker_opened.arn]
    }
  }
}

resource "aws_cloudwatch_log_resource_policy" "breaker" {
  policy_name     = "${var.name}-breaker"
  policy_document = data.aws_iam_policy_document.breaker.json
}

resource "aws_cloudwatch_event_target" "breaker_opened" {
  event_bus_name = aws_cloudwatch_event_bus.this.name
  rule           = aws_cloudwatch_event_rule.breaker_opened.name
  target_id      = "log"
  arn            = aws_cloudwatch_log_group.breaker.arn

  dead_letter_config {
    arn = aws_sqs_queue.dead_letters.arn
  }

  depends_on = [aws_cloudwatch_log_resource_policy.breaker]
}
