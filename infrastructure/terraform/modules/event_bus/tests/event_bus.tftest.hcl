mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }

  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:eu-west-1:123456789012:dead" }
  }

  mock_resource "aws_cloudwatch_event_rule" {
    defaults = { arn = "arn:aws:events:eu-west-1:123456789012:rule/prosa-test/rule" }
  }

  mock_resource "aws_cloudwatch_event_bus" {
    defaults = { arn = "arn:aws:events:eu-west-1:123456789012:event-bus/prosa-test" }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:123456789012:log-group:test" }
  }
}

variables {
  name               = "prosa-test"
  account_id         = "123456789012"
  archive_days       = 30
  log_retention_days = 30
  kms_key_arn        = "arn:aws:kms:eu-west-1:123456789012:key/test"
  consumers = {
    consume-events = {
      function_name = "prosa-test-consume-events"
      alias_name    = "live"
      alias_arn     = "arn:aws:lambda:eu-west-1:123456789012:function:prosa-test-consume-events:live"
      event_types   = ["conversation.message.received.v1"]
    }
  }
}

run "everything_that_waits_is_encrypted_by_our_key" {
  command = plan

  assert {
    condition = alltrue([
      for key in [
        aws_cloudwatch_event_bus.this.kms_key_identifier, aws_cloudwatch_event_archive.this.kms_key_identifier,
        aws_sqs_queue.dead_letters.kms_master_key_id, aws_cloudwatch_log_group.breaker.kms_key_id,
      ] : key == var.kms_key_arn
    ])
    error_message = "Bus, archive, dead letters and log are encrypted by the environment's key."
  }
}

run "what_no_consumer_could_be_given_is_kept" {
  command = apply

  assert {
    condition = alltrue([
      for target in concat(values(aws_cloudwatch_event_target.consumer), [aws_cloudwatch_event_target.breaker_opened]) :
      target.dead_letter_config[0].arn == aws_sqs_queue.dead_letters.arn
    ])
    error_message = "Each target has dead letters."
  }

  assert {
    condition     = aws_cloudwatch_event_bus.this.dead_letter_config[0].arn == aws_sqs_queue.dead_letters.arn && aws_sqs_queue.dead_letters.message_retention_seconds == 1209600
    error_message = "They are kept for as long as SQS keeps anything."
  }
}

run "a_consumer_gets_the_types_that_it_named_by_its_alias" {
  command = apply

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.consumer["consume-events"].event_pattern).detail-type == ["conversation.message.received.v1"]
    error_message = "A rule matches what the consumer named."
  }

  assert {
    condition     = aws_lambda_permission.consumer["consume-events"].qualifier == "live" && aws_lambda_permission.consumer["consume-events"].source_arn == aws_cloudwatch_event_rule.consumer["consume-events"].arn
    error_message = "Only this rule may call the function, and by its alias."
  }
}

run "a_breaker_that_opens_is_written_down_and_no_other_move" {
  command = plan

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.breaker_opened.event_pattern).detail.data.after == ["open"]
    error_message = "An alarm is for breakers that open."
  }
}

run "events_are_not_kept_for_ever" {
  command = plan

  variables {
    archive_days = 0
  }

  expect_failures = [var.archive_days]
}

run "nobody_but_channels_speaks_for_customers" {
  command = apply

  variables {
    channel_role_arns = ["arn:aws:iam::123456789012:role/whatsapp"]
  }

  assert {
    condition     = data.aws_iam_policy_document.bus.statement[0].effect == "Deny" && contains(flatten([for one in data.aws_iam_policy_document.bus.statement[0].condition : one.values]), "arn:aws:iam::123456789012:role/whatsapp")
    error_message = "Others are refused."
  }
}

run "without_channels_nobody_puts_messages_on_the_bus" {
  command = apply

  assert {
    condition     = length(data.aws_iam_policy_document.bus.statement[0].condition) == 1
    error_message = "The refusal has no exception."
  }
}

run "what_customers_wrote_is_in_no_archive" {
  command = plan

  assert {
    condition     = jsondecode(aws_cloudwatch_event_archive.this.event_pattern).source == ["prosa.conversations"]
    error_message = "Only Prosa's own events are archived."
  }
}
