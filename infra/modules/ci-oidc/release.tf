# build and deploy: what relman itself needs.

locals {
  # Names of relman have no braces, so a template cannot be mistaken for one.
  keys = {
    for e in keys(var.environments) : e => [
      for k in concat(var.ledger_keys.shared, var.ledger_keys.release, var.ledger_keys.environment) :
      replace(replace(k, "{service}", var.service), "{environment}", e)
    ]
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
      Action   = ["s3:GetObject", "s3:GetObjectRetention", "s3:GetObjectVersion", "s3:PutObject", "s3:PutObjectRetention"]
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
      Action    = concat(local.ledger_read, local.ledger_write)
      Resource  = [var.ledger_table_arn]
      Condition = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = local.build_keys } }
    },
    local.ledger_facts,
  ], local.artifacts)

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
        Action    = concat(local.ledger_read, local.ledger_write)
        Resource  = [var.ledger_table_arn]
        Condition = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = local.keys[name] } }
      },
      local.ledger_facts,
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
        Sid      = "Answers"
        Effect   = "Allow"
        Action   = ["ssm:DescribeInstanceInformation", "ssm:GetCommandInvocation", "ssm:ListCommandInvocations"]
        Resource = ["*"]
      },
      {
        Sid      = "OutputsOfTheFleet"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = ["${var.state.bucket_arn}/${name}.tfstate"]
      },
      {
        Sid       = "EncryptedState"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = [var.state.kms_key_arn]
        Condition = { StringEquals = { "kms:ViaService" = "s3.${var.region}.amazonaws.com" } }
      },
    ], local.artifacts)
  }
}
