# Hosts that come and go. What a new one serves is said by the ledger, never here: user data is the relman.toml that tells
# where the ledger is, and the image brings relman and the boot unit that asks it (the Ansible role relman_catch_up).

locals {
  service     = var.tags["relman:service"]
  environment = var.tags["relman:environment"]

  # A JSON string is a TOML string. The port is that of a run configuration that nothing here uses: the ledger has it.
  relman_toml = <<-EOT
    [service]
    name = ${jsonencode(local.service)}

    [image]
    repository = ${jsonencode(var.repository_url)}

    [run]
    port = 1

    [ledger]
    url = ${jsonencode("dynamodb:${var.ledger_table}")}

    [artifacts]
    url = ${jsonencode(coalesce(var.artifacts_url, "s3://${var.artifacts_bucket}"))}

    [environments.${local.environment}]
    via = "local"
  EOT

  user_data = join("\n", ["#cloud-config", yamlencode({
    write_files = [
      { path = "/etc/relman/relman.toml", owner = "root:root", permissions = "0644", content = local.relman_toml },
      # Beside catch-up.env, which the image may bring with secrets.
      { path = "/etc/relman/aws.env", owner = "root:root", permissions = "0644", content = "AWS_REGION=${var.region}\n" },
    ]
  })])
}

resource "aws_security_group" "host" {
  #checkov:skip=CKV2_AWS_5:attached by the launch template below
  name        = "${var.name}-fleet"
  description = "Hosts of ${var.name}"
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-fleet" }
}

resource "aws_vpc_security_group_ingress_rule" "host" {
  for_each = var.ingress

  security_group_id            = aws_security_group.host.id
  description                  = each.value.description
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
  referenced_security_group_id = each.value.security_group_id

  tags = { Name = each.key }
}

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

resource "aws_launch_template" "host" {
  name                   = var.name
  description            = "Host of ${var.name}"
  image_id               = var.ami_id
  instance_type          = var.instance_type
  ebs_optimized          = true
  update_default_version = true
  key_name               = one(aws_key_pair.host[*].key_name)
  user_data              = base64encode(local.user_data)

  iam_instance_profile {
    name = var.instance_profile
  }

  # Its name in DNS follows from its id, so relman reaches an instance of which it knows nothing else.
  private_dns_name_options {
    hostname_type                     = "resource-name"
    enable_resource_name_dns_a_record = true
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  monitoring {
    enabled = var.detailed_monitoring
  }

  network_interfaces {
    device_index                = 0
    associate_public_ip_address = "false"
    delete_on_termination       = "true"
    security_groups             = [aws_security_group.host.id]
  }

  block_device_mappings {
    device_name = var.root_device

    ebs {
      volume_type           = "gp3"
      volume_size           = var.disk_gib
      encrypted             = "true"
      kms_key_id            = var.volume_kms_key_arn
      delete_on_termination = "true"
    }
  }

  dynamic "tag_specifications" {
    for_each = toset(["instance", "volume"])

    content {
      resource_type = tag_specifications.value
      tags          = merge(var.tags, { Name = var.name })
    }
  }
}

resource "aws_autoscaling_group" "fleet" {
  name                      = var.name
  min_size                  = var.size.min
  max_size                  = var.size.max
  desired_capacity          = var.size.desired
  vpc_zone_identifier       = var.subnet_ids
  target_group_arns         = var.target_group_arns
  health_check_type         = var.health_check_type
  health_check_grace_period = 300
  default_cooldown          = 60
  termination_policies      = ["OldestLaunchTemplate", "OldestInstance"]
  wait_for_capacity_timeout = var.wait_for_capacity_timeout

  launch_template {
    id      = aws_launch_template.host.id
    version = "$Latest"
  }

  # No hook at launch: the load balancer sends nothing to a host before it answers its check, and a host that had to
  # say so itself would need a right to write. With the group, not after it: the first instances leave like all others.
  initial_lifecycle_hook {
    name                 = "${var.name}-terminate"
    lifecycle_transition = "autoscaling:EC2_INSTANCE_TERMINATING"
    default_result       = "CONTINUE"
    heartbeat_timeout    = var.drain_timeout_seconds
  }

  dynamic "tag" {
    for_each = merge(var.tags, { Name = var.name })

    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = false
    }
  }

  lifecycle {
    # How many there are now is what scaling decided.
    ignore_changes = [desired_capacity]
  }
}

resource "aws_autoscaling_policy" "cpu" {
  count = var.target_cpu_percent == null ? 0 : 1

  name                      = "${var.name}-cpu"
  autoscaling_group_name    = aws_autoscaling_group.fleet.name
  policy_type               = "TargetTrackingScaling"
  estimated_instance_warmup = 180

  target_tracking_configuration {
    target_value = var.target_cpu_percent

    predefined_metric_specification {
      predefined_metric_type = "ASGAverageCPUUtilization"
    }
  }
}

# Who tells relman that the fleet changed; moto has no such call.
resource "aws_autoscaling_notification" "changes" {
  count = var.notification_topic_arn == null ? 0 : 1

  group_names = [aws_autoscaling_group.fleet.name]
  topic_arn   = var.notification_topic_arn
  notifications = [
    "autoscaling:EC2_INSTANCE_LAUNCH",
    "autoscaling:EC2_INSTANCE_LAUNCH_ERROR",
    "autoscaling:EC2_INSTANCE_TERMINATE",
    "autoscaling:EC2_INSTANCE_TERMINATE_ERROR",
  ]
}

# Read at each plan, so that the outputs name who is there now.
data "aws_instances" "fleet" {
  instance_state_names = ["pending", "running"]

  filter {
    name   = "tag:aws:autoscaling:groupName"
    values = [aws_autoscaling_group.fleet.name]
  }

  depends_on = [aws_autoscaling_group.fleet]
}
