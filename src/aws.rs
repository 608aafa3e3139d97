//! How AWS is reached: the standard chain and nothing of our own. Region, credentials and endpoint come from the
//! variables, profiles, SSO, web identities and instance roles that every AWS tool reads; `docs/aws.md` lists them.
//! relman's configuration names a table and a bucket, never a credential.

mod bucket;
pub mod fault;
mod http;
pub mod survey;
#[cfg(test)]
pub(crate) mod testing;

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use tokio::sync::OnceCell;

pub use self::bucket::{Bucket, Put, Versions};
pub use self::fault::{Fault, FaultKind};

/// How long a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// One attempt, with its whole answer.
    pub attempt: Duration,
    /// All attempts of the SDK together.
    pub operation: Duration,
}

/// For small requests with somebody waiting for them.
pub const QUICK: Limits = Limits { attempt: Duration::from_secs(2), operation: Duration::from_secs(5) };
/// For bodies of some megabytes.
pub const LARGE: Limits = Limits { attempt: Duration::from_secs(30), operation: Duration::from_secs(90) };

/// Where the SDK reads an endpoint from.
pub const ENDPOINTS: [&str; 7] = [
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_AUTO_SCALING",
    "AWS_ENDPOINT_URL_DYNAMODB",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_SECRETS_MANAGER",
    "AWS_ENDPOINT_URL_SSM",
    "AWS_ENDPOINT_URL_STS",
];

/// The chain, looked through when it is first needed.
#[derive(Debug, Default)]
pub struct Chain {
    loaded: OnceCell<SdkConfig>,
    /// A variable of [`ENDPOINTS`] that is set and empty: the SDK panics over it.
    empty: Option<&'static str>,
    /// A profile that is asked for and is in no file: the SDK goes on without it.
    no_profile: Option<String>,
    /// Tests put something between the SDK and the emulator.
    #[cfg(test)]
    endpoint: Option<String>,
    /// They sign with what nobody has, in a region of their own.
    #[cfg(test)]
    signed: bool,
    /// And do not wait as long as people do.
    #[cfg(test)]
    limits: Option<Limits>,
}

impl Chain {
    /// The chain of a process in whose environment this one of [`ENDPOINTS`], if any, is set and empty, and which asks
    /// for a profile that is not there: which, and the files that lack it.
    pub fn new(empty: Option<&'static str>, no_profile: Option<String>) -> Self {
        Self { empty, no_profile, ..Self::default() }
    }

    /// The chain with another endpoint.
    #[cfg(test)]
    pub(crate) fn to(endpoint: String) -> Self {
        Self { endpoint: Some(endpoint), ..Self::default() }
    }

    /// The chain in a process that has just begun.
    #[cfg(test)]
    pub(crate) fn fresh(endpoint: String) -> Self {
        crate::tls::forget();
        Self::to(endpoint)
    }

    /// The chain with credentials that are nobody's, whatever is around.
    #[cfg(test)]
    pub(crate) fn signed(self) -> Self {
        Self { signed: true, ..self }
    }

    /// The chain with other limits.
    #[cfg(test)]
    pub(crate) fn within(self, limits: Limits) -> Self {
        Self { limits: Some(limits), ..self }
    }

    /// What the chain says, for clients of these limits.
    ///
    /// # Errors
    /// When it names no region. Credentials are looked for with the first request.
    pub async fn config(&self, limits: Limits) -> Result<SdkConfig, Fault> {
        if let Some(name) = self.empty {
            return Err(Fault::setting(format!("{name} is set and empty: unset it")));
        }
        if let Some(which) = &self.no_profile {
            return Err(Fault::no_profile(which.clone()));
        }
        let loaded = self.loaded.get_or_init(|| self.load()).await;
        if loaded.region().is_none_or(|region| region.as_ref().is_empty()) {
            return Err(Fault::no_region());
        }
        #[cfg(test)]
        let limits = self.limits.unwrap_or(limits);
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(limits.attempt)
            .operation_attempt_timeout(limits.attempt)
            .operation_timeout(limits.operation)
            .build();
        Ok(loaded.to_builder().timeout_config(timeouts).build())
    }

    async fn load(&self) -> SdkConfig {
        let loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http::Http::default())
            .retry_config(RetryConfig::standard().with_max_attempts(3));
        #[cfg(test)]
        let loader = match &self.endpoint {
            Some(endpoint) => loader.endpoint_url(endpoint),
            None => loader,
        };
        #[cfg(test)]
        let loader = match self.signed {
            true => loader.region("us-east-1").credentials_provider(aws_credential_types::Credentials::new(
                "test", "test", None, None, "test",
            )),
            false => loader,
        };
        loader.load().await
    }
}
