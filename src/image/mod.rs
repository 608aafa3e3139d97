//! The image port: builds and pushes.

pub mod docker;
pub mod fake;
pub mod ignore;

use std::collections::BTreeMap;
use std::path::PathBuf;

/// A cause from below.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Who hears each line of output. An alias, because `async_trait` would give its `&str` one fixed lifetime.
pub type Output<'a> = dyn Fn(&str) + Send + Sync + 'a;

/// What a build or a push can end with.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// No engine answers.
    #[error("no container engine answers at {place}")]
    Unavailable {
        /// Where it was looked for.
        place: String,
        /// What happened.
        #[source]
        source: Cause,
    },
    /// The build failed.
    #[error("the build failed: {message}")]
    Build {
        /// What the engine said last.
        message: String,
        /// The last lines of its output.
        log: Vec<String>,
    },
    /// The push failed.
    #[error("the push of {reference} failed: {message}")]
    Push {
        /// What was pushed.
        reference: String,
        /// What the engine or the registry said.
        message: String,
    },
}

/// What to build. The context is a tar archive of the commit's tree, never of the work tree.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// The context as a tar archive.
    pub context: Vec<u8>,
    /// The Dockerfile in it.
    pub dockerfile: PathBuf,
    /// Build arguments.
    pub build_args: BTreeMap<String, String>,
    /// Labels (OCI annotation keys).
    pub labels: BTreeMap<String, String>,
    /// The tag to give, `repository:tag`.
    pub reference: String,
}

/// The port.
#[async_trait::async_trait]
pub trait Builder: Send + Sync {
    /// Name and version of the engine, for whoever compares two builds.
    async fn engine(&self) -> Result<String, ImageError>;

    /// Builds and tags; each line of output goes to `output`.
    async fn build(&self, request: BuildRequest, output: &Output<'_>) -> Result<(), ImageError>;

    /// Pushes `repository:tag`.
    async fn push(&self, repository: &str, tag: &str, output: &Output<'_>) -> Result<(), ImageError>;
}
