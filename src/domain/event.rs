//! What can be recorded. A closed set: `kind` and `data` of an entry (`ledger-schema/entry.schema.json`).

// Long because: one closed set, and what is true of each of it beside it.

use serde::{Deserialize, Serialize};

use super::deployment::{ApprovalRule, Holder, Kind, Offline, Outcome, ReturnPoint, Verdict, Withdrawn};
use super::id::{CommitSha, DeploymentNumber, Digest, HostName};
use super::infra::{InfraApplied, InfraFailed, InfraHosts, InfraStarted};
use super::plan::StepIndex;
use super::release::{Release, ReleaseRef};
use super::version::Version;

/// Whether a step is done or undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Towards the candidate.
    Forward,
    /// Back to the return point.
    Undo,
}

/// Why a step failed, redacted; details are an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepError {
    /// A word for programs: `unhealthy`, `unreachable`, `fenced`, …
    pub code: String,
    /// One line for people.
    pub message: String,
    /// The evidence (last answers, exit code, OOM flag, log lines), an artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Digest>,
}

impl StepError {
    /// The code of a host that has no candidate, or has gone back by itself.
    pub const GONE: &str = "gone";
    /// The code of a release that did not become healthy, or did not stay so.
    pub const UNHEALTHY: &str = "unhealthy";

    /// The code of a host that is there no more: it has left the group that scales.
    pub const DEPARTED: &str = "departed";

    /// Whether the host is there no more: nothing is left to do on it, and nothing it serves.
    pub fn is_departed(&self) -> bool {
        self.code == Self::DEPARTED
    }

    /// Whether the host has to be brought forward again before the step can work.
    pub fn is_gone(&self) -> bool {
        self.code == Self::GONE
    }

    /// Whether the release itself did wrong: a host that could not be reached is not its fault.
    pub fn is_of_the_release(&self) -> bool {
        matches!(self.code.as_str(), Self::GONE | Self::UNHEALTHY)
    }
}

/// Which step of which deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRef {
    /// The deployment.
    pub deployment: DeploymentNumber,
    /// The step's place in the plan.
    pub index: StepIndex,
    /// Its name, so that the log reads without the plan.
    pub name: String,
    /// Its host, for the same reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// Done or undone.
    pub direction: Direction,
}

/// Which version of a secret; never its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretVersion {
    /// Its name in the run configuration, which has the reference.
    pub name: String,
    /// The store's own number or id.
    pub version: String,
}

/// What a deployment sets out to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Started {
    /// Its number: one more than the last.
    pub deployment: DeploymentNumber,
    /// Why it exists.
    #[serde(rename = "deployment_kind")]
    pub kind: Kind,
    /// What it makes serve.
    pub release: ReleaseRef,
    /// The run configuration, an artifact.
    pub run: Digest,
    /// The hosts.
    pub hosts: Vec<HostName>,
    /// The user's reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// For a rollback: what it takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_of: Option<DeploymentNumber>,
    /// For a rollback: the releases that it takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<Withdrawn>,
    /// For a rollback: whether its success sets a hold.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sets_hold: bool,
    /// Whether a rollback's hold stays in force when this succeeds: it neither holds nor reverts what was withdrawn.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keeps_hold: bool,
    /// For a rollback that was done without the ledger and is recorded now: how that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offline: Option<Offline>,
    /// Overridden policies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<String>,
}

/// One recorded fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "data")]
pub enum Event {
    /// Somebody took the lease; the fence of the entry is the new one.
    #[serde(rename = "lease.acquired")]
    LeaseAcquired {
        /// Who.
        holder: Holder,
        /// Whether it was taken from a holder that had not given it back.
        stolen: bool,
    },
    /// The lease was given back.
    #[serde(rename = "lease.released")]
    LeaseReleased {},

