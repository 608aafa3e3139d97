mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name           = "relman-web-test"
  partition      = "aws"
  region         = "eu-central-1"
  account_id     = "123456789012"
  parameter_path = "/relman/web/test"
  leading_keys   = ["META", "ENV#web#test"]
  ssm            = false
  foundation = {
    permissions_boundary_arn = "arn:aws:iam::123456789012:policy/relman-ci/relman-web-workload-boundary"
    ledger = {
      table_name  = "relman-ledger"
      table_arn   = "arn:aws:dynamodb:eu-central-1:123456789012:table/relman-ledger"
      kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/1"
    }
    artifacts  = { bucket = "artifacts", arn = "arn:aws:s3:::artifacts" }
    repository = { url = "registry.example/web", arn = "arn:aws:ecr:eu-central-1:123456789012:repository/web" }
  }
}

run "a_host_writes_nowhere" {
  command = plan

  module {
    source = "./modules/host-role"
  }

  assert {
    condition = !anytrue([
      for a in flatten([for s in jsondecode(output.policy).Statement : s.Action]) :
      can(regex(":(Put|Update|Delete|Create|Batch(Write|Delete)|Transact|Scan|\\*)", a))
    ])
    error_message = "No action that writes, and no scan."
  }

  assert {
    condition     = aws_iam_role.host.permissions_boundary == "arn:aws:iam::123456789012:policy/relman-ci/relman-web-workload-boundary"
    error_message = "Under the boundary."
  }

  assert {
    condition     = one([for s in jsondecode(output.policy).Statement : s.Condition["ForAllValues:StringLike"]["dynamodb:LeadingKeys"] if s.Sid == "ReadLedger"]) == ["META", "ENV#web#test"]
    error_message = "Its own environment's part of the ledger."
  }

  assert {
    condition     = one([for s in jsondecode(output.policy).Statement : s.Resource if s.Sid == "OwnSecrets"]) == ["arn:aws:secretsmanager:eu-central-1:123456789012:secret:relman/web/test/*"]
    error_message = "Its own environment's secrets."
  }

  assert {
    condition = alltrue([
      for s in jsondecode(output.policy).Statement : can(s.Condition.StringEquals["kms:ViaService"]) && (
        one(s.Resource) == "arn:aws:kms:eu-central-1:123456789012:key/1" || try(one(values(s.Condition.StringLike)), "") == lookup({
          DecryptParameters = "arn:aws:ssm:eu-central-1:123456789012:parameter/relman/web/test/*"
          DecryptSecrets    = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:relman/web/test/*"
        }, s.Sid, "-")
      ) if contains(s.Action, "kms:Decrypt")
    ])
    error_message = "A key that is not the ledger's decrypts its own parameters and secrets, by way of their stores."
  }

  assert {
    condition     = length([for s in jsondecode(output.policy).Statement : s if s.Sid == "SsmAgent"]) == 0
    error_message = "What is not asked for is not granted."
  }
}

run "a_path_that_opens_the_parameters_of_others_is_refused" {
  command = plan

  module {
    source = "./modules/host-role"
  }

  variables {
    parameter_path = "/relman"
  }

  expect_failures = [var.parameter_path]
}
