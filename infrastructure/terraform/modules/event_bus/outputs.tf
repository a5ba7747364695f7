output "name" {
  description = "The bus: PROSA_EVENT_BUS is eventbridge:NAME."
  value       = aws_cloudwatch_event_bus.this.name
}

output "arn" {
  description = "The bus."
  value       = aws_cloudwatch_event_bus.this.arn
}

output "dead_letter_name" {
  description = "The queue of what no consumer could be given."
  value       = aws_sqs_queue.dead_letters.name
}

output "breaker_log_group" {
  description = "The log of breakers that opened, a line each."
  value       = aws_cloudwatch_log_group.breaker.name
}

output "rule_names" {
  description = "The rules, as metrics have them."
  value       = concat([aws_cloudwatch_event_rule.breaker_opened.name], [for rule in aws_cloudwatch_event_rule.consumer : rule.name])
}