    /// A deployment began.
    #[serde(rename = "deployment.started")]
    DeploymentStarted(Box<Started>),
    /// The plan and the return point are fixed.
    #[serde(rename = "deployment.planned")]
    DeploymentPlanned {
        /// The deployment.
        deployment: DeploymentNumber,
        /// The plan, an artifact.
        plan: Digest,
        /// What it goes back to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        return_point: Option<ReturnPoint>,
    },
    /// Which versions of secrets its containers get, before the first of them is made. Once: whoever resumes it takes
    /// the same ones.
    #[serde(rename = "deployment.secrets")]
    DeploymentSecrets {
        /// The deployment.
        deployment: DeploymentNumber,
        /// Of those that are in a store with versions, by name.
        secrets: Vec<SecretVersion>,
    },
    /// Another process went on with it.
    #[serde(rename = "deployment.resumed")]
    DeploymentResumed {
        /// The deployment.
        deployment: DeploymentNumber,
    },
    /// The intent to run or undo a step.
    #[serde(rename = "step.started")]
    StepStarted {
        /// Which.
        #[serde(flatten)]
        step: StepRef,
        /// Whether a request may reach the candidate from here on.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        exposes: bool,
    },
    /// It was done.
    #[serde(rename = "step.succeeded")]
    StepSucceeded {
        /// Which.
        #[serde(flatten)]
        step: StepRef,
        /// Its log, an artifact.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        log: Option<Digest>,
    },
    /// It was not done, or it is not known whether.
    #[serde(rename = "step.failed")]
    StepFailed {
        /// Which.
        #[serde(flatten)]
        step: StepRef,
        /// Why.
        error: StepError,
        /// Its log, an artifact.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        log: Option<Digest>,
    },
    /// From here on only back.
    #[serde(rename = "deployment.rolling_back")]
    RollingBack {
        /// The deployment.
        deployment: DeploymentNumber,
        /// Why.
        cause: String,
        /// The outcome that somebody asked for by stopping it; none when it failed by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        requested: Option<Outcome>,
    },
    /// The pivot: from here on only forward.
    #[serde(rename = "deployment.committed")]
    Committed {
        /// The deployment.
        deployment: DeploymentNumber,
    },
    /// The end.
    #[serde(rename = "deployment.finished")]
    DeploymentFinished {
        /// The deployment.
        deployment: DeploymentNumber,
        /// How.
        outcome: Outcome,
        /// One line: why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        /// A verdict on the release that follows by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        verdict: Option<Verdict>,
    },

    /// It is planned and waits: no step begins before enough people approved.
    #[serde(rename = "approval.requested")]
    ApprovalRequested {
        /// The deployment.
        deployment: DeploymentNumber,
        /// What is asked for.
        rule: ApprovalRule,
    },
    /// Somebody who can prove who they are approved of exactly this plan.
    #[serde(rename = "approval.given")]
    ApprovalGiven {
        /// The deployment.
        deployment: DeploymentNumber,
        /// Its plan.
        plan: Digest,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },

    /// Somebody's verdict on a release in this environment.
    #[serde(rename = "verdict.marked")]
    VerdictMarked {
        /// The release.
        version: Version,
        /// What is thought of it.
        verdict: Verdict,
        /// Why.
        reason: String,
    },
    /// No deploys until it is lifted.
    #[serde(rename = "hold.set")]
    HoldSet {
        /// Why.
        reason: String,
    },
    /// Deploys again.
    #[serde(rename = "hold.lifted")]
    HoldLifted {
        /// Why.
        reason: String,
    },
    /// Times of the calendar in which nothing is deployed. They are known by the number of this entry.
    #[serde(rename = "freeze.added")]
    FreezeAdded(Times),
    /// These times are none any more.
    #[serde(rename = "freeze.removed")]
    FreezeRemoved {
        /// The entry that added them.
        freeze: u64,
        /// Why.
        reason: String,
    },

    /// An apply of the infrastructure is about to begin.
    #[serde(rename = "infra.started")]
    InfraStarted(Box<InfraStarted>),
    /// The infrastructure is as its configuration says.
    #[serde(rename = "infra.applied")]
    InfraApplied(Box<InfraApplied>),
    /// An apply did not come to its end.
    #[serde(rename = "infra.failed")]
    InfraFailed(Box<InfraFailed>),
    /// The hosts that a deployment goes to are not the ones on record.
    #[serde(rename = "infra.hosts")]
    InfraHosts(InfraHosts),

    /// A version number was taken, before the build.
    #[serde(rename = "version.claimed")]
    VersionClaimed {
        /// The number.
        version: Version,
        /// For which commit.
        commit: CommitSha,
    },
    /// A release exists.
    #[serde(rename = "release.bound")]
    ReleaseBound(Box<Release>),
    /// Tags were put or found in place.
    #[serde(rename = "release.tagged")]
    ReleaseTagged {
        /// The release.
        version: Version,
        /// Tags that now point to it: image tags, and the git tag as `git:v1.4.2`.
        tags: Vec<String>,
        /// Tags that point elsewhere and were left alone.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        conflicts: Vec<String>,
    },

    /// The last entry of a stream that goes on in another ledger. Nothing follows it.
    #[serde(rename = "ledger.moved")]
    LedgerMoved {
        /// Where, as `dynamodb:TABLE`.
        to: String,
    },
    /// All before it was copied from another ledger, byte for byte.
    #[serde(rename = "ledger.imported")]
    LedgerImported {
        /// Where it came from.
        from: String,
    },
}

/// Times of the calendar as they are recorded: texts, since who reads them may know other time zones than who wrote them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Times {
    /// When they begin: `Fri 16:00` of each week, or `2026-12-20 00:00`.
    pub from: String,
    /// When they end.
    pub until: String,
    /// Whose clock is meant, by its name in the IANA time zone database.
    pub zone: String,
    /// Why.
    pub reason: String,
}

