output "role_arns" {
  description = "ARNs by role: build, plan, apply, deploy-ENVIRONMENT."
  value       = { for name, r in aws_iam_role.ci : name => r.arn }
}

output "workload_boundary_arn" {
  description = "Boundary that each role of the infrastructure must carry."
  value       = aws_iam_policy.workload_boundary.arn
}

output "trust" {
  description = "Trust policies by role as JSON, for tests."
  value       = local.trust
}

output "policies" {
  description = "Policies by role as JSON, for tests."
  value       = { for name, statements in local.policies : name => jsonencode(statements) }
}
