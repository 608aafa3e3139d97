variable "ami_id" {
  description = "An image that ansible/site.yml was run on: a new instance gets ready without anybody."
  type        = string
}

variable "bastion_ami_id" {
  description = "Image of the bastion; null takes the hosts'."
  type        = string
  default     = null
}

variable "root_device" {
  description = "Name of the root device in the image."
  type        = string
  default     = "/dev/xvda"
}

variable "instance_type" {
  description = "Instance type of the hosts."
  type        = string
  default     = "t3.small"
}

variable "disk_gib" {
  description = "Size of a host's disk."
  type        = number
  default     = 20
}

variable "size" {
  description = "Hosts: least, most, and at first."
  type = object({
    min     = number
    max     = number
    desired = number
  })
  default = { min = 2, max = 6, desired = 2 }

  validation {
    condition     = var.size.min >= 2
    error_message = "High availability needs at least two hosts."
  }
}

variable "host_keys" {
  description = "Host keys that every host of the image shares, where the image keeps them. Empty: on first use."
  type        = list(string)
  default     = []
}

variable "health_check_type" {
  description = "EC2, or ELB: see infra/README.md before you take ELB."
  type        = string
  default     = "EC2"
}

variable "target_cpu_percent" {
  description = "Scale to this load; null leaves the number alone."
  type        = number
  default     = null
}

variable "fleet_notifications" {
  description = "Tell the alarms' topic of launches and terminations."
  type        = bool
  default     = false
}

variable "wait_for_capacity_timeout" {
  description = "How long apply waits for the instances; 0 does not wait."
  type        = string
  default     = "15m"
}

variable "certificate_arn" {
  description = "Certificate of the service's name."
  type        = string
}

variable "health_path" {
  description = "Path that answers 2xx or 3xx while the service is ready."
  type        = string
  default     = "/healthz"
}

variable "internal" {
  description = "The load balancer is reachable inside the VPC only."
  type        = bool
  default     = false
}

variable "artifacts_url" {
  description = "artifacts.url of your relman.toml, where it has a prefix; null is s3://BUCKET. A new instance looks there."
  type        = string
  default     = null
}
