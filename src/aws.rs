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

/// The chain, looked through when it is first needed.
#[derive(Debug, Default)]
pub struct Chain {
    loaded: OnceCell<SdkConfig>,
    /// Tests put something between the SDK and the emulator.
    #[cfg(test)]
    endpoint: Option<String>,
    /// And do not wait as long as people do.
    #[cfg(test)]
    limits: Option<Limits>,
}

impl Chain {
    /// The chain with another endpoint.
    #[cfg(test)]
    pub(crate) fn to(endpoint: String) -> Self {
        Self { endpoint: Some(endpoint), ..Self::default() }
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
        let loaded = self.loaded.get_or_init(|| self.load()).await;
        if loaded.region().is_none() {
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
        loader.load().await
    }
}
