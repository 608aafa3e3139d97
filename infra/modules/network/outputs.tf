output "vpc_id" {
  description = "Id of the VPC."
  value       = aws_vpc.this.id
}

output "public_subnet_ids" {
  description = "Public subnets by zone."
  value       = { for z, s in aws_subnet.public : z => s.id }
  # A machine that boots before there is a way out fails at its first packages.
  depends_on = [aws_route.public_out, aws_route_table_association.public]
}

output "private_subnet_ids" {
  description = "Private subnets by zone."
  value       = { for z, s in aws_subnet.private : z => s.id }
  depends_on  = [aws_route.private_out, aws_route_table_association.private]
}
