output "bucket" {
  description = "Name of the state bucket."
  value       = aws_s3_bucket.state.id
}

output "bucket_arn" {
  description = "ARN of the state bucket."
  value       = aws_s3_bucket.state.arn
}

output "lock_table" {
  description = "Name of the lock table, or null."
  value       = one(aws_dynamodb_table.lock[*].name)
}

output "lock_table_arn" {
  description = "ARN of the lock table, or null."
  value       = one(aws_dynamodb_table.lock[*].arn)
}

output "kms_key_arn" {
  description = "ARN of the key of state and locks."
  value       = aws_kms_key.state.arn
}
