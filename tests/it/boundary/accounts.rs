//! What an account answers: DynamoDB, S3, STS, and what stands between.

use super::Case;
use super::server::{Plan, Reply, meta};
use super::{looks, secrets};

pub(super) const CLOUD: &str = "[ledger]\nurl = \"dynamodb:relman-ledger\"\n[artifacts]\nurl = \"s3://acme-artifacts/web\"\n\
                     [environments.production]\nvia = \"local\"\n";
const HISTORY: &[&str] = &["history"];
const HOLD: &[&str] = &["hold", "--reason", "fair"];
pub(super) const DOCTOR: &[&str] = &["doctor", "-o", "json"];

pub(super) fn error(code: &str, message: &str) -> Reply {
    Reply::Json(
        400,
        format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"{message}"}}"#),
    )
}

pub(super) fn refusal(status: u16, code: &str) -> Reply {
    Reply::Xml(status, format!("<Error><Code>{code}</Code><Message>refused</Message></Error>"))
}

pub(super) fn one(call: &'static str, reply: Reply) -> Plan {
    vec![(call, reply)]
}

pub(super) fn cloud(
    name: &'static str,
    arguments: &'static [&'static str],
    code: i32,
    says: &[&'static str],
    plan: Plan,
) -> Case {
    Case::new(name, arguments, code, says).config(CLOUD).aws(plan)
}

pub(super) fn cases() -> Vec<Case> {
    [credentials(), tables(), secrets::cases(), looks::buckets(), looks::account()]
        .into_iter()
        .flatten()
        .collect()
}

