//! The one error that leaves a command: what kind, what happened, what to run next. `cli/exit.rs` gives each kind
//! its exit code, `cli/error.rs` prints it.

mod convert;
mod git;
mod image;
pub(super) mod infra;

use std::error::Error as StdError;

use serde::Serialize;

/// What kind of end it is. Each has one exit code of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// Failed before any step touched a host.
    Failed,
    /// Usage or configuration is wrong.
    Usage,
    /// Failed after a host step had begun; every host reports the return point serving and healthy.
    Returned,
    /// Not safe: a human is needed.
    Unsafe,
    /// Somebody else holds the lease.
    Held,
    /// Refused by policy.
    Refused,
    /// The target is not known, or not deployable any more.
    NotFound,
    /// Differences were found, and `--exit-code` asked.
    Differences,
    /// Still in progress; the work can be resumed.
    InProgress,
    /// The ledger does not verify.
    Unverified,
    /// A bug in relman.
    Bug,
    /// Interrupted; the deployment can be resumed.
    Interrupted,
}

/// An error with its kind and the next commands to run.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CommandError {
    /// What kind.
    pub kind: ErrorKind,
    /// One line: the thing and the place.
    pub message: String,
    /// What caused it.
    #[source]
    pub source: Option<Box<dyn StdError + Send + Sync>>,
    /// What to run or to change next, each a sentence or a command.
    pub hints: Vec<String>,
    /// More lines that belong on the same screen: the evidence of an unhealthy container.
    pub details: Vec<String>,
}

/// An error with its causes on one line.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some errors say what their cause says.
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

impl CommandError {
    /// An error without a cause.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None, hints: Vec::new(), details: Vec::new() }
    }

    /// With what caused it.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// With what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// With more lines for the same screen.
    #[must_use]
    pub fn detail(mut self, line: impl Into<String>) -> Self {
        self.details.push(line.into());
        self
    }
}
