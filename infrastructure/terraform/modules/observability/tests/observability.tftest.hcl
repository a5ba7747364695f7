mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }

  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-west-1:123456789012:topic" }
  }
}

variables {
  name                 = "prosa-test"
  account_id           = "123456789012"
  region               = "eu-west-1"
  emails               = ["oncall@example.com"]
  metrics_namespace    = "prosa-test"
  function_names       = { http = "prosa-test-http", relay-outbox = "prosa-test-relay-outbox" }
  log_groups           = { http = "/aws/lambda/prosa-test-http", relay-outbox = "/aws/lambda/prosa-test-relay-outbox" }
  breaker_log_group    = "/aws/events/prosa-test-breaker"
  dead_letter_names    = { messages = "prosa-test-messages-dead.fifo", events = "prosa-test-events-dead" }
  messages_queue_name  = "prosa-test-messages.fifo"
  replies_queue_name   = "prosa-test-replies.fifo"
  event_bus_name       = "prosa-test"
  rule_names           = ["prosa-test-breaker-opened"]
  state_machine_arn    = "arn:aws:states:eu-west-1:123456789012:stateMachine:prosa-test-take-turn"
  api                  = { name = "prosa-test", stage = "live" }
  web_acl_name         = "prosa-test"
  database_cluster     = "prosa-test"
  database_proxy       = "prosa-test"
  latency_milliseconds = 20000
  failed_turns         = 5
  kms_key_arn          = "arn:aws:kms:eu-west-1:123456789012:key/test"
}

run "every_function_has_alarms_for_errors_and_throttles" {
  command = apply

  assert {
    condition = alltrue(flatten([
      for key, name in var.function_names : [
        for metric, suffix in { Errors = "errors", Throttles = "throttles" } :
        aws_cloudwatch_metric_alarm.this["${key}-${suffix}"].metric_name == metric && aws_cloudwatch_metric_alarm.this["${key}-${suffix}"].dimensions.FunctionName == name
      ]
    ]))
    error_message = "No function fails in silence."
  }
}

run "one_dead_letter_is_enough" {
  command = apply

  assert {
    condition     = alltrue([for key, name in var.dead_letter_names : aws_cloudwatch_metric_alarm.this["${key}-dead-letters"].threshold == 0 && aws_cloudwatch_metric_alarm.this["${key}-dead-letters"].dimensions.QueueName == name])
    error_message = "Whatever was given up, somebody looks at."
  }
}

run "every_alarm_tells_somebody_when_it_rings_and_when_it_ends" {
  command = apply

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.this : length(alarm.alarm_actions) == 1 && length(alarm.ok_actions) == 1 && alarm.alarm_description != null])
    error_message = "An alarm that nobody hears is none."
  }

  assert {
    condition     = toset([for one in aws_sns_topic_subscription.email : one.endpoint]) == toset(["oncall@example.com"]) && length(aws_sns_topic_subscription.email) == 2
    error_message = "Both topics reach the addresses."
  }
}

run "every_alarm_names_its_runbook" {
  command = apply

  assert {
    condition = alltrue([
      for alarm in concat(values(aws_cloudwatch_metric_alarm.this), [aws_cloudwatch_composite_alarm.customers]) :
      can(regex("\\. Runbook: docs/runbooks/[a-z-]+\\.md$", alarm.alarm_description))
    ])
    error_message = "Who is woken is told what to do."
  }

  assert {
    condition = alltrue([
      for key, runbook in { outbox-old = "outbox-old", http-errors = "function-errors", messages-dead-letters = "dead-letters" } :
      endswith(aws_cloudwatch_metric_alarm.this[key].alarm_description, "/${runbook}.md")
    ])
    error_message = "Alarms of one kind share a runbook; the others have their own."
  }
}

run "who_is_woken_is_woken_once" {
  command = apply

  assert {
    condition = alltrue([
      for key in ["api-errors", "api-latency", "database-unreachable", "turns-failing", "messages-waiting"] :
      strcontains(aws_cloudwatch_composite_alarm.customers.alarm_rule, "ALARM(\"prosa-test-${key}\")")
    ])
    error_message = "The composite alarm has what customers notice."
  }
}

run "logs_are_counted_where_alarms_look" {
  command = apply

  assert {
    condition = alltrue([
      for key in ["events-parked", "breaker-open", "errors-logged"] :
      contains([for one in aws_cloudwatch_log_metric_filter.this : one.metric_transformation[0].name], aws_cloudwatch_metric_alarm.this[key].metric_name) && aws_cloudwatch_metric_alarm.this[key].namespace == var.metrics_namespace
    ])
    error_message = "An alarm on a log names a metric that a filter makes."
  }

  assert {
    condition     = length(aws_cloudwatch_log_metric_filter.this) == 2 * length(var.log_groups) + 1
    error_message = "Every function's log is counted, and that of breakers."
  }
}

run "the_outboxs_age_is_watched" {
  command = apply

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["outbox-old"].metric_name == "prosa.outbox.oldest" && aws_cloudwatch_metric_alarm.this["outbox-old"].statistic == "Maximum"
    error_message = "An event that waits is a consumer that does not know."
  }
}

run "topics_are_encrypted" {
  command = plan

  assert {
    condition     = alltrue([for topic in aws_sns_topic.this : topic.kms_master_key_id == var.kms_key_arn])
    error_message = "By our key."
  }
}

run "the_page_shows_what_alarms_watch" {
  command = apply

  assert {
    condition = alltrue([
      for name in ["5XXError", "Latency", "ExecutionsFailed", "prosa.outbox.oldest", "ACUUtilization", "BreakersOpened", "prosa-test-messages-dead.fifo"] :
      strcontains(aws_cloudwatch_dashboard.this.dashboard_body, name)
    ])
    error_message = "Who is told finds it on the page."
  }
}
