mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  region  = "eu-central-1"
  service = "web"
  github = {
    organization    = "acme"
    organization_id = "101"
    repository      = "web"
    repository_id   = "202"
  }
}

run "a_wildcard_in_who_may_deploy_is_refused" {
  command = plan

  module {
    source = "./modules/ci-oidc"
  }

  variables {
    name                 = "relman-web"
    partition            = "aws"
    account_id           = "123456789012"
    create_provider      = false
    repository_arn       = "arn:aws:ecr:eu-central-1:123456789012:repository/web"
    ledger_table_arn     = "arn:aws:dynamodb:eu-central-1:123456789012:table/relman-ledger"
    ledger_kms_key_arn   = "arn:aws:kms:eu-central-1:123456789012:key/1"
    artifacts_bucket_arn = "arn:aws:s3:::artifacts"
    ledger_keys          = { shared = ["META", "STREAMS"], release = ["SVC#{service}"], environment = ["ENV#{service}#{environment}"] }
    state                = { bucket = "state", bucket_arn = "arn:aws:s3:::state", kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/2", lock_table_arn = null }
    contexts             = { build = ["ref:refs/heads/*"], plan = ["pull_request"], apply = ["environment:infra-apply"] }
    environments         = { production = { contexts = ["environment:*"] } }
  }

  expect_failures = [var.contexts, var.environments]
}

run "a_deploy_reads_the_secrets_of_its_environment_and_no_others" {
  command = plan

  module {
    source = "./modules/ci-oidc"
  }

  variables {
    name                 = "relman-web"
    partition            = "aws"
    account_id           = "123456789012"
    create_provider      = false
    repository_arn       = "arn:aws:ecr:eu-central-1:123456789012:repository/web"
    ledger_table_arn     = "arn:aws:dynamodb:eu-central-1:123456789012:table/relman-ledger"
    ledger_kms_key_arn   = "arn:aws:kms:eu-central-1:123456789012:key/1"
    artifacts_bucket_arn = "arn:aws:s3:::artifacts"
    ledger_keys          = { shared = ["META", "STREAMS"], release = ["SVC#{service}"], environment = ["ENV#{service}#{environment}"] }
    state                = { bucket = "state", bucket_arn = "arn:aws:s3:::state", kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/2", lock_table_arn = null }
    contexts             = { build = ["environment:build"], plan = ["pull_request"], apply = ["environment:infra-apply"] }
    environments         = { production = { contexts = ["environment:production"] }, staging = { contexts = ["environment:staging"] } }
  }

  assert {
    condition = flatten([for s in jsondecode(output.policies["deploy-production"]) : s.Resource if contains(["Parameters", "Secrets"], s.Sid)]) == [
      "arn:aws:ssm:eu-central-1:123456789012:parameter/relman/web/production/*",
      "arn:aws:secretsmanager:eu-central-1:123456789012:secret:relman/web/production/*",
    ]
    error_message = "By the names of this environment."
  }

  assert {
    condition     = !anytrue([for role in ["build", "plan"] : anytrue([for s in jsondecode(output.policies[role]) : anytrue([for a in s.Action : startswith(a, "secretsmanager:")])])])
    error_message = "Who builds or plans reads none."
  }
}

run "a_pull_request_may_not_apply" {
  command = plan

  module {
    source = "./modules/ci-oidc"
  }

  variables {
    name                 = "relman-web"
    partition            = "aws"
    account_id           = "123456789012"
    create_provider      = false
    repository_arn       = "arn:aws:ecr:eu-central-1:123456789012:repository/web"
    ledger_table_arn     = "arn:aws:dynamodb:eu-central-1:123456789012:table/relman-ledger"
    ledger_kms_key_arn   = "arn:aws:kms:eu-central-1:123456789012:key/1"
    artifacts_bucket_arn = "arn:aws:s3:::artifacts"
    ledger_keys          = { shared = ["META", "STREAMS"], release = ["SVC#{service}"], environment = ["ENV#{service}#{environment}"] }
    state                = { bucket = "state", bucket_arn = "arn:aws:s3:::state", kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/2", lock_table_arn = null }
    contexts             = { build = ["environment:build"], plan = ["pull_request"], apply = ["pull_request"] }
    environments         = { production = { contexts = ["environment:production"] } }
  }

  expect_failures = [var.contexts]
}

run "the_table_follows_the_schema_when_it_grows" {
  command = plan

  module {
    source = "./modules/ledger"
  }

  variables {
    name                = "relman-web"
    account_id          = "123456789012"
    partition           = "aws"
    table_file          = "./tests/mocks/table-with-index.json"
    deletion_protection = true
    force_destroy       = false
  }

  assert {
    condition     = [for i in aws_dynamodb_table.ledger.global_secondary_index : "${i.name} ${i.hash_key} ${i.range_key} ${i.projection_type}"] == ["by_version g2pk g2sk KEYS_ONLY"]
    error_message = "An index of the file is an index of the table."
  }

  assert {
    condition     = aws_dynamodb_table.ledger.hash_key == "pk" && aws_dynamodb_table.ledger.range_key == "sk" && length(aws_dynamodb_table.ledger.attribute) == 4
    error_message = "Keys and attributes are those of the file."
  }

  assert {
    condition     = aws_dynamodb_table.ledger.deletion_protection_enabled && aws_dynamodb_table.ledger.point_in_time_recovery[0].enabled && aws_dynamodb_table.ledger.server_side_encryption[0].enabled
    error_message = "Protected from deletion, recoverable, encrypted."
  }

  assert {
    condition     = aws_s3_bucket.artifacts.object_lock_enabled && length(aws_s3_bucket_policy.artifacts) == 1
    error_message = "Object Lock, and TLS only."
  }
}

run "a_lock_table_can_be_left_out" {
  command = plan

  module {
    source = "./modules/state-backend"
  }

  variables {
    name                = "relman-web"
    account_id          = "123456789012"
    partition           = "aws"
    lock_table          = false
    deletion_protection = true
    force_destroy       = false
  }

  assert {
    condition     = length(aws_dynamodb_table.lock) == 0 && aws_s3_bucket_versioning.state.versioning_configuration[0].status == "Enabled"
    error_message = "No table; the versions stay."
  }

  assert {
    condition     = aws_s3_bucket_public_access_block.state.restrict_public_buckets && length(aws_s3_bucket_policy.state) == 1
    error_message = "Closed, and TLS only."
  }
}
