//! `relman deploy`: make an environment run a release, by default the one of HEAD.

mod admission;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use super::attempt::{self, Aim, Ask, Attempt};
use super::error::ErrorKind;
use super::outcome::{conclude, stages};
use super::provision::{self, Wish};
use super::{CommandError, Context, Site, Supply, release};
use crate::config::Provision;
use crate::domain::deployment::{Deployment, Kind, Outcome, Phase};
use crate::domain::event::{Event, Started};
use crate::domain::id::{DeploymentNumber, EnvironmentName, HostName};
use crate::domain::plan::Plan;
use crate::domain::policy::{self, Admission};
use crate::domain::record::EnvironmentRecord;
use crate::domain::release::ReleaseRef;
use crate::domain::target::Target;
use crate::infra::Locking;
use crate::saga::claim;
use crate::saga::plan::HostFacts;
use admission::{admit, admitted, refused, rules, wanted};

pub use super::outcome::{Candidate, Report, ReportResult};

/// What the user asked for.
#[derive(Debug, Clone, Default)]
pub struct Args {
    /// What to deploy; none: HEAD, released first if it has no release.
    pub target: Option<Target>,
    /// What this environment serves, instead of a target.
    pub from: Option<EnvironmentName>,
    /// Only plan.
    pub dry_run: bool,
    /// Why.
    pub reason: Option<String>,
    /// How long to wait for another deployment.
    pub lock_wait: Duration,
    /// When to stop; the work can be resumed.
    pub timeout: Option<Duration>,
    /// Deploy an older or diverged commit.
    pub allow_older: bool,
    /// Deploy in spite of a hold.
    pub override_hold: bool,
    /// Deploy in spite of a freeze.
    pub override_freeze: bool,
    /// Deploy what is not proven in the environment that comes first.
    pub override_order: bool,
    /// The target repairs what this rollback withdrew.
    pub fixes: Option<DeploymentNumber>,
    /// Only these hosts.
    pub hosts: Vec<HostName>,
    /// Whether something of the infrastructure may go away.
    pub yes: bool,
    /// How HEAD is released when it has no release.
    pub release: release::Args,
}

impl Args {
    /// Whether the user names what is deployed; else it is HEAD.
    fn names_target(&self) -> bool {
        self.target.is_some() || self.from.is_some()
    }

    fn overrides(&self) -> bool {
        self.allow_older
            || self.override_hold
            || self.override_freeze
            || self.override_order
            || self.fixes.is_some()
    }
}

/// Deploys.
///
/// # Errors
/// Every way in which the release does not serve on all hosts in the end; see [`ErrorKind`].
pub async fn run(
    context: &Context,
    site: &Site,
    supply: &Supply,
    args: Args,
) -> Result<Report, CommandError> {
    if args.overrides() && args.reason.is_none() {
        return Err(CommandError::new(ErrorKind::Usage, "an override needs a reason").hint("--reason '…'"));
    }
    if args.dry_run {
        return dry_run(context, site, supply, args).await;
    }
    if !makes_hosts(site) {
        attempt::hosts(site, &args.hosts)?;
    }
    let purpose = match (&args.target, &args.from) {
        (Some(target), _) => format!("deploy {target}"),
        (None, Some(from)) => format!("deploy what {from} serves"),
        (None, None) => "deploy HEAD".to_owned(),
    };
    let ask = Ask { purpose, wait: args.lock_wait, preempt: false, timeout: args.timeout };
    let mut attempt = Attempt::begin(context, site, ask).await?;
    let result = deploy(&mut attempt, supply, &args).await;
    attempt.end().await;
    result
}

/// Whether which hosts there are is only known once the infrastructure was brought about.
fn makes_hosts(site: &Site) -> bool {
    site.infra.as_ref().is_some_and(|infra| infra.provision == Provision::Apply)
}

