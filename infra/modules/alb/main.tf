# The load balancer: TLS in front, HAProxy on the hosts' private address behind. Which release answers is decided on the
# hosts; the load balancer only leaves out hosts that do not answer.

resource "aws_security_group" "alb" {
  #checkov:skip=CKV2_AWS_5:attached to the load balancer below
  name        = "${var.name}-alb"
  description = "Load balancer of ${var.name}"
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-alb" }
}

resource "aws_vpc_security_group_ingress_rule" "public" {
  #checkov:skip=CKV_AWS_260:port 80 answers with a redirect to 443 and nothing else
  for_each = { https = 443, http = 80 }

  security_group_id = aws_security_group.alb.id
  description       = each.key == "https" ? "Requests from anywhere, by TLS" : "Redirect to TLS"
  ip_protocol       = "tcp"
  from_port         = each.value
  to_port           = each.value
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_vpc_security_group_egress_rule" "hosts" {
  security_group_id            = aws_security_group.alb.id
  description                  = "The proxy of the hosts"
  ip_protocol                  = "tcp"
  from_port                    = var.host_port
  to_port                      = var.host_port
  referenced_security_group_id = var.host_security_group_id
}

resource "aws_lb" "this" {
  #checkov:skip=CKV2_AWS_28:a web ACL is yours to choose: var.web_acl_arn
  #checkov:skip=CKV_AWS_91:access logs are on when var.access_logs_bucket names a bucket
  #checkov:skip=CKV_AWS_150:on by default (var.deletion_protection); a throwaway account turns it off
  name                       = var.name
  load_balancer_type         = "application"
  internal                   = var.internal
  security_groups            = [aws_security_group.alb.id]
  subnets                    = var.subnet_ids
  drop_invalid_header_fields = true
  desync_mitigation_mode     = "defensive"
  enable_deletion_protection = var.deletion_protection
  idle_timeout               = 65

  dynamic "access_logs" {
    for_each = var.access_logs_bucket == null ? [] : [var.access_logs_bucket]

    content {
      bucket  = access_logs.value
      prefix  = var.name
      enabled = true
    }
  }
}

resource "aws_lb_target_group" "hosts" {
  #checkov:skip=CKV_AWS_378:inside the VPC, between two security groups; the proxy ends no TLS
  name                 = var.name
  vpc_id               = var.vpc_id
  port                 = var.host_port
  protocol             = "HTTP"
  target_type          = "instance"
  deregistration_delay = var.drain_seconds

  health_check {
    path                = var.health_path
    protocol            = "HTTP"
    matcher             = "200-399"
    interval            = 5
    timeout             = 3
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }
}

resource "aws_lb_target_group_attachment" "host" {
  for_each = var.instances

  target_group_arn = aws_lb_target_group.hosts.arn
  target_id        = each.value
  port             = var.host_port
}

resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.this.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = var.tls_policy
  certificate_arn   = var.certificate_arn

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.hosts.arn
  }
}

resource "aws_lb_listener" "redirect" {
  load_balancer_arn = aws_lb.this.arn
  port              = 80
  protocol          = "HTTP"

  default_action {
    type = "redirect"

    redirect {
      port        = "443"
      protocol    = "HTTPS"
      status_code = "HTTP_301"
    }
  }
}

resource "aws_wafv2_web_acl_association" "this" {
  count = var.web_acl_arn == null ? 0 : 1

  resource_arn = aws_lb.this.arn
  web_acl_arn  = var.web_acl_arn
}