fn credentials() -> Vec<Case> {
    let denied = "User: arn:aws:sts::123456789012:assumed-role/deploy/me is not authorized to perform: dynamodb:ConditionCheckItem on resource: arn:aws:dynamodb:us-east-1:123456789012:table/relman-ledger";
    let skewed = "Signature expired: 20261126T100000Z is now earlier than 20261126T101500Z";
    let early = "Signature not yet current: 20261126T103000Z is still later than 20261126T102000Z";
    vec![
        cloud(
            "expired credentials",
            HISTORY,
            1,
            &["dynamodb:relman-ledger", "credentials have expired", "aws sso login"],
            one(
                "GetItem",
                error("ExpiredTokenException", "The security token included in the request is expired"),
            ),
        ),
        cloud(
            "credentials of nobody",
            HISTORY,
            1,
            &["relman-ledger", "does not accept the credentials", "aws sts get-caller-identity"],
            one(
                "GetItem",
                error(
                    "UnrecognizedClientException",
                    "The security token included in the request is invalid.",
                ),
            ),
        ),
        cloud(
            "a wrong secret key",
            HISTORY,
            1,
            &["relman-ledger", "does not accept the credentials"],
            one(
                "GetItem",
                error("InvalidSignatureException", "The request signature we calculated does not match"),
            ),
        ),
        cloud(
            "a clock that is behind",
            HISTORY,
            1,
            &["relman-ledger", "clock is too far off", "timedatectl"],
            one("GetItem", error("InvalidSignatureException", skewed)),
        ),
        cloud(
            "a clock that is ahead",
            HISTORY,
            1,
            &["relman-ledger", "clock is too far off", "timedatectl"],
            one("GetItem", error("InvalidSignatureException", early)),
        ),
        cloud(
            "no permission to read the ledger",
            HISTORY,
            1,
            &["relman-ledger", "dynamodb:GetItem is not allowed", "infra/bootstrap"],
            one("GetItem", error("AccessDeniedException", "denied")),
        ),
        cloud(
            "no permission to list",
            HISTORY,
            1,
            &["relman-ledger", "dynamodb:Query is not allowed"],
            one("Query", error("AccessDeniedException", "denied")),
        ),
        cloud(
            "no permission to write the ledger",
            HOLD,
            1,
            &["relman-ledger", "dynamodb:PutItem is not allowed", "give dynamodb:PutItem"],
            one("TransactWriteItems", error("AccessDeniedException", "denied")),
        ),
        cloud(
            "one permission of a transaction missing",
            HOLD,
            1,
            &[
                "relman-ledger",
                "dynamodb:ConditionCheckItem is not allowed",
                "give dynamodb:ConditionCheckItem",
            ],
            one("TransactWriteItems", error("AccessDeniedException", denied)),
        ),
        cloud(
            "no credentials at all",
            HISTORY,
            2,
            &["relman-ledger", "no AWS credentials", "aws configure list", "id-token: write"],
            Vec::new(),
        )
        .with("AWS_ACCESS_KEY_ID", "")
        .with("AWS_SECRET_ACCESS_KEY", "")
        .with("AWS_SESSION_TOKEN", ""),
        cloud("no region", HISTORY, 2, &["relman-ledger", "no AWS region is set", "AWS_REGION"], Vec::new())
            .with("AWS_REGION", ""),
        cloud(
            "a region that is none",
            HISTORY,
            2,
            &["relman-ledger", "cannot be used", "AWS_REGION"],
            Vec::new(),
        )
        .with("AWS_REGION", "us east 1"),
        cloud(
            "an endpoint that is set and empty",
            HISTORY,
            2,
            &["relman-ledger", "AWS_ENDPOINT_URL_SSM is set and empty"],
            Vec::new(),
        )
        .with("AWS_ENDPOINT_URL_SSM", "(empty)"),
        cloud(
            "an endpoint that is none",
            HISTORY,
            2,
            &["relman-ledger", "cannot be used", "AWS_ENDPOINT_URL"],
            Vec::new(),
        )
        .with("AWS_ENDPOINT_URL", "localhost"),
        cloud(
            "a profile that is not there",
            HISTORY,
            2,
            &["relman-ledger", "aws configure list"],
            Vec::new(),
        )
        .with("AWS_ACCESS_KEY_ID", "")
        .with("AWS_SECRET_ACCESS_KEY", "")
        .with("AWS_SESSION_TOKEN", "")
        .with("AWS_PROFILE", "nobody"),
        cloud(
            "a file of credentials that was cut",
            HISTORY,
            2,
            &["relman-ledger", "credentials"],
            Vec::new(),
        )
        .with("AWS_ACCESS_KEY_ID", "")
        .with("AWS_SECRET_ACCESS_KEY", "")
        .with("AWS_SESSION_TOKEN", "")
        .with("AWS_SHARED_CREDENTIALS_FILE", "PLACE/cut")
        .file("cut", "[default\naws_secret_access_key = hunter2-secret-key\n"),
    ]
}

