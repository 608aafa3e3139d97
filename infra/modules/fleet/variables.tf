variable "name" {
  description = "Name of the group, and the beginning of every other name."
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

variable "subnet_ids" {
  description = "Private subnets in at least two zones."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "High availability needs at least two zones."
  }
}

variable "tags" {
  description = "Tags of instances and volumes; relman:service and relman:environment are what the deploy role goes by."
  type        = map(string)

  validation {
    condition     = contains(keys(var.tags), "relman:service") && contains(keys(var.tags), "relman:environment")
    error_message = "The tags relman:service and relman:environment are needed."
  }
}

variable "ami_id" {
  description = "An image that ansible/site.yml was run on: a new instance configures itself from it without anybody."
  type        = string
}

variable "root_device" {
  description = "Name of the root device in the image."
  type        = string
  default     = "/dev/xvda"
}

variable "instance_type" {
  description = "Instance type."
  type        = string
}

variable "disk_gib" {
  description = "Size of the disk."
  type        = number

  validation {
    condition     = var.disk_gib >= 8
    error_message = "A host needs at least 8 GiB: two images and the system."
  }
}

variable "volume_kms_key_arn" {
  description = "Key of the disks; null means the account's own key for EBS."
  type        = string
  default     = null
}

variable "instance_profile" {
  description = "Instance profile of the hosts."
  type        = string
}

variable "ssh_public_key" {
  description = "Public key of the first login; null where access is by SSM."
  type        = string
  default     = null
}

variable "size" {
  description = "Least, most, and at first."
  type = object({
    min     = number
    max     = number
    desired = number
  })

  validation {
    condition     = var.size.min >= 1 && var.size.min <= var.size.desired && var.size.desired <= var.size.max
    error_message = "1 <= min <= desired <= max."
  }
}

variable "ingress" {
  description = "What may come in, one rule each, from a security group."
  type = map(object({
    description       = string
    port              = number
    security_group_id = string
  }))
}

variable "target_group_arns" {
  description = "Target groups that the instances are registered in."
  type        = list(string)
}

variable "health_check_type" {
  description = "EC2, or ELB. With ELB a bad release makes the group replace hosts while relman takes them back, and before the first deploy nothing is healthy."
  type        = string
  default     = "EC2"

  validation {
    condition     = contains(["EC2", "ELB"], var.health_check_type)
    error_message = "EC2 or ELB."
  }
}

variable "drain_timeout_seconds" {
  description = "Seconds between leaving the load balancer and going down. Not below the deregistration delay of the target group."
  type        = number
  default     = 120
}

variable "target_cpu_percent" {
  description = "Scale to this load; null leaves the number alone."
  type        = number
  default     = null
}

variable "detailed_monitoring" {
  description = "Metrics by the minute instead of every five."
  type        = bool
  default     = false
}

variable "notification_topic_arn" {
  description = "Topic that is told of launches and terminations, or null."
  type        = string
  default     = null
}

variable "wait_for_capacity_timeout" {
  description = "How long apply waits for the instances; 0 does not wait."
  type        = string
  default     = "15m"
}

variable "ledger_table" {
  description = "Table of the ledger, for the boot unit."
  type        = string
}

variable "artifacts_bucket" {
  description = "Bucket of the artifacts, for the boot unit."
  type        = string
}

variable "artifacts_url" {
  description = "artifacts.url of relman.toml, where it has a prefix; null is s3://BUCKET."
  type        = string
  default     = null

  validation {
    condition     = var.artifacts_url == null || can(regex("^s3://[a-z0-9.-]+(/[A-Za-z0-9._/-]+)?$", var.artifacts_url))
    error_message = "artifacts_url is s3://BUCKET or s3://BUCKET/PREFIX."
  }
}

variable "repository_url" {
  description = "Repository of the images, for the boot unit."
  type        = string
}

variable "parameter_path" {
  description = "Path of the service's parameters, for the boot unit."
  type        = string
}
