# Hosts of one environment, with one security group. Slots and dashboards listen on loopback and need no rule.

resource "aws_security_group" "host" {
  #checkov:skip=CKV2_AWS_5:attached to the instances below
  name        = "${var.name}-host"
  description = "Hosts of ${var.name}"
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-host" }
}

resource "aws_vpc_security_group_ingress_rule" "host" {
  for_each = var.ingress

  security_group_id            = aws_security_group.host.id
  description                  = each.value.description
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
  cidr_ipv4                    = each.value.cidr
  prefix_list_id               = each.value.prefix_list_id
  referenced_security_group_id = each.value.security_group_id

  tags = { Name = each.key }
}

# Packages, images and the AWS APIs. Name resolution and time come from the VPC itself, which needs no rule.
resource "aws_vpc_security_group_egress_rule" "host" {
  for_each = { https = 443, http = 80 }

  security_group_id = aws_security_group.host.id
  description       = "Packages, images and AWS by ${each.key}"
  ip_protocol       = "tcp"
  from_port         = each.value
  to_port           = each.value
  cidr_ipv4         = "0.0.0.0/0"

  tags = { Name = "out-${each.key}" }
}

resource "aws_key_pair" "host" {
  count = var.ssh_public_key == null ? 0 : 1

  key_name   = var.name
  public_key = var.ssh_public_key
}

resource "aws_instance" "host" {
  #checkov:skip=CKV_AWS_126:detailed monitoring is a variable; it costs by the metric
  #checkov:skip=CKV_AWS_88:a public address is asked for by the root `single` alone, and then by an EIP
  for_each = var.hosts

  # Nothing is said of a public address: the subnets give none, and an EIP would look like one that is to be removed by
  # replacing the host.
  ami                     = var.ami_id
  instance_type           = each.value.instance_type
  subnet_id               = each.value.subnet_id
  private_ip              = each.value.private_ip
  vpc_security_group_ids  = [aws_security_group.host.id]
  iam_instance_profile    = var.instance_profile
  key_name                = one(aws_key_pair.host[*].key_name)
  monitoring              = var.detailed_monitoring
  ebs_optimized           = true
  disable_api_termination = var.termination_protection

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    volume_type = "gp3"
    volume_size = each.value.disk_gib
    encrypted   = true
    kms_key_id  = var.volume_kms_key_arn

    tags = { Name = "${var.name}-${each.key}" }
  }

  tags = { Name = "${var.name}-${each.key}", "relman:host" = each.key }

  lifecycle {
    # A newer image must not replace hosts; whoever wants that says `-replace`.
    ignore_changes = [ami]
  }
}

resource "aws_eip" "host" {
  for_each = var.public ? var.hosts : {}

  domain   = "vpc"
  instance = aws_instance.host[each.key].id

  tags = { Name = "${var.name}-${each.key}" }
}

# Hardware that dies under an instance: it starts again elsewhere, with its disk, its address and its id.
resource "aws_cloudwatch_metric_alarm" "recover" {
  for_each = var.hosts

  alarm_name          = "${var.name}-${each.key}-recover"
  alarm_description   = "The machine below ${each.key} fails: the instance is recovered on another one"
  namespace           = "AWS/EC2"
  metric_name         = "StatusCheckFailed_System"
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 2
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "missing"
  dimensions          = { InstanceId = aws_instance.host[each.key].id }
  alarm_actions       = concat(["arn:${var.partition}:automate:${var.region}:ec2:recover"], var.alarm_actions)
}
