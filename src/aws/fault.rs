//! What a call to AWS can end with, in words, and what to do about it. The SDK's own error is the source and never
//! part of the text.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

/// A cause from below.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Kinds of fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// The chain names no region.
    NoRegion,
    /// The region or the endpoint that the chain names is none.
    Setting,
    /// The profile that is asked for is in no file.
    NoProfile,
    /// The chain has no credentials.
    NoCredentials,
    /// The credentials were good once.
    Expired,
    /// AWS does not know the credentials, or the signature is wrong.
    Unknown,
    /// The credentials lack a permission.
    Denied,
    /// The table or bucket is not there.
    Missing,
    /// It is there, in another region.
    OtherRegion,
    /// This machine's clock is too far off for a signature.
    Clock,
    /// Too many requests; trying again helps.
    Throttled,
    /// Another transaction was at the same items; trying again helps.
    Conflict,
    /// No answer in time, or the connection broke. What was asked for may have happened.
    NoAnswer,
    /// AWS failed. What was asked for may have happened.
    Server,
    /// What answered is not AWS: a proxy, a login page. What was asked for may have happened.
    NotAws,
    /// It is encrypted with a key that cannot be used.
    Key,
    /// The request was refused as it is: a bug, or an emulator.
    Refused,
}

/// A fault with the call that met it.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.text())]
pub struct Fault {
    /// What kind.
    pub kind: FaultKind,
    /// The action as IAM calls it: `dynamodb:GetItem`.
    pub action: &'static str,
    not_implemented: bool,
    /// What was named: the permission that lacks, the region where it is, what is wrong with a setting.
    named: Option<String>,
    #[source]
    source: Option<Cause>,
}

impl Fault {
    pub(super) fn no_region() -> Self {
        Self { kind: FaultKind::NoRegion, action: "", not_implemented: false, named: None, source: None }
    }

    pub(super) fn no_profile(which: String) -> Self {
        let named = Some(which);
        Self { kind: FaultKind::NoProfile, action: "", not_implemented: false, named, source: None }
    }

    pub(super) fn setting(what: String) -> Self {
        Self { kind: FaultKind::Setting, action: "", not_implemented: false, named: Some(what), source: None }
    }

    pub(crate) fn new(kind: FaultKind, action: &'static str, source: Cause) -> Self {
        Self { kind, action, not_implemented: false, named: None, source: Some(source) }
    }

    /// From the SDK's error of a call.
    pub fn of<E>(action: &'static str, error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let said = error.message().unwrap_or_default();
        let raw = error.raw_response();
        let kind = match &error {
            // Also with a status that would mean something else from AWS.
            _ if raw.is_some_and(is_a_page) => FaultKind::NotAws,
            // Success, in a body that is none.
            SdkError::ServiceError(inner) if inner.raw().status().is_success() => FaultKind::NotAws,
            SdkError::ServiceError(inner) => {
                service(error.code().unwrap_or_default(), inner.raw().status().as_u16())
            }
            SdkError::TimeoutError(_) => FaultKind::NoAnswer,
            SdkError::ResponseError(response) if response.raw().status().is_server_error() => {
                FaultKind::Server
            }
            SdkError::ResponseError(_) => FaultKind::NotAws,
            other => match of_chain(other) {
                FaultKind::NoAnswer if matches!(other, SdkError::ConstructionFailure(_)) => {
                    FaultKind::Setting
                }
                kind => kind,
            },
        };
        let kind = match kind {
            // DynamoDB has one code for a wrong signature and for a wrong clock.
            FaultKind::Unknown if is_skewed(said) => FaultKind::Clock,
            FaultKind::Denied if said.contains("disabled") && said.contains("kms") => FaultKind::Key,
            kind => kind,
        };
        let named = match kind {
            FaultKind::Denied => permission(said),
            FaultKind::OtherRegion => {
                raw.and_then(|raw| raw.headers().get("x-amz-bucket-region")).map(str::to_owned)
            }
            FaultKind::Setting => Some(innermost(&error)),
            _ => None,
        };
        let not_implemented =
            matches!(error.code(), Some("NotImplemented" | "UnknownOperationException" | "InvalidAction"))
                || raw.is_some_and(|raw| raw.status().as_u16() == 501);
        // Between the outermost and the innermost the SDK prints the whole request.
        let source: Option<Cause> = if kind == FaultKind::Setting { None } else { Some(error.into()) };
        Self { kind, action, not_implemented, named, source }
    }

    /// The permission that lacks, as AWS names it, or else that of the call.
    pub fn permission(&self) -> &str {
        self.named.as_deref().filter(|_| self.kind == FaultKind::Denied).unwrap_or(self.action)
    }

