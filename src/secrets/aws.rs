//! SSM Parameter Store and AWS Secrets Manager. Account, region and role are those of the standard chain; whom it takes
//! us for is asked only to say so in an error.

use std::sync::Arc;

use aws_sdk_ssm::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::{Found, Refusal, Store, StoreFault};
use crate::aws::survey::Survey;
use crate::aws::{Chain, Fault, FaultKind, QUICK};
use crate::domain::run::{SecretRef, Stored};
use crate::host::wire::Secret;

const PARAMETER: &str = "ssm:GetParameter";
const SECRET: &str = "secretsmanager:GetSecretValue";

/// Both stores, reached with the first reference.
#[derive(Debug)]
pub struct AwsStore {
    chain: Arc<Chain>,
}

/// A refusal before anybody is told where and as whom.
type Refused = (Refusal, Option<Fault>);

impl AwsStore {
    /// By this chain.
    pub fn new(chain: Arc<Chain>) -> Self {
        Self { chain }
    }

    async fn parameter(&self, stored: &Stored) -> Result<Found, Refused> {
        let config = self.chain.config(QUICK).await.map_err(|fault| (Refusal::Setting, Some(fault)))?;
        let name = match &stored.version {
            Some(version) => format!("{}:{version}", stored.name),
            None => stored.name.clone(),
        };
        let asked = aws_sdk_ssm::Client::new(&config).get_parameter().name(name).with_decryption(true);
        let said = asked.send().await.map_err(|error| refused(PARAMETER, error))?;
        let found = said.parameter.and_then(|found| Some((found.value?, found.version)));
        let (value, version) = found.ok_or((Refusal::Unavailable, None))?;
        Ok(Found { value: Secret::new(value), version: version.to_string() })
    }

    async fn secret(&self, stored: &Stored) -> Result<Found, Refused> {
        let config = self.chain.config(QUICK).await.map_err(|fault| (Refusal::Setting, Some(fault)))?;
        let asked = aws_sdk_secretsmanager::Client::new(&config).get_secret_value().secret_id(&stored.name);
        let asked = match stored.version_is_id() {
            true => asked.set_version_id(stored.version.clone()),
            false => asked.set_version_stage(stored.version.clone()),
        };
        let said = asked.send().await.map_err(|error| refused(SECRET, error))?;
        let version = said.version_id.ok_or((Refusal::Unavailable, None))?;
        let value = match (said.secret_string, said.secret_binary) {
            (Some(text), _) => text,
            (None, Some(bytes)) => {
                String::from_utf8(bytes.into_inner()).map_err(|_| (Refusal::NotText, None))?
            }
            (None, None) => return Err((Refusal::Unavailable, None)),
        };
        Ok(Found { value: Secret::new(value), version })
    }

    async fn told(&self, reference: &SecretRef, (refusal, fault): Refused) -> StoreFault {
        let survey = Survey::new(self.chain.clone());
        let region = survey.region().await.unwrap_or_default();
        // Who cannot be reached, or does not know us, does not say who we are either.
        let caller = match refusal {
            Refusal::Setting | Refusal::Unavailable => None,
            _ => survey.caller().await.ok().map(|caller| caller.arn),
        };
        let hints = match &fault {
            Some(fault) if matches!(refusal, Refusal::Setting | Refusal::Unavailable) => fault.hints(),
            _ => hints(reference, refusal, &region),
        };
        // What was asked for and not found has been said already.
        let detail = match refusal {
            Refusal::Missing | Refusal::NoSuchVersion | Refusal::Deleted | Refusal::Throttled => None,
            _ => fault.map(|fault| fault.to_string()),
        };
        StoreFault { refusal, region, caller, detail, hints }
    }
}

#[async_trait::async_trait]
impl Store for AwsStore {
    async fn get(&self, reference: &SecretRef) -> Result<Found, StoreFault> {
        let found = match reference {
            SecretRef::Parameter(stored) => self.parameter(stored).await,
            SecretRef::Managed(stored) => self.secret(stored).await,
            SecretRef::Env(_) | SecretRef::File(_) => Err((Refusal::NoStore, None)),
        };
        match found {
            Ok(found) => Ok(found),
            Err(refused) => Err(self.told(reference, refused).await),
        }
    }
}

