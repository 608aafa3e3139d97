mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name             = "relman-web-test"
  partition        = "aws"
  region           = "eu-central-1"
  vpc_id           = "vpc-1"
  ami_id           = "ami-1"
  instance_profile = "relman-web-test-host"
  public           = false
  ingress = {
    ssh = { description = "SSH", port = 22, prefix_list_id = "pl-1" }
    alb = { description = "Requests", port = 80, security_group_id = "sg-1" }
  }
  hosts = {
    web-1 = { instance_type = "t3.small", subnet_id = "subnet-1", disk_gib = 20 }
  }
}

run "a_host_is_hardened" {
  command = plan

  module {
    source = "./modules/host"
  }

  assert {
    condition     = aws_instance.host["web-1"].metadata_options[0].http_tokens == "required" && aws_instance.host["web-1"].metadata_options[0].http_put_response_hop_limit == 1
    error_message = "IMDSv2 with one hop, so that no container reaches the host's role."
  }

  assert {
    condition     = aws_instance.host["web-1"].root_block_device[0].encrypted && aws_instance.host["web-1"].root_block_device[0].volume_type == "gp3"
    error_message = "An encrypted gp3 disk."
  }

  assert {
    condition     = aws_instance.host["web-1"].iam_instance_profile == "relman-web-test-host"
    error_message = "An instance profile."
  }

  assert {
    condition     = contains(aws_cloudwatch_metric_alarm.recover["web-1"].alarm_actions, "arn:aws:automate:eu-central-1:ec2:recover")
    error_message = "An alarm that recovers it."
  }

  assert {
    condition     = length(aws_key_pair.host) == 0 && length(aws_eip.host) == 0
    error_message = "No key pair and no public address unless asked for."
  }

  assert {
    condition     = alltrue([for r in aws_vpc_security_group_ingress_rule.host : length(r.description) > 0 && r.cidr_ipv4 == null])
    error_message = "Each rule described, none from a range."
  }
}

run "ssh_from_a_range_is_refused" {
  command = plan

  module {
    source = "./modules/host"
  }

  variables {
    ingress = { ssh = { description = "SSH", port = 22, cidr = "0.0.0.0/0" } }
  }

  expect_failures = [var.ingress]
}

run "a_host_name_that_relman_could_not_record_is_refused" {
  command = plan

  module {
    source = "./modules/host"
  }

  variables {
    hosts = { "Web_1" = { instance_type = "t3.small", subnet_id = "subnet-1", disk_gib = 20 } }
  }

  expect_failures = [var.hosts]
}