async fn deploy(attempt: &mut Attempt<'_>, supply: &Supply, args: &Args) -> Result<Report, CommandError> {
    let (context, site) = (attempt.context, &attempt.site);
    let wanted = wanted(context, site, supply, args).await?;
    let environment = context.environment(&attempt.stream).await?;
    if let Some(active) = context.deployment(&attempt.stream, environment.active).await? {
        let same =
            active.kind != Kind::Rollback && wanted.is(&active.release) && !attempt.is_lost(&active).await?;
        let done = match same {
            true => {
                // A hold that was set meanwhile counts, unless the pivot is past or it is on its way back.
                if !active.committed && active.phase != Phase::RollingBack {
                    admitted(attempt, supply, args, &wanted).await.map_err(|refused| {
                        refused.hint(format!("relman abort: take {}#{} back", site.name, active.number))
                    })?;
                }
                attempt.take_over(&active, None).await?
            }
            false => {
                attempt.make_way(&active, false).await?;
                None
            }
        };
        // One that somebody had stopped is only brought to its end: what is asked for now is another one.
        if let Some(done) = done.filter(|done| !done.is_aborted()) {
            return conclude(context, site, done).await;
        }
    }

    // Whoever is on hold hears so before an image is built for nothing.
    let admission = admitted(attempt, supply, args, &wanted).await?;
    if matches!(admission, Admission::Go { .. }) && !makes_hosts(site) {
        // So is whoever lacks a secret, unless what makes the hosts makes the secret too.
        site.secrets.resolve(&site.run.secrets).await?;
    }
    let release = match (wanted.release.clone(), args.names_target()) {
        (Some(release), true) => release,
        (None, _) if admission == Admission::Superseded => {
            return superseded_unreleased(attempt).await;
        }
        // Also of a HEAD that has a release: tags that are missing are put in place.
        _ => {
            let released = release::run(context, supply, args.release.clone()).await?;
            released.release.ok_or_else(|| {
                CommandError::new(ErrorKind::Usage, "a build without a version cannot be deployed")
                    .hint("commit your changes, then relman deploy")
            })?
        }
    };

    // A build takes long: who set a hold meanwhile is heard.
    let admission = admitted(attempt, supply, args, &wanted).await?;
    let environment = context.environment(&attempt.stream).await?;
    let serving = context.deployment(&attempt.stream, environment.serving).await?;
    let kind = policy::deploy_kind(&release, serving.as_ref().map(|deployment| &deployment.release));
    let mut aim = Aim { kind, release: release.clone(), run: site.run.clone(), hosts: Vec::new() };
    let Admission::Go { overrides, keeps_hold } = admission else {
        return superseded(attempt, &aim, &environment, serving.as_ref()).await;
    };
    still_there(context, supply, &release).await?;
    let wish = Wish { wait: args.lock_wait, may_destroy: args.yes, ..Wish::default() };
    provision::before_hosts(attempt, wish).await?;
    let site = &attempt.site;
    aim.hosts = attempt::hosts(site, &args.hosts)?;
    let number = environment.last + 1;
    if serves(serving.as_ref(), &release) {
        let seen = attempt.claim(&aim.hosts, number).await;
        // Hosts that cannot be asked are not settled; the attempt itself says what is wrong with them.
        let facts = attempt::facts(context, site, &attempt.stream, &aim, &seen).await;
        if let Some(report) = facts.ok().and_then(|facts| nothing_to_do(site, &release, &facts)) {
            return Ok(report);
        }
    }
    let started = Started {
        deployment: number,
        kind,
        release,
        run: context.put_artifact(&aim.run).await?,
        hosts: aim.hosts.clone(),
        reason: args.reason.clone(),
        rollback_of: None,
        withdrawn: None,
        sets_hold: false,
        keeps_hold,
        offline: None,
        overrides,
    };
    let done = attempt.run(aim, started).await?;
    conclude(context, site, done).await
}

async fn superseded_unreleased(attempt: &Attempt<'_>) -> Result<Report, CommandError> {
    let environment = attempt.context.environment(&attempt.stream).await?;
    let serving = attempt.context.deployment(&attempt.stream, environment.serving).await?;
    let mut report = Report::new(&attempt.site, ReportResult::Superseded);
    report.from_version = serving.map(|deployment| deployment.release.version);
    report.notes.push("what serves already contains this commit; no release was made of it".to_owned());
    Ok(report)
}

/// An older push that came late is recorded, and is no error.
async fn superseded(
    attempt: &Attempt<'_>,
    aim: &Aim,
    environment: &EnvironmentRecord,
    serving: Option<&Deployment>,
) -> Result<Report, CommandError> {
    let number = environment.last + 1;
    let started = Started {
        deployment: number,
        kind: aim.kind,
        release: aim.release.clone(),
        run: attempt.context.put_artifact(&aim.run).await?,
        hosts: Vec::new(),
        reason: None,
        rollback_of: None,
        withdrawn: None,
        sets_hold: false,
        keeps_hold: false,
        offline: None,
        overrides: Vec::new(),
    };
    attempt.append(Event::DeploymentStarted(Box::new(started))).await?;
    let tag = serving.map(|deployment| deployment.release.version.tag()).unwrap_or_default();
    let message = format!("{tag}, which serves, contains it");
    attempt
        .append(Event::DeploymentFinished {
            deployment: number,
            outcome: Outcome::Superseded,
            message: Some(message.clone()),
            verdict: None,
        })
        .await?;
    let mut report = Report::new(&attempt.site, ReportResult::Superseded);
    report.version = Some(aim.release.version.clone());
    report.from_version = serving.map(|deployment| deployment.release.version.clone());
    report.outcome = Some(Outcome::Superseded);
    report.notes.push(message);
    Ok(report)
}

