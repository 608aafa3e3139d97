variable "name" {
  description = "Name of the load balancer and its target group, at most 32 characters."
  type        = string

  validation {
    condition     = length(var.name) <= 32
    error_message = "A load balancer's name has at most 32 characters: shorten the service's or the environment's name."
  }
}

variable "vpc_id" {
  description = "VPC of the load balancer."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets in at least two zones."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "A load balancer needs subnets in at least two zones."
  }
}

variable "internal" {
  description = "Reachable inside the VPC only."
  type        = bool
  default     = false
}

variable "host_security_group_id" {
  description = "Security group of the hosts."
  type        = string
}

variable "instances" {
  description = "Instances behind it by name; empty where an Auto Scaling group registers its own."
  type        = map(string)
  default     = {}
}

variable "host_port" {
  description = "Port of the hosts' proxy."
  type        = number
}

variable "health_path" {
  description = "Path that answers 2xx or 3xx while the service is ready."
  type        = string

  validation {
    condition     = startswith(var.health_path, "/")
    error_message = "The path begins with a slash."
  }
}

variable "certificate_arn" {
  description = "Certificate of the service's name."
  type        = string

  validation {
    condition     = startswith(var.certificate_arn, "arn:")
    error_message = "The ARN of a certificate in ACM or IAM: the service is not served without TLS."
  }
}

variable "tls_policy" {
  description = "TLS policy: 1.3, and 1.2 for old clients."
  type        = string
  default     = "ELBSecurityPolicy-TLS13-1-2-2021-06"

  validation {
    condition     = startswith(var.tls_policy, "ELBSecurityPolicy-TLS13-")
    error_message = "A policy that offers TLS 1.3."
  }
}

variable "drain_seconds" {
  description = "Seconds that requests to a host that leaves may still take."
  type        = number
  default     = 30
}

variable "deletion_protection" {
  description = "Refuse to delete the load balancer."
  type        = bool
}

variable "access_logs_bucket" {
  description = "Bucket of the access logs, or null."
  type        = string
  default     = null
}

variable "web_acl_arn" {
  description = "Web ACL in front, or null."
  type        = string
  default     = null
}
