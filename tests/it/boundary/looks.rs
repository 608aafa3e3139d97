//! What `relman doctor` finds in an account: buckets that are not as they should be, and what only `--aws` sees.

use super::Case;
use super::accounts::{DOCTOR, cloud, error, one, refusal};
use super::server::Reply;

const ACCOUNT: &[&str] = &["doctor", "--aws", "-o", "json"];

pub(super) fn buckets() -> Vec<Case> {
    let at = &[("x-amz-bucket-region", "eu-central-1")];
    vec![
        cloud(
            "a bucket that is not there",
            DOCTOR,
            1,
            &[
                "s3://acme-artifacts/web",
                "does not exist in this account and region",
                "aws s3api head-bucket",
            ],
            one("PUT", refusal(404, "NoSuchBucket")),
        ),
        cloud(
            "a bucket in another region",
            DOCTOR,
            1,
            &["acme-artifacts", "another region", "AWS_REGION"],
            one("PUT", refusal(301, "PermanentRedirect")),
        ),
        cloud(
            "a bucket whose region is told",
            DOCTOR,
            1,
            &["bucket acme-artifacts", "it is in eu-central-1", "AWS_REGION=eu-central-1"],
            one("HEAD", Reply::Head(301, at)),
        ),
        cloud(
            "no permission to put artifacts",
            DOCTOR,
            1,
            &["s3://acme-artifacts/web", "s3:PutObject is not allowed", "give s3:PutObject"],
            one("PUT", refusal(403, "AccessDenied")),
        ),
        cloud(
            "no permission to read artifacts",
            DOCTOR,
            1,
            &["s3://acme-artifacts/web", "s3:GetObject is not allowed"],
            one("GET", refusal(403, "AccessDenied")),
        ),
        cloud(
            "a clock that S3 does not take",
            DOCTOR,
            1,
            &["acme-artifacts", "clock is too far off", "timedatectl"],
            one("PUT", refusal(403, "RequestTimeTooSkewed")),
        ),
        cloud(
            "expired credentials at S3",
            DOCTOR,
            1,
            &["acme-artifacts", "credentials have expired", "aws sso login"],
            one("PUT", refusal(400, "ExpiredToken")),
        ),
        cloud(
            "a bucket whose key is disabled",
            DOCTOR,
            1,
            &["acme-artifacts", "key that it is encrypted with cannot be used", "aws kms describe-key"],
            one("PUT", refusal(400, "KMS.DisabledException")),
        ),
        cloud(
            "keys of another account at S3",
            DOCTOR,
            1,
            &["acme-artifacts", "does not accept the credentials"],
            one("PUT", refusal(403, "InvalidAccessKeyId")),
        ),
        cloud(
            "a bucket without versions",
            DOCTOR,
            1,
            &[
                "bucket acme-artifacts versions",
                "keeps no versions",
                "put-bucket-versioning --bucket acme-artifacts",
            ],
            one(
                "GET versioning",
                Reply::Xml(200, "<VersioningConfiguration></VersioningConfiguration>".into()),
            ),
        ),
        cloud(
            "an artifact that was changed",
            DOCTOR,
            1,
            &["s3://acme-artifacts/web", "other content"],
            one("GET x-id=GetObject", Reply::Xml(200, "not what was put".into())),
        ),
    ]
}

