# Two FIFO queues, of customers' messages in and of replies out, each with its dead letters.

locals {
  # Dead letters live longer than their queue: SQS counts their age from when they were first sent.
  days = 86400

  queues = {
    messages = {
      # A message is hidden while a function may still work at it, and while Lambda tries to begin:
      # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
      visibility_timeout_seconds = 6 * var.consumer_timeout_seconds
      # What waits behind a failure is counted with it: docs/channels.md.
      max_receive_count = 10
    }
    replies = {
      # For the channel's software, which takes these.
      visibility_timeout_seconds = var.reply_visibility_seconds
      max_receive_count          = 10
    }
  }
}

resource "aws_sqs_queue" "this" {
  for_each = local.queues

  name                       = "${var.name}-${each.key}.fifo"
  fifo_queue                 = true
  deduplication_scope        = "messageGroup"
  fifo_throughput_limit      = "perMessageGroupId"
  visibility_timeout_seconds = each.value.visibility_timeout_seconds
  message_retention_seconds  = 4 * local.days
  max_message_size           = 262144
  receive_wait_time_seconds  = 20

  kms_master_key_id                 = var.kms_key_arn
  kms_data_key_reuse_period_seconds = 300

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters[each.key].arn
    maxReceiveCount     = each.value.max_receive_count
  })
}

resource "aws_sqs_queue" "dead_letters" {
  for_each = local.queues

  name                       = "${var.name}-${each.key}-dead.fifo"
  fifo_queue                 = true
  deduplication_scope        = "messageGroup"
  fifo_throughput_limit      = "perMessageGroupId"
  visibility_timeout_seconds = 60
  message_retention_seconds  = 14 * local.days

  kms_master_key_id                 = var.kms_key_arn
  kms_data_key_reuse_period_seconds = 300
}

resource "aws_sqs_queue_redrive_allow_policy" "this" {
  for_each = local.queues

  queue_url = aws_sqs_queue.dead_letters[each.key].id
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.this[each.key].arn]
  })
}

# Who may send to the queue of messages may speak for any customer, so its policy names them.
data "aws_iam_policy_document" "this" {
  for_each = merge(
    { for name, queue in aws_sqs_queue.this : name => queue.arn },
    { for name, queue in aws_sqs_queue.dead_letters : "${name}-dead" => queue.arn },
  )

  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["sqs:*"]
    resources = [each.value]

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

  dynamic "statement" {
    for_each = each.key == "messages" && length(var.channel_role_arns) > 0 ? [var.channel_role_arns] : []

    content {
      sid       = "ChannelsSend"
      actions   = ["sqs:SendMessage", "sqs:GetQueueUrl"]
      resources = [each.value]

      principals {
        type        = "AWS"
        identifiers = statement.value
      }
    }
  }

  dynamic "statement" {
    for_each = each.key == "replies" && length(var.channel_role_arns) > 0 ? [var.channel_role_arns] : []

    content {
      sid       = "ChannelsTake"
      actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"]
      resources = [each.value]

      principals {
        type        = "AWS"
        identifiers = statement.value
      }
    }
  }
}

resource "aws_sqs_queue_policy" "this" {
  for_each = aws_sqs_queue.this

  queue_url = each.value.id
  policy    = data.aws_iam_policy_document.this[each.key].json
}

resource "aws_sqs_queue_policy" "dead_letters" {
  for_each = aws_sqs_queue.dead_letters

  queue_url = each.value.id
  policy    = data.aws_iam_policy_document.this["${each.key}-dead"].json
}
