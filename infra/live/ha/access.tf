variable "access" {
  description = "How relman reaches the hosts: ssm, or bastion."
  type        = string
  default     = "ssm"

  validation {
    condition     = contains(["ssm", "bastion"], var.access)
    error_message = "access is ssm or bastion."
  }
}

variable "ssh_sources" {
  description = "Who may reach SSH: name to IPv4 range, for example { office = \"203.0.113.0/28\" }. Needed where access is bastion."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for c in values(var.ssh_sources) : try(tonumber(split("/", c)[1]) >= 16, false)])
    error_message = "SSH is not opened to 0.0.0.0/0, nor to any range wider than a /16. Name your own addresses."
  }

  validation {
    condition     = var.access != "bastion" || length(var.ssh_sources) > 0
    error_message = "SSH needs ssh_sources: name the addresses that may reach it, or use access = \"ssm\"."
  }
}

variable "ssh_public_key" {
  description = "Public key of the first login, such as ssh-ed25519 AAAA…; must be null where access is ssm: no key pair is made then."
  type        = string
  default     = null

  validation {
    condition     = var.ssh_public_key == null || can(regex("^(ssh-ed25519|ecdsa-sha2-nistp[0-9]+|ssh-rsa) [A-Za-z0-9+/=]+", var.ssh_public_key))
    error_message = "A line such as ssh-ed25519 AAAA…; never a private key."
  }

  validation {
    condition     = (var.access == "ssm") == (var.ssh_public_key == null)
    error_message = "A public key is needed for SSH, and where access is ssm there is none."
  }
}

variable "zones" {
  description = "Letters of the availability zones, at least two."
  type        = list(string)
  default     = ["a", "b"]

  validation {
    condition     = length(var.zones) >= 2 && alltrue([for z in var.zones : can(regex("^[a-z]$", z))])
    error_message = "At least two zones, each a letter such as a."
  }
}

variable "bastion" {
  description = "The bastion, where access is bastion. host_keys as of hosts; private_ip null lets AWS choose."
  type = object({
    instance_type = optional(string, "t3.nano")
    private_ip    = optional(string)
    host_keys     = optional(list(string), [])
  })
  default = {}
}

variable "address_source" {
  description = "Which address of the bastion the outputs name: public, or private where you are inside the VPC. The hosts' is always private."
  type        = string
  default     = "public"

  validation {
    condition     = contains(["public", "private"], var.address_source)
    error_message = "address_source is public or private."
  }
}

variable "nat" {
  description = "How private subnets reach out: single (one gateway), per_zone, or none, where the image brings every package and the endpoints suffice."
  type        = string
  default     = "per_zone"

  validation {
    condition     = contains(["none", "single", "per_zone"], var.nat)
    error_message = "nat is none, single or per_zone."
  }
}

variable "endpoint_services" {
  description = "Interface endpoints, where access is ssm; each costs by the hour and zone. Without NAT add ecr.api, ecr.dkr, kms and logs."
  type        = set(string)
  default     = ["ssm", "ssmmessages", "ec2messages"]
}

variable "access_logs_bucket" {
  description = "Bucket of the load balancer's access logs, or null."
  type        = string
  default     = null
}

variable "web_acl_arn" {
  description = "Web ACL in front of the load balancer, or null."
  type        = string
  default     = null
}

variable "proxy_port" {
  description = "Port of the hosts' proxy (proxy_http_port of the role)."
  type        = number
  default     = 80
}
