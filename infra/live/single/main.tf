# Hosts with a public address each, for a first environment. SSH from named addresses alone, or SSM and no SSH at all.

locals {
  name           = "relman-${var.service}-${var.environment}"
  tags           = { "relman:service" = var.service, "relman:environment" = var.environment }
  partition      = data.aws_partition.this.partition
  account_id     = data.aws_caller_identity.this.account_id
  zones          = [for z in var.zones : "${var.region}${z}"]
  parameter_path = "/relman/${var.service}/${var.environment}"

  leading_keys = [
    for k in concat(var.foundation.ledger_keys.shared, var.foundation.ledger_keys.release, var.foundation.ledger_keys.environment) :
    replace(replace(k, "{service}", var.service), "{environment}", var.environment)
  ]
  ami_id = var.ami_id == null ? data.aws_ssm_parameter.ami[0].insecure_value : var.ami_id
}

data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

data "aws_ssm_parameter" "ami" {
  count = var.ami_id == null ? 1 : 0

  name = var.ami_parameter
}

module "network" {
  source = "../../modules/network"

  name                     = local.name
  region                   = var.region
  cidr                     = var.cidr
  zones                    = local.zones
  private_subnets          = false
  nat                      = "none"
  flow_logs                = var.flow_logs
  permissions_boundary_arn = var.foundation.permissions_boundary_arn
}

module "ssh_sources" {
  source = "../../modules/ssh-sources"
  count  = var.access == "ssh" ? 1 : 0

  name  = local.name
  cidrs = var.ssh_sources
}

module "host_role" {
  source = "../../modules/host-role"

  name           = local.name
  partition      = local.partition
  region         = var.region
  account_id     = local.account_id
  foundation     = var.foundation
  parameter_path = local.parameter_path
  leading_keys   = local.leading_keys
  ssm            = var.access == "ssm"
}

module "hosts" {
  source = "../../modules/host"

  name                   = local.name
  partition              = local.partition
  region                 = var.region
  vpc_id                 = module.network.vpc_id
  ami_id                 = local.ami_id
  instance_profile       = module.host_role.instance_profile
  ssh_public_key         = var.ssh_public_key
  public                 = true
  volume_kms_key_arn     = var.volume_kms_key_arn
  detailed_monitoring    = var.detailed_monitoring
  termination_protection = var.deletion_protection
  alarm_actions          = [module.alarms.topic_arn]

  hosts = {
    for n, h in var.hosts : n => {
      instance_type = h.instance_type
      subnet_id     = module.network.public_subnet_ids[local.zones[h.zone]]
      private_ip    = h.private_ip
      disk_gib      = h.disk_gib
    }
  }

  ingress = merge(
    { for p in var.service_ports : "service-${p}" => { description = "Requests from anywhere", port = p, cidr = "0.0.0.0/0" } },
    var.access != "ssh" ? {} : {
      ssh = { description = "SSH from the named sources", port = 22, prefix_list_id = one(module.ssh_sources[*].prefix_list_id) }
    },
    var.monitoring == null ? {} : {
      for p in try(var.monitoring.ports, []) : "exporter-${p}" => { description = "Exporter, from monitoring", port = p, security_group_id = var.monitoring.security_group_id }
    },
  )
}

module "ssm_access" {
  source = "../../modules/ssm-access"
  count  = var.access == "ssm" ? 1 : 0

  name                   = local.name
  document_name          = local.name
  region                 = var.region
  vpc_id                 = module.network.vpc_id
  subnet_ids             = values(module.network.public_subnet_ids)
  host_security_group_id = module.hosts.security_group_id
  endpoint_services      = []
}

module "alarms" {
  source = "../../modules/alarms"

  name       = local.name
  partition  = local.partition
  account_id = local.account_id
  emails     = var.alarm_emails
  composite  = var.composite_alarm

  ledger_table = var.foundation.ledger.table_name

  alarms = {
    for n in keys(var.hosts) : "${n}-status" => {
      description = "The instance ${n} fails its checks"
      namespace   = "AWS/EC2"
      metric      = "StatusCheckFailed"
      dimensions  = { InstanceId = module.hosts.hosts[n].id }
      threshold   = 1
    }
  }
}
