output "functions" {
  description = "By name: the function's name, its alias, and what calls and streams by the alias."
  value = {
    for key, alias in aws_lambda_alias.live : key => {
      function_name = aws_lambda_function.this[key].function_name
      alias_name    = alias.name
      alias_arn     = alias.arn
      invoke_arn    = alias.invoke_arn
    }
  }
}

output "log_groups" {
  description = "The logs, by function."
  value       = { for key, group in aws_cloudwatch_log_group.function : key => group.name }
}

output "failure_queue_names" {
  description = "The queues of what asynchronous functions failed of, by function."
  value       = { for key, queue in aws_sqs_queue.failures : key => queue.name }
}

output "role_arns" {
  description = "The roles, by function."
  value       = { for key, role in aws_iam_role.function : key => role.arn }
}
