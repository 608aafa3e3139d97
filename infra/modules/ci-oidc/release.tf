# build and deploy: what relman itself needs.

locals {
  # Names of relman have no braces, so a template cannot be mistaken for one.
  keys = {
    for e in keys(var.environments) : e => [
      for k in concat(var.ledger_keys.shared, var.ledger_keys.release, var.ledger_keys.environment) :
      replace(replace(k, "{service}", var.service), "{environment}", e)
    ]
  }
  # Who the ledger is lies there: made once with the table, and nobody's to write.
  read_only = ["META"]
  # Said twice: ledger_keys may have a wildcard of yours that covers it.
  ledger_id_stays = {
    Sid       = "LedgerIdStays"
    Effect    = "Deny"
    Action    = concat(local.ledger_write, ["dynamodb:BatchWriteItem", "dynamodb:DeleteItem"])
    Resource  = [var.ledger_table_arn]
    Condition = { "ForAnyValue:StringEquals" = { "dynamodb:LeadingKeys" = local.read_only } }
  }
  build_keys = [for k in concat(var.ledger_keys.shared, var.ledger_keys.release) : replace(k, "{service}", var.service)]

  # A transaction is allowed by the actions that it consists of. No DeleteItem, no Scan, no PartiQL: an entry is never
  # taken back, and nobody reads the whole table.
  ledger_read  = ["dynamodb:BatchGetItem", "dynamodb:ConditionCheckItem", "dynamodb:GetItem", "dynamodb:Query"]
  ledger_write = ["dynamodb:PutItem", "dynamodb:UpdateItem"]

  ledger_facts = {
    Sid      = "LedgerFacts"
    Effect   = "Allow"
    Action   = ["dynamodb:DescribeContinuousBackups", "dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive"]
    Resource = [var.ledger_table_arn]
  }

  artifacts = [
    {
      Sid      = "Artifacts"
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:GetObjectRetention", "s3:GetObjectVersion", "s3:PutObject"]
      Resource = ["${var.artifacts_bucket_arn}/*"]
    },
    {
      Sid      = "ArtifactFacts"
      Effect   = "Allow"
      Action   = ["s3:GetBucketObjectLockConfiguration", "s3:GetBucketVersioning", "s3:ListBucket", "s3:ListBucketVersions"]
      Resource = [var.artifacts_bucket_arn]
    },
    {
      Sid       = "Encrypted"
      Effect    = "Allow"
      Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource  = [var.ledger_kms_key_arn]
      Condition = { StringEquals = { "kms:ViaService" = [for s in ["dynamodb", "s3"] : "${s}.${var.region}.amazonaws.com"] } }
    },
  ]

  # An anchor proves what an environment's ledger was; once put it stays for its retention, so nobody puts one for another.
  anchors_of_others = {
    for e in concat(keys(var.environments), [""]) : e => [
      for other in setsubtract(keys(var.environments), [e]) : "${var.artifacts_bucket_arn}/*anchors/${var.service}/${other}/*"
    ]
  }
  anchors_stay = {
    for e, others in local.anchors_of_others : e => [
      for resource in [others] : { Sid = "AnchorsOfOthers", Effect = "Deny", Action = ["s3:PutObject"], Resource = resource }
      if length(resource) > 0
    ]
  }

  registry_login = {
    Sid      = "RegistryLogin"
    Effect   = "Allow"
    Action   = ["ecr:GetAuthorizationToken"]
    Resource = ["*"]
  }
  registry_pull = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer"]
  registry_push = ["ecr:CompleteLayerUpload", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"]

  build = concat([
    local.registry_login,
    {
      Sid      = "PushOneRepository"
      Effect   = "Allow"
      Action   = concat(local.registry_pull, local.registry_push)
      Resource = [var.repository_arn]
    },
    {
      Sid       = "ReleaseStream"
      Effect    = "Allow"
      Action    = local.ledger_write
      Resource  = [var.ledger_table_arn]
      Condition = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = setsubtract(local.build_keys, local.read_only) } }
    },
    {
      Sid       = "ReadReleaseStream"
      Effect    = "Allow"
      Action    = local.ledger_read
      Resource  = [var.ledger_table_arn]
      Condition = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = local.build_keys } }
    },
    local.ledger_facts,
    local.ledger_id_stays,
  ], local.artifacts, local.anchors_stay[""])

  deploy = {
    for name, e in var.environments : name => concat([
      local.registry_login,
      {
        Sid      = "ReadOneRepository"
        Effect   = "Allow"
        Action   = local.registry_pull
        Resource = [var.repository_arn]
      },
      {
        Sid       = "EnvironmentStream"
        Effect    = "Allow"
        Action    = local.ledger_write
        Resource  = [var.ledger_table_arn]
        Condition = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = setsubtract(local.keys[name], local.read_only) } }
      },
      {
        # Its own stream; whether a release is proven where it goes first (environments.NAME.after), what another
        # environment serves (deploy --from), and the chain of every stream (verify).
        Sid       = "EnvironmentsToRead"
        Effect    = "Allow"
        Action    = local.ledger_read
        Resource  = [var.ledger_table_arn]
        Condition = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = distinct(flatten(values(local.keys))) } }
      },
      local.ledger_facts,
      local.ledger_id_stays,
      {
        Sid      = "OneDocument"
        Effect   = "Allow"
        Action   = ["ssm:SendCommand"]
        Resource = ["arn:${var.partition}:ssm:${var.region}:${var.account_id}:document/relman-${var.service}-${name}"]
      },
      {
        Sid      = "OwnHosts"
        Effect   = "Allow"
        Action   = ["ssm:SendCommand"]
        Resource = ["arn:${var.partition}:ec2:${var.region}:${var.account_id}:instance/*"]
        Condition = {
          StringEquals = { "ssm:resourceTag/relman:service" = var.service, "ssm:resourceTag/relman:environment" = name }
        }
      },
      {
        Sid    = "Answers"
        Effect = "Allow"
        # None of them goes by resource. Cancelling is for a command of its own that does not end.
        Action   = ["ssm:CancelCommand", "ssm:DescribeInstanceInformation", "ssm:GetCommandInvocation", "ssm:ListCommandInvocations"]
        Resource = ["*"]
      },
      {
        # Who is in the group now; it does not go by resource.
        Sid      = "MembersOfTheFleet"
        Effect   = "Allow"
        Action   = ["autoscaling:DescribeAutoScalingGroups"]
        Resource = ["*"]
      },
      {
        Sid      = "OutputsOfTheFleet"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = ["${var.state.bucket_arn}/${name}.tfstate"]
      },
      {
        # What [run.secrets] may refer to: by name, in this account and region. No list, no other environment's.
        Sid      = "Parameters"
        Effect   = "Allow"
        Action   = ["ssm:GetParameter"]
        Resource = ["arn:${var.partition}:ssm:${var.region}:${var.account_id}:parameter/relman/${var.service}/${name}/*"]
      },
      {
        Sid      = "Secrets"
        Effect   = "Allow"
        Action   = ["secretsmanager:GetSecretValue"]
        Resource = ["arn:${var.partition}:secretsmanager:${var.region}:${var.account_id}:secret:relman/${var.service}/${name}/*"]
      },
      {
        # Whatever key encrypts them, and nothing else of it.
        Sid      = "DecryptParameters"
        Effect   = "Allow"
        Action   = ["kms:Decrypt"]
        Resource = ["arn:${var.partition}:kms:${var.region}:${var.account_id}:key/*"]
        Condition = {
          StringEquals = { "kms:ViaService" = "ssm.${var.region}.amazonaws.com" }
          StringLike   = { "kms:EncryptionContext:PARAMETER_ARN" = "arn:${var.partition}:ssm:${var.region}:${var.account_id}:parameter/relman/${var.service}/${name}/*" }
        }
      },
      {
        Sid      = "DecryptSecrets"
        Effect   = "Allow"
        Action   = ["kms:Decrypt"]
        Resource = ["arn:${var.partition}:kms:${var.region}:${var.account_id}:key/*"]
        Condition = {
          StringEquals = { "kms:ViaService" = "secretsmanager.${var.region}.amazonaws.com" }
          StringLike   = { "kms:EncryptionContext:SecretARN" = "arn:${var.partition}:secretsmanager:${var.region}:${var.account_id}:secret:relman/${var.service}/${name}/*" }
        }
      },
      {
        Sid       = "EncryptedState"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = [var.state.kms_key_arn]
        Condition = { StringEquals = { "kms:ViaService" = "s3.${var.region}.amazonaws.com" } }
      },
    ], local.artifacts, local.anchors_stay[name])
  }
}
