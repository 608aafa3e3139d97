variable "name" {
  description = "Beginning of the list's name."
  type        = string
}

variable "cidrs" {
  description = "Who may reach SSH: name to IPv4 range, for example { office = \"203.0.113.0/28\" }."
  type        = map(string)

  validation {
    condition     = alltrue([for c in values(var.cidrs) : can(cidrhost(c, 0)) && can(regex("^[0-9.]+/[0-9]+$", c))])
    error_message = "Each source is an IPv4 range with its length, such as 203.0.113.7/32."
  }

  # Two halves are the whole as well.
  validation {
    condition     = alltrue([for c in values(var.cidrs) : try(tonumber(split("/", c)[1]) >= 16, false)])
    error_message = "SSH is not opened to 0.0.0.0/0, nor to any range wider than a /16. Name your own addresses."
  }

  validation {
    condition     = length(var.cidrs) >= 1 && length(var.cidrs) <= 60
    error_message = "1 to 60 sources; where nobody needs SSH, use access by SSM."
  }
}
