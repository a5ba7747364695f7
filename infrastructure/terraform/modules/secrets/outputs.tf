output "kms_key_arn" {
  description = "The key that encrypts everything."
  value       = aws_kms_key.this.arn
}

output "secret_arns" {
  description = "The secrets, by name."
  value       = { for name, secret in aws_secretsmanager_secret.this : name => secret.arn }
}

output "references" {
  description = "What a setting of Prosa's says in the place of a secret, by the secret's name."
  value       = { for name, secret in aws_secretsmanager_secret.this : name => "secretsmanager:${secret.name}" }
}
