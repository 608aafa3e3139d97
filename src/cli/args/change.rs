//! Arguments of the verbs that change something.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::values;
use crate::domain::deployment::Verdict;
use crate::domain::id::{Digest, EnvironmentName, HostName};
use crate::domain::target::Target;
use crate::domain::version::Version;

/// `relman init`.
#[derive(Debug, Args)]
pub struct Init {
    /// Where the ledger is to be; without it, in your state directory
    #[arg(long, value_name = "sqlite:PATH|dynamodb:TABLE")]
    pub ledger: Option<String>,
    /// Where artifacts are to be; without it, beside a ledger that is a file
    #[arg(long, value_name = "file:PATH|s3://BUCKET[/PREFIX]")]
    pub artifacts: Option<String>,
}

/// `relman release`.
#[derive(Debug, Args)]
pub struct Release {
    /// This version instead of the one that the commits ask for
    #[arg(long, value_name = "VERSION")]
    pub version: Option<Version>,
    /// Print what would be done; changes nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Adopt a finished image instead of building one
    #[arg(long, value_name = "REF@sha256:…", conflicts_with_all = ["new_build", "allow_dirty"])]
    pub image: Option<String>,
    /// A pre-release X.Y.Z-LABEL.N
    #[arg(long, value_name = "LABEL", value_parser = values::label, conflicts_with = "version")]
    pub prerelease: Option<String>,
    /// Another build of a commit that has a release already, with a new version
    #[arg(long)]
    pub new_build: bool,
    /// Only put tags in place that are missing
    #[arg(long, conflicts_with_all = ["version", "image", "prerelease", "new_build", "allow_dirty"])]
    pub repair: bool,
    /// Build a work tree with changes: a dev- tag, no version, no release
    #[arg(long, conflicts_with_all = ["version", "prerelease"])]
    pub allow_dirty: bool,
}

/// `relman deploy`.
#[derive(Debug, Args)]
pub struct Deploy {
    /// Version, commit, digest, deployment, or @-N
    #[arg(value_name = "TARGET")]
    pub target: Option<Target>,
    /// Deploy the release that this environment serves
    #[arg(long, value_name = "ENVIRONMENT", conflicts_with = "target")]
    pub from: Option<EnvironmentName>,
    /// Print the plan; changes nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Why, for the ledger
    #[arg(long, value_name = "TEXT", value_parser = values::reason)]
    pub reason: Option<String>,
    /// How long to wait for another deployment: 0, 30s, 15m
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = values::duration)]
    pub lock_wait: Duration,
    /// Stop when it is not done after this time: exit 9, nothing is taken back, and relman resume goes on
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub timeout: Option<Duration>,
    /// Deploy a release that is older than what serves, or beside it
    #[arg(long, requires = "reason")]
    pub allow_older: bool,
    /// Deploy although the environment is on hold
    #[arg(long, requires = "reason")]
    pub override_hold: bool,
    /// Deploy although the calendar says no (environments.NAME.freeze)
    #[arg(long, requires = "reason")]
    pub override_freeze: bool,
    /// Deploy what is not proven where a release goes first (environments.NAME.after)
    #[arg(long, requires = "reason")]
    pub override_order: bool,
    /// The target repairs what this rollback withdrew
    #[arg(long, value_name = "ID", requires = "reason", value_parser = values::deployment)]
    pub fixes: Option<Target>,
    /// Only these hosts
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub hosts: Vec<HostName>,
}

/// `relman infra`.
#[derive(Debug, Args)]
pub struct Infra {
    /// What to do
    #[command(subcommand)]
    pub action: InfraAction,
}

/// `relman infra …`.
#[derive(Debug, Subcommand)]
pub enum InfraAction {
    /// Show what an apply would change; changes nothing
    Plan(InfraLook),
    /// Plan, show it, and apply exactly that, under the deploy lock
    Apply(InfraApply),
    /// Tell whether the infrastructure is as its configuration says; changes nothing
    Drift(InfraDrift),
}

/// `relman infra plan`.
#[derive(Debug, Args)]
pub struct InfraLook {
    /// How long to wait for somebody else's Terraform: 0, 30s, 15m
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = values::duration)]
    pub lock_wait: Duration,
    /// Leave the state's lock alone, for a role that may only read; an apply may be under way meanwhile
    #[arg(long, conflicts_with = "lock_wait")]
    pub no_lock: bool,
}

