# Who is told of what: two topics, alarms, what logs are counted for, and a page with all of it.

locals {
  minute = 60

  # An alarm looks at the metric's sum, unless it says otherwise, and at no dimension. Where a metric has no value,
  # nothing happened. Its runbook is the file of its name in docs/runbooks, unless it shares one.
  ordinary = {
    statistic          = "Sum"
    extended_statistic = null
    comparison         = "GreaterThanThreshold"
    threshold          = 0
    period             = 5 * local.minute
    periods            = 1
    datapoints         = 1
    missing            = "notBreaching"
    dimensions         = {}
  }

  api = { ApiName = var.api.name, Stage = var.api.stage }

  of_functions = merge([
    for key, name in var.function_names : {
      "${key}-errors" = {
        runbook     = "function-errors"
        description = "The function ${name} failed, by an error or by its timeout."
        namespace   = "AWS/Lambda"
        metric      = "Errors"
        dimensions  = { FunctionName = name }
        threshold   = 2
      }
      "${key}-throttles" = {
        runbook     = "function-throttles"
        description = "The function ${name} was called more often at once than is reserved for it."
        namespace   = "AWS/Lambda"
        metric      = "Throttles"
        dimensions  = { FunctionName = name }
        periods     = 3
        datapoints  = 2
      }
    }
  ]...)

  of_dead_letters = {
    for key, name in var.dead_letter_names : "${key}-dead-letters" => {
      runbook     = "dead-letters"
      description = "The queue ${name} has messages: something was given up."
      namespace   = "AWS/SQS"
      metric      = "ApproximateNumberOfMessagesVisible"
      statistic   = "Maximum"
      dimensions  = { QueueName = name }
    }
  }

  of_rules = {
    for name in var.rule_names : "${name}-undelivered" => {
      runbook     = "undelivered"
      description = "The rule ${name} could not reach its target."
      namespace   = "AWS/Events"
      metric      = "FailedInvocations"
      dimensions  = { EventBusName = var.event_bus_name, RuleName = name }
    }
  }

  others = {
    api-errors = {
      description = "More than 5 % of requests are answered with 5xx."
      namespace   = "AWS/ApiGateway"
      metric      = "5XXError"
      statistic   = "Average"
      threshold   = 0.05
      periods     = 3
      datapoints  = 2
      dimensions  = local.api
    }
    api-latency = {
      description        = "One in a hundred answers takes longer than ${var.latency_milliseconds} ms until it is whole."
      namespace          = "AWS/ApiGateway"
      metric             = "Latency"
      statistic          = null
      extended_statistic = "p99"
      threshold          = var.latency_milliseconds
      periods            = 3
      datapoints         = 3
      dimensions         = local.api
    }
    messages-waiting = {
      description = "A customer's message has waited for ten minutes in ${var.messages_queue_name}."
      namespace   = "AWS/SQS"
      metric      = "ApproximateAgeOfOldestMessage"
      statistic   = "Maximum"
      threshold   = 10 * local.minute
      dimensions  = { QueueName = var.messages_queue_name }
    }
    replies-waiting = {
      description = "A reply has waited for ten minutes in ${var.replies_queue_name}: its channel does not take it."
      namespace   = "AWS/SQS"
      metric      = "ApproximateAgeOfOldestMessage"
      statistic   = "Maximum"
      threshold   = 10 * local.minute
      dimensions  = { QueueName = var.replies_queue_name }
    }
    turns-failing = {
      description = "More than ${var.failed_turns} turns failed in five minutes."
      namespace   = "AWS/States"
      metric      = "ExecutionsFailed"
      threshold   = var.failed_turns
      dimensions  = { StateMachineArn = var.state_machine_arn }
    }
    turns-timed-out = {
      description = "A turn's execution was ended by its time limit: its lease frees the conversation."
      namespace   = "AWS/States"
      metric      = "ExecutionsTimedOut"
      dimensions  = { StateMachineArn = var.state_machine_arn }
    }
    database-busy = {
      description = "The database is near the largest capacity that it may have."
      namespace   = "AWS/RDS"
      metric      = "ACUUtilization"
      statistic   = "Average"
      threshold   = 90
      periods     = 3
      datapoints  = 3
      dimensions  = { DBClusterIdentifier = var.database_cluster }
    }
    database-unreachable = {
      description = "The database's proxy could not connect to it."
      namespace   = "AWS/RDS"
      metric      = "DatabaseConnectionsSetupFailed"
      threshold   = 5
      dimensions  = { ProxyName = var.database_proxy }
    }
    outbox-old = {
      description = "An event has waited for five minutes: the relay, or the bus, does not work."
      namespace   = var.metrics_namespace
      metric      = "prosa.outbox.oldest"
      statistic   = "Maximum"
      threshold   = 5 * local.minute
    }
    events-parked = {
      description = "An event is parked: the bus refused it for good. The log says which and why."
      namespace   = var.metrics_namespace
      metric      = local.counted.parked.name
    }
    breaker-open = {
      description = "A circuit breaker opened: a language model fails. The log of breakers says which."
      namespace   = var.metrics_namespace
      metric      = local.counted.breakers.name
    }
    errors-logged = {
      description = "The functions wrote more than ten errors into their logs in five minutes."
      namespace   = var.metrics_namespace
      metric      = local.counted.errors.name
      threshold   = 10
    }
  }

  alarms = {
    for key, alarm in merge(local.of_functions, local.of_dead_letters, local.of_rules, local.others) :
    key => merge(local.ordinary, { runbook = key }, alarm)
  }

  # What customers notice at once.
  pages = ["api-errors", "api-latency", "database-unreachable", "turns-failing", "messages-waiting"]
}

