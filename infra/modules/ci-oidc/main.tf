# Who CI may be. Each job proves by GitHub's token which repository and which environment it is, and gets the one role
# that belongs to it. There are no long-lived keys.

locals {
  issuer       = "token.actions.githubusercontent.com"
  provider_arn = var.create_provider ? aws_iam_openid_connect_provider.github[0].arn : "arn:${var.partition}:iam::${var.account_id}:oidc-provider/${local.issuer}"

  # Since 2026-07-15 a new, renamed or moved repository says its ids as well; an older one does not. Both are this one.
  repositories = [
    "repo:${var.github.organization}/${var.github.repository}",
    "repo:${var.github.organization}@${var.github.organization_id}/${var.github.repository}@${var.github.repository_id}",
  ]

  contexts = merge(
    { build = var.contexts.build, plan = var.contexts.plan, apply = var.contexts.apply },
    { for name, e in var.environments : "deploy-${name}" => e.contexts },
  )

  trust = {
    for role, contexts in local.contexts : role => jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Effect    = "Allow"
        Principal = { Federated = local.provider_arn }
        Action    = "sts:AssumeRoleWithWebIdentity"
        Condition = {
          StringEquals = {
            "${local.issuer}:aud" = "sts.amazonaws.com"
            "${local.issuer}:sub" = flatten([for c in contexts : [for r in local.repositories : "${r}:${c}"]])
          }
        }
      }]
    })
  }

  policies = merge(
    { build = local.build, plan = local.plan, apply = local.apply },
    { for name, statements in local.deploy : "deploy-${name}" => statements },
  )
}

resource "aws_iam_openid_connect_provider" "github" {
  count = var.create_provider ? 1 : 0

  url            = "https://${local.issuer}"
  client_id_list = ["sts.amazonaws.com"]
  # AWS checks GitHub's certificate by its own authorities and reads this no more, but some of its APIs want one.
  thumbprint_list = ["6938fd4d98bab03faadb97b34396831e3780aea1"]
}

resource "aws_iam_role" "ci" {
  for_each = local.trust

  name                 = "${var.name}-${each.key}"
  path                 = "/relman-ci/"
  description          = "GitHub Actions of ${var.github.organization}/${var.github.repository}: ${each.key}"
  assume_role_policy   = each.value
  max_session_duration = 3600
  permissions_boundary = each.key == "apply" ? aws_iam_policy.apply_boundary.arn : null
}

resource "aws_iam_role_policy" "ci" {
  #checkov:skip=CKV_AWS_355:actions on * know no resources, or create what has no name yet; the boundary caps apply
  #checkov:skip=CKV_AWS_290:the same
  #checkov:skip=CKV_AWS_289:apply makes the hosts' roles, below one path and only under the boundary
  #checkov:skip=CKV_AWS_288:plan reads the infrastructure; the ledger, the artifacts and the parameters it does not
  #checkov:skip=CKV_AWS_287:ecr:GetAuthorizationToken gives a login for what the role may do anyway
  #checkov:skip=CKV_AWS_286:the same as CKV_AWS_289
  for_each = local.policies

  name = each.key
  role = aws_iam_role.ci[each.key].id

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = each.value
  })
}
