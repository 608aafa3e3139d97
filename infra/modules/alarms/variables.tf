variable "name" {
  description = "Beginning of every name."
  type        = string
}

variable "partition" {
  description = "aws, aws-cn or aws-us-gov."
  type        = string
}

variable "account_id" {
  description = "The account."
  type        = string
}

variable "emails" {
  description = "Who is told. Each address must confirm once."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for e in var.emails : can(regex("^[^@ ]+@[^@ ]+$", e))])
    error_message = "Each is an e-mail address."
  }
}

variable "ledger_table" {
  description = "The table of the ledger; null: no alarm about it."
  type        = string
  default     = null
}

variable "alarms" {
  description = "The alarms by name, besides those of the ledger."
  type = map(object({
    description = string
    namespace   = string
    metric      = string
    dimensions  = map(string)
    threshold   = number
    statistic   = optional(string, "Maximum")
    comparison  = optional(string, "GreaterThanOrEqualToThreshold")
    period      = optional(number, 60)
    periods     = optional(number, 3)
    missing     = optional(string, "notBreaching")
  }))
}

variable "composite" {
  description = "Also one alarm over all of them."
  type        = bool
  default     = false

  validation {
    condition     = !var.composite || var.ledger_table != null || length(var.alarms) > 0
    error_message = "An alarm over all alarms needs one."
  }
}
