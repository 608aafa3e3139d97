# The repository of the service's images. relman pushes and deploys by digest; tags are names that it can write again.

resource "aws_ecr_repository" "service" {
  #checkov:skip=CKV_AWS_51:`latest` moves by design and provider 5 cannot exempt it; a moved tag deploys nothing, because hosts pull by digest
  name                 = var.name
  image_tag_mutability = "MUTABLE"
  force_delete         = var.force_destroy

  image_scanning_configuration {
    scan_on_push = true
  }

  encryption_configuration {
    encryption_type = "KMS"
    kms_key         = var.kms_key_arn
  }
}

# Releases keep their tags, so only builds that never became one are untagged. `relman prune` decides about releases.
resource "aws_ecr_lifecycle_policy" "service" {
  repository = aws_ecr_repository.service.name

  policy = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "builds that never became a release"
      selection = {
        tagStatus   = "untagged"
        countType   = "sinceImagePushed"
        countUnit   = "days"
        countNumber = var.untagged_days
      }
      action = { type = "expire" }
    }]
  })
}
