mock_provider "aws" {
  mock_resource "aws_ce_anomaly_monitor" {
    defaults = { arn = "arn:aws:ce::123456789012:anomalymonitor/1" }
  }

  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
}

variables {
  name            = "prosa-test"
  monthly_usd     = 300
  anomaly_usd     = 20
  tag             = { key = "environment", value = "prosa-test" }
  allocation_tags = ["application", "environment"]
  activates_tags  = false
  topic_arn       = "arn:aws:sns:eu-west-1:123456789012:tickets"
}

run "somebody_is_told_before_the_budget_is_spent" {
  command = plan

  assert {
    condition     = anytrue([for one in aws_budgets_budget.monthly.notification : one.notification_type == "ACTUAL" && one.threshold < 100])
    error_message = "A notice comes while there is time."
  }

  assert {
    condition     = anytrue([for one in aws_budgets_budget.monthly.notification : one.notification_type == "FORECASTED"])
    error_message = "A forecast that exceeds the budget is a notice, too."
  }

  assert {
    condition     = alltrue([for one in aws_budgets_budget.monthly.notification : contains(one.subscriber_sns_topic_arns, var.topic_arn)])
    error_message = "Every notice reaches somebody."
  }
}

run "the_budget_is_of_this_environment_only" {
  command = plan

  assert {
    condition     = one(aws_budgets_budget.monthly.cost_filter).values == tolist(["user:environment$prosa-test"])
    error_message = "Costs are known by the tag."
  }
}

run "what_is_unusual_is_told_at_once" {
  command = plan

  assert {
    condition     = aws_ce_anomaly_subscription.this.frequency == "IMMEDIATE" && one(aws_ce_anomaly_subscription.this.subscriber).type == "SNS"
    error_message = "A loop that calls models all night is not news for the end of the month."
  }
}

run "tags_are_switched_on_by_the_account_that_pays" {
  command = plan

  variables {
    activates_tags = true
  }

  assert {
    condition     = toset(keys(aws_ce_cost_allocation_tag.this)) == toset(["application", "environment"])
    error_message = "Each tag is active."
  }
}

run "other_accounts_leave_tags_alone" {
  command = plan

  assert {
    condition     = length(aws_ce_cost_allocation_tag.this) == 0
    error_message = "They would be refused."
  }
}
