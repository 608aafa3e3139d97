variable "name" {
  description = "Beginning of every name."
  type        = string
}

variable "vpc_id" {
  description = "VPC of the bastion."
  type        = string
}

variable "subnet_id" {
  description = "A public subnet."
  type        = string
}

variable "private_ip" {
  description = "Address inside the VPC; null lets AWS choose."
  type        = string
  default     = null
}

variable "ami_id" {
  description = "Image: Debian or Ubuntu. A later change does not replace the bastion."
  type        = string
}

variable "instance_type" {
  description = "Instance type; the smallest does."
  type        = string
  default     = "t3.nano"
}

variable "ssh_public_key" {
  description = "Public key that logs in."
  type        = string

  validation {
    condition     = can(regex("^(ssh-ed25519|ecdsa-sha2-nistp[0-9]+|ssh-rsa) [A-Za-z0-9+/=]+", var.ssh_public_key))
    error_message = "A line such as ssh-ed25519 AAAA…; never a private key."
  }
}

variable "prefix_list_id" {
  description = "Prefix list of those who may reach SSH."
  type        = string
}

variable "host_security_group_id" {
  description = "Security group of the hosts behind it."
  type        = string
}

variable "permit_open" {
  description = "Targets of forwarding, ADDRESS:22. A change replaces the bastion. *:22 where hosts come and go: the security group then is what limits it."
  type        = list(string)

  validation {
    condition     = length(var.permit_open) > 0 && alltrue([for t in var.permit_open : endswith(t, ":22")])
    error_message = "At least one target, and each ends in :22."
  }
}
