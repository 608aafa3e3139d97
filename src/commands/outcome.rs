//! From where the driver stopped to what the user is told: a report, or an error with its exit code.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::attempt::Done;
use super::error::ErrorKind;
use super::{CommandError, Context, Site};
use crate::domain::deployment::{Kind, Outcome};
use crate::domain::id::{CommitSha, DeploymentId, Digest, HostName};
use crate::domain::plan::Plan;
use crate::domain::version::Version;
use crate::host::wire::Evidence;
use crate::saga::run::{Broken, DriveError, Driven, End, behind};
use crate::saga::state::failure_line;

/// What `deploy`, `rollback`, `resume` and `abort` report.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Version of this format.
    pub schema: u32,
    /// What was done: `deployed`, `nothing_to_do`, `superseded`, `planned`, `listed`, `aborted`.
    pub result: ReportResult,
    /// The environment.
    pub environment: String,
    /// The deployment; none where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<DeploymentId>,
    /// Why it exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// The release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// Its commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitSha>,
    /// Its digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// What served before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_version: Option<Version>,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The hosts.
    pub hosts: Vec<HostName>,
    /// Hosts that stay behind within the failure budget, and why. The next deploy catches them up.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub laggards: BTreeMap<HostName, String>,
    /// Seconds that it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<i64>,
    /// The plan, stage by stage (`--dry-run`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<Vec<String>>,
    /// Releases that `rollback` would or would not go back to, newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Candidate>,
    /// What a reader should know.
    pub notes: Vec<String>,
}

/// What came of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportResult {
    /// The release serves everywhere.
    Deployed,
    /// It was so already.
    NothingToDo,
    /// What serves is newer; nothing was changed.
    Superseded,
    /// Only planned.
    Planned,
    /// Only listed.
    Listed,
    /// Stopped, and back where it was.
    Aborted,
}

/// A release that `rollback` looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Candidate {
    /// The deployment that made it serve.
    pub id: DeploymentId,
    /// The release.
    pub version: Version,
    /// Why it is passed over; none: `rollback` may go there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
}

