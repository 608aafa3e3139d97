mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name                   = "relman-web-test"
  region                 = "eu-central-1"
  vpc_id                 = "vpc-1"
  subnet_ids             = ["subnet-1", "subnet-2"]
  host_security_group_id = "sg-1"
  host_port              = 80
  health_path            = "/healthz"
  certificate_arn        = "arn:aws:acm:eu-central-1:123456789012:certificate/1"
  deletion_protection    = true
  tags                   = { "relman:service" = "web", "relman:environment" = "test" }
  ami_id                 = "ami-1"
  instance_type          = "t3.small"
  disk_gib               = 20
  instance_profile       = "relman-web-test-host"
  size                   = { min = 2, max = 4, desired = 2 }
  ingress                = { alb = { description = "Requests", port = 80, security_group_id = "sg-2" } }
  target_group_arns      = []
  ledger_table           = "relman-ledger"
  artifacts_bucket       = "artifacts"
  repository_url         = "registry.example/web"
  parameter_path         = "/relman/web/test"
}

run "the_load_balancer_speaks_tls_and_redirects_the_rest" {
  command = plan

  module {
    source = "./modules/alb"
  }

  assert {
    condition     = aws_lb_listener.https.protocol == "HTTPS" && strcontains(aws_lb_listener.https.ssl_policy, "TLS13")
    error_message = "HTTPS with a TLS 1.3 policy."
  }

  assert {
    condition     = aws_lb_listener.redirect.default_action[0].redirect[0].protocol == "HTTPS"
    error_message = "Port 80 redirects."
  }

  assert {
    condition     = aws_lb.this.drop_invalid_header_fields && aws_lb.this.enable_deletion_protection
    error_message = "Bad headers are dropped, and it cannot be deleted by mistake."
  }

  assert {
    condition     = aws_vpc_security_group_egress_rule.hosts.referenced_security_group_id == "sg-1"
    error_message = "It reaches the hosts and nothing else."
  }
}

run "an_old_tls_policy_is_refused" {
  command = plan

  module {
    source = "./modules/alb"
  }

  variables {
    tls_policy = "ELBSecurityPolicy-2016-08"
  }

  expect_failures = [var.tls_policy]
}

run "one_zone_is_refused" {
  command = plan

  module {
    source = "./modules/fleet"
  }

  variables {
    subnet_ids = ["subnet-1"]
  }

  expect_failures = [var.subnet_ids]
}

run "a_new_instance_is_told_where_the_ledger_is_and_no_release" {
  command = plan

  module {
    source = "./modules/fleet"
  }

  assert {
    condition     = strcontains(output.user_data, "dynamodb:relman-ledger") && strcontains(output.user_data, "/etc/relman/relman.toml") && !strcontains(output.user_data, "sha256") && !strcontains(output.user_data, "latest")
    error_message = "User data names no image."
  }

  assert {
    condition     = aws_launch_template.host.metadata_options[0].http_tokens == "required" && aws_launch_template.host.metadata_options[0].http_put_response_hop_limit == 1
    error_message = "IMDSv2 with one hop."
  }

  assert {
    condition     = aws_launch_template.host.block_device_mappings[0].ebs[0].encrypted == "true" && aws_launch_template.host.network_interfaces[0].associate_public_ip_address == "false"
    error_message = "An encrypted disk and no public address."
  }

  assert {
    condition     = [for h in aws_autoscaling_group.fleet.initial_lifecycle_hook : h.lifecycle_transition] == ["autoscaling:EC2_INSTANCE_TERMINATING"] && alltrue([for h in aws_autoscaling_group.fleet.initial_lifecycle_hook : h.default_result == "CONTINUE"])
    error_message = "Time to drain at the end, which nobody has to answer; nothing at the launch."
  }
}

run "a_public_range_is_refused" {
  command = plan

  module {
    source = "./modules/network"
  }

  variables {
    cidr                     = "8.8.0.0/16"
    zones                    = ["eu-central-1a"]
    private_subnets          = true
    nat                      = "none"
    flow_logs                = false
    permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary"
  }

  expect_failures = [var.cidr]
}

run "without_nat_private_subnets_have_no_way_out" {
  command = plan

  module {
    source = "./modules/network"
  }

  variables {
    cidr                     = "10.1.0.0/16"
    zones                    = ["eu-central-1a", "eu-central-1b"]
    private_subnets          = true
    nat                      = "none"
    flow_logs                = true
    permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary"
  }

  assert {
    condition     = length(aws_route.private_out) == 0 && length(aws_nat_gateway.this) == 0 && length(aws_subnet.private) == 2
    error_message = "No route, no gateway."
  }

  assert {
    condition     = alltrue([for s in merge(aws_subnet.public, aws_subnet.private) : !s.map_public_ip_on_launch])
    error_message = "No subnet gives public addresses."
  }

  assert {
    condition     = aws_iam_role.flow[0].permissions_boundary == "arn:aws:iam::123456789012:policy/boundary"
    error_message = "The role is under the boundary."
  }
}
