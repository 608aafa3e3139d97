mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  region      = "eu-central-1"
  service     = "web"
  environment = "test"
  foundation = {
    permissions_boundary_arn = "arn:aws:iam::123456789012:policy/relman-ci/relman-web-workload-boundary"
    ledger = {
      table_name  = "relman-ledger"
      table_arn   = "arn:aws:dynamodb:eu-central-1:123456789012:table/relman-ledger"
      kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/1"
    }
    ledger_keys = { shared = ["META", "STREAMS"], release = ["SVC#{service}"], environment = ["ENV#{service}#{environment}"] }
    artifacts   = { bucket = "artifacts", arn = "arn:aws:s3:::artifacts" }
    repository  = { url = "registry.example/web", arn = "arn:aws:ecr:eu-central-1:123456789012:repository/web" }
  }
}

run "single_by_ssh_needs_somebody_to_come_from" {
  command = plan

  module {
    source = "./live/single"
  }

  variables {
    ssh_public_key = "ssh-ed25519 AAAA"
  }

  expect_failures = [var.ssh_sources]
}

run "single_refuses_ssh_from_everywhere" {
  command = plan

  module {
    source = "./live/single"
  }

  variables {
    ssh_public_key = "ssh-ed25519 AAAA"
    ssh_sources    = { everybody = "0.0.0.0/0" }
  }

  expect_failures = [var.ssh_sources]
}

run "single_by_ssm_takes_no_key" {
  command = plan

  module {
    source = "./live/single"
  }

  variables {
    access         = "ssm"
    ssh_public_key = "ssh-ed25519 AAAA"
  }

  expect_failures = [var.ssh_public_key]
}

run "single_by_ssm_has_a_document_and_no_bastion" {
  command = plan

  module {
    source = "./live/single"
  }

  variables {
    access = "ssm"
  }

  assert {
    condition     = output.relman_config.ssm_document == "relman-web-test" && output.relman_hosts[0].bastion == null
    error_message = "The document that the deploy role may send."
  }
}

run "private_by_ssm_asks_for_no_key_and_names_no_bastion" {
  command = plan

  module {
    source = "./live/private"
  }

  variables {
    hosts = {
      web-1 = { private_ip = "10.40.8.11" }
      web-2 = { private_ip = "10.40.9.11", zone = 1 }
    }
    load_balancer = { certificate_arn = "arn:aws:acm:eu-central-1:123456789012:certificate/1" }
  }

  assert {
    condition     = [for h in output.relman_hosts : h.address] == ["10.40.8.11", "10.40.9.11"] && alltrue([for h in output.relman_hosts : h.bastion == null])
    error_message = "Private addresses, in the order of the names."
  }
}

run "two_hosts_at_one_address_are_refused" {
  command = plan

  module {
    source = "./live/private"
  }

  variables {
    hosts = {
      web-1 = { private_ip = "10.40.8.11" }
      web-2 = { private_ip = "10.40.8.11" }
    }
  }

  expect_failures = [var.hosts]
}

run "a_host_key_with_a_host_name_is_refused" {
  command = plan

  module {
    source = "./live/private"
  }

  variables {
    hosts = { web-1 = { host_keys = ["web-1 ssh-ed25519 AAAA"] } }
  }

  expect_failures = [var.hosts]
}

run "one_host_is_not_high_availability" {
  command = plan

  module {
    source = "./live/ha"
  }

  variables {
    ami_id          = "ami-1"
    certificate_arn = "arn:aws:acm:eu-central-1:123456789012:certificate/1"
    size            = { min = 1, max = 2, desired = 1 }
  }

  expect_failures = [var.size]
}

run "the_foundation_keeps_its_state_for_itself" {
  command = plan

  module {
    source = "./live/single"
  }

  variables {
    access      = "ssm"
    environment = "bootstrap"
  }

  expect_failures = [var.environment]
}

run "a_host_in_a_zone_that_is_not_there_is_refused" {
  command = plan

  module {
    source = "./live/private"
  }

  variables {
    hosts = { web-1 = { zone = 2 } }
  }

  expect_failures = [var.hosts]
}
