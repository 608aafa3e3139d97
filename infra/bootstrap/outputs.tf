output "foundation" {
  description = "What the roots below live/ need: terraform output -json foundation | jq '{foundation: .}' > ../live/foundation.tfvars.json"
  value = {
    permissions_boundary_arn = module.ci_oidc.workload_boundary_arn
    ledger = {
      table_name  = module.ledger.table_name
      table_arn   = module.ledger.table_arn
      kms_key_arn = module.ledger.kms_key_arn
    }
    ledger_keys = var.ledger_keys
    artifacts = {
      bucket = module.ledger.artifacts_bucket
      arn    = module.ledger.artifacts_bucket_arn
    }
    repository = {
      url = module.registry.url
      arn = module.registry.arn
    }
  }
}

output "ledger_id" {
  description = "Who the ledger is: ledger.id of relman.toml pins it, so that another table is refused."
  value       = module.ledger.ledger_id
}

output "role_arns" {
  description = "ARNs for the workflows: build, plan, apply, deploy-ENVIRONMENT."
  value       = module.ci_oidc.role_arns
}

output "backend_hcl" {
  description = "Where state lies: terraform output -raw backend_hcl > ../live/backend.hcl"
  value = join("\n", concat([
    "bucket     = \"${module.state_backend.bucket}\"",
    "region     = \"${var.region}\"",
    "kms_key_id = \"${module.state_backend.kms_key_arn}\"",
    ], var.lock_table ? [
    "dynamodb_table = \"${module.state_backend.lock_table}\"",
  ] : [], [""]))
}

output "backend_tf" {
  description = "The backend of this root, once its state moves: terraform output -raw backend_tf > backend.tf"
  value       = <<-EOT
    terraform {
      backend "s3" {
        key          = "bootstrap.tfstate"
        encrypt      = true
        use_lockfile = true
      }
    }
  EOT
}

output "policies" {
  description = "Policies of the CI roles as JSON, to be read before they are trusted."
  value       = module.ci_oidc.policies
}
