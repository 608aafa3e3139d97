# Hosts without a public address. relman reaches them by SSM, or through a bastion that forwards to their SSH and does
# nothing else.

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

  bastion = var.access != "bastion" ? null : {
    address   = var.address_source == "public" ? module.bastion[0].public_ip : module.bastion[0].private_ip
    port      = 22
    user      = var.ssh_user
    host_keys = var.bastion.host_keys
  }
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
  private_subnets          = true
  nat                      = var.nat
  flow_logs                = var.flow_logs
  permissions_boundary_arn = var.foundation.permissions_boundary_arn
}

module "ssh_sources" {
  source = "../../modules/ssh-sources"
  count  = var.access == "bastion" ? 1 : 0

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
  public                 = false
  volume_kms_key_arn     = var.volume_kms_key_arn
  detailed_monitoring    = var.detailed_monitoring
  termination_protection = var.deletion_protection
  alarm_actions          = [module.alarms.topic_arn]

  hosts = {
    for n, h in var.hosts : n => {
      instance_type = h.instance_type
      subnet_id     = module.network.private_subnet_ids[local.zones[h.zone]]
      private_ip    = h.private_ip
      disk_gib      = h.disk_gib
    }
  }

  ingress = merge(
    { for n, g in var.clients : "client-${n}" => { description = "Requests from ${n}", port = var.proxy_port, security_group_id = g } },
    var.load_balancer == null ? {} : {
      alb = { description = "Requests from the load balancer", port = var.proxy_port, security_group_id = one(module.alb[*].security_group_id) }
    },
    var.access != "bastion" ? {} : {
      ssh = { description = "SSH from the bastion", port = 22, security_group_id = one(module.bastion[*].security_group_id) }
    },
    var.monitoring == null ? {} : {
      for p in try(var.monitoring.ports, []) : "exporter-${p}" => { description = "Exporter, from monitoring", port = p, security_group_id = var.monitoring.security_group_id }
    },
  )
}

module "bastion" {
  source = "../../modules/bastion"
  count  = var.access == "bastion" ? 1 : 0

  name                   = local.name
  vpc_id                 = module.network.vpc_id
  subnet_id              = module.network.public_subnet_ids[local.zones[0]]
  private_ip             = var.bastion.private_ip
  ami_id                 = local.ami_id
  instance_type          = var.bastion.instance_type
  ssh_public_key         = coalesce(var.ssh_public_key, "-")
  prefix_list_id         = module.ssh_sources[0].prefix_list_id
  host_security_group_id = module.hosts.security_group_id
  permit_open            = [for n in sort(keys(var.hosts)) : "${module.hosts.hosts[n].private_ip}:22"]
}

module "ssm_access" {
  source = "../../modules/ssm-access"
  count  = var.access == "ssm" ? 1 : 0

  name                   = local.name
  document_name          = local.name
  region                 = var.region
  vpc_id                 = module.network.vpc_id
  subnet_ids             = values(module.network.private_subnet_ids)
  host_security_group_id = module.hosts.security_group_id
  endpoint_services      = var.endpoint_services
}

module "alb" {
  source = "../../modules/alb"
  count  = var.load_balancer == null ? 0 : 1

  name                   = local.name
  vpc_id                 = module.network.vpc_id
  subnet_ids             = values(module.network.public_subnet_ids)
  internal               = var.load_balancer.internal
  host_security_group_id = module.hosts.security_group_id
  instances              = { for n in keys(var.hosts) : n => module.hosts.hosts[n].id }
  host_port              = var.proxy_port
  health_path            = var.load_balancer.health_path
  certificate_arn        = var.load_balancer.certificate_arn
  deletion_protection    = var.deletion_protection
  access_logs_bucket     = var.access_logs_bucket
  web_acl_arn            = var.web_acl_arn
}

module "alarms" {
  source = "../../modules/alarms"

  name       = local.name
  partition  = local.partition
  account_id = local.account_id
  emails     = var.alarm_emails
  composite  = var.composite_alarm

  ledger_table = var.foundation.ledger.table_name

  alarms = merge({
    for n in keys(var.hosts) : "${n}-status" => {
      description = "The instance ${n} fails its checks"
      namespace   = "AWS/EC2"
      metric      = "StatusCheckFailed"
      dimensions  = { InstanceId = module.hosts.hosts[n].id }
      threshold   = 1
    }
    }, {
    for n, a in {
      unhealthy-hosts = {
        description = "The load balancer leaves hosts out: relman status says which and why"
        namespace   = "AWS/ApplicationELB"
        metric      = "UnHealthyHostCount"
        dimensions  = { LoadBalancer = try(module.alb[0].metrics.load_balancer, ""), TargetGroup = try(module.alb[0].metrics.target_group, "") }
        threshold   = 1
      }
      server-errors = {
        description = "The service answers with 5xx"
        namespace   = "AWS/ApplicationELB"
        metric      = "HTTPCode_Target_5XX_Count"
        statistic   = "Sum"
        dimensions  = { LoadBalancer = try(module.alb[0].metrics.load_balancer, "") }
        threshold   = 10
      }
    } : n => a if var.load_balancer != null
  })
}
