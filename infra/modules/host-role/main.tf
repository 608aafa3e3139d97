# What a host may do: pull from one repository, read its own parameters and secrets, and read the ledger and the artifacts, so that
# it can boot into what the ledger wants. It writes nowhere.

locals {
  account = "${var.partition}:%s:${var.region}:${var.account_id}"
  statements = concat(
    [
      {
        Sid      = "RegistryLogin"
        Effect   = "Allow"
        Action   = ["ecr:GetAuthorizationToken"]
        Resource = ["*"]
      },
      {
        Sid      = "PullOneRepository"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = [var.foundation.repository.arn]
      },
      {
        Sid      = "OwnParameters"
        Effect   = "Allow"
        Action   = ["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath"]
        Resource = ["arn:${format(local.account, "ssm")}:parameter${var.parameter_path}", "arn:${format(local.account, "ssm")}:parameter${var.parameter_path}/*"]
      },
      {
        Sid      = "OwnSecrets"
        Effect   = "Allow"
        Action   = ["secretsmanager:GetSecretValue"]
        Resource = ["arn:${format(local.account, "secretsmanager")}:secret:${trimprefix(var.parameter_path, "/")}/*"]
      },
      {
        # Whatever key encrypts them, and nothing else of it.
        Sid      = "DecryptParameters"
        Effect   = "Allow"
        Action   = ["kms:Decrypt"]
        Resource = ["arn:${format(local.account, "kms")}:key/*"]
        Condition = {
          StringEquals = { "kms:ViaService" = "ssm.${var.region}.amazonaws.com" }
          StringLike   = { "kms:EncryptionContext:PARAMETER_ARN" = "arn:${format(local.account, "ssm")}:parameter${var.parameter_path}/*" }
        }
      },
      {
        Sid      = "DecryptSecrets"
        Effect   = "Allow"
        Action   = ["kms:Decrypt"]
        Resource = ["arn:${format(local.account, "kms")}:key/*"]
        Condition = {
          StringEquals = { "kms:ViaService" = "secretsmanager.${var.region}.amazonaws.com" }
          StringLike   = { "kms:EncryptionContext:SecretARN" = "arn:${format(local.account, "secretsmanager")}:secret:${trimprefix(var.parameter_path, "/")}/*" }
        }
      },
      {
        Sid      = "ReadArtifacts"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = ["${var.foundation.artifacts.arn}/*"]
      },
      {
        Sid       = "ReadLedger"
        Effect    = "Allow"
        Action    = ["dynamodb:BatchGetItem", "dynamodb:ConditionCheckItem", "dynamodb:GetItem", "dynamodb:Query"]
        Resource  = [var.foundation.ledger.table_arn]
        Condition = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = var.leading_keys } }
      },
      {
        Sid       = "ReadEncrypted"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = [var.foundation.ledger.kms_key_arn]
        Condition = { StringEquals = { "kms:ViaService" = [for s in ["dynamodb", "s3", "ssm"] : "${s}.${var.region}.amazonaws.com"] } }
      },
    ],
    # Instead of AmazonSSMManagedInstanceCore, which can read every parameter of the account.
    var.ssm ? [{
      Sid    = "SsmAgent"
      Effect = "Allow"
      Action = [
        "ec2messages:AcknowledgeMessage", "ec2messages:DeleteMessage", "ec2messages:FailMessage",
        "ec2messages:GetEndpoint", "ec2messages:GetMessages", "ec2messages:SendReply",
        "ssm:UpdateInstanceInformation", "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel",
      ]
      Resource = ["*"]
    }] : [],
  )
}

resource "aws_iam_role" "host" {
  name                 = "${var.name}-host"
  path                 = "/relman/"
  permissions_boundary = var.foundation.permissions_boundary_arn

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ec2.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "host" {
  #checkov:skip=CKV_AWS_355:the actions on * know no resources (login, the SSM agent's channels)
  #checkov:skip=CKV_AWS_290:the same
  #checkov:skip=CKV_AWS_288:the same
  name = "host"
  role = aws_iam_role.host.id

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = local.statements
  })
}

resource "aws_iam_instance_profile" "host" {
  name = "${var.name}-host"
  path = "/relman/"
  role = aws_iam_role.host.name
}
