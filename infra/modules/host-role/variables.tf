variable "name" {
  description = "Beginning of every name."
  type        = string
}

variable "partition" {
  description = "aws, aws-cn or aws-us-gov."
  type        = string
}

variable "region" {
  description = "Region of the hosts."
  type        = string
}

variable "account_id" {
  description = "The account."
  type        = string
}

variable "foundation" {
  description = "The output of infra/bootstrap of the same name."
  type = object({
    permissions_boundary_arn = string
    ledger                   = object({ table_name = string, table_arn = string, kms_key_arn = string })
    artifacts                = object({ bucket = string, arn = string })
    repository               = object({ url = string, arn = string })
  })
}

variable "parameter_path" {
  description = "Path below which the hosts may read parameters, such as /relman/web/production."
  type        = string

  validation {
    condition     = can(regex("^(/[a-z0-9-]+){3}$", var.parameter_path))
    error_message = "The path has three parts and no slash at its end: a shorter one would open the parameters of others."
  }
}

variable "leading_keys" {
  description = "Partition keys of the ledger that a host may read."
  type        = list(string)
}

variable "ssm" {
  description = "Let the SSM agent work."
  type        = bool
}
