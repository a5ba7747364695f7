output "url" {
  description = "Where the API is."
  value       = var.domain == null ? aws_api_gateway_stage.live.invoke_url : "https://${var.domain.name}"
}

output "api_name" {
  description = "The API, as metrics have it."
  value       = aws_api_gateway_rest_api.this.name
}

output "stage_name" {
  description = "Its stage, as metrics have it."
  value       = aws_api_gateway_stage.live.stage_name
}

output "web_acl_name" {
  description = "The firewall, as metrics have it."
  value       = aws_wafv2_web_acl.this.name
}