    /// Whether the same call may succeed soon.
    pub fn is_transient(&self) -> bool {
        use FaultKind::{Conflict, NoAnswer, NotAws, Server, Throttled};
        matches!(self.kind, Throttled | Conflict | NoAnswer | NotAws | Server)
    }

    /// Whether configuration must change first, rather than the world.
    pub fn is_configuration(&self) -> bool {
        use FaultKind::{Missing, NoCredentials, NoProfile, NoRegion, OtherRegion, Setting};
        matches!(self.kind, NoRegion | NoProfile | Setting | NoCredentials | Missing | OtherRegion)
    }

    /// Whether whoever answered does not know the call at all: an emulator.
    pub fn is_not_implemented(&self) -> bool {
        self.not_implemented
    }

    fn text(&self) -> String {
        let action = self.action;
        let named = self.named.as_deref();
        match self.kind {
            FaultKind::NoRegion => "no AWS region is set".to_owned(),
            FaultKind::NoProfile => format!("AWS_PROFILE is {}", named.unwrap_or("none")),
            FaultKind::Setting => {
                let action = if action.is_empty() { String::new() } else { format!("{action}: ") };
                format!(
                    "{action}the region or the endpoint cannot be used: {}",
                    named.unwrap_or("it is none")
                )
            }
            FaultKind::NoCredentials => format!("{action}: there are no AWS credentials"),
            FaultKind::Expired => format!("{action}: the AWS credentials have expired"),
            FaultKind::Unknown => format!("{action}: AWS does not accept the credentials"),
            FaultKind::Denied => {
                format!("{} is not allowed with these credentials", named.unwrap_or(action))
            }
            FaultKind::Missing => format!("{action}: it does not exist in this account and region"),
            FaultKind::OtherRegion => {
                format!(
                    "{action}: it is in another region{}",
                    named.map_or(String::new(), |at| format!(", {at}"))
                )
            }
            FaultKind::Clock => format!("{action}: this machine's clock is too far off for AWS"),
            FaultKind::Throttled => format!("{action}: AWS takes no more requests for now"),
            FaultKind::Conflict => format!("{action}: another transaction was at the same items"),
            FaultKind::NoAnswer => format!("{action}: no answer"),
            FaultKind::Server => format!("{action}: AWS failed"),
            FaultKind::NotAws => format!("{action}: what answered is not AWS"),
            FaultKind::Key => format!("{action}: the key that it is encrypted with cannot be used"),
            FaultKind::Refused => format!("{action} was refused"),
        }
    }

    /// What to run or to change next.
    pub fn hints(&self) -> Vec<String> {
        let texts: &[&str] = match self.kind {
            FaultKind::NoRegion => &["set AWS_REGION, or `region` of the profile that AWS_PROFILE names"],
            FaultKind::Setting => &[
                "correct AWS_REGION, or AWS_ENDPOINT_URL (http://… or https://…); or region and endpoint_url of the profile",
            ],
            FaultKind::NoProfile => &[
                "aws configure list-profiles: which there are; correct AWS_PROFILE, or aws configure sso to make it",
            ],
            FaultKind::NoCredentials => &[
                "aws configure list: what the chain finds; `aws sso login`, or AWS_PROFILE for a profile that has some",
                "in GitHub Actions: permissions `id-token: write`, and aws-actions/configure-aws-credentials before relman",
            ],
            FaultKind::Expired => {
                &["aws sso login, or whatever gave you the credentials; then run the same again"]
            }
            FaultKind::Unknown => &["aws sts get-caller-identity: who AWS takes you for"],
            FaultKind::Denied => {
                let on = match self.action.split(':').next() {
                    Some("dynamodb") => "on this table",
                    Some("s3") => "on this bucket",
                    Some("ssm") if self.action.contains("Command") => {
                        "on relman's document and on the instances, by their tags"
                    }
                    Some("autoscaling") => "on all resources",
                    _ => "on what is named above",
                };
                return vec![
                    format!("give {} to the role {on}; infra/bootstrap has the policies", self.permission()),
                    "aws sts get-caller-identity: which role this is".to_owned(),
                ];
            }
            FaultKind::Missing if self.action.starts_with("s3:") => &[
                "terraform -chdir=infra/bootstrap apply makes the bucket; [artifacts] in relman.toml names it",
                "aws s3api list-buckets: which are there; aws s3api head-bucket tells the region of one",
            ],
            FaultKind::Missing => &[
                "terraform -chdir=infra/bootstrap apply makes the table; without Terraform: aws dynamodb create-table --cli-input-json file://ledger-schema/dynamodb/table.json",
                "aws dynamodb list-tables: whether AWS_REGION and the account are the right ones",
            ],
            FaultKind::OtherRegion => match &self.named {
                Some(region) => return vec![format!("set AWS_REGION={region}, if the table is there too")],
                None => &["set AWS_REGION to the region of the bucket"],
            },
            FaultKind::Clock => &["set this machine's clock (timedatectl set-ntp true)"],
            FaultKind::Throttled | FaultKind::Conflict => &["run the same again in a minute"],
            FaultKind::NoAnswer | FaultKind::Server => {
                &["relman doctor: whether AWS can be reached from here; then run the same again"]
            }
            FaultKind::NotAws => &[
                "a proxy or a login page answers instead: look at HTTPS_PROXY, NO_PROXY and AWS_ENDPOINT_URL; then run the same again",
            ],
            FaultKind::Key => &[
                "aws kms describe-key: whether the key is enabled; the role needs kms:Decrypt and kms:GenerateDataKey on it",
            ],
            FaultKind::Refused => {
                &["relman doctor --aws: whether account, table and buckets are as they should be"]
            }
        };
        texts.iter().map(|text| (*text).to_owned()).collect()
    }
}

