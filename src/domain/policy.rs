//! May this deployment start? Pure rules over facts that the caller has gathered.

use serde::Serialize;

use super::deployment::{Deployment, Hold, Kind, Outcome, Verdict};
use super::id::{CommitSha, EnvironmentName};
use super::release::ReleaseRef;
use super::time::Timestamp;
use super::version::Version;

/// How the commit of a target stands to the commit that serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ancestry {
    /// It contains what serves: forward.
    Newer,
    /// It is what serves.
    Same,
    /// What serves contains it: backward.
    Older,
    /// Neither contains the other.
    Diverged,
    /// A commit is not at hand, so nobody can tell.
    Unknown,
}

/// Whether a target brings withdrawn commits back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Withdrawal {
    /// It holds none of them: they may still come back with a later push.
    Absent,
    /// It reverts each that it holds.
    Reverted,
    /// It still holds these.
    Present(Vec<CommitSha>),
    /// The history is not at hand, so nobody can tell.
    Unknown,
}

/// Named overrides, each with its own flag and a reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--override-hold`.
    pub hold: bool,
    /// `--allow-older`.
    pub older: bool,
    /// `--fixes ID`: the user says that the target repairs what was withdrawn.
    pub fixes: bool,
    /// `--override-freeze`.
    pub freeze: bool,
    /// `--override-order`.
    pub order: bool,
}

/// What the environment's configuration asks for, as things are now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// A freeze in force.
    pub frozen: Option<Frozen>,
    /// The environment in which a release has to be proven first, and whether the target is.
    pub order: Option<(EnvironmentName, bool)>,
}

/// A freeze in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Frozen {
    /// Why.
    pub reason: String,
    /// When it ends.
    pub until: Timestamp,
    /// Which one of the ledger it is; none: one of the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// Who added it to the ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

impl std::fmt::Display for Frozen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "deploys are frozen until {}", self.until)?;
        match (self.id, &self.by) {
            (Some(id), Some(by)) => write!(f, " (freeze {id}, by {by})")?,
            _ => write!(f, " (relman.toml)")?,
        }
        write!(f, ": {}", self.reason)
    }
}

/// What a deploy would run into.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum Refusal {
    /// Somebody asked for a stop.
    #[error("the environment is on hold since {since} by {by}: {reason}")]
    Hold {
        /// Since when.
        since: String,
        /// By whom.
        by: String,
        /// Why.
        reason: String,
    },
    /// It brings back what a rollback took away.
    #[error(
        "{target} still holds {commits} commit(s) withdrawn by the rollback from {bad} to {good}, the first {first}, and no revert of them"
    )]
    BringsBack {
        /// The target, as people call it.
        target: String,
        /// How many.
        commits: usize,
        /// One of them.
        first: String,
        /// What was withdrawn.
        bad: String,
        /// What it went back to.
        good: String,
    },
    /// A hold by commits, and no history to judge by.
    #[error(
        "the environment is on hold after the rollback from {bad} to {good}, and the history needed to judge {target} is not here"
    )]
    CannotJudge {
        /// The target, as people call it.
        target: String,
        /// What was withdrawn.
        bad: String,
        /// What it went back to.
        good: String,
    },
    /// The calendar says no.
    #[error("{0}")]
    Frozen(Frozen),
    /// It has to be proven somewhere else first.
    #[error("{target} is not proven in {environment}, where a release goes first")]
    OutOfOrder {
        /// The target, as people call it.
        target: String,
        /// The environment that comes first.
        environment: EnvironmentName,
    },
    /// The target is older than what serves, or beside it.
    #[error("{target} is {relation} {serving}, which serves")]
    NotNewer {
        /// The target, as people call it.
        target: String,
        /// `older than` or `not a descendant of`.
        relation: String,
        /// The serving tag.
        serving: String,
    },
}

/// What to do with a deploy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// Go on.
    Go {
        /// The overrides that were needed.
        overrides: Vec<String>,
        /// Whether a rollback's hold stays in force when it succeeds.
        keeps_hold: bool,
    },
    /// The environment is ahead already: an older push that came late. Not an error.
    Superseded,
    /// No.
    Refused(Refusal),
}

