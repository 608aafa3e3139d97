output "hosts" {
  description = "By name: instance id, private and public address (null where there is none)."
  value = {
    for n, i in aws_instance.host : n => {
      id         = i.id
      private_ip = i.private_ip
      public_ip  = try(aws_eip.host[n].public_ip, null)
    }
  }
}

output "security_group_id" {
  description = "Security group of the hosts."
  value       = aws_security_group.host.id
}