/// `relman infra apply`.
#[derive(Debug, Args)]
pub struct InfraApply {
    /// How long to wait for a deployment, and for somebody else's Terraform: 0, 30s, 15m
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = values::duration)]
    pub lock_wait: Duration,
}

/// `relman infra drift`.
#[derive(Debug, Args)]
pub struct InfraDrift {
    /// How long to wait for somebody else's Terraform: 0, 30s, 15m
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = values::duration)]
    pub lock_wait: Duration,
    /// Leave the state's lock alone, for a role that may only read; an apply may be under way meanwhile
    #[arg(long, conflicts_with = "lock_wait")]
    pub no_lock: bool,
    /// Exit with 8 when there is a difference
    #[arg(long)]
    pub exit_code: bool,
}

/// `relman rollback`.
#[derive(Debug, Args)]
pub struct Rollback {
    /// Go back to this one: version, commit, digest, deployment, or @-N
    #[arg(long, value_name = "TARGET")]
    pub to: Option<Target>,
    /// List where one could go back to, and what would be skipped and why
    #[arg(long, conflicts_with_all = ["to", "dry_run"])]
    pub list: bool,
    /// Print the plan; changes nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Run configuration: that of then, or that of now
    #[arg(long, value_enum, default_value = "then", value_name = "then|now", hide_possible_values = true)]
    pub config: Moment,
    /// Secrets: those of now, or those of then
    #[arg(long, value_enum, default_value = "now", value_name = "now|then", hide_possible_values = true)]
    pub secrets: Moment,
    /// Why, for the ledger
    #[arg(long, value_name = "TEXT", value_parser = values::reason)]
    pub reason: Option<String>,
    /// Set no hold: the next push may bring the withdrawn commits back
    #[arg(long, requires = "reason")]
    pub no_hold: bool,
    /// Only these hosts; with --offline also NAME=ADDRESS[:PORT], for one that relman.toml does not know how to reach
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = values::host_at)]
    pub hosts: Vec<values::HostAt>,
    /// Without ledger, registry and cloud, to a release that the hosts hold; relman ledger import records it later
    #[arg(long, conflicts_with_all = ["list", "config", "secrets", "no_hold", "via", "timeout"])]
    pub offline: bool,
    /// The way to the hosts this time: ssh is the quicker one, and takes hosts as they are configured
    #[arg(long, value_enum, value_name = "ssh|ansible", hide_possible_values = true)]
    pub via: Option<Way>,
    /// Stop when it is not done after this time: exit 9, and relman resume goes on
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub timeout: Option<Duration>,
}

/// A way to hosts that have relman-host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Way {
    /// relman asks each host itself.
    Ssh,
    /// Ansible carries the requests.
    Ansible,
}

/// Of which time something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Moment {
    /// Of the deployment that is gone back to.
    Then,
    /// As it is today.
    Now,
}

/// `relman resume`.
#[derive(Debug, Args)]
pub struct Resume {
    /// The deployment; without it, the one in flight
    #[arg(value_name = "ID", value_parser = values::deployment)]
    pub id: Option<Target>,
    /// How long to wait for whoever works on it: 0, 30s, 15m
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = values::duration)]
    pub lock_wait: Duration,
}

/// `relman abort`.
#[derive(Debug, Args)]
pub struct Abort {
    /// Why, for the ledger
    #[arg(long, value_name = "TEXT", value_parser = values::reason)]
    pub reason: Option<String>,
}

/// `relman approve`.
#[derive(Debug, Args)]
pub struct Approve {
    /// The deployment; without it, the one that waits
    #[arg(value_name = "ID", value_parser = values::deployment)]
    pub id: Option<Target>,
    /// The plan that you looked at; any other is refused
    #[arg(long, value_name = "DIGEST")]
    pub plan: Option<Digest>,
    /// Why, for the ledger
    #[arg(long, value_name = "TEXT", value_parser = values::reason)]
    pub reason: Option<String>,
}

/// `relman reject`.
#[derive(Debug, Args)]
pub struct Reject {
    /// The deployment; without it, the one that waits
    #[arg(value_name = "ID", value_parser = values::deployment)]
    pub id: Option<Target>,
    /// Why, for the ledger
    #[arg(long, value_name = "TEXT", value_parser = values::reason)]
    pub reason: String,
}

