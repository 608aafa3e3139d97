//! `relman rollback`: make an environment run a recorded release again, and keep the bad one away.

mod choice;
pub mod import;
pub mod offline;

use std::time::Duration;

use super::attempt::{self, Aim, Ask, Attempt};
use super::deploy::plan_only;
use super::outcome::{Report, ReportResult, conclude, stages};
use super::{CommandError, Context, Site, Supply};
use super::{provision, target};
use crate::domain::deployment::{Deployment, Kind, Offline, Withdrawn};
use crate::domain::event::Started;
use crate::domain::id::HostName;
use crate::domain::policy::{Ancestry, Withdrawal};
use crate::domain::record::{Listing, Record};
use crate::domain::release::ReleaseRef;
use crate::domain::run::RunConfig;
use crate::domain::target::Target;
use choice::{Choice, choice, choose};

/// What the user asked for.
#[derive(Debug, Clone, Default)]
pub struct Args {
    /// Where to; none: the newest proven release that does not serve.
    pub target: Option<Target>,
    /// Only show where it could go.
    pub list: bool,
    /// Only plan.
    pub dry_run: bool,
    /// Run it with the configuration of now, not with that of then.
    pub config_now: bool,
    /// Resolve secrets by the references of then, not by those of now.
    pub secrets_then: bool,
    /// Why.
    pub reason: Option<String>,
    /// Set no hold.
    pub no_hold: bool,
    /// Only these hosts.
    pub hosts: Vec<HostName>,
    /// Also to a release that is known to be bad.
    pub yes: bool,
    /// When to stop; the work can be resumed.
    pub timeout: Option<Duration>,
}

/// Rolls back.
///
/// # Errors
/// Every way in which the target does not serve on all hosts in the end; see [`ErrorKind`].
pub async fn run(
    context: &Context,
    site: &Site,
    supply: &Supply,
    args: Args,
) -> Result<Report, CommandError> {
    let hosts = attempt::hosts(site, &args.hosts)?;
    if args.list {
        let bad = bad(context, site).await?;
        let mut report = Report::new(site, ReportResult::Listed);
        report.from_version = bad.as_ref().map(|bad| bad.release.version.clone());
        report.candidates = choose(context, site, supply, bad.as_ref(), true).await?.1;
        return Ok(report);
    }
    if args.dry_run {
        let bad = bad(context, site).await?;
        let mut choice = choice(context, site, supply, &args, bad.as_ref()).await?;
        let environment = context.environment(&context.stream(&site.name)).await?;
        let run = run_config(context, site, &args, &mut choice).await?;
        let aim = Aim { kind: Kind::Rollback, release: choice.release.clone(), run, hosts };
        let plan = plan_only(context, site, &aim, environment.last + 1).await?;
        let mut report = Report::new(site, ReportResult::Planned).with_plan(&plan);
        report.stages = stages(&plan);
        report.notes.append(&mut choice.notes);
        report.candidates = choice.passed_over;
        return Ok(report);
    }
    let purpose = match &args.target {
        Some(target) => format!("rollback to {target}"),
        None => "rollback".to_owned(),
    };
    // A target that is not there must not stop whoever works.
    if unfinished_rollback(context, site, &args).await?.is_none() {
        let bad = bad(context, site).await?;
        let mut choice = choice(context, site, supply, &args, bad.as_ref()).await?;
        let run = run_config(context, site, &args, &mut choice).await?;
        site.secrets.resolve(&run.secrets).await.map_err(|error| {
            CommandError::from(error)
                .hint("relman abort: takes back what is in flight, and needs no secret for it")
                .hint("relman rollback --offline: by what the hosts hold, with the secrets that they have")
        })?;
    }
    // It does not wait: whoever deploys the bad release stops at its next entry.
    let ask = Ask { purpose, wait: Duration::ZERO, preempt: true, timeout: args.timeout };
    let attempt = Attempt::begin(context, site, ask).await?;
    let result = rollback(&attempt, supply, &args, hosts).await;
    attempt.end().await;
    result
}

