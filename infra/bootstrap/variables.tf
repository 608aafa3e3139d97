variable "region" {
  description = "Region of everything."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "A region is called like eu-central-1."
  }
}

variable "service" {
  description = "Name of the service, as in relman.toml."
  type        = string

  # 20 and not 40: bucket names end with the account and have 63 characters.
  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$", var.service))
    error_message = "A service's name here has 1 to 20 of a-z, 0-9 and -, with no - at either end."
  }
}

variable "github" {
  description = "The repository whose jobs deploy, by names and by ids: gh api repos/ORG/REPO --jq '.owner.id, .id'."
  type = object({
    organization    = string
    organization_id = string
    repository      = string
    repository_id   = string
  })
}

variable "environments" {
  description = "The environments by name, each with the contexts of GitHub's token that may deploy to it."
  type        = map(object({ contexts = list(string) }))
  default = {
    staging    = { contexts = ["environment:staging"] }
    production = { contexts = ["environment:production", "environment:production-rollback"] }
  }
}

variable "contexts" {
  description = "The contexts of GitHub's token that may build, plan and apply."
  type = object({
    build = list(string)
    plan  = list(string)
    apply = list(string)
  })
  default = {
    build = ["environment:build"]
    plan  = ["environment:infra-plan"]
    apply = ["environment:infra-apply"]
  }
}

variable "create_oidc_provider" {
  description = "Make GitHub's OIDC provider; false where the account has it already (there can be one)."
  type        = bool
  default     = true
}

variable "lock_table" {
  description = "Lock state by a DynamoDB table as well as by the lock file in the bucket."
  type        = bool
  default     = true
}

variable "ledger_table_name" {
  description = "Name of the ledger's table; null takes the one in ledger-schema/dynamodb/table.json."
  type        = string
  default     = null
}

variable "ledger_id" {
  description = "The id of a ledger that moves into this table (relman ledger migrate), 32 hex digits; null draws one. It counts when the table is made, and never after."
  type        = string
  default     = null

  validation {
    condition     = var.ledger_id == null || can(regex("^[0-9a-f]{32}$", var.ledger_id))
    error_message = "ledger_id is 32 hex digits: [ledger] id of relman.toml, or what relman ledger migrate says."
  }
}

variable "repository_name" {
  description = "Name of the image repository; null takes the service's."
  type        = string
  default     = null
}

# As relman writes them: ledger-schema/README.md.
variable "ledger_keys" {
  description = "Partition keys of the ledger, with {service} and {environment}: shared, of a service's releases, of an environment."
  type = object({
    shared      = list(string)
    release     = list(string)
    environment = list(string)
  })
  default = {
    shared      = ["META", "STREAMS"]
    release     = ["SVC#{service}", "LOG#{service}", "ENV#{service}#"]
    environment = ["ENV#{service}#{environment}", "LOG#{service}/{environment}"]
  }
}

variable "retention" {
  description = "Object Lock of artifacts and anchors: for how long an anchor proves. COMPLIANCE cannot be taken back by anyone, destroy included."
  type = object({
    mode = string
    days = number
  })
  default = {
    mode = "GOVERNANCE"
    days = 400
  }
}

variable "deletion_protection" {
  description = "Refuse to delete the ledger and the lock table."
  type        = bool
  default     = true
}

variable "force_destroy" {
  description = "Let destroy delete buckets and repositories that are not empty. For throwaway accounts only."
  type        = bool
  default     = false
}

variable "state_keep_newest" {
  description = "Overwritten states that are kept whatever their age; null for none."
  type        = number
  default     = 50
}

variable "bucket_policies" {
  description = "Refuse what does not come to the buckets by TLS. False for moto alone: it takes a condition that is not met for a refusal, of everybody."
  type        = bool
  default     = true
}
