variable "name" {
  description = "Beginning of every name."
  type        = string
}

variable "partition" {
  description = "aws, aws-cn or aws-us-gov."
  type        = string
}

variable "region" {
  description = "Region that the roles work in."
  type        = string
}

variable "account_id" {
  description = "The account."
  type        = string
}

variable "service" {
  description = "Name of the service."
  type        = string
}

variable "github" {
  description = "The repository whose jobs may be these roles, by names and by ids (gh api repos/ORG/REPO --jq '.owner.id, .id')."
  type = object({
    organization    = string
    organization_id = string
    repository      = string
    repository_id   = string
  })

  validation {
    condition     = can(regex("^[0-9]+$", var.github.organization_id)) && can(regex("^[0-9]+$", var.github.repository_id))
    error_message = "The ids are numbers: gh api repos/ORG/REPO --jq '.owner.id, .id'."
  }

  validation {
    condition     = can(regex("^[A-Za-z0-9-]+$", var.github.organization)) && can(regex("^[A-Za-z0-9._-]+$", var.github.repository))
    error_message = "Organization and repository are plain names, without a slash and without a wildcard."
  }
}

variable "contexts" {
  description = "The end of the token's subject by role: environment:NAME where the job has one, else ref:refs/heads/NAME or pull_request."
  type = object({
    build = list(string)
    plan  = list(string)
    apply = list(string)
  })

  validation {
    condition     = alltrue([for c in flatten(values(var.contexts)) : can(regex("^(environment:[A-Za-z0-9._-]+|ref:refs/(heads|tags)/[A-Za-z0-9._/-]+|pull_request)$", c))])
    error_message = "A context is environment:NAME, ref:refs/heads/NAME, ref:refs/tags/NAME or pull_request, and compared as it stands: no wildcard."
  }

  validation {
    condition     = !contains(var.contexts.apply, "pull_request") && !contains(var.contexts.build, "pull_request")
    error_message = "A pull request may plan, and neither build nor apply."
  }
}

variable "environments" {
  description = "The environments by name, each with the contexts that may deploy to it."
  type        = map(object({ contexts = list(string) }))

  validation {
    condition     = length(var.environments) > 0 && alltrue([for n in keys(var.environments) : can(regex("^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$", n))])
    error_message = "At least one environment; a name has 1 to 40 of a-z, 0-9 and -, with no - at either end."
  }

  validation {
    condition     = alltrue([for c in flatten([for e in values(var.environments) : e.contexts]) : can(regex("^(environment:[A-Za-z0-9._-]+|ref:refs/(heads|tags)/[A-Za-z0-9._/-]+)$", c))])
    error_message = "A context is environment:NAME, ref:refs/heads/NAME or ref:refs/tags/NAME, and compared as it stands: no wildcard, no pull request."
  }
}

variable "create_provider" {
  description = "Make GitHub's OIDC provider; false where the account has it already (there can be one)."
  type        = bool
}

variable "repository_arn" {
  description = "ARN of the image repository."
  type        = string
}

variable "ledger_table_arn" {
  description = "ARN of the ledger's table."
  type        = string
}

variable "ledger_kms_key_arn" {
  description = "ARN of the key of ledger and artifacts."
  type        = string
}

variable "artifacts_bucket_arn" {
  description = "ARN of the artifacts' bucket."
  type        = string
}

variable "ledger_keys" {
  description = "Partition keys of the ledger, with {service} and {environment}: shared, of a service's releases, of an environment."
  type = object({
    shared      = list(string)
    release     = list(string)
    environment = list(string)
  })
}

variable "state" {
  description = "Where Terraform's state lies and what locks it; lock_table_arn null where there is no lock table."
  type = object({
    bucket         = string
    bucket_arn     = string
    kms_key_arn    = string
    lock_table_arn = string
  })
}