async fn rollback(
    attempt: &Attempt<'_>,
    supply: &Supply,
    args: &Args,
    hosts: Vec<HostName>,
) -> Result<Report, CommandError> {
    let (context, site) = (attempt.context, &attempt.site);
    let unfinished = unfinished_rollback(context, site, args).await?;
    let lost = match &unfinished {
        Some(left) => attempt.is_lost(left).await?,
        None => false,
    };
    let (bad, mut choice) = match unfinished {
        // The same on the same hosts is the same rollback.
        Some(left)
            if !lost
                && hosts.iter().all(|host| left.hosts.contains(host))
                && hosts.len() == left.hosts.len() =>
        {
            match attempt.take_over(&left, None).await? {
                // One that somebody had stopped has gone back to what was to be taken away.
                Some(done) if !done.is_aborted() => return conclude(context, site, done).await,
                _ => again(context, site, left).await?,
            }
        }
        Some(left) => again(context, site, left).await?,
        // What is in flight is what the user wants to be rid of, so it is looked at before it is ended.
        None => {
            let bad = bad(context, site).await?;
            let choice = choice(context, site, supply, args, bad.as_ref()).await?;
            (bad, choice)
        }
    };
    let environment = context.environment(&attempt.stream).await?;
    if let Some(active) = context.deployment(&attempt.stream, environment.active).await? {
        attempt.make_way(&active, true).await?;
    }
    let run = run_config(context, site, args, &mut choice).await?;
    carry_out(attempt, supply, Order { bad, choice, run, hosts, args, offline: None }).await
}

/// A way back that is decided.
struct Order<'a> {
    /// What is taken back.
    bad: Option<Deployment>,
    choice: Choice,
    run: RunConfig,
    hosts: Vec<HostName>,
    args: &'a Args,
    /// How it was done without the ledger, should it only be recorded.
    offline: Option<Offline>,
}

/// Records it and drives it to its end. Nothing is in flight any more.
async fn carry_out(attempt: &Attempt<'_>, supply: &Supply, order: Order<'_>) -> Result<Report, CommandError> {
    let (context, site) = (attempt.context, &attempt.site);
    let Order { bad, mut choice, run, hosts, args, offline } = order;
    let mut notes = std::mem::take(&mut choice.notes);
    for passed in &choice.passed_over {
        if let Some(why) = &passed.skipped {
            notes.push(format!("passed over {} ({}): {why}", passed.version.tag(), passed.id));
        }
    }
    let left_out: Vec<HostName> =
        site.fleet.hosts().into_iter().filter(|host| !hosts.contains(host)).collect();
    if !left_out.is_empty() {
        let names: Vec<&str> = left_out.iter().map(HostName::as_str).collect();
        notes.push(format!(
            "left out: {names}; when they are back: relman rollback --to {tag} --hosts {names}",
            names = names.join(","),
            tag = choice.release.version.tag()
        ));
    }
    for note in &notes {
        context.progress.note(note);
    }
    let withdrawn = match &bad {
        Some(bad) => withdrawn(context, supply, &bad.release, &choice.release).await?,
        None => None,
    };
    // What a later rollback goes by is no reason to keep this one from going.
    if let Err(error) = provision::record_hosts(attempt).await {
        context.progress.note(&format!("the hosts were not put on record: {error}"));
    }
    let environment = context.environment(&attempt.stream).await?;
    let run_digest = context.put_artifact(&run).await?;
    let aim = Aim { kind: Kind::Rollback, release: choice.release.clone(), run, hosts };
    let started = Started {
        deployment: environment.last + 1,
        kind: Kind::Rollback,
        release: choice.release,
        run: run_digest,
        hosts: aim.hosts.clone(),
        reason: args.reason.clone(),
        rollback_of: bad.as_ref().map(|bad| bad.number),
        sets_hold: withdrawn.is_some() && !args.no_hold,
        keeps_hold: false,
        offline,
        withdrawn,
        overrides: Vec::new(),
    };
    let holds = started.sets_hold;
    let done = attempt.run(aim, started).await?;
    let mut report = conclude(context, site, done).await?;
    notes.append(&mut report.notes);
    if let Some(bad) = bad.as_ref().filter(|_| holds) {
        let tag = bad.release.version.tag();
        notes.push(format!(
            "{} is on hold: a deploy that still holds the commits of {tag} is refused until they are reverted (relman unhold lifts it)",
            site.name
        ));
    }
    report.notes = notes;
    Ok(report)
}

/// A rollback that somebody left, if this one aims at the same: it is finished, not taken back in its turn.
async fn unfinished_rollback(
    context: &Context,
    site: &Site,
    args: &Args,
) -> Result<Option<Deployment>, CommandError> {
    let stream = context.stream(&site.name);
    let environment = context.environment(&stream).await?;
    let active = context.deployment(&stream, environment.active).await?;
    let Some(active) = active.filter(|active| active.kind == Kind::Rollback) else { return Ok(None) };
    let same = match &args.target {
        None => true,
        Some(target) => {
            target::resolve(context, &site.name, target).await?.release.digest == active.release.digest
        }
    };
    Ok(same.then_some(active))
}

