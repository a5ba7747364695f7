output "artifact_bucket" {
  description = "Where packages are put."
  value       = aws_s3_bucket.artifacts.id
}

output "role_arns" {
  description = "What the pipeline becomes, to plan and to deploy."
  value       = { for key, role in aws_iam_role.pipeline : key => role.arn }
}

output "codedeploy_application" {
  description = "What moves aliases: a deployment group for each function."
  value       = aws_codedeploy_app.functions.name
}