pub(super) fn account() -> Vec<Case> {
    let table = |text: &str| Reply::Json(200, format!("{{\"Table\":{{\"TableStatus\":\"ACTIVE\",{text}}}}}"));
    let keys = r#""KeySchema":[{"AttributeName":"pk","KeyType":"HASH"},{"AttributeName":"sk","KeyType":"RANGE"}],"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"},{"AttributeName":"sk","AttributeType":"S"}]"#;
    let number = r#""AttributeName":"sk","AttributeType":"N""#;
    vec![
        cloud(
            "whoever asks is named, and no key",
            ACCOUNT,
            1,
            &["assumed-role/deploy/me", "account 123456789012", "us-east-1"],
            Vec::new(),
        ),
        cloud(
            "an emulator is called one",
            ACCOUNT,
            1,
            &["AWS_ENDPOINT_URL", "no proof of what AWS does"],
            Vec::new(),
        ),
        cloud(
            "a table with other keys",
            ACCOUNT,
            1,
            &["table relman-ledger", "its keys are id HASH", "[ledger] url"],
            one("DescribeTable", table(r#""KeySchema":[{"AttributeName":"id","KeyType":"HASH"}]"#)),
        ),
        cloud(
            "a table with a key of another type",
            ACCOUNT,
            1,
            &["table relman-ledger", "the type of its key sk is N", "[ledger] url"],
            one("DescribeTable", table(&keys.replace(r#""AttributeName":"sk","AttributeType":"S""#, number))),
        ),
        cloud(
            "a table that may be used and not described",
            ACCOUNT,
            1,
            &["not_checked", "the permission dynamodb:DescribeTable is missing", "allowed: dynamodb:GetItem"],
            one("DescribeTable", error("AccessDeniedException", "denied")),
        ),
        cloud(
            "a global table",
            ACCOUNT,
            1,
            &["relman-ledger replicas", "eu-west-1", "remove the replicas"],
            one("DescribeTable", table(&format!(r#"{keys},"Replicas":[{{"RegionName":"eu-west-1"}}]"#))),
        ),
        cloud(
            "a table without backups",
            ACCOUNT,
            1,
            &["relman-ledger backups", "recovery is off", "update-continuous-backups"],
            one(
                "DescribeContinuousBackups",
                Reply::Json(
                    200,
                    r#"{"ContinuousBackupsDescription":{"ContinuousBackupsStatus":"ENABLED"}}"#.into(),
                ),
            ),
        ),
        cloud(
            "items that expire",
            ACCOUNT,
            1,
            &["relman-ledger expiry", "items expire by at", "update-time-to-live"],
            one(
                "DescribeTimeToLive",
                Reply::Json(
                    200,
                    r#"{"TimeToLiveDescription":{"TimeToLiveStatus":"ENABLED","AttributeName":"at"}}"#.into(),
                ),
            ),
        ),
        cloud(
            "the doctor finds the one permission that lacks",
            ACCOUNT,
            1,
            &[
                "table relman-ledger permissions",
                "dynamodb:UpdateItem is not allowed",
                "allowed: dynamodb:GetItem, dynamodb:Query, dynamodb:PutItem",
            ],
            vec![
                ("UpdateItem", error("AccessDeniedException", "denied")),
                ("PutItem", error("ConditionalCheckFailedException", "The conditional request failed")),
                ("TransactWriteItems", error("TransactionCanceledException", "cancelled")),
            ],
        ),
        cloud(
            "a bucket that is open to the world",
            ACCOUNT,
            1,
            &["bucket acme-artifacts access", "does not block public access", "put-public-access-block"],
            one("GET publicAccessBlock", refusal(404, "NoSuchPublicAccessBlockConfiguration")),
        ),
        cloud(
            "a bucket that locks nothing",
            ACCOUNT,
            1,
            &["bucket acme-artifacts lock", "no Object Lock by default"],
            one("GET object-lock", refusal(404, "ObjectLockConfigurationNotFoundError")),
        ),
        cloud(
            "what may not be looked at is not called wrong",
            ACCOUNT,
            1,
            &["not_checked", "the permission s3:GetEncryptionConfiguration is missing"],
            one("GET encryption", refusal(403, "AccessDenied")),
        ),
        cloud(
            "a clock that the account's differs from",
            ACCOUNT,
            1,
            &["clock of aws", "ahead of AWS's", "timedatectl"],
            one("DescribeTable", Reply::Head(400, &[("date", "Thu, 01 Jan 2015 00:00:00 GMT")])),
        ),
    ]
}
