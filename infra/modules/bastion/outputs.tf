output "public_ip" {
  description = "Public address."
  value       = aws_eip.bastion.public_ip
}

output "private_ip" {
  description = "Address inside the VPC."
  value       = aws_instance.bastion.private_ip
}

output "security_group_id" {
  description = "Security group: the hosts let SSH in from it."
  value       = aws_security_group.bastion.id
}

output "sshd_config" {
  description = "What sshd is told, for tests."
  value       = local.sshd
}
