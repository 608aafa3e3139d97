# The foundation, applied once by a person: where state and its locks lie, the ledger, the artifacts, the registry, and
# who CI may be. Its own state is local at first; README.md says how it then moves into the bucket that it made.

data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

locals {
  name       = "relman-${var.service}"
  account_id = data.aws_caller_identity.this.account_id
  partition  = data.aws_partition.this.partition
}

module "state_backend" {
  source = "../modules/state-backend"

  name                = local.name
  account_id          = local.account_id
  partition           = local.partition
  lock_table          = var.lock_table
  deletion_protection = var.deletion_protection
  force_destroy       = var.force_destroy
  bucket_policy       = var.bucket_policies
  keep_newest         = var.state_keep_newest
}

module "ledger" {
  source = "../modules/ledger"

  name                = local.name
  account_id          = local.account_id
  partition           = local.partition
  table_file          = "${path.module}/../../ledger-schema/dynamodb/table.json"
  table_name          = var.ledger_table_name
  ledger_id           = var.ledger_id
  deletion_protection = var.deletion_protection
  force_destroy       = var.force_destroy
  bucket_policy       = var.bucket_policies
  retention           = var.retention
}

module "registry" {
  source = "../modules/registry"

  name          = coalesce(var.repository_name, var.service)
  kms_key_arn   = module.ledger.kms_key_arn
  force_destroy = var.force_destroy
}

module "ci_oidc" {
  source = "../modules/ci-oidc"

  name                 = local.name
  partition            = local.partition
  region               = var.region
  account_id           = local.account_id
  service              = var.service
  github               = var.github
  contexts             = var.contexts
  environments         = var.environments
  create_provider      = var.create_oidc_provider
  repository_arn       = module.registry.arn
  ledger_table_arn     = module.ledger.table_arn
  ledger_kms_key_arn   = module.ledger.kms_key_arn
  artifacts_bucket_arn = module.ledger.artifacts_bucket_arn
  ledger_keys          = var.ledger_keys

  state = {
    bucket         = module.state_backend.bucket
    bucket_arn     = module.state_backend.bucket_arn
    kms_key_arn    = module.state_backend.kms_key_arn
    lock_table_arn = module.state_backend.lock_table_arn
  }
}
