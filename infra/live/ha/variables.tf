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

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$", var.service))
    error_message = "A service's name here has 1 to 20 of a-z, 0-9 and -, with no - at either end."
  }
}

variable "environment" {
  description = "Name of the environment, as in relman.toml; its state is ENVIRONMENT.tfstate."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$", var.environment)) && var.environment != "bootstrap"
    error_message = "An environment's name has 1 to 40 of a-z, 0-9 and -, with no - at either end, and is not bootstrap."
  }
}

variable "foundation" {
  description = "The output of infra/bootstrap of the same name."
  type = object({
    permissions_boundary_arn = string
    ledger                   = object({ table_name = string, table_arn = string, kms_key_arn = string })
    ledger_keys              = object({ shared = list(string), release = list(string), environment = list(string) })
    artifacts                = object({ bucket = string, arn = string })
    repository               = object({ url = string, arn = string })
  })
}

variable "cidr" {
  description = "Private range of the VPC, /16 to /22."
  type        = string
  default     = "10.40.0.0/20"
}

variable "flow_logs" {
  description = "Log every connection of the VPC for a year."
  type        = bool
  default     = true
}

variable "ssh_user" {
  description = "User that relman logs in as: admin on Debian's images, ubuntu on Ubuntu's."
  type        = string
  default     = "admin"

  validation {
    condition     = can(regex("^[a-z_][a-z0-9_-]*$", var.ssh_user))
    error_message = "A user's name of a-z, 0-9, _ and -."
  }
}

variable "volume_kms_key_arn" {
  description = "Key of the disks; null means the account's own key for EBS. They are encrypted either way."
  type        = string
  default     = null
}

variable "detailed_monitoring" {
  description = "Metrics by the minute instead of every five. Costs by the metric."
  type        = bool
  default     = false
}

variable "deletion_protection" {
  description = "Refuse to terminate hosts and to delete the load balancer, where there is one."
  type        = bool
  default     = true
}

variable "alarm_emails" {
  description = "Who is told of alarms. Each address must confirm once."
  type        = set(string)
  default     = []
}

variable "composite_alarm" {
  description = "Also one alarm over all of them."
  type        = bool
  default     = false
}

variable "monitoring" {
  description = "Who may scrape exporters on the hosts: a security group and ports. Null where Prometheus runs on the host and is reached by tunnel."
  type = object({
    security_group_id = string
    ports             = list(number)
  })
  default = null
}
