# plan and apply: what Terraform needs for the roots below live/. The foundation is applied by a person.

locals {
  in_region = { StringEquals = { "aws:RequestedRegion" = var.region } }

  # By their whole names, as the roots make them: relman-web-* would also be the roles of a service named web-admin.
  workload_names = flatten([for e in keys(var.environments) : [for part in ["host", "flow"] : "relman/relman-${var.service}-${e}-${part}"]])
  pass_roles     = [for n in local.workload_names : "arn:${var.partition}:iam::${var.account_id}:role/${n}"]
  workload_roles = concat(local.pass_roles, [for n in local.workload_names : "arn:${var.partition}:iam::${var.account_id}:instance-profile/${n}"])

  read = {
    Sid    = "ReadInfrastructure"
    Effect = "Allow"
    Action = [
      "autoscaling:Describe*", "cloudwatch:DescribeAlarms", "cloudwatch:ListTagsForResource", "ec2:Describe*",
      "ec2:GetManagedPrefixListEntries", "elasticloadbalancing:Describe*", "iam:GetInstanceProfile", "iam:GetRole",
      "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListInstanceProfilesForRole", "iam:ListRolePolicies",
      "iam:ListRoleTags", "kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListResourceTags",
      "logs:DescribeLogGroups", "logs:ListTagsForResource", "sns:GetSubscriptionAttributes", "sns:GetTopicAttributes",
      "sns:ListTagsForResource", "ssm:DescribeDocument", "ssm:DescribeDocumentPermission", "ssm:GetDocument",
      "ssm:ListTagsForResource", "wafv2:GetWebACLForResource",
    ]
    Resource = ["*"]
  }

  # The public parameters that name the distributions' images.
  read_images = {
    Sid      = "PublicImages"
    Effect   = "Allow"
    Action   = ["ssm:GetParameter"]
    Resource = ["arn:${var.partition}:ssm:${var.region}::parameter/aws/service/*"]
  }

  state_read = [
    {
      Sid      = "ReadState"
      Effect   = "Allow"
      Action   = ["s3:GetObject"]
      Resource = [for e in keys(var.environments) : "${var.state.bucket_arn}/${e}.tfstate"]
    },
    {
      Sid      = "FindState"
      Effect   = "Allow"
      Action   = ["s3:ListBucket"]
      Resource = [var.state.bucket_arn]
    },
    {
      Sid       = "EncryptedState"
      Effect    = "Allow"
      Action    = ["kms:Decrypt"]
      Resource  = [var.state.kms_key_arn]
      Condition = { StringEquals = { "kms:ViaService" = ["s3.${var.region}.amazonaws.com", "dynamodb.${var.region}.amazonaws.com"] } }
    },
  ]

  # It takes no lock (`plan -lock=false`): a lock is a write, and a stuck plan would keep others from applying. A saved
  # plan that was overtaken is refused by apply.
  plan = concat([local.read, local.read_images], local.state_read)

  apply = concat([local.read, local.read_images], local.state_read, [
    {
      Sid      = "WriteStateAndItsLock"
      Effect   = "Allow"
      Action   = ["s3:PutObject"]
      Resource = flatten([for e in keys(var.environments) : ["${var.state.bucket_arn}/${e}.tfstate", "${var.state.bucket_arn}/${e}.tfstate.tflock"]])
    },
    {
      Sid      = "LockFile"
      Effect   = "Allow"
      Action   = ["s3:DeleteObject", "s3:GetObject"]
      Resource = [for e in keys(var.environments) : "${var.state.bucket_arn}/${e}.tfstate.tflock"]
    },
    {
      Sid       = "EncryptState"
      Effect    = "Allow"
      Action    = ["kms:GenerateDataKey"]
      Resource  = [var.state.kms_key_arn]
      Condition = { StringEquals = { "kms:ViaService" = ["s3.${var.region}.amazonaws.com", "dynamodb.${var.region}.amazonaws.com"] } }
    },
    {
      Sid       = "Infrastructure"
      Effect    = "Allow"
      Action    = ["autoscaling:*", "cloudwatch:*", "ec2:*", "elasticloadbalancing:*", "logs:*", "sns:*"]
      Resource  = ["*"]
      Condition = local.in_region
    },
    {
      Sid      = "AlarmKey"
      Effect   = "Allow"
      Action   = ["kms:CreateKey", "kms:TagResource"]
      Resource = ["*"]
      Condition = {
        StringEquals = { "aws:RequestedRegion" = var.region, "aws:RequestTag/relman:service" = var.service }
      }
    },
    {
      Sid       = "WebAcl"
      Effect    = "Allow"
      Action    = ["wafv2:AssociateWebACL", "wafv2:DisassociateWebACL", "wafv2:GetWebACL"]
      Resource  = ["*"]
      Condition = local.in_region
    },
    {
      Sid    = "OwnKeys"
      Effect = "Allow"
      Action = [
        "kms:EnableKeyRotation", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource",
        "kms:UpdateKeyDescription",
      ]
      Resource  = ["arn:${var.partition}:kms:${var.region}:${var.account_id}:key/*"]
      Condition = { StringEquals = { "aws:ResourceTag/relman:service" = var.service } }
    },
    {
      Sid      = "Documents"
      Effect   = "Allow"
      Action   = ["ssm:AddTagsToResource", "ssm:CreateDocument", "ssm:DeleteDocument", "ssm:RemoveTagsFromResource", "ssm:UpdateDocument", "ssm:UpdateDocumentDefaultVersion"]
      Resource = ["arn:${var.partition}:ssm:${var.region}:${var.account_id}:document/relman-${var.service}-*"]
    },
    {
      Sid       = "RolesUnderTheBoundary"
      Effect    = "Allow"
      Action    = ["iam:CreateRole", "iam:PutRolePolicy", "iam:DeleteRolePolicy"]
      Resource  = local.workload_roles
      Condition = { StringEquals = { "iam:PermissionsBoundary" = aws_iam_policy.workload_boundary.arn } }
    },
    {
      Sid    = "RolesAndProfiles"
      Effect = "Allow"
      Action = [
        "iam:AddRoleToInstanceProfile", "iam:CreateInstanceProfile", "iam:DeleteInstanceProfile", "iam:DeleteRole",
        "iam:RemoveRoleFromInstanceProfile", "iam:TagInstanceProfile", "iam:TagRole", "iam:UntagInstanceProfile",
        "iam:UntagRole", "iam:UpdateAssumeRolePolicy",
      ]
      Resource = local.workload_roles
    },
    {
      Sid       = "GiveRoles"
      Effect    = "Allow"
      Action    = ["iam:PassRole"]
      Resource  = local.pass_roles
      Condition = { StringEquals = { "iam:PassedToService" = ["ec2.amazonaws.com", "vpc-flow-logs.amazonaws.com"] } }
    },
    {
      Sid       = "ServiceLinkedRoles"
      Effect    = "Allow"
      Action    = ["iam:CreateServiceLinkedRole"]
      Resource  = ["arn:${var.partition}:iam::${var.account_id}:role/aws-service-role/*"]
      Condition = { StringEquals = { "iam:AWSServiceName" = ["autoscaling.amazonaws.com", "elasticloadbalancing.amazonaws.com"] } }
    },
    ], var.state.lock_table_arn == null ? [] : [{
      Sid      = "LockTable"
      Effect   = "Allow"
      Action   = ["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem"]
      Resource = [coalesce(var.state.lock_table_arn, "-")]
      # Also the item with the state's checksum, LockID = PATH-md5.
      Condition = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = flatten([for e in keys(var.environments) : ["${var.state.bucket}/${e}.tfstate", "${var.state.bucket}/${e}.tfstate-md5"]]) } }
  }])
}

