output "table_name" {
  description = "Name of the ledger's table."
  value       = aws_dynamodb_table.ledger.name
}

output "table_arn" {
  description = "ARN of the ledger's table."
  value       = aws_dynamodb_table.ledger.arn
}

output "ledger_id" {
  description = "Who the ledger is: what ledger.id of relman.toml pins."
  value       = jsondecode(aws_dynamodb_table_item.ledger.item).ledger_id.S
}

output "artifacts_bucket" {
  description = "Name of the bucket of artifacts and anchors."
  value       = aws_s3_bucket.artifacts.id
}

output "artifacts_bucket_arn" {
  description = "ARN of the bucket of artifacts and anchors."
  value       = aws_s3_bucket.artifacts.arn
}

output "kms_key_arn" {
  description = "ARN of the key of ledger, artifacts and images."
  value       = aws_kms_key.ledger.arn
}
