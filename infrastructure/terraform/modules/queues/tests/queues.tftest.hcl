mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }

  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:eu-west-1:123456789012:test.fifo" }
  }
}

variables {
  name                     = "prosa-test"
  consumer_timeout_seconds = 300
  kms_key_arn              = "arn:aws:kms:eu-west-1:123456789012:key/test"
}

run "all_queues_keep_the_order_of_a_conversation" {
  command = plan

  assert {
    condition = alltrue([
      for queue in concat(values(aws_sqs_queue.this), values(aws_sqs_queue.dead_letters)) :
      queue.fifo_queue && endswith(queue.name, ".fifo") && queue.deduplication_scope == "messageGroup"
    ])
    error_message = "Each queue must be FIFO, also those of dead letters."
  }
}

run "a_message_is_hidden_for_six_times_the_functions_timeout" {
  command = plan

  assert {
    condition     = aws_sqs_queue.this["messages"].visibility_timeout_seconds >= 6 * var.consumer_timeout_seconds
    error_message = "Otherwise two containers take the same message."
  }
}

run "what_fails_ten_times_is_a_dead_letter_of_its_own_queue" {
  command = apply

  assert {
    condition     = alltrue([for queue in aws_sqs_queue.this : jsondecode(queue.redrive_policy).maxReceiveCount >= 5])
    error_message = "A passing failure must not make dead letters."
  }

  assert {
    condition     = alltrue([for one in aws_sqs_queue_redrive_allow_policy.this : jsondecode(one.redrive_allow_policy).redrivePermission == "byQueue"])
    error_message = "No other queue may give up its messages here."
  }
}

run "dead_letters_live_longer_than_their_queue" {
  command = plan

  assert {
    condition = alltrue([
      for name, queue in aws_sqs_queue.this :
      aws_sqs_queue.dead_letters[name].message_retention_seconds > queue.message_retention_seconds
    ])
    error_message = "SQS counts the age of a dead letter from when it was first sent."
  }
}

run "what_customers_wrote_is_encrypted" {
  command = plan

  assert {
    condition = alltrue([
      for queue in concat(values(aws_sqs_queue.this), values(aws_sqs_queue.dead_letters)) :
      queue.kms_master_key_id == var.kms_key_arn
    ])
    error_message = "Every queue is encrypted by our key."
  }
}

run "only_named_channels_send_and_everybody_uses_tls" {
  command = apply

  variables {
    channel_role_arns = ["arn:aws:iam::123456789012:role/whatsapp"]
  }

  assert {
    condition     = alltrue([for one in data.aws_iam_policy_document.this : one.statement[0].sid == "TlsOnly" && one.statement[0].effect == "Deny"])
    error_message = "Every queue refuses what does not come by TLS."
  }

  assert {
    condition     = one([for one in data.aws_iam_policy_document.this["messages"].statement : one.principals if one.sid == "ChannelsSend"]) != null && length(data.aws_iam_policy_document.this["messages-dead"].statement) == 1
    error_message = "Channels send to the queue of messages, and nowhere else."
  }
}
