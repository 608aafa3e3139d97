output "topic_arn" {
  description = "Topic that alarms go to."
  value       = aws_sns_topic.alarms.arn
}
