# Hosts in two zones behind a load balancer. They come and go; what each serves is said by the ledger.

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
  # The name that an instance has in the VPC's DNS, by its id.
  address        = "{id}.${var.region == "us-east-1" ? "ec2" : "${var.region}.compute"}.internal"
  bastion_ami_id = coalesce(var.bastion_ami_id, var.ami_id)

  bastion = var.access != "bastion" ? null : {
    address   = var.address_source == "public" ? module.bastion[0].public_ip : module.bastion[0].private_ip
    port      = 22
    user      = var.ssh_user
    host_keys = var.bastion.host_keys
  }
}

data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

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

module "alb" {
  source = "../../modules/alb"

  name                   = local.name
  vpc_id                 = module.network.vpc_id
  subnet_ids             = values(module.network.public_subnet_ids)
  internal               = var.internal
  host_security_group_id = module.fleet.security_group_id
  host_port              = var.proxy_port
  health_path            = var.health_path
  certificate_arn        = var.certificate_arn
  deletion_protection    = var.deletion_protection
  access_logs_bucket     = var.access_logs_bucket
  web_acl_arn            = var.web_acl_arn
}

module "fleet" {
  source = "../../modules/fleet"

  name                      = local.name
  region                    = var.region
  vpc_id                    = module.network.vpc_id
  subnet_ids                = values(module.network.private_subnet_ids)
  tags                      = local.tags
  ami_id                    = var.ami_id
  root_device               = var.root_device
  instance_type             = var.instance_type
  disk_gib                  = var.disk_gib
  volume_kms_key_arn        = var.volume_kms_key_arn
  instance_profile          = module.host_role.instance_profile
  ssh_public_key            = var.ssh_public_key
  size                      = var.size
  target_group_arns         = [module.alb.target_group_arn]
  health_check_type         = var.health_check_type
  target_cpu_percent        = var.target_cpu_percent
  detailed_monitoring       = var.detailed_monitoring
  notification_topic_arn    = var.fleet_notifications ? module.alarms.topic_arn : null
  wait_for_capacity_timeout = var.wait_for_capacity_timeout
  ledger_table              = var.foundation.ledger.table_name
  artifacts_bucket          = var.foundation.artifacts.bucket
  artifacts_url             = var.artifacts_url
  repository_url            = var.foundation.repository.url
  parameter_path            = local.parameter_path

  ingress = merge(
    {
      alb = { description = "Requests from the load balancer", port = var.proxy_port, security_group_id = module.alb.security_group_id }
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
  ami_id                 = local.bastion_ami_id
  instance_type          = var.bastion.instance_type
  ssh_public_key         = coalesce(var.ssh_public_key, "-")
  prefix_list_id         = module.ssh_sources[0].prefix_list_id
  host_security_group_id = module.fleet.security_group_id
  # Hosts come and go: the security group is what limits it.
  permit_open = ["*:22"]
}

module "ssm_access" {
  source = "../../modules/ssm-access"
  count  = var.access == "ssm" ? 1 : 0

  name                   = local.name
  document_name          = local.name
  region                 = var.region
  vpc_id                 = module.network.vpc_id
  subnet_ids             = values(module.network.private_subnet_ids)
  host_security_group_id = module.fleet.security_group_id
  endpoint_services      = var.endpoint_services
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
    unhealthy-hosts = {
      description = "The load balancer leaves hosts out: relman status says which and why"
      namespace   = "AWS/ApplicationELB"
      metric      = "UnHealthyHostCount"
      dimensions  = { LoadBalancer = module.alb.metrics.load_balancer, TargetGroup = module.alb.metrics.target_group }
      threshold   = 1
    }
    server-errors = {
      description = "The service answers with 5xx"
      namespace   = "AWS/ApplicationELB"
      metric      = "HTTPCode_Target_5XX_Count"
      statistic   = "Sum"
      dimensions  = { LoadBalancer = module.alb.metrics.load_balancer }
      threshold   = 10
    }
  }
}