fn tables() -> Vec<Case> {
    let other = CLOUD.replace("[ledger]\n", "[ledger]\nid = \"ffffffffffffffffffffffffffffffff\"\n");
    vec![
        cloud(
            "a table that is not there, to read",
            HISTORY,
            2,
            &[
                "dynamodb:relman-ledger",
                "does not exist in this account and region",
                "create-table",
                "AWS_REGION",
            ],
            one("GetItem", error("ResourceNotFoundException", "Requested resource not found")),
        ),
        cloud(
            "a table that is not there, to write",
            HOLD,
            2,
            &["dynamodb:relman-ledger", "does not exist", "terraform -chdir=infra/bootstrap apply"],
            one("GetItem", error("ResourceNotFoundException", "Requested resource not found")),
        ),
        cloud(
            "a newer schema",
            HISTORY,
            2,
            &["dynamodb:relman-ledger", "its schema is 7", "needs relman 9.0.0 or newer", "[ledger]"],
            one("GetItem", Reply::Json(200, meta(7))),
        ),
        cloud(
            "a newer schema, to write",
            HOLD,
            2,
            &["its schema is 7", "9.0.0"],
            one("GetItem", Reply::Json(200, meta(7))),
        ),
        cloud(
            "a table of something else",
            HISTORY,
            2,
            &["relman-ledger", "it is not a relman ledger", "[ledger]"],
            one("GetItem", Reply::Json(200, r#"{"Item":{"pk":{"S":"META"},"sk":{"S":"SCHEMA"}}}"#.into())),
        ),
        cloud(
            "another ledger than the configured one",
            HISTORY,
            2,
            &["it is ledger 0123456789abcdef0123456789abcdef, not ffff", "[ledger]"],
            Vec::new(),
        )
        .config(other),
        cloud(
            "a key of the table that is disabled",
            HISTORY,
            1,
            &["relman-ledger", "key that it is encrypted with cannot be used", "aws kms describe-key"],
            one("GetItem", error("InaccessibleEncryptionCredentialsException", "KMS key is disabled")),
        ),
        cloud(
            "a request that the server does not take",
            HISTORY,
            1,
            &["relman-ledger", "was refused", "relman doctor --aws"],
            one("GetItem", error("ValidationException", "One or more parameter values were invalid")),
        ),
        cloud(
            "a ledger in the cloud without a bucket",
            HISTORY,
            2,
            &["artifacts.url: is missing", "s3://BUCKET"],
            Vec::new(),
        )
        .config("[ledger]\nurl = \"dynamodb:relman-ledger\"\n[environments.production]\nvia = \"local\"\n"),
        cloud("a table with a name that is none", HISTORY, 2, &["ledger.url"], Vec::new())
            .config("[ledger]\nurl = \"dynamodb:no/table\"\n[environments.production]\nvia = \"local\"\n"),
    ]
}

/// What is tried again for as long as a ledger's call may take: twenty seconds.
pub(super) fn transient() -> Vec<Case> {
    let nothing = |address: &'static str| {
        cloud("", HISTORY, 1, &["dynamodb:relman-ledger", "no answer", "relman doctor"], Vec::new())
            .with("AWS_ENDPOINT_URL", address)
    };
    let plain =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap();
    vec![
        Case { name: "AWS cannot be reached", ..nothing("http://127.0.0.1:1") },
        Case { name: "a name that is not known", ..nothing("http://dynamodb.invalid") },
        Case { name: "TLS where none is spoken", ..nothing("") }
            .with("AWS_ENDPOINT_URL", format!("https://{plain}")),
        cloud(
            "too many requests",
            HISTORY,
            1,
            &["relman-ledger", "takes no more requests", "again in a minute"],
            one("GetItem", error("ProvisionedThroughputExceededException", "slow down")),
        ),
        cloud(
            "AWS fails",
            HISTORY,
            1,
            &["relman-ledger", "AWS failed", "run the same again"],
            one("GetItem", Reply::Json(500, r#"{"__type":"InternalServerError"}"#.into())),
        ),
        cloud(
            "a login page instead of AWS",
            HISTORY,
            1,
            &["relman-ledger", "what answered is not AWS", "HTTPS_PROXY"],
            one("GetItem", Reply::Page(200)),
        ),
        cloud(
            "a proxy that refuses",
            HISTORY,
            1,
            &["relman-ledger", "what answered is not AWS", "HTTPS_PROXY"],
            one("GetItem", Reply::Page(403)),
        ),
        cloud("half an answer", HISTORY, 1, &["relman-ledger", "no answer"], one("GetItem", Reply::Half)),
        cloud(
            "a connection that ends",
            HISTORY,
            1,
            &["relman-ledger", "no answer"],
            one("GetItem", Reply::Nothing),
        ),
        cloud(
            "an answer that is none",
            HISTORY,
            1,
            &["relman-ledger", "what answered is not AWS"],
            one("GetItem", Reply::Json(200, "welcome".into())),
        ),
        cloud(
            "S3 takes no more requests",
            DOCTOR,
            1,
            &["s3://acme-artifacts/web", "takes no more requests"],
            one("PUT", refusal(503, "SlowDown")),
        ),
    ]
}