/// A rollback that somebody left, anew: to where it went, and from what it took back.
async fn again(
    context: &Context,
    site: &Site,
    left: Deployment,
) -> Result<(Option<Deployment>, Choice), CommandError> {
    let bad = context.deployment(&context.stream(&site.name), left.rollback_of).await?;
    let choice = Choice {
        release: left.release.clone(),
        deployment: Some(left),
        passed_over: Vec::new(),
        notes: Vec::new(),
    };
    Ok((bad, choice))
}

/// What is to be taken back: the deployment in flight once requests may have reached it, or else the one that
/// serves.
async fn bad(context: &Context, site: &Site) -> Result<Option<Deployment>, CommandError> {
    let stream = context.stream(&site.name);
    let environment = context.environment(&stream).await?;
    let active = context.deployment(&stream, environment.active).await?;
    match active.filter(|active| active.kind != Kind::Rollback && active.exposed) {
        Some(active) => Ok(Some(active)),
        None => context.deployment(&stream, environment.serving).await,
    }
}

/// The configuration of then, with the references to secrets of now: an old secret may be revoked or leaked.
async fn run_config(
    context: &Context,
    site: &Site,
    args: &Args,
    choice: &mut Choice,
) -> Result<RunConfig, CommandError> {
    let Some(deployment) = choice.deployment.clone().filter(|_| !args.config_now) else {
        return Ok(site.run.clone());
    };
    let mut run = context.run_of(&deployment).await?;
    if args.secrets_then {
        bind(site, &deployment, &mut run, choice);
    } else {
        for (name, reference) in &mut run.secrets {
            if let Some(now) = site.run.secrets.get(name) {
                reference.clone_from(now);
            }
        }
    }
    if run != site.run {
        choice.notes.push(format!(
            "it runs with the configuration of {}#{}, which differs from that of now (--config now takes that)",
            site.name, deployment.number
        ));
    }
    Ok(run)
}

/// The references of then, bound to the versions of then: recorded with this deployment, they hold for whoever resumes
/// it. What has no versions is what it is now, and that is said.
fn bind(site: &Site, deployment: &Deployment, run: &mut RunConfig, choice: &mut Choice) {
    run.secrets = run.secrets_at(&deployment.secrets);
    let unknown: Vec<&str> = run
        .secrets
        .keys()
        .filter(|name| !deployment.secrets.contains_key(*name))
        .map(String::as_str)
        .collect();
    if !unknown.is_empty() {
        choice.notes.push(format!(
            "{}#{} has no versions on record for {}: their references of then lead to the values of now",
            site.name,
            deployment.number,
            unknown.join(", ")
        ));
    }
    if unknown.len() < run.secrets.len() {
        choice.notes.push(
            "the secrets stay at the versions of then until the next relman deploy, also for relman secrets sync"
                .to_owned(),
        );
    }
}

/// What a rollback takes back: the commits of `bad` that are not in `good`, and every release that holds them. A
/// rollback to a newer release takes nothing back.
async fn withdrawn(
    context: &Context,
    supply: &Supply,
    bad: &ReleaseRef,
    good: &ReleaseRef,
) -> Result<Option<Withdrawn>, CommandError> {
    const NEWEST: u32 = 200;
    if bad.digest == good.digest {
        return Ok(None);
    }
    let repository = supply.repository.as_ref();
    let relation = match repository {
        Some(repository) => repository.ancestry(&good.commit, &bad.commit)?,
        None => Ancestry::Unknown,
    };
    let forward = match relation {
        Ancestry::Newer => true,
        Ancestry::Unknown => good.version > bad.version,
        Ancestry::Same | Ancestry::Older | Ancestry::Diverged => false,
    };
    if forward {
        return Ok(None);
    }
    let mut versions = vec![bad.version.clone()];
    let page = context.ledger.page(&Listing::Releases(context.service.clone()), None, NEWEST).await?;
    for (_, record) in page.records {
        let Record::Release(record) = record else { continue };
        let release = &record.release.identity;
        if release.version == bad.version || release.version == good.version {
            continue;
        }
        let holds = match repository {
            Some(repository) => repository.withdrawal(&release.commit, &bad.commit, &good.commit)?,
            None => Withdrawal::Unknown,
        };
        let between = good.version < release.version && release.version < bad.version;
        let holds = match holds {
            Withdrawal::Present(_) => true,
            Withdrawal::Absent | Withdrawal::Reverted => false,
            // Without the history the order of versions is the best guess.
            Withdrawal::Unknown => between,
        };
        if holds {
            versions.push(release.version.clone());
        }
    }
    Ok(Some(Withdrawn { bad: bad.clone(), good: good.clone(), versions }))
}
