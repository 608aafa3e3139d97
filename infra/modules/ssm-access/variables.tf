variable "name" {
  description = "Beginning of every name."
  type        = string
}

variable "document_name" {
  description = "Name of the document; the deploy role in infra/bootstrap names the same."
  type        = string
}

variable "region" {
  description = "Region: part of the endpoints' names."
  type        = string
}

variable "vpc_id" {
  description = "VPC of the endpoints."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets of the endpoints."
  type        = list(string)
}

variable "host_security_group_id" {
  description = "Security group of the hosts that use the endpoints."
  type        = string
}

variable "endpoint_services" {
  description = "Interface endpoints to make. Empty: the agent reaches AWS through the NAT gateway."
  type        = set(string)
  default     = ["ssm", "ssmmessages", "ec2messages"]
}

variable "timeout_seconds" {
  description = "Seconds that one request may take on a host: a pull of a large image is one."
  type        = number
  default     = 900

  validation {
    condition     = var.timeout_seconds >= 60 && var.timeout_seconds <= 3600
    error_message = "One minute to one hour."
  }
}
