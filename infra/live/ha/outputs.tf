output "relman_hosts" {
  description = "The fleet as it was at the last apply or refresh; infra/README.md says the shape. Names are the instances' ids, addresses their names in the VPC's DNS."
  value = [
    for id in sort(keys(module.fleet.instances)) : {
      name      = id
      address   = replace(local.address, "{id}", id)
      port      = 22
      user      = var.ssh_user
      host_keys = var.host_keys
      ssm_id    = var.access == "ssm" ? id : null
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
    service_address   = [module.alb.dns_name]
    autoscaling_group = module.fleet.group_name
    # How to reach a member that came since: its name in DNS is made of its id.
    host_template = {
      name      = "{id}"
      address   = local.address
      port      = 22
      user      = var.ssh_user
      host_keys = var.host_keys
      ssm_id    = var.access == "ssm" ? "{id}" : null
      bastion   = local.bastion
    }
  }
}
