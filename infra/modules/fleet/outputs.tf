output "instances" {
  description = "Who is there: instance id to private address."
  value       = zipmap(data.aws_instances.fleet.ids, data.aws_instances.fleet.private_ips)
}

output "group_name" {
  description = "Name of the Auto Scaling group."
  value       = aws_autoscaling_group.fleet.name
}

output "security_group_id" {
  description = "Security group of the hosts."
  value       = aws_security_group.host.id
}

output "user_data" {
  description = "The user data, for tests."
  value       = local.user_data
}