/// From the error code of an answer. The codes of DynamoDB, S3 and STS in one list: none means two things.
pub(crate) fn service(code: &str, status: u16) -> FaultKind {
    match code {
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => FaultKind::Expired,
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "InvalidToken" => FaultKind::Unknown,
        // DynamoDB's answer to a wrong signature and to a wrong clock alike.
        "InvalidSignatureException" => FaultKind::Unknown,
        "RequestTimeTooSkewed" => FaultKind::Clock,
        "KMSDisabledException"
        | "KMSInvalidStateException"
        | "KMSKeyNotAccessibleFault"
        | "InaccessibleEncryptionCredentialsException" => FaultKind::Key,
        code if code.starts_with("KMS.") => FaultKind::Key,
        "AccessDenied" | "AccessDeniedException" | "AllAccessDisabled" | "KMSAccessDeniedException" => {
            FaultKind::Denied
        }
        "ResourceNotFoundException" | "NoSuchBucket" | "NotFound" | "TableNotFoundException" => {
            FaultKind::Missing
        }
        "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" => {
            FaultKind::OtherRegion
        }
        "ThrottlingException"
        | "Throttling"
        | "ProvisionedThroughputExceededException"
        | "RequestLimitExceeded"
        | "SlowDown"
        | "TooManyRequestsException" => FaultKind::Throttled,
        "TransactionConflictException" | "TransactionInProgressException" => FaultKind::Conflict,
        "InternalServerError" | "InternalError" | "ServiceUnavailable" | "ServiceUnavailableException" => {
            FaultKind::Server
        }
        _ if status >= 500 => FaultKind::Server,
        _ if status == 429 => FaultKind::Throttled,
        _ if status == 403 => FaultKind::Denied,
        _ if status == 301 => FaultKind::OtherRegion,
        // To a login page, most likely. AWS sends nobody elsewhere without saying why.
        _ if (300..400).contains(&status) && code.is_empty() => FaultKind::NotAws,
        _ => FaultKind::Refused,
    }
}

/// What people read in a browser, and AWS never answers with.
fn is_a_page(raw: &HttpResponse) -> bool {
    let start = raw.body().bytes().unwrap_or_default().trim_ascii_start();
    ["<!doctype html", "<html"]
        .iter()
        .any(|page| start.get(..page.len()).is_some_and(|start| start.eq_ignore_ascii_case(page.as_bytes())))
}

/// `Signature expired: … is now earlier than …`, `Signature not yet current: …`.
fn is_skewed(said: &str) -> bool {
    ["Signature expired", "Signature not yet current"].iter().any(|start| said.contains(start))
}

/// The action in `User: … is not authorized to perform: ACTION on resource: …`: not always the one that was called.
fn permission(said: &str) -> Option<String> {
    let (_, rest) = said.split_once("not authorized to perform: ")?;
    let action = rest.split_whitespace().next()?;
    let is_action = action.len() <= 80
        && action.contains(':')
        && action.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ':' | '-'));
    is_action.then(|| action.to_owned())
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text = error.to_string();
        next = error.source();
    }
    text
}

/// Why a request was not sent, or its answer not heard. The providers of credentials say it in words only.
fn of_chain(error: &(dyn std::error::Error + 'static)) -> FaultKind {
    let mut next = Some(error);
    let mut found = FaultKind::NoAnswer;
    while let Some(error) = next {
        if let Some(fault) = error.downcast_ref::<Fault>() {
            return fault.kind.clone();
        }
        let text = error.to_string().to_lowercase();
        if text.contains("expired") {
            return FaultKind::Expired;
        }
        if text.starts_with("failed to apply endpoint") {
            return FaultKind::Setting;
        }
        // The outermost says that there are none, the innermost why.
        if error.is::<aws_credential_types::provider::error::CredentialsError>()
            || text.contains("credential")
        {
            found = FaultKind::NoCredentials;
        }
        next = error.source();
    }
    found
}
