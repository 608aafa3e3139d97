output "relman_hosts" {
  description = "The fleet: what relman and its inventory go by; infra/README.md says the shape."
  value = [
    for n in sort(keys(var.hosts)) : {
      name      = n
      address   = module.hosts.hosts[n].private_ip
      port      = 22
      user      = var.ssh_user
      host_keys = var.hosts[n].host_keys
      ssm_id    = var.access == "ssm" ? module.hosts.hosts[n].id : null
      bastion   = local.bastion
    }
  ]
}

output "relman_config" {
  description = "What relman must know besides the hosts; infra/README.md says the shape."
  value = {
    service           = var.service
    environment       = var.environment
    region            = var.region
    ledger_table      = var.foundation.ledger.table_name
    artifacts_bucket  = var.foundation.artifacts.bucket
    repository_url    = var.foundation.repository.url
    parameter_path    = local.parameter_path
    access            = var.access
    ssm_document      = one(module.ssm_access[*].document_name)
    service_address   = [for n in module.alb[*].dns_name : n]
    autoscaling_group = null
    host_template     = null
  }
}