/// A target whose image is gone is found out before a host is touched. A registry that does not answer is not:
/// the hosts may have the image.
async fn still_there(context: &Context, supply: &Supply, release: &ReleaseRef) -> Result<(), CommandError> {
    match supply.registry.resolve(&release.repository, release.digest.as_str()).await {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(CommandError::new(
            ErrorKind::NotFound,
            format!("the image of {} is gone from {}", release.version.tag(), release.repository),
        )
        .hint("relman releases --check: what can still be deployed")
        .hint(format!(
            "git checkout {} && relman release --new-build: build it again",
            release.commit.short()
        ))),
        Err(error) => {
            context.progress.note(&format!("{error}; the hosts are asked for the image themselves"));
            Ok(())
        }
    }
}

/// Whether this release is the one on record. Another version of the same image is not: that it serves is recorded.
fn serves(serving: Option<&Deployment>, release: &ReleaseRef) -> bool {
    serving.is_some_and(|serving| {
        serving.release.version == release.version && serving.release.digest == release.digest
    })
}

/// The report where every host that can be asked serves the release already.
fn nothing_to_do(site: &Site, release: &ReleaseRef, facts: &BTreeMap<HostName, HostFacts>) -> Option<Report> {
    if !facts.values().all(|host| host.settled || host.absent.is_some()) {
        return None;
    }
    let mut report = Report::new(site, ReportResult::NothingToDo);
    report.version = Some(release.version.clone());
    report.laggards =
        facts.iter().filter_map(|(name, host)| Some((name.clone(), host.absent.clone()?))).collect();
    let whom = if report.laggards.is_empty() { "every host" } else { "every host that can be reached" };
    report.notes.push(format!("{} serves on {whom}, with this configuration", release.version.tag()));
    Some(report)
}

/// The plan on what the hosts say now. No lease, no fence, nothing recorded: there is no effect to leave out.
async fn dry_run(
    context: &Context,
    site: &Site,
    supply: &Supply,
    args: Args,
) -> Result<Report, CommandError> {
    let stream = context.stream(&site.name);
    let environment = context.environment(&stream).await?;
    let serving = context.deployment(&stream, environment.serving).await?;
    let wanted = wanted(context, site, supply, &args).await?;
    let mut report = Report::new(site, ReportResult::Planned);
    let rules = rules(context, site, &environment, &wanted).await?;
    match admit(supply, &args, &wanted, (serving.as_ref(), &environment), &rules)? {
        Admission::Refused(refusal) => return Err(refused(&refusal, site, &environment)),
        Admission::Superseded => {
            report.result = ReportResult::Superseded;
            report.from_version = serving.map(|deployment| deployment.release.version);
            return Ok(report);
        }
        Admission::Go { .. } => {}
    }
    let mut notes = Vec::new();
    if let Some(infra) = site.infra.as_ref().filter(|infra| infra.provision != Provision::Skip) {
        let changes = provision::look(context, infra, Locking::Wait(args.lock_wait)).await?;
        if changes.differs() {
            notes.push(format!("infrastructure: {changes}"));
        }
    }
    if let Some(active) = environment.active {
        notes.push(format!("{}#{active} has no outcome yet; it would be brought to an end first", site.name));
    }
    let Some(release) = wanted.release else {
        report.commit = Some(wanted.commit);
        report.notes = notes;
        report
            .notes
            .push("HEAD has no release yet: it would be built and released first, then deployed".to_owned());
        report.notes.push("relman release --dry-run shows which version it would become".to_owned());
        return Ok(report);
    };
    let kind = policy::deploy_kind(&release, serving.as_ref().map(|deployment| &deployment.release));
    if makes_hosts(site) && site.fleet.hosts().is_empty() {
        report.version = Some(release.version);
        report.notes = notes;
        report.notes.push("its hosts are known once the infrastructure was applied".to_owned());
        return Ok(report);
    }
    let hosts = attempt::hosts(site, &args.hosts)?;
    let aim = Aim { kind, release, run: site.run.clone(), hosts };
    let seen = claim::observe(&*site.fleet, &aim.hosts).await;
    let facts = attempt::facts(context, site, &stream, &aim, &seen).await?;
    if serves(serving.as_ref(), &aim.release)
        && environment.active.is_none()
        && let Some(report) = nothing_to_do(site, &aim.release, &facts)
    {
        return Ok(report);
    }
    let plan = attempt::make_plan(context, site, &stream, &aim, facts, environment.last + 1).await?;
    let mut report = Report::new(site, ReportResult::Planned).with_plan(&plan);
    report.stages = stages(&plan);
    report.notes = notes;
    Ok(report)
}

/// Plans without a lease.
pub(crate) async fn plan_only(
    context: &Context,
    site: &Site,
    aim: &Aim,
    number: u64,
) -> Result<Plan, CommandError> {
    let stream = context.stream(&site.name);
    let seen = claim::observe(&*site.fleet, &aim.hosts).await;
    let hosts = attempt::facts(context, site, &stream, aim, &seen).await?;
    attempt::make_plan(context, site, &stream, aim, hosts, number).await
}
