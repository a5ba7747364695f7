output "url" {
  description = "Where the API is."
  value       = module.api.url
}

output "sign_in_url" {
  description = "Where people sign in, and programs get tokens."
  value       = module.identity.sign_in_url
}

output "user_pool_id" {
  description = "The pool of users."
  value       = module.identity.user_pool_id
}

output "messages_queue_url" {
  description = "Where channels push messages: PROSA_INBOUND_QUEUE of whoever moves dead letters back."
  value       = module.queues.messages.url
}

output "replies_queue_url" {
  description = "Where channels take replies."
  value       = module.queues.replies.url
}

output "artifact_bucket" {
  description = "Where packages are put."
  value       = module.delivery.artifact_bucket
}

output "pipeline_role_arns" {
  description = "What the pipeline becomes, to plan and to deploy."
  value       = module.delivery.role_arns
}

output "codedeploy_application" {
  description = "What moves aliases."
  value       = module.delivery.codedeploy_application
}

output "functions" {
  description = "The functions, by their short names."
  value       = { for key, function in module.functions.functions : key => function.function_name }
}

output "database" {
  description = "What sets up the roles within Postgres, by the Data API."
  value       = { cluster_arn = module.database.cluster_arn, secret_arn = module.database.owner_secret_arn }
}

output "dashboard_name" {
  description = "The page with everything on it."
  value       = module.observability.dashboard_name
}
