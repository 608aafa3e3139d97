output "vpc_id" {
  description = "Id of the VPC."
  value       = aws_vpc.this.id
}

output "public_subnet_ids" {
  description = "Public subnets by zone."
  value       = { for z, s in aws_subnet.public : z => s.id }
}

output "private_subnet_ids" {
  description = "Private subnets by zone."
  value       = { for z, s in aws_subnet.private : z => s.id }
}
