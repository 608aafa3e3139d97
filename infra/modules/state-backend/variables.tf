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

variable "lock_table" {
  description = "Also lock by a DynamoDB table, beside the lock file in the bucket."
  type        = bool
}

variable "deletion_protection" {
  description = "Refuse to delete the lock table."
  type        = bool
}

variable "force_destroy" {
  description = "Let destroy delete a bucket that still holds states. For throwaway accounts only."
  type        = bool
}

variable "noncurrent_days" {
  description = "Days that an overwritten state is kept; the newest keep_newest are kept in any case."
  type        = number
  default     = 365

  validation {
    condition     = var.noncurrent_days >= 30
    error_message = "An overwritten state is kept for at least 30 days."
  }
}

variable "keep_newest" {
  description = "Overwritten states that are kept whatever their age; null for none. moto forgets it and lets the provider wait in vain."
  type        = number
  default     = 50
}

variable "bucket_policy" {
  description = "Refuse what does not come by TLS. False for moto alone: it takes a condition that is not met for a refusal, of everybody."
  type        = bool
  default     = true
}
