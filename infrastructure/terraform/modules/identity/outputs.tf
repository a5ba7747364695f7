output "issuer" {
  description = "PROSA_JWT_ISSUER."
  value       = "https://cognito-idp.${var.region}.amazonaws.com/${aws_cognito_user_pool.this.id}"
}

output "client_ids" {
  description = "PROSA_JWT_CLIENT_IDS, as a list."
  value       = concat([aws_cognito_user_pool_client.pages.id], [for client in aws_cognito_user_pool_client.program : client.id])
}

output "sign_in_url" {
  description = "Where people sign in, and programs get tokens by POST /oauth2/token."
  value       = "https://${aws_cognito_user_pool_domain.this.domain}.auth.${var.region}.amazoncognito.com"
}

output "user_pool_id" {
  description = "The pool, for whoever makes users."
  value       = aws_cognito_user_pool.this.id
}

output "claims_function_name" {
  description = "The function that writes claims, as metrics have it."
  value       = aws_lambda_function.claims.function_name
}
