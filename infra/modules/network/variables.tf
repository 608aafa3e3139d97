variable "name" {
  description = "Beginning of every name."
  type        = string
}

variable "region" {
  description = "Region: part of the endpoints' names."
  type        = string
}

variable "cidr" {
  description = "Private range of the VPC, /16 to /22."
  type        = string

  validation {
    condition     = can(cidrhost(var.cidr, 0)) && tonumber(split("/", var.cidr)[1]) >= 16 && tonumber(split("/", var.cidr)[1]) <= 22
    error_message = "The VPC's range must be IPv4 and between /16 and /22."
  }

  validation {
    condition     = can(regex("^(10\\.|192\\.168\\.|172\\.(1[6-9]|2[0-9]|3[01])\\.)", var.cidr))
    error_message = "The VPC's range must be private (RFC 1918): another one belongs to strangers."
  }
}

variable "zones" {
  description = "Availability zones, one subnet of a kind in each."
  type        = list(string)

  validation {
    condition     = length(var.zones) >= 1 && length(var.zones) <= 8 && length(distinct(var.zones)) == length(var.zones)
    error_message = "One to eight different zones."
  }
}

variable "private_subnets" {
  description = "Make private subnets."
  type        = bool
}

variable "nat" {
  description = "How private subnets reach out: none, single (one gateway), or per_zone."
  type        = string

  validation {
    condition     = contains(["none", "single", "per_zone"], var.nat)
    error_message = "nat is none, single or per_zone."
  }
}

variable "flow_logs" {
  description = "Log every connection of the VPC for a year."
  type        = bool
}

variable "permissions_boundary_arn" {
  description = "Boundary of the role that writes the flow logs."
  type        = string
}
