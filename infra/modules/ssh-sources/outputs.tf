output "prefix_list_id" {
  description = "Id of the prefix list."
  value       = aws_ec2_managed_prefix_list.this.id
}
