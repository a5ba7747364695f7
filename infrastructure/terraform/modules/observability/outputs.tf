output "tickets_topic_arn" {
  description = "Where it is told what can wait."
  value       = aws_sns_topic.this["tickets"].arn
}

output "alarm_names" {
  description = "Every alarm, by its short name."
  value       = { for key, alarm in aws_cloudwatch_metric_alarm.this : key => alarm.alarm_name }
}

output "dashboard_name" {
  description = "The page."
  value       = aws_cloudwatch_dashboard.this.dashboard_name
}
