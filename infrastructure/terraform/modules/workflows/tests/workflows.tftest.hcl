mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/test" }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:123456789012:log-group:test" }
  }
}

variables {
  name               = "prosa-test"
  account_id         = "123456789012"
  log_retention_days = 30
  kms_key_arn        = "arn:aws:kms:eu-west-1:123456789012:key/test"
  task_alias_arns = {
    classify = "arn:aws:lambda:eu-west-1:123456789012:function:classify:live"
    generate = "arn:aws:lambda:eu-west-1:123456789012:function:generate:live"
    record   = "arn:aws:lambda:eu-west-1:123456789012:function:record:live"
    publish  = "arn:aws:lambda:eu-west-1:123456789012:function:publish:live"
    fail     = "arn:aws:lambda:eu-west-1:123456789012:function:fail:live"
  }
}

run "every_task_calls_its_function_by_the_alias" {
  command = apply

  assert {
    condition     = jsondecode(aws_sfn_state_machine.take_turn.definition).States.Generate.Parameters.FunctionName == var.task_alias_arns.generate
    error_message = "The definition is the workflow's file with our functions in it."
  }

  assert {
    condition     = length(regexall("[$][{]", aws_sfn_state_machine.take_turn.definition)) == 0
    error_message = "No placeholder may be left."
  }

  assert {
    condition     = toset(data.aws_iam_policy_document.this.statement[0].resources) == toset(values(var.task_alias_arns))
    error_message = "The machine may call these functions and no others."
  }
}

run "an_attempt_runs_once" {
  command = plan

  assert {
    condition     = aws_sfn_state_machine.take_turn.type == "STANDARD"
    error_message = "Executions of an Express machine are not unique by name."
  }
}

run "executions_are_logged_traced_and_encrypted" {
  command = plan

  assert {
    condition = (
      aws_sfn_state_machine.take_turn.logging_configuration[0].level == "ERROR" &&
      aws_sfn_state_machine.take_turn.tracing_configuration[0].enabled &&
      aws_sfn_state_machine.take_turn.encryption_configuration[0].kms_key_id == var.kms_key_arn
    )
    error_message = "Failures are logged, everything is traced, and encrypted by our key."
  }
}
