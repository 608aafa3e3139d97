output "document_name" {
  description = "Name of the one document."
  value       = aws_ssm_document.perform.name
}

output "content" {
  description = "The document's content, for tests."
  value       = aws_ssm_document.perform.content
}