impl Event {
    /// The deployment that the event is about.
    pub fn deployment(&self) -> Option<DeploymentNumber> {
        match self {
            Self::DeploymentStarted(started) => Some(started.deployment),
            Self::DeploymentPlanned { deployment, .. }
            | Self::DeploymentSecrets { deployment, .. }
            | Self::DeploymentResumed { deployment }
            | Self::RollingBack { deployment, .. }
            | Self::Committed { deployment }
            | Self::ApprovalRequested { deployment, .. }
            | Self::ApprovalGiven { deployment, .. }
            | Self::DeploymentFinished { deployment, .. } => Some(*deployment),
            Self::StepStarted { step, .. }
            | Self::StepSucceeded { step, .. }
            | Self::StepFailed { step, .. } => Some(step.deployment),
            Self::LeaseAcquired { .. }
            | Self::LeaseReleased {}
            | Self::VerdictMarked { .. }
            | Self::HoldSet { .. }
            | Self::HoldLifted { .. }
            | Self::FreezeAdded(_)
            | Self::FreezeRemoved { .. }
            | Self::InfraStarted(_)
            | Self::InfraApplied(_)
            | Self::InfraFailed(_)
            | Self::InfraHosts(_)
            | Self::VersionClaimed { .. }
            | Self::ReleaseBound(_)
            | Self::ReleaseTagged { .. }
            | Self::LedgerMoved { .. }
            | Self::LedgerImported { .. } => None,
        }
    }

    /// Whether only the holder of the lease may write it. Verdicts, holds, approvals and the release stream need none.
    pub fn needs_fence(&self) -> bool {
        (self.deployment().is_some() && !matches!(self, Self::ApprovalGiven { .. }))
            || matches!(
                self,
                Self::LeaseAcquired { .. }
                    | Self::LeaseReleased {}
                    | Self::InfraStarted(_)
                    | Self::InfraApplied(_)
                    | Self::InfraFailed(_)
                    | Self::InfraHosts(_)
            )
    }

    /// The artifacts that it names.
    pub fn artifacts(&self) -> Vec<&Digest> {
        match self {
            Self::DeploymentStarted(started) => vec![&started.run],
            Self::DeploymentPlanned { plan, return_point, .. } => {
                let run = return_point.as_ref().map(|point| &point.run);
                std::iter::once(plan).chain(run).collect()
            }
            Self::StepSucceeded { log, .. } => log.iter().collect(),
            Self::StepFailed { error, log, .. } => error.evidence.iter().chain(log).collect(),
            Self::ApprovalGiven { plan, .. } => vec![plan],
            Self::InfraStarted(started) => vec![&started.plan],
            Self::InfraApplied(applied) => applied.hosts.iter().chain(&applied.log).collect(),
            Self::InfraFailed(failed) => failed.error.evidence.iter().collect(),
            Self::InfraHosts(seen) => vec![&seen.hosts],
            Self::ReleaseBound(release) => vec![&release.manifest],
            _ => Vec::new(),
        }
    }

    /// The event's name, as `kind` in the entry.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::LeaseAcquired { .. } => "lease.acquired",
            Self::LeaseReleased {} => "lease.released",
            Self::DeploymentStarted(_) => "deployment.started",
            Self::DeploymentPlanned { .. } => "deployment.planned",
            Self::DeploymentSecrets { .. } => "deployment.secrets",
            Self::DeploymentResumed { .. } => "deployment.resumed",
            Self::StepStarted { .. } => "step.started",
            Self::StepSucceeded { .. } => "step.succeeded",
            Self::StepFailed { .. } => "step.failed",
            Self::RollingBack { .. } => "deployment.rolling_back",
            Self::Committed { .. } => "deployment.committed",
            Self::DeploymentFinished { .. } => "deployment.finished",
            Self::ApprovalRequested { .. } => "approval.requested",
            Self::ApprovalGiven { .. } => "approval.given",
            Self::VerdictMarked { .. } => "verdict.marked",
            Self::HoldSet { .. } => "hold.set",
            Self::HoldLifted { .. } => "hold.lifted",
            Self::FreezeAdded(_) => "freeze.added",
            Self::FreezeRemoved { .. } => "freeze.removed",
            Self::InfraStarted(_) => "infra.started",
            Self::InfraApplied(_) => "infra.applied",
            Self::InfraFailed(_) => "infra.failed",
            Self::InfraHosts(_) => "infra.hosts",
            Self::VersionClaimed { .. } => "version.claimed",
            Self::ReleaseBound(_) => "release.bound",
            Self::ReleaseTagged { .. } => "release.tagged",
            Self::LedgerMoved { .. } => "ledger.moved",
            Self::LedgerImported { .. } => "ledger.imported",
        }
    }
}