# --- Topics: one for what can wait for the morning, one for what cannot.

resource "aws_sns_topic" "this" {
  for_each = toset(["tickets", "pages"])

  name              = "${var.name}-${each.key}"
  kms_master_key_id = var.kms_key_arn
}

data "aws_iam_policy_document" "topic" {
  for_each = aws_sns_topic.this

  statement {
    sid       = "Tell"
    actions   = ["sns:Publish"]
    resources = [each.value.arn]

    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com", "budgets.amazonaws.com", "costalerts.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.account_id]
    }
  }
}

resource "aws_sns_topic_policy" "this" {
  for_each = aws_sns_topic.this

  arn    = each.value.arn
  policy = data.aws_iam_policy_document.topic[each.key].json
}

resource "aws_sns_topic_subscription" "email" {
  for_each = { for one in setproduct(keys(aws_sns_topic.this), var.emails) : "${one[0]} ${one[1]}" => one }

  topic_arn = aws_sns_topic.this[each.value[0]].arn
  protocol  = "email"
  endpoint  = each.value[1]
}

# --- What logs are counted for.

locals {
  # Lambda writes each line as JSON, with its level.
  counted = {
    errors = { name = "ErrorsLogged", pattern = "{ $.level = \"ERROR\" }" }
    parked = { name = "EventsParked", pattern = "{ $.message = \"*is parked after*\" }" }
    # Every line: the rule let only those through that opened.
    breakers = { name = "BreakersOpened", pattern = "" }
  }
  counted_logs = merge(
    {
      for one in setproduct(["errors", "parked"], keys(var.log_groups)) : "${one[0]} ${one[1]}" => {
        what = local.counted[one[0]], log_group = var.log_groups[one[1]]
      }
    },
    { breakers = { what = local.counted.breakers, log_group = var.breaker_log_group } },
  )
}

resource "aws_cloudwatch_log_metric_filter" "this" {
  for_each = local.counted_logs

  name           = each.value.what.name
  log_group_name = each.value.log_group
  pattern        = each.value.what.pattern

  metric_transformation {
    name      = each.value.what.name
    namespace = var.metrics_namespace
    value     = "1"
    unit      = "Count"
  }
}

# --- Alarms.

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "${each.value.description} Runbook: docs/runbooks/${each.value.runbook}.md"
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  extended_statistic  = each.value.extended_statistic
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  period              = each.value.period
  evaluation_periods  = each.value.periods
  datapoints_to_alarm = each.value.datapoints
  treat_missing_data  = each.value.missing
  alarm_actions       = [aws_sns_topic.this["tickets"].arn]
  ok_actions          = [aws_sns_topic.this["tickets"].arn]
}

# Somebody is woken once, however many of these ring.
resource "aws_cloudwatch_composite_alarm" "customers" {
  alarm_name        = "${var.name}-customers-affected"
  alarm_description = "Customers wait in vain. The alarms that ring say where to look first. Runbook: docs/runbooks/customers-affected.md"
  alarm_rule        = join(" OR ", [for key in local.pages : "ALARM(\"${aws_cloudwatch_metric_alarm.this[key].alarm_name}\")"])
  alarm_actions     = [aws_sns_topic.this["pages"].arn]
  ok_actions        = [aws_sns_topic.this["pages"].arn]
}
