output "messages" {
  description = "The queue of customers' messages: PROSA_INBOUND_QUEUE is its URL."
  value       = { arn = aws_sqs_queue.this["messages"].arn, url = aws_sqs_queue.this["messages"].url, name = aws_sqs_queue.this["messages"].name }
}

output "replies" {
  description = "The queue of replies: PROSA_REPLY_QUEUE is its URL."
  value       = { arn = aws_sqs_queue.this["replies"].arn, url = aws_sqs_queue.this["replies"].url, name = aws_sqs_queue.this["replies"].name }
}

output "dead_letter_names" {
  description = "The names of the queues of dead letters, by queue."
  value       = { for name, queue in aws_sqs_queue.dead_letters : name => queue.name }
}
