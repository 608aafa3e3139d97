//! Arguments of the verbs that only read.

use clap::{Args, ValueEnum};

use super::values;
use crate::domain::deployment::Outcome;
use crate::domain::target::Target;
use crate::domain::version::Version;

/// `relman doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Look at the AWS account too: permissions, table, buckets, Terraform's state, Systems Manager; writes nothing there
    #[arg(long)]
    pub aws: bool,
}

/// `relman releases`.
#[derive(Debug, Args)]
pub struct Releases {
    /// Ask the registry now whether each image is still there
    #[arg(long)]
    pub check: bool,
    /// How many
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20, value_parser = values::limit())]
    pub limit: u32,
    /// Go on where a page ended: its `next`
    #[arg(long, value_name = "CURSOR")]
    pub cursor: Option<String>,
}

/// `relman history`.
#[derive(Debug, Args)]
pub struct History {
    /// How many
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20, value_parser = values::limit())]
    pub limit: u32,
    /// Go on where a page ended: its `next`
    #[arg(long, value_name = "CURSOR")]
    pub cursor: Option<String>,
    /// Begun since then: 12h, 30d, 2026-01-31, or an RFC 3339 time
    #[arg(long, value_name = "TIME", value_parser = values::since)]
    pub since: Option<values::Since>,
    /// Only of this version
    #[arg(long, value_name = "VERSION")]
    pub version: Option<Version>,
    /// Only those that ended so: succeeded, failed, rolled_back, rollback_failed, cancelled, superseded
    #[arg(long, value_enum, value_name = "OUTCOME", hide_possible_values = true)]
    pub outcome: Option<Ended>,
    /// All of them, in one go
    #[arg(long, conflicts_with_all = ["limit", "cursor"])]
    pub all: bool,
}

/// An outcome, as `--outcome` takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Ended {
    /// [`Outcome::Succeeded`].
    Succeeded,
    /// [`Outcome::Failed`].
    Failed,
    /// [`Outcome::RolledBack`].
    RolledBack,
    /// [`Outcome::RollbackFailed`].
    RollbackFailed,
    /// [`Outcome::Cancelled`].
    Cancelled,
    /// [`Outcome::Superseded`].
    Superseded,
}

impl From<Ended> for Outcome {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Succeeded => Self::Succeeded,
            Ended::Failed => Self::Failed,
            Ended::RolledBack => Self::RolledBack,
            Ended::RollbackFailed => Self::RollbackFailed,
            Ended::Cancelled => Self::Cancelled,
            Ended::Superseded => Self::Superseded,
        }
    }
}

/// `relman show`.
#[derive(Debug, Args)]
pub struct Show {
    /// The deployment: production#142, #142 or 142
    #[arg(value_name = "ID", value_parser = values::deployment)]
    pub id: Target,
    /// The logs of all steps, not only the end of those that failed
    #[arg(long)]
    pub logs: bool,
}

/// `relman status`.
#[derive(Debug, Args)]
pub struct Status {
    /// Exit with 8 when a host is not as the ledger wants it
    #[arg(long)]
    pub exit_code: bool,
}

/// `relman diff`.
#[derive(Debug, Args)]
pub struct Diff {
    /// From here to B; alone, from what serves to here; without it, from what serves to HEAD
    #[arg(value_name = "A")]
    pub first: Option<Target>,
    /// To here
    #[arg(value_name = "B")]
    pub second: Option<Target>,
    /// Exit with 8 when there is a difference
    #[arg(long)]
    pub exit_code: bool,
}

/// `relman verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// A release, link by link; without it the ledger's chain, and with --live the release that serves
    #[arg(value_name = "VERSION", conflicts_with = "all")]
    pub version: Option<Version>,
    /// Every release
    #[arg(long)]
    pub all: bool,
    /// Ask the hosts too: the containers that run
    #[arg(long)]
    pub live: bool,
}

/// `relman completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// bash, zsh, fish, elvish or powershell
    #[arg(value_name = "SHELL", hide_possible_values = true)]
    pub shell: clap_complete::Shell,
}