# The most that a role which apply makes can ever do: what a host's role and the flow logs' role do, and no more.
resource "aws_iam_policy" "workload_boundary" {
  #checkov:skip=CKV_AWS_355:a boundary grants nothing; it caps what others grant
  #checkov:skip=CKV_AWS_290:the same
  #checkov:skip=CKV_AWS_288:the same
  #checkov:skip=CKV_AWS_287:the same
  name        = "${var.name}-workload-boundary"
  path        = "/relman-ci/"
  description = "Caps the roles that infrastructure of ${var.service} makes"

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid    = "AtMost"
      Effect = "Allow"
      Action = [
        "dynamodb:BatchGetItem", "dynamodb:ConditionCheckItem", "dynamodb:GetItem", "dynamodb:Query",
        "ec2messages:*", "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetAuthorizationToken",
        "ecr:GetDownloadUrlForLayer", "kms:Decrypt", "logs:CreateLogStream", "logs:DescribeLogStreams",
        "logs:PutLogEvents", "s3:GetObject", "secretsmanager:GetSecretValue", "ssm:GetParameter", "ssm:GetParameters",
        "ssm:GetParametersByPath", "ssm:UpdateInstanceInformation", "ssmmessages:*",
      ]
      Resource = ["*"]
    }]
  })
}

