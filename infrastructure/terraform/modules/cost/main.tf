# What all of it costs: a budget, a look-out for what is unusual, and tags that bills are divided by.

data "aws_caller_identity" "current" {}

locals {
  # At which share of the budget somebody is told, of what was spent and of what is forecast.
  notices = {
    half        = { type = "ACTUAL", percent = 50 }
    nearly_all  = { type = "ACTUAL", percent = 90 }
    all         = { type = "ACTUAL", percent = 100 }
    will_exceed = { type = "FORECASTED", percent = 110 }
  }
}

resource "aws_budgets_budget" "monthly" {
  name         = "${var.name}-monthly"
  account_id   = data.aws_caller_identity.current.account_id
  budget_type  = "COST"
  time_unit    = "MONTHLY"
  limit_amount = tostring(var.monthly_usd)
  limit_unit   = "USD"

  cost_filter {
    name   = "TagKeyValue"
    values = [format("user:%s$%s", var.tag.key, var.tag.value)]
  }

  dynamic "notification" {
    for_each = local.notices

    content {
      comparison_operator       = "GREATER_THAN"
      notification_type         = notification.value.type
      threshold                 = notification.value.percent
      threshold_type            = "PERCENTAGE"
      subscriber_sns_topic_arns = [var.topic_arn]
    }
  }
}

resource "aws_ce_anomaly_monitor" "this" {
  name         = var.name
  monitor_type = "CUSTOM"

  monitor_specification = jsonencode({
    And            = null
    CostCategories = null
    Dimensions     = null
    Not            = null
    Or             = null
    Tags           = { Key = "user:${var.tag.key}", MatchOptions = null, Values = [var.tag.value] }
  })
}

resource "aws_ce_anomaly_subscription" "this" {
  name             = var.name
  frequency        = "IMMEDIATE"
  monitor_arn_list = [aws_ce_anomaly_monitor.this.arn]

  subscriber {
    type    = "SNS"
    address = var.topic_arn
  }

  threshold_expression {
    dimension {
      key           = "ANOMALY_TOTAL_IMPACT_ABSOLUTE"
      match_options = ["GREATER_THAN_OR_EQUAL"]
      values        = [tostring(var.anomaly_usd)]
    }
  }
}

# Only the account that pays may switch tags on, once each has been seen on a bill.
resource "aws_ce_cost_allocation_tag" "this" {
  for_each = var.activates_tags ? toset(var.allocation_tags) : []

  tag_key = each.value
  status  = "Active"
}
