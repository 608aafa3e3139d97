//! How a bucket is set up. Each part by itself: who may not see one still sees the others.

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::types::{BucketLocationConstraint, ObjectLockConfiguration};

use super::Survey;
use crate::aws::QUICK;
use crate::aws::fault::Fault;

/// How a bucket is set up.
#[derive(Debug)]
pub struct BucketFacts {
    /// Whether it keeps versions.
    pub versions: Result<bool, Fault>,
    /// The kind of key it is encrypted with; none: it says nothing of it.
    pub encryption: Result<Option<String>, Fault>,
    /// Whether nothing in it can be made public.
    pub closed: Result<bool, Fault>,
    /// How it locks what is put: mode and days; none: not by itself.
    pub lock: Result<Option<String>, Fault>,
}

impl Survey {
    /// The region of a bucket.
    ///
    /// # Errors
    /// When it is not there, or may not be looked at.
    pub async fn place(&self, bucket: &str) -> Result<String, Fault> {
        let client = aws_sdk_s3::Client::new(&self.chain.config(QUICK).await?);
        let told = |found: Option<&str>| found.map(str::to_owned);
        let asked = client.head_bucket().bucket(bucket).customize().interceptor(self.seen.clone());
        match asked.send().await {
            Ok(found) if found.bucket_region().is_some() => {
                Ok(told(found.bucket_region()).unwrap_or_default())
            }
            // An emulator, or an older S3, says it in another call.
            Ok(_) => {
                let said = client.get_bucket_location().bucket(bucket).send().await;
                let said = said.map_err(|error| Fault::of("s3:GetBucketLocation", error))?;
                let place = said.location_constraint().map(BucketLocationConstraint::as_str);
                Ok(told(place.filter(|place| !place.is_empty())).unwrap_or_else(|| "us-east-1".to_owned()))
            }
            Err(error) => {
                let headers = error.raw_response().map(|raw| raw.headers());
                // Also of a bucket that is elsewhere, or another's.
                let elsewhere = told(headers.and_then(|headers| headers.get("x-amz-bucket-region")));
                let is_elsewhere =
                    error.raw_response().is_some_and(|raw| matches!(raw.status().as_u16(), 301 | 400));
                match elsewhere {
                    Some(region) if is_elsewhere => Ok(region),
                    _ => Err(Fault::of("s3:ListBucket", error)),
                }
            }
        }
    }

    /// How a bucket is set up.
    ///
    /// # Errors
    /// When nobody can be asked at all.
    pub async fn bucket(&self, bucket: &str) -> Result<BucketFacts, Fault> {
        let client = aws_sdk_s3::Client::new(&self.chain.config(QUICK).await?);
        let (versions, encryption, closed, lock) = futures_util::join!(
            client.get_bucket_versioning().bucket(bucket).send(),
            client.get_bucket_encryption().bucket(bucket).send(),
            client.get_public_access_block().bucket(bucket).send(),
            client.get_object_lock_configuration().bucket(bucket).send(),
        );
        let versions = versions.map_err(|error| Fault::of("s3:GetBucketVersioning", error));
        let encryption = match encryption {
            Err(error) if error.code() == Some("ServerSideEncryptionConfigurationNotFoundError") => Ok(None),
            other => other.map(Some).map_err(|error| Fault::of("s3:GetEncryptionConfiguration", error)),
        };
        let closed = match closed {
            Err(error) if error.code() == Some("NoSuchPublicAccessBlockConfiguration") => Ok(None),
            other => other.map(Some).map_err(|error| Fault::of("s3:GetBucketPublicAccessBlock", error)),
        };
        let lock = match lock {
            Err(error) if error.code() == Some("ObjectLockConfigurationNotFoundError") => Ok(None),
            other => other.map(Some).map_err(|error| Fault::of("s3:GetBucketObjectLockConfiguration", error)),
        };
        Ok(BucketFacts {
            versions: versions.map(|said| said.status().is_some_and(|status| status.as_str() == "Enabled")),
            encryption: encryption.map(|said| {
                let rules = said.and_then(|said| said.server_side_encryption_configuration);
                let rule = rules.and_then(|all| all.rules.into_iter().next())?;
                Some(rule.apply_server_side_encryption_by_default()?.sse_algorithm().as_str().to_owned())
            }),
            closed: closed.map(|said| {
                said.and_then(|said| said.public_access_block_configuration).is_some_and(|block| {
                    [
                        block.block_public_acls(),
                        block.block_public_policy(),
                        block.ignore_public_acls(),
                        block.restrict_public_buckets(),
                    ]
                    .iter()
                    .all(|set| *set == Some(true))
                })
            }),
            lock: lock.map(|said| locking(said.and_then(|said| said.object_lock_configuration))),
        })
    }
}

/// How a bucket locks what is put, in words; none when it does not by itself.
pub(in crate::aws) fn locking(lock: Option<ObjectLockConfiguration>) -> Option<String> {
    let rule = lock?.rule?.default_retention?;
    let mode = rule.mode.as_ref().map_or("unknown mode", |mode| mode.as_str());
    Some(match (rule.days, rule.years) {
        (Some(days), _) => format!("{mode}, {days} days"),
        (None, Some(years)) => format!("{mode}, {years} years"),
        (None, None) => mode.to_owned(),
    })
}
