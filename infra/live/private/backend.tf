# Bucket, region and key are said at init: see infra/README.md. The lock file is the first lock; a lock table, where
# there is one, is in backend.hcl.
terraform {
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}