/// `relman catch-up`.
#[derive(Debug, Args)]
pub struct CatchUp {
    /// How long to wait for a deployment that is under way: 0, 30s, 15m
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = values::duration)]
    pub lock_wait: Duration,
}

/// A verb that needs nothing but a reason.
#[derive(Debug, Args)]
pub struct WithReason {
    /// Why, for the ledger
    #[arg(long, value_name = "TEXT", value_parser = values::reason)]
    pub reason: String,
}

/// `relman mark`.
#[derive(Debug, Args)]
pub struct Mark {
    /// faulty or proven
    #[arg(value_enum, value_name = "VERDICT", hide_possible_values = true)]
    pub verdict: Marking,
    /// Deployment (production#142) or version
    #[arg(value_name = "ID", value_parser = values::deployment_or_version)]
    pub target: Target,
    /// Why, for the ledger
    #[arg(long, value_name = "TEXT", value_parser = values::reason)]
    pub reason: String,
}

/// A verdict that somebody may give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Marking {
    /// Not to be gone back to.
    Faulty,
    /// Good to go back to.
    Proven,
}

impl From<Marking> for Verdict {
    fn from(marking: Marking) -> Self {
        match marking {
            Marking::Faulty => Self::Faulty,
            Marking::Proven => Self::Proven,
        }
    }
}

/// `relman lock`.
#[derive(Debug, Args)]
pub struct Lock {
    /// Hold the lock, for this reason
    #[arg(long, value_name = "TEXT", value_parser = values::reason)]
    pub reason: Option<String>,
    /// Give it back after this time: 30m, 2h
    #[arg(long, value_name = "TIME", default_value = "1h", requires = "reason", value_parser = values::duration)]
    pub ttl: Duration,
}

/// `relman secrets`.
#[derive(Debug, Subcommand)]
pub enum SecretsVerb {
    /// Bring versions that moved to the containers of what serves: the same digest, switched without a drop
    #[command(after_help = "Examples:
  relman secrets sync --dry-run      what moved
  relman secrets sync                after a rotation, or from a schedule: nothing is done when nothing moved")]
    Sync(SecretsSync),
}

/// `relman secrets sync`.
#[derive(Debug, Args)]
pub struct SecretsSync {
    /// Say what moved; changes nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Why, for the ledger
    #[arg(long, value_name = "TEXT", value_parser = values::reason)]
    pub reason: Option<String>,
    /// How long to wait for another deployment: 0, 30s, 15m
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = values::duration)]
    pub lock_wait: Duration,
    /// Stop when it is not done after this time: exit 9, and relman resume goes on
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub timeout: Option<Duration>,
    /// Also while deploys are frozen
    #[arg(long, requires = "reason")]
    pub override_freeze: bool,
}

/// `relman ledger`.
#[derive(Debug, Subcommand)]
pub enum LedgerVerb {
    /// Move the ledger and its artifacts, byte for byte; the old one is closed and names the new one
    #[command(after_help = "Example:
  relman ledger migrate --to dynamodb:relman-ledger --artifacts s3://acme-relman

It can be interrupted and run again. Afterwards set [ledger] url in relman.toml to the new place.")]
    Migrate(Migrate),
    /// Record what was done without the ledger
    #[command(after_help = "Example:
  relman ledger import --from-hosts

After relman rollback --offline the hosts obey no deploy until this has put it on record, as a rollback.")]
    Import(Import),
}

/// `relman ledger import`.
#[derive(Debug, Args)]
pub struct Import {
    /// From the hosts of the environment: the ways back that they went without the ledger
    #[arg(long, required = true)]
    pub from_hosts: bool,
    /// Only these hosts
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub hosts: Vec<HostName>,
}

/// `relman ledger migrate`.
#[derive(Debug, Args)]
pub struct Migrate {
    /// The new ledger: sqlite:PATH or dynamodb:TABLE
    #[arg(long, value_name = "URL", value_parser = values::ledger_url)]
    pub to: String,
    /// The new place of the artifacts: file:PATH or s3://BUCKET[/PREFIX]; without it, beside a new ledger of sqlite:PATH
    #[arg(long, value_name = "URL", value_parser = values::artifacts_url)]
    pub artifacts: Option<String>,
}
