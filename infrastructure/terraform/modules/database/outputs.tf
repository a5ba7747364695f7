locals {
  # Amazon signs the proxy's certificate by a root that every system knows.
  urls = {
    for purpose, user in var.users : purpose =>
    "postgresql+asyncpg://${user}@${aws_db_proxy.this.endpoint}:${local.port}/${aws_rds_cluster.this.database_name}?ssl=verify-full"
  }
}

output "urls" {
  description = "PROSA_DATABASE_URL by purpose, app or migrator. None has a password."
  value       = local.urls
}

output "passwords" {
  description = "PROSA_DATABASE_PASSWORD by purpose: what stands for an IAM token, made anew for each connection."
  value = {
    for purpose, user in var.users : purpose => "rds:${user}@${aws_db_proxy.this.endpoint}:${local.port}"
  }
}

output "connect_arns" {
  description = "What rds-db:connect is granted on, by purpose."
  value = {
    for purpose, user in var.users : purpose =>
    "arn:${var.partition}:rds-db:${var.region}:${var.account_id}:dbuser:${local.proxy_id}/${user}"
  }
}

output "cluster_identifier" {
  description = "The cluster's name, as metrics have it."
  value       = aws_rds_cluster.this.cluster_identifier
}

output "cluster_arn" {
  description = "The cluster, for the Data API."
  value       = aws_rds_cluster.this.arn
}

output "owner_secret_arn" {
  description = "The owner's password, for whoever sets up the roles."
  value       = aws_rds_cluster.this.master_user_secret[0].secret_arn
}

output "proxy_name" {
  description = "The proxy's name, as metrics have it."
  value       = aws_db_proxy.this.name
}
