# Hosts without SSH: one document whose only parameter is a request in base64, and the endpoints that the agent needs.
# Whoever may send this document may ask relman-host for what its policy on the host allows, and nothing else.

resource "aws_ssm_document" "perform" {
  name            = var.document_name
  document_type   = "Command"
  document_format = "JSON"
  target_type     = "/AWS::EC2::Instance"

  # Its allowedPattern is the alphabet of base64 alone: nothing in a request ends the quotes around it. A file of its
  # own, since the lab sends the same document.
  content = jsonencode(jsondecode(templatefile("${path.module}/perform.json.tftpl", { timeout_seconds = var.timeout_seconds })))
}

resource "aws_security_group" "endpoints" {
  #checkov:skip=CKV2_AWS_5:attached to the endpoints below
  count = length(var.endpoint_services) > 0 ? 1 : 0

  name        = "${var.name}-endpoints"
  description = "Interface endpoints of ${var.name}"
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-endpoints" }
}

resource "aws_vpc_security_group_ingress_rule" "hosts" {
  count = length(var.endpoint_services) > 0 ? 1 : 0

  security_group_id            = aws_security_group.endpoints[0].id
  description                  = "AWS APIs for the hosts"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  referenced_security_group_id = var.host_security_group_id
}

resource "aws_vpc_endpoint" "interface" {
  for_each = var.endpoint_services

  vpc_id              = var.vpc_id
  service_name        = "com.amazonaws.${var.region}.${each.key}"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = var.subnet_ids
  security_group_ids  = [aws_security_group.endpoints[0].id]

  tags = { Name = "${var.name}-${each.key}" }
}