/// Decides on a deploy of `target`, as people call it. `named` tells whether the user named it, or relman took HEAD.
pub fn admit_deploy(
    target: &str,
    named: bool,
    serving: Option<(&ReleaseRef, Ancestry)>,
    hold: Option<(&Hold, Withdrawal)>,
    rules: &Rules,
    overrides: Overrides,
) -> Admission {
    let mut used = Vec::new();
    let absent = hold.as_ref().is_some_and(|(_, withdrawal)| *withdrawal == Withdrawal::Absent);
    if let Some((serving, ancestry @ (Ancestry::Older | Ancestry::Diverged))) = serving {
        match (ancestry, named) {
            (Ancestry::Older, false) => return Admission::Superseded,
            _ if overrides.older => used.push("allow-older".to_owned()),
            _ => {
                let relation = if ancestry == Ancestry::Older { "older than" } else { "not a descendant of" };
                return Admission::Refused(Refusal::NotNewer {
                    target: target.to_owned(),
                    relation: relation.to_owned(),
                    serving: serving.version.tag(),
                });
            }
        }
    }
    if let Some(frozen) = &rules.frozen {
        if !overrides.freeze {
            return Admission::Refused(Refusal::Frozen(frozen.clone()));
        }
        used.push("override-freeze".to_owned());
    }
    if let Some((environment, false)) = &rules.order {
        if !overrides.order {
            let (target, environment) = (target.to_owned(), environment.clone());
            return Admission::Refused(Refusal::OutOfOrder { target, environment });
        }
        used.push("override-order".to_owned());
    }
    if let Some((hold, withdrawal)) = hold {
        match judge_hold(target, hold, withdrawal) {
            None => {}
            Some(_) if overrides.hold => used.push("override-hold".to_owned()),
            Some(Refusal::BringsBack { .. } | Refusal::CannotJudge { .. }) if overrides.fixes => {
                used.push(match hold.deployment {
                    Some(number) => format!("fixes #{number}"),
                    None => "fixes".to_owned(),
                });
            }
            Some(refusal) => return Admission::Refused(refusal),
        }
    }
    Admission::Go { overrides: used, keeps_hold: absent && !overrides.fixes }
}

fn judge_hold(target: &str, hold: &Hold, withdrawal: Withdrawal) -> Option<Refusal> {
    let Some(withdrawn) = &hold.withdrawn else {
        return Some(Refusal::Hold {
            since: hold.since.to_string(),
            by: hold.actor.name.clone(),
            reason: hold.reason.clone(),
        });
    };
    let (bad, good) = (withdrawn.bad.version.tag(), withdrawn.good.version.tag());
    match withdrawal {
        Withdrawal::Absent | Withdrawal::Reverted => None,
        Withdrawal::Present(commits) => Some(Refusal::BringsBack {
            target: target.to_owned(),
            commits: commits.len(),
            first: commits.first().map(|c| c.short().to_owned()).unwrap_or_default(),
            bad,
            good,
        }),
        Withdrawal::Unknown => Some(Refusal::CannotJudge { target: target.to_owned(), bad, good }),
    }
}

/// Why a deployment's release is no place to roll back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// It serves now.
    Serving,
    /// The attempt did not succeed.
    NotSucceeded,
    /// It was found faulty.
    Faulty,
    /// A rollback took it back.
    Withdrawn,
    /// Its verdict was taken away.
    NotProven,
    /// Its image is gone.
    NotDeployable,
}

impl Skip {
    /// In words.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Serving => "it serves now",
            Self::NotSucceeded => "the attempt did not succeed",
            Self::Faulty => "it is marked faulty",
            Self::Withdrawn => "a rollback withdrew it",
            Self::NotProven => "it is not proven here",
            Self::NotDeployable => "its image is gone",
        }
    }
}

/// Whether an earlier deployment's release may be what `rollback` without a target goes back to (invariant 5).
pub fn rollback_candidate(
    deployment: &Deployment,
    serving: Option<&Version>,
    verdict: Option<Verdict>,
    deployable: bool,
) -> Result<(), Skip> {
    if deployment.outcome != Some(Outcome::Succeeded) {
        return Err(Skip::NotSucceeded);
    }
    if serving == Some(&deployment.release.version) {
        return Err(Skip::Serving);
    }
    match verdict {
        Some(Verdict::Proven) => {}
        Some(Verdict::Faulty) => return Err(Skip::Faulty),
        Some(Verdict::Withdrawn) => return Err(Skip::Withdrawn),
        None => return Err(Skip::NotProven),
    }
    if deployable { Ok(()) } else { Err(Skip::NotDeployable) }
}

/// What a deployment of `target` is called when `serving` takes traffic.
pub fn deploy_kind(target: &ReleaseRef, serving: Option<&ReleaseRef>) -> Kind {
    match serving {
        Some(serving) if serving.digest == target.digest => Kind::Redeploy,
        _ => Kind::Deploy,
    }
}
