# From where SSH may come: a prefix list, so that all security groups mean the same and an address is changed once.

resource "aws_ec2_managed_prefix_list" "this" {
  name           = "${var.name}-ssh"
  address_family = "IPv4"
  max_entries    = max(length(var.cidrs), 10)

  dynamic "entry" {
    for_each = var.cidrs

    content {
      cidr        = entry.value
      description = entry.key
    }
  }
}
