mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name                   = "relman-web-test"
  region                 = "eu-central-1"
  vpc_id                 = "vpc-1"
  subnet_id              = "subnet-1"
  subnet_ids             = ["subnet-1"]
  ami_id                 = "ami-1"
  ssh_public_key         = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEb6lqJcAaM0xNcZ8oN2i1pY4m0V4V9f9p1m2n3o4p5q"
  prefix_list_id         = "pl-1"
  host_security_group_id = "sg-1"
  document_name          = "relman-web-test"
}

run "ssh_to_everybody_is_refused" {
  command = plan

  module {
    source = "./modules/ssh-sources"
  }

  variables {
    cidrs = { everybody = "0.0.0.0/0" }
  }

  expect_failures = [var.cidrs]
}

run "ssh_to_everybody_in_two_halves_is_refused" {
  command = plan

  module {
    source = "./modules/ssh-sources"
  }

  variables {
    cidrs = { low = "0.0.0.0/1", high = "128.0.0.0/1" }
  }

  expect_failures = [var.cidrs]
}

run "a_bastion_forwards_to_the_named_targets_and_does_nothing_else" {
  command = plan

  module {
    source = "./modules/bastion"
  }

  variables {
    permit_open = ["10.40.8.11:22", "10.40.8.12:22"]
  }

  assert {
    condition     = strcontains(output.sshd_config, "PermitOpen 10.40.8.11:22 10.40.8.12:22\n") && strcontains(output.sshd_config, "AllowAgentForwarding no")
    error_message = "PermitOpen and no agent forwarding."
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.ssh.prefix_list_id == "pl-1" && aws_vpc_security_group_ingress_rule.ssh.cidr_ipv4 == null
    error_message = "SSH from the prefix list alone."
  }

  assert {
    condition     = aws_instance.bastion.metadata_options[0].http_tokens == "required" && aws_instance.bastion.root_block_device[0].encrypted
    error_message = "IMDSv2 and an encrypted disk."
  }
}

run "a_bastion_towards_another_port_is_refused" {
  command = plan

  module {
    source = "./modules/bastion"
  }

  variables {
    permit_open = ["10.40.8.11:5432"]
  }

  expect_failures = [var.permit_open]
}

run "the_document_takes_base64_and_nothing_that_a_shell_would_read" {
  command = plan

  module {
    source = "./modules/ssm-access"
  }

  assert {
    condition     = keys(jsondecode(output.content).parameters) == ["request"]
    error_message = "One parameter."
  }

  assert {
    condition     = can(regex(jsondecode(output.content).parameters.request.allowedPattern, base64encode("{\"op\":\"observe\"}")))
    error_message = "A request in base64 is taken."
  }

  assert {
    condition = !anytrue([
      for bad in ["'; reboot #", "$(reboot)", "`reboot`", "AAAA AAAA", "AAAA'AAAA", "AAAA\nreboot", "{{ other }}"] :
      can(regex(jsondecode(output.content).parameters.request.allowedPattern, bad))
    ])
    error_message = "Nothing else is."
  }
}
