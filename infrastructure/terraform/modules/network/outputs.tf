output "vpc_id" {
  description = "The network."
  value       = aws_vpc.this.id
}

output "private_subnet_ids" {
  description = "Where functions and database live: one in each zone."
  value       = [for zone in var.availability_zones : aws_subnet.private[zone].id]
}

output "functions_security_group_id" {
  description = "The group of all functions."
  value       = aws_security_group.functions.id
}
