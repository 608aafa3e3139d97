# The one machine with SSH towards the outside. It forwards to the targets of PermitOpen and to nothing else, no agent is
# forwarded, and it has no role: whoever takes it over has a shell between two security groups.

locals {
  sshd = <<-EOT
    # Written at the first boot; see infra/modules/bastion.
    PermitOpen ${join(" ", var.permit_open)}
    AllowTcpForwarding local
    AllowAgentForwarding no
    AllowStreamLocalForwarding no
    GatewayPorts no
    PermitTunnel no
    X11Forwarding no
    PermitRootLogin no
    PasswordAuthentication no
    KbdInteractiveAuthentication no
    MaxAuthTries 3
    LogLevel VERBOSE
  EOT

  user_data = join("\n", ["#cloud-config", yamlencode({
    package_update  = true
    package_upgrade = true
    packages        = ["unattended-upgrades"]
    write_files = [{
      path        = "/etc/ssh/sshd_config.d/10-bastion.conf"
      owner       = "root:root"
      permissions = "0644"
      content     = local.sshd
    }]
    runcmd = [["systemctl", "reload", "ssh"]]
  })])
}

resource "aws_security_group" "bastion" {
  #checkov:skip=CKV2_AWS_5:attached to the instance below
  name        = "${var.name}-bastion"
  description = "Bastion of ${var.name}"
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-bastion" }
}

resource "aws_vpc_security_group_ingress_rule" "ssh" {
  #checkov:skip=CKV_AWS_24:from a prefix list, whose module refuses ranges wider than a /16; checkov takes no range for every range
  security_group_id = aws_security_group.bastion.id
  description       = "SSH from the named sources"
  ip_protocol       = "tcp"
  from_port         = 22
  to_port           = 22
  prefix_list_id    = var.prefix_list_id
}

resource "aws_vpc_security_group_egress_rule" "hosts" {
  security_group_id            = aws_security_group.bastion.id
  description                  = "SSH to the hosts"
  ip_protocol                  = "tcp"
  from_port                    = 22
  to_port                      = 22
  referenced_security_group_id = var.host_security_group_id
}

resource "aws_vpc_security_group_egress_rule" "packages" {
  for_each = { https = 443, http = 80 }

  security_group_id = aws_security_group.bastion.id
  description       = "Packages by ${each.key}"
  ip_protocol       = "tcp"
  from_port         = each.value
  to_port           = each.value
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_key_pair" "bastion" {
  key_name   = "${var.name}-bastion"
  public_key = var.ssh_public_key
}

resource "aws_instance" "bastion" {
  #checkov:skip=CKV_AWS_126:a bastion has no load worth a metric a minute
  #checkov:skip=CKV2_AWS_41:it calls no AWS API, so it has no role to be stolen
  #checkov:skip=CKV_AWS_88:being reached is what it is for, and by the EIP below
  ami                         = var.ami_id
  instance_type               = var.instance_type
  subnet_id                   = var.subnet_id
  private_ip                  = var.private_ip
  vpc_security_group_ids      = [aws_security_group.bastion.id]
  key_name                    = aws_key_pair.bastion.key_name
  ebs_optimized               = true
  user_data_base64            = base64encode(local.user_data)
  user_data_replace_on_change = true

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    volume_type = "gp3"
    volume_size = 8
    encrypted   = true

    tags = { Name = "${var.name}-bastion" }
  }

  tags = { Name = "${var.name}-bastion" }

  lifecycle {
    ignore_changes = [ami]
  }
}

resource "aws_eip" "bastion" {
  domain   = "vpc"
  instance = aws_instance.bastion.id

  tags = { Name = "${var.name}-bastion" }
}
