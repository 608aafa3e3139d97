# One topic, and alarms that are data: the root says what is watched besides the ledger.

locals {
  # Of every root that has a ledger: a table that refuses keeps deployments waiting.
  of_ledger = var.ledger_table == null ? {} : {
    for kind in ["Read", "Write"] : "ledger-${lower(kind)}s-throttled" => {
      description = "DynamoDB throttles ${lower(kind)}s of the ledger: deployments wait"
      namespace   = "AWS/DynamoDB"
      metric      = "${kind}ThrottleEvents"
      statistic   = "Sum"
      dimensions  = { TableName = var.ledger_table }
      threshold   = 1
      comparison  = "GreaterThanOrEqualToThreshold"
      period      = 60
      periods     = 3
      missing     = "notBreaching"
    }
  }
  alarms = merge(local.of_ledger, var.alarms)
}

resource "aws_kms_key" "alarms" {
  description             = "${var.name}: notifications of alarms"
  deletion_window_in_days = 7
  enable_key_rotation     = true

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "AccountDecidesByIam"
        Effect    = "Allow"
        Principal = { AWS = "arn:${var.partition}:iam::${var.account_id}:root" }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        # The AWS-managed key of SNS cannot be used by CloudWatch.
        Sid       = "CloudWatchPublishes"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey*"]
        Resource  = "*"
        Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
      },
    ]
  })
}

resource "aws_sns_topic" "alarms" {
  name              = "${var.name}-alarms"
  kms_master_key_id = aws_kms_key.alarms.arn
}

resource "aws_sns_topic_policy" "alarms" {
  arn = aws_sns_topic.alarms.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "CloudWatchPublishes"
      Effect    = "Allow"
      Principal = { Service = "cloudwatch.amazonaws.com" }
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.alarms.arn
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    }]
  })
}

resource "aws_sns_topic_subscription" "email" {
  for_each = var.emails

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.value
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  period              = each.value.period
  evaluation_periods  = each.value.periods
  threshold           = each.value.threshold
  comparison_operator = each.value.comparison
  treat_missing_data  = each.value.missing
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

# One page for an outage instead of one for each symptom; moto has no such call.
resource "aws_cloudwatch_composite_alarm" "any" {
  count = var.composite ? 1 : 0

  alarm_name        = "${var.name}-any"
  alarm_description = "Any alarm of ${var.name}"
  alarm_rule        = join(" OR ", [for a in aws_cloudwatch_metric_alarm.this : "ALARM(\"${a.alarm_name}\")"])
  alarm_actions     = [aws_sns_topic.alarms.arn]
}
