output "dns_name" {
  description = "Name that the service's DNS record points to."
  value       = aws_lb.this.dns_name
}

output "security_group_id" {
  description = "Security group of the load balancer: the hosts let requests in from it."
  value       = aws_security_group.alb.id
}

output "target_group_arn" {
  description = "ARN of the target group."
  value       = aws_lb_target_group.hosts.arn
}

output "metrics" {
  description = "What CloudWatch knows load balancer and target group by."
  value = {
    load_balancer = aws_lb.this.arn_suffix
    target_group  = aws_lb_target_group.hosts.arn_suffix
  }
}
