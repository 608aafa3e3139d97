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

variable "vpc_id" {
  description = "VPC of the hosts."
  type        = string
}

variable "hosts" {
  description = "The hosts by name. private_ip null lets AWS choose."
  type = map(object({
    instance_type = string
    subnet_id     = string
    private_ip    = optional(string)
    disk_gib      = number
  }))

  validation {
    condition     = alltrue([for n in keys(var.hosts) : can(regex("^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$", n))])
    error_message = "A host's name has 1 to 40 of a-z, 0-9 and -, with no - at either end."
  }

  validation {
    condition     = alltrue([for h in values(var.hosts) : h.disk_gib >= 8])
    error_message = "A host needs at least 8 GiB: two images and the system."
  }
}

variable "ami_id" {
  description = "Image of the hosts: Debian or Ubuntu. A later change replaces no host."
  type        = string
}

variable "instance_profile" {
  description = "Instance profile of the hosts."
  type        = string
}

variable "ssh_public_key" {
  description = "Public key that the first login is made with; null where access is by SSM."
  type        = string
  default     = null
}

variable "public" {
  description = "Give each host a public address of its own."
  type        = bool
}

variable "ingress" {
  description = "What may come in, one rule each: exactly one of cidr, prefix_list_id, security_group_id."
  type = map(object({
    description       = string
    port              = number
    cidr              = optional(string)
    prefix_list_id    = optional(string)
    security_group_id = optional(string)
  }))

  validation {
    condition     = alltrue([for r in values(var.ingress) : r.port != 22 || r.cidr == null])
    error_message = "SSH comes from a prefix list or a security group, never from a range written here."
  }

  validation {
    condition     = alltrue([for r in values(var.ingress) : length(r.description) > 0])
    error_message = "Each rule says what it is for."
  }
}

variable "volume_kms_key_arn" {
  description = "Key of the disks; null means the account's own key for EBS."
  type        = string
  default     = null
}

variable "detailed_monitoring" {
  description = "Metrics by the minute instead of every five."
  type        = bool
  default     = false
}

variable "termination_protection" {
  description = "Refuse to terminate a host."
  type        = bool
  default     = false
}

variable "alarm_actions" {
  description = "ARNs that are told, beside the recovery, when a machine fails."
  type        = list(string)
  default     = []
}