/// From the SDK's error. Its own text is not kept: an answer that does not read may have the value in it.
fn refused<E>(action: &'static str, error: SdkError<E, HttpResponse>) -> Refused
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let code = error.code().unwrap_or_default().to_owned();
    let said = error.message().unwrap_or_default().to_lowercase();
    let fault = Fault::of(action, error);
    let refusal = match code.as_str() {
        "ParameterNotFound" => Refusal::Missing,
        "ParameterVersionNotFound" | "ParameterVersionLabelLimitExceeded" => Refusal::NoSuchVersion,
        // One code for a secret that is not there and for a version that is not.
        "ResourceNotFoundException"
            if said.contains("versionid")
                || said.contains("version id")
                || said.contains("staging label") =>
        {
            Refusal::NoSuchVersion
        }
        "ResourceNotFoundException" => Refusal::Missing,
        "InvalidRequestException" if said.contains("delet") => Refusal::Deleted,
        "InvalidKeyId" | "DecryptionFailure" => Refusal::Key,
        // Both stores hand on what KMS says under the code of a permission of their own.
        "AccessDeniedException" if said.contains("kms") || said.contains("ciphertext") => Refusal::Key,
        _ => match fault.kind {
            FaultKind::Denied => Refusal::Denied,
            FaultKind::Key => Refusal::Key,
            FaultKind::Throttled => Refusal::Throttled,
            FaultKind::NoRegion | FaultKind::Setting | FaultKind::NoProfile | FaultKind::NoCredentials => {
                Refusal::Setting
            }
            _ => Refusal::Unavailable,
        },
    };
    (refusal, Some(fault))
}

/// What to run or to change next. No line has a place for a value: one in an argument list is seen by everybody.
fn hints(reference: &SecretRef, refusal: Refusal, region: &str) -> Vec<String> {
    let Some(stored) = reference.stored() else { return Vec::new() };
    let name = &stored.name;
    let is_parameter = matches!(reference, SecretRef::Parameter(_));
    let (action, service) = if is_parameter { (PARAMETER, "ssm") } else { (SECRET, "secretsmanager") };
    let which = "aws sts get-caller-identity: which account and role this is".to_owned();
    match refusal {
        Refusal::Missing if is_parameter => vec![
            format!(
                "aws ssm put-parameter --region {region} --type SecureString --name {name} --value file://FILE: make it; or correct [run.secrets] in relman.toml"
            ),
            which,
        ],
        Refusal::Missing => vec![
            format!(
                "aws secretsmanager create-secret --region {region} --name {name} --secret-string file://FILE: make it; or correct [run.secrets] in relman.toml"
            ),
            which,
        ],
        Refusal::NoSuchVersion if is_parameter => vec![
            format!(
                "aws ssm get-parameter-history --region {region} --name {name} --query 'Parameters[].[Version,Labels]': which there are"
            ),
            "a reference without a version takes the current one; a rollback does with --secrets now"
                .to_owned(),
        ],
        Refusal::NoSuchVersion => vec![
            format!(
                "aws secretsmanager list-secret-version-ids --region {region} --secret-id {name} --include-deprecated: which there are"
            ),
            "a reference without a version takes the current one; a rollback does with --secrets now"
                .to_owned(),
        ],
        Refusal::Deleted => {
            vec![format!("aws secretsmanager restore-secret --region {region} --secret-id {name}")]
        }
        Refusal::Denied => vec![
            format!(
                "give {action} on {name} to this role; infra/README.md says which names its roles may read"
            ),
            which,
        ],
        Refusal::Key => vec![
            format!(
                "give kms:Decrypt on its key, by way of {service}.{region}.amazonaws.com, to this role; aws kms describe-key: whether the key is enabled"
            ),
            which,
        ],
        Refusal::Throttled => vec!["run the same again in a minute".to_owned()],
        Refusal::NotText => {
            vec!["relman brings texts: keep it as base64, and let the service decode it".to_owned()]
        }
        Refusal::Setting | Refusal::Unavailable | Refusal::NoStore => vec!["relman doctor".to_owned()],
    }
}

#[cfg(test)]
mod tests;