# The most that apply can do, whatever its policy becomes: not its own power, not the ledger, not who CI is.
resource "aws_iam_policy" "apply_boundary" {
  #checkov:skip=CKV_AWS_355:a boundary grants nothing; it caps what others grant
  #checkov:skip=CKV_AWS_290:the same
  #checkov:skip=CKV_AWS_289:the same
  #checkov:skip=CKV_AWS_288:the same
  #checkov:skip=CKV_AWS_287:the same
  #checkov:skip=CKV_AWS_286:the same
  #checkov:skip=CKV2_AWS_40:the same
  name        = "${var.name}-apply-boundary"
  path        = "/relman-ci/"
  description = "Caps the role that applies the infrastructure of ${var.service}"

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "AtMost"
        Effect = "Allow"
        Action = [
          "autoscaling:*", "cloudwatch:*", "dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "ec2:*",
          "elasticloadbalancing:*", "iam:*InstanceProfile*", "iam:*Role*", "kms:*", "logs:*", "s3:DeleteObject", "s3:GetObject", "s3:ListBucket",
          "s3:PutObject", "sns:*", "ssm:*", "wafv2:AssociateWebACL", "wafv2:DisassociateWebACL", "wafv2:GetWebACL*",
        ]
        Resource = ["*"]
      },
      {
        Sid    = "NotTheLedger"
        Effect = "Deny"
        Action = ["dynamodb:*", "s3:*", "kms:*"]
        Resource = [
          var.ledger_table_arn, "${var.ledger_table_arn}/*", var.artifacts_bucket_arn, "${var.artifacts_bucket_arn}/*",
          var.ledger_kms_key_arn,
        ]
      },
      {
        # It has the tags of the service too, and whoever changes its policy reads every state.
        Sid    = "KeyOfTheStateStays"
        Effect = "Deny"
        Action = [
          "kms:Create*", "kms:Delete*", "kms:Disable*", "kms:Enable*", "kms:Put*", "kms:Revoke*", "kms:Schedule*", "kms:TagResource",
          "kms:UntagResource", "kms:Update*",
        ]
        Resource = [var.state.kms_key_arn]
      },
      {
        Sid    = "NotItsOwnPower"
        Effect = "Deny"
        Action = ["iam:*"]
        Resource = [
          "arn:${var.partition}:iam::${var.account_id}:role/relman-ci/*",
          "arn:${var.partition}:iam::${var.account_id}:policy/*",
          "arn:${var.partition}:iam::${var.account_id}:user/*",
          "arn:${var.partition}:iam::${var.account_id}:group/*",
          "arn:${var.partition}:iam::${var.account_id}:oidc-provider/*",
        ]
      },
      {
        Sid      = "BoundariesStay"
        Effect   = "Deny"
        Action   = ["iam:DeleteRolePermissionsBoundary", "iam:PutRolePermissionsBoundary"]
        Resource = ["*"]
      },
      {
        Sid       = "NoRoleWithoutIt"
        Effect    = "Deny"
        Action    = ["iam:AttachRolePolicy", "iam:CreateRole", "iam:PutRolePolicy"]
        Resource  = ["*"]
        Condition = { StringNotEquals = { "iam:PermissionsBoundary" = "arn:${var.partition}:iam::${var.account_id}:policy/relman-ci/${var.name}-workload-boundary" } }
      },
      {
        Sid      = "NoCommandsOnHosts"
        Effect   = "Deny"
        Action   = ["ssm:SendCommand", "ssm:StartSession", "ssm:GetParameter*"]
        Resource = ["arn:${var.partition}:ec2:*:*:instance/*", "arn:${var.partition}:ssm:*:${var.account_id}:parameter/*"]
      },
    ]
  })
}
