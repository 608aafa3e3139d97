variable "name" {
  description = "Name of the repository."
  type        = string
}

variable "kms_key_arn" {
  description = "Key that encrypts the images."
  type        = string
}

variable "force_destroy" {
  description = "Let destroy delete a repository that still holds images. For throwaway accounts only."
  type        = bool
}

variable "untagged_days" {
  description = "Days after which an image without a tag goes."
  type        = number
  default     = 14

  validation {
    condition     = var.untagged_days >= 1
    error_message = "At least one day."
  }
}