impl Report {
    /// A report about nothing yet.
    pub(crate) fn new(site: &Site, result: ReportResult) -> Self {
        Self {
            schema: 1,
            result,
            environment: site.name.to_string(),
            id: None,
            kind: None,
            version: None,
            commit: None,
            digest: None,
            from_version: None,
            outcome: None,
            hosts: Vec::new(),
            laggards: BTreeMap::new(),
            duration_seconds: None,
            stages: Vec::new(),
            candidates: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// With what a plan says.
    pub(crate) fn with_plan(mut self, plan: &Plan) -> Self {
        self.id = Some(plan.deployment.clone());
        self.kind = Some(plan.kind);
        self.version = Some(plan.candidate.version.clone());
        self.commit = Some(plan.candidate.commit.clone());
        self.digest = Some(plan.candidate.digest.clone());
        self.from_version = plan.return_point.as_ref().map(|point| point.release.version.clone());
        self.hosts.clone_from(&plan.hosts);
        self
    }
}

/// The plan stage by stage, in words.
pub(crate) fn stages(plan: &Plan) -> Vec<Vec<String>> {
    plan.stages.iter().map(|stage| stage.steps.iter().map(ToString::to_string).collect()).collect()
}

/// What the user is told of an attempt.
///
/// # Errors
/// When the release does not serve everywhere: the kind says how things stand instead.
pub(crate) async fn conclude(context: &Context, site: &Site, done: Done) -> Result<Report, CommandError> {
    let aborted = done.is_aborted();
    let Done { plan, driven } = done;
    let outcome = match &driven.end {
        End::Finished(outcome) => *outcome,
        End::Waiting => return Err(waiting(&plan.deployment, &plan.candidate.version)),
        End::Interrupted => return Err(interrupted(&plan.deployment)),
        End::TimedOut => return Err(timed_out(&plan.deployment)),
        End::Stuck(steps) => return Err(stuck(&plan, &driven, steps)),
    };
    let result = match outcome {
        Outcome::Succeeded => ReportResult::Deployed,
        _ if aborted => ReportResult::Aborted,
        _ => return Err(failed(&plan, &driven)),
    };
    let mut report = Report::new(site, result).with_plan(&plan);
    report.outcome = Some(outcome);
    report.notes = driven.warnings;
    if outcome == Outcome::Succeeded {
        report.laggards = behind(&plan, &driven.state);
    }
    // It is done and on record. Whoever can only not be told how long it took must not hear of a failure.
    let stream = context.stream(&site.name);
    match context.deployment(&stream, Some(plan.deployment.number)).await {
        Ok(deployment) => {
            report.duration_seconds = deployment
                .and_then(|deployment| Some(deployment.finished_at?.seconds_since(deployment.started_at)));
        }
        Err(error) => report.notes.push(format!("how long it took is not known: {error}")),
    }
    Ok(report)
}

/// It went back, or tried to.
fn failed(plan: &Plan, driven: &Driven) -> CommandError {
    let tag = plan.candidate.version.tag();
    // What made it go back is said, which is not always what failed first.
    let cause = match (&driven.state.rolling_back, &driven.state.failure) {
        (Some((cause, None)), _) | (Some((cause, _)), None) => cause.clone(),
        (_, Some((index, error))) => {
            plan.step(*index).map_or_else(|| error.message.clone(), |step| failure_line(step, error))
        }
        (None, None) => String::new(),
    };
    let serves = match &plan.return_point {
        Some(point) => format!("{} serves as before", point.release.version.tag()),
        None => "nothing was serving before".to_owned(),
    };
    // A host can be as it was before and still not be as the ledger says.
    let mut not_returned = driven.not_returned.clone();
    if let Some(point) = &plan.return_point {
        for (host, digest) in plan.before.iter().filter(|(_, digest)| **digest != point.release.digest) {
            let why = format!("it serves {digest} as before, and not {}", point.release.version.tag());
            not_returned.entry(host.clone()).or_insert(why);
        }
    }
    let back = not_returned.is_empty();
    let first_exposed = plan.return_point.is_none() && driven.state.exposed;
    let kind = match (back, driven.state.touched_hosts(plan)) {
        (true, false) => ErrorKind::Failed,
        (true, true) if !first_exposed => ErrorKind::Returned,
        _ => ErrorKind::Unsafe,
    };
    let ends = if back { serves } else { "not every host is as it was before".to_owned() };
    let mut error = CommandError::new(kind, format!("{tag} was not deployed; {ends}: {cause}"));
    for (host, why) in &not_returned {
        error = error.detail(format!("{host}: {why}"));
    }
    for (host, evidence) in &driven.evidence {
        for line in evidence_lines(host, evidence) {
            error = error.detail(line);
        }
    }
    let id = &plan.deployment;
    error = error.hint(format!("relman show {id}: the whole story, with logs"));
    if plan.return_point.is_some() {
        error = error.hint(format!("relman diff: what {tag} would have changed"));
    }
    if back { error } else { error.hint("relman status: what each host runs now").hint("relman rollback") }
}

/// Lines of a container's log that are shown with an error.
const LOG_LINES: usize = 8;

/// Why a container was not healthy, on one screen.
pub(crate) fn evidence_lines(host: &HostName, evidence: &Evidence) -> Vec<String> {
    let mut state = format!("{host}: the container was {}", evidence.state);
    if let Some(code) = evidence.exit_code {
        state.push_str(&format!(", exit code {code}"));
    }
    if evidence.oom_killed {
        state.push_str(", killed for memory");
    }
    state.push_str(&format!(", {} restart(s)", evidence.restarts));
    let mut lines = vec![state];
    lines.extend(evidence.probes.iter().map(|probe| format!("  probe: {probe}")));
    // The end of the log says why; all of it is an artifact.
    let skipped = evidence.log.len().saturating_sub(LOG_LINES);
    lines.extend(evidence.log.iter().skip(skipped).map(|line| format!("  log: {line}")));
    lines
}

fn stuck(plan: &Plan, driven: &Driven, steps: &[u32]) -> CommandError {
    let id = &plan.deployment;
    let going = match (&driven.state.rolling_back, driven.state.committed) {
        (Some(_), _) => "could not be brought back",
        _ => "is not finished: some hosts do not follow",
    };
    let mut error = CommandError::new(ErrorKind::Unsafe, format!("{id} {going}"));
    let mut stuck = BTreeSet::new();
    for index in steps {
        let (Some(step), Some(state)) = (plan.step(*index), driven.state.steps.get(*index as usize)) else {
            continue;
        };
        stuck.extend(step.host());
        let undo = step.undo();
        for (side, step) in [(&state.undo, undo.as_ref().unwrap_or(step)), (&state.forward, step)] {
            if let crate::saga::state::Progress::Failed(why) = side {
                error = error.detail(failure_line(step, why));
                break;
            }
        }
    }
    let answer: Vec<&str> =
        plan.hosts.iter().filter(|host| !stuck.contains(host)).map(HostName::as_str).collect();
    let error = error
        .hint("relman status: what each host runs now")
        .hint(format!("relman resume '#{}': try again once the host is back", id.number));
    match answer.is_empty() {
        true => error,
        false => error
            .hint(format!("relman rollback --hosts {}: go back on the hosts that answer", answer.join(","))),
    }
}

/// People have to approve first.
pub(crate) fn waiting(id: &DeploymentId, version: &Version) -> CommandError {
    let text = format!("{id} ({}) is planned and waits for an approval; no host was touched", version.tag());
    CommandError::new(ErrorKind::InProgress, text)
        .hint(format!("relman show '{id}': what it would do"))
        .hint(format!("relman approve '{id}', then relman resume '{id}'"))
        .hint(format!("relman reject '{id}' --reason '…'"))
}

/// It was interrupted.
pub(crate) fn interrupted(id: &DeploymentId) -> CommandError {
    CommandError::new(
        ErrorKind::Interrupted,
        format!("{id} was interrupted; its hosts are as they were left"),
    )
    .hint(format!("relman resume '#{}': go on", id.number))
    .hint("relman abort: go back")
}

/// Its time was up.
pub(crate) fn timed_out(id: &DeploymentId) -> CommandError {
    CommandError::new(ErrorKind::InProgress, format!("the time for {id} is up; it is not finished"))
        .hint(format!("relman resume '#{}': go on", id.number))
        .hint("relman abort: go back")
}

/// The ledger or the lease went away while something was done.
pub(crate) fn of_broken(broken: Broken, plan: &Plan) -> CommandError {
    let Broken { error, touched_hosts } = broken;
    let id = &plan.deployment;
    let resume = format!("relman resume '#{}': go on from what the ledger has", id.number);
    match error {
        DriveError::Ledger(source) => {
            let mut error = CommandError::from(source);
            if error.kind == ErrorKind::Failed && touched_hosts {
                error.kind = ErrorKind::Unsafe;
            }
            error.hint(resume)
        }
        DriveError::LeaseLost(stream) => {
            CommandError::new(ErrorKind::Held, format!("the deploy lock of {stream} was lost while {id} ran"))
                .hint("relman status: who holds it now, and what each host runs")
                .hint(resume)
        }
        DriveError::Artifact(source) => {
            let mut error = CommandError::from(source);
            error.kind = ErrorKind::Unsafe;
            error.hint(resume)
        }
    }
}
