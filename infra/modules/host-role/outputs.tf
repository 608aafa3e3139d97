output "instance_profile" {
  description = "Name of the instance profile."
  value       = aws_iam_instance_profile.host.name
}

output "policy" {
  description = "The policy as JSON, for tests."
  value       = aws_iam_role_policy.host.policy
}
