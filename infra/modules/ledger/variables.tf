variable "name" {
  description = "Beginning of every name."
  type        = string
}

variable "account_id" {
  description = "The account: makes the bucket's name unique and owns the key."
  type        = string
}

variable "partition" {
  description = "aws, aws-cn or aws-us-gov."
  type        = string
}

variable "table_file" {
  description = "A CreateTable request as JSON: the layout that relman was built for."
  type        = string
}

variable "table_name" {
  description = "Another name than the one in table_file, or null."
  type        = string
  default     = null
}

variable "ledger_id" {
  description = "The id of a ledger that moves here, 32 hex digits; null draws one."
  type        = string
  default     = null
}

variable "deletion_protection" {
  description = "Refuse to delete the table."
  type        = bool
}

variable "force_destroy" {
  description = "Let destroy delete a bucket that still holds artifacts. For throwaway accounts only."
  type        = bool
}

variable "retention" {
  description = "Object Lock of artifacts and anchors. COMPLIANCE cannot be taken back by anyone."
  type = object({
    mode = string
    days = number
  })
  default = {
    mode = "GOVERNANCE"
    days = 400
  }

  validation {
    condition     = contains(["GOVERNANCE", "COMPLIANCE"], var.retention.mode) && var.retention.days >= 1
    error_message = "The mode is GOVERNANCE or COMPLIANCE, for at least one day."
  }
}

variable "bucket_policy" {
  description = "Refuse what does not come by TLS. False for moto alone: it takes a condition that is not met for a refusal, of everybody."
  type        = bool
  default     = true
}
