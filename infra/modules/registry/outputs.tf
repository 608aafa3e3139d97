output "url" {
  description = "What relman.toml names as image.repository."
  value       = aws_ecr_repository.service.repository_url
}

output "arn" {
  description = "ARN of the repository."
  value       = aws_ecr_repository.service.arn
}
