# The ledger's table and the bucket of its artifacts and anchors. The table's layout is not said here: the file that
# relman and its tests read says it.

locals {
  table      = jsondecode(file(var.table_file))
  attributes = { for a in local.table.AttributeDefinitions : a.AttributeName => a.AttributeType }
  keys       = { for k in local.table.KeySchema : k.KeyType => k.AttributeName }
  indexes    = try(local.table.GlobalSecondaryIndexes, [])
  root_arn   = "arn:${var.partition}:iam::${var.account_id}:root"
}

resource "aws_kms_key" "ledger" {
  description             = "${var.name}: ledger, artifacts, images"
  deletion_window_in_days = 30
  enable_key_rotation     = true

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "AccountDecidesByIam"
      Effect    = "Allow"
      Principal = { AWS = local.root_arn }
      Action    = "kms:*"
      Resource  = "*"
    }]
  })
}

resource "aws_kms_alias" "ledger" {
  name          = "alias/${var.name}-ledger"
  target_key_id = aws_kms_key.ledger.key_id
}

# Nothing in it expires.
resource "aws_dynamodb_table" "ledger" {
  #checkov:skip=CKV2_AWS_16:on demand, nothing to scale
  name                        = coalesce(var.table_name, local.table.TableName)
  billing_mode                = local.table.BillingMode
  hash_key                    = local.keys["HASH"]
  range_key                   = try(local.keys["RANGE"], null)
  deletion_protection_enabled = var.deletion_protection

  dynamic "attribute" {
    for_each = local.attributes

    content {
      name = attribute.key
      type = attribute.value
    }
  }

  dynamic "global_secondary_index" {
    for_each = { for i in local.indexes : i.IndexName => i }

    content {
      name               = global_secondary_index.key
      hash_key           = one([for k in global_secondary_index.value.KeySchema : k.AttributeName if k.KeyType == "HASH"])
      range_key          = one([for k in global_secondary_index.value.KeySchema : k.AttributeName if k.KeyType == "RANGE"])
      projection_type    = global_secondary_index.value.Projection.ProjectionType
      non_key_attributes = try(global_secondary_index.value.Projection.NonKeyAttributes, null)
    }
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = aws_kms_key.ledger.arn
  }
}

# Who the ledger is. Made here and not by the first writer, so that nobody who writes entries needs a right to write it:
# with another id, each chain would begin elsewhere.
resource "aws_dynamodb_table_item" "ledger" {
  table_name = aws_dynamodb_table.ledger.name
  hash_key   = aws_dynamodb_table.ledger.hash_key
  range_key  = aws_dynamodb_table.ledger.range_key

  item = jsonencode({
    (local.keys["HASH"])  = { S = "META" }
    (local.keys["RANGE"]) = { S = "SCHEMA" }
    ledger_id             = { S = terraform_data.ledger_id.output }
    schema_version        = { N = "1" }
    min_client            = { S = "0.1.0" }
  })

  lifecycle {
    ignore_changes = [item]
  }
}

# Kept apart: an item that was lost comes back with the id that it had.
resource "terraform_data" "ledger_id" {
  input = coalesce(var.ledger_id, replace(uuid(), "-", ""))

  lifecycle {
    # It is drawn once.
    ignore_changes = [input]
  }
}

resource "aws_s3_bucket" "artifacts" {
  #checkov:skip=CKV_AWS_18:reads are in CloudTrail's data events, which belong to the account and not to this module
  #checkov:skip=CKV_AWS_144:an anchor proves by its lock; who wants a copy elsewhere sets up replication to another account
  #checkov:skip=CKV2_AWS_62:nothing reacts to a new artifact
  bucket              = "${var.name}-artifacts-${var.account_id}"
  object_lock_enabled = true
  force_destroy       = var.force_destroy
}

resource "aws_s3_bucket_versioning" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id

  versioning_configuration {
    status = "Enabled"
  }
}

# Of artifacts and anchors alike: relman sets no retention of its own, so an anchor proves for as long as this says, and
# in GOVERNANCE mode against everybody whom the policy below does not let loosen it.
resource "aws_s3_bucket_object_lock_configuration" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id

  rule {
    default_retention {
      mode = var.retention.mode
      days = var.retention.days
    }
  }

  depends_on = [aws_s3_bucket_versioning.artifacts]
}

resource "aws_s3_bucket_server_side_encryption_configuration" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.ledger.arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "artifacts" {
  bucket                  = aws_s3_bucket.artifacts.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id

  # Nothing else expires: artifacts have the age of the ledger, and of an anchor that was written over, the oldest
  # version is the one that counts.
  rule {
    id     = "leftovers"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  depends_on = [aws_s3_bucket_versioning.artifacts]
}

resource "aws_s3_bucket_policy" "artifacts" {
  count = var.bucket_policy ? 1 : 0

  bucket = aws_s3_bucket.artifacts.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [aws_s3_bucket.artifacts.arn, "${aws_s3_bucket.artifacts.arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }],
      # Emptying a throwaway bucket needs it.
      var.force_destroy ? [] : [{
        Sid       = "NobodyLoosensRetention"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:BypassGovernanceRetention"
        Resource  = ["${aws_s3_bucket.artifacts.arn}/*"]
        Condition = { ArnNotEquals = { "aws:PrincipalArn" = local.root_arn } }
      }],
    )
  })

  depends_on = [aws_s3_bucket_public_access_block.artifacts]
}
