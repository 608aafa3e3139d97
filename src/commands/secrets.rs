//! `relman secrets sync`: brings secrets that moved in their store to the containers of what serves. It is a redeploy of
//! the same digest with the same run configuration, and so the same switch, with the same way back.

use std::collections::BTreeMap;
use std::time::Duration;

use super::attempt::{self, Aim, Ask, Attempt};
use super::error::ErrorKind;
use super::outcome::{Report, ReportResult, conclude};
use super::{CommandError, Context, Site};
use crate::domain::deployment::{Deployment, Kind};
use crate::domain::event::Started;
use crate::domain::freeze;
use crate::domain::id::Stream;
use crate::domain::run::RunConfig;
use crate::secrets::listed;

/// What the user asked for.
#[derive(Debug, Clone, Default)]
pub struct Args {
    /// Only say what moved.
    pub dry_run: bool,
    /// Why.
    pub reason: Option<String>,
    /// How long to wait for another deployment.
    pub lock_wait: Duration,
    /// When to stop; the work can be resumed.
    pub timeout: Option<Duration>,
    /// Also while deploys are frozen.
    pub override_freeze: bool,
}

/// What serves, and how its secrets stand to their stores.
struct Moved {
    serving: Deployment,
    run: RunConfig,
    /// The versions of now.
    now: BTreeMap<String, String>,
    /// What moved, each for people.
    moved: Vec<String>,
}

/// Brings what moved; nothing when nothing did.
///
/// # Errors
/// When a secret cannot be had, before anything is done; and as a deploy fails.
pub async fn run(context: &Context, site: &Site, args: Args) -> Result<Report, CommandError> {
    if args.override_freeze && args.reason.is_none() {
        return Err(CommandError::new(ErrorKind::Usage, "an override needs a reason").hint("--reason '…'"));
    }
    if args.dry_run {
        let moved = look(context, site).await?;
        let mut report = moved.report(site);
        if !moved.moved.is_empty() {
            report.result = ReportResult::Planned;
            report.notes = moved.moved;
        }
        return Ok(report);
    }
    let ask = Ask {
        purpose: "secrets sync".to_owned(),
        wait: args.lock_wait,
        preempt: false,
        timeout: args.timeout,
    };
    let attempt = Attempt::begin(context, site, ask).await?;
    let result = sync(&attempt, &args).await;
    attempt.end().await;
    result
}

async fn sync(attempt: &Attempt<'_>, args: &Args) -> Result<Report, CommandError> {
    let (context, site) = (attempt.context, &attempt.site);
    let environment = context.environment(&attempt.stream).await?;
    if let Some(active) = environment.active {
        let text = format!("{}#{active} has no outcome yet, and what serves is not decided", site.name);
        return Err(CommandError::new(ErrorKind::InProgress, text)
            .hint(format!("relman resume '{}#{active}', or relman abort; then the same again", site.name)));
    }
    let moved = look(context, site).await?;
    if moved.moved.is_empty() {
        return Ok(moved.report(site));
    }
    let environment = context.environment(&context.stream(&site.name)).await?;
    let frozen = freeze::in_force(&site.settings.freeze, &environment.freezes, context.clock.now());
    if let Some(frozen) = frozen.filter(|_| !args.override_freeze) {
        return Err(CommandError::new(ErrorKind::Refused, frozen.to_string())
            .detail(format!("Moved: {}", moved.moved.join(", ")))
            .hint("relman secrets sync --override-freeze --reason '…': a secret that leaked does not wait"));
    }
    let changes = format!("secrets: {}", moved.moved.join(", "));
    context.progress.note(&changes);
    let reason =
        args.reason.as_ref().map_or_else(|| changes.clone(), |reason| format!("{reason} ({changes})"));
    let Moved { serving, run, .. } = moved;
    let aim = Aim {
        kind: Kind::Redeploy,
        release: serving.release.clone(),
        run,
        hosts: attempt::hosts(site, &[])?,
    };
    let started = Started {
        deployment: environment.last + 1,
        kind: Kind::Redeploy,
        release: serving.release,
        run: context.put_artifact(&aim.run).await?,
        hosts: aim.hosts.clone(),
        reason: Some(reason),
        rollback_of: None,
        withdrawn: None,
        sets_hold: false,
        // The same release goes on: what a rollback keeps away stays away.
        keeps_hold: true,
        offline: None,
        overrides: if args.override_freeze { vec!["override-freeze".to_owned()] } else { Vec::new() },
    };
    let done = attempt.run(aim, started).await?;
    conclude(context, site, done).await
}

async fn look(context: &Context, site: &Site) -> Result<Moved, CommandError> {
    let stream: Stream = context.stream(&site.name);
    let environment = context.environment(&stream).await?;
    let Some(serving) = context.deployment(&stream, environment.serving).await? else {
        return Err(CommandError::new(ErrorKind::NotFound, format!("nothing serves in {}", site.name))
            .hint(format!("relman deploy --env {}", site.name)));
    };
    let run = context.run_of(&serving).await?;
    let now = site.secrets.resolve(&run.secrets).await?.versions;
    let moved = now.iter().filter(|(name, version)| serving.secrets.get(*name) != Some(version)).map(
        |(name, version)| match serving.secrets.get(name) {
            Some(before) => format!("{}, was {before}", listed([(name, version)])),
            None => format!("{}, was not recorded", listed([(name, version)])),
        },
    );
    let moved = moved.collect();
    Ok(Moved { serving, run, now, moved })
}

impl Moved {
    fn report(&self, site: &Site) -> Report {
        let mut report = Report::new(site, ReportResult::NothingToDo);
        report.version = Some(self.serving.release.version.clone());
        report.digest = Some(self.serving.release.digest.clone());
        report.notes.push(match self.now.is_empty() {
            true => "what serves has no secret in a store with versions: relman deploy brings those of files and variables"
                .to_owned(),
            false => format!("no version moved: {}", listed(&self.now)),
        });
        let pinned: Vec<&str> = self
            .run
            .secrets
            .iter()
            .filter(|(_, reference)| reference.stored().is_some_and(|stored| stored.version.is_some()))
            .map(|(name, _)| name.as_str())
            .collect();
        if !pinned.is_empty() {
            report.notes.push(format!("bound to one version by the configuration: {}", pinned.join(", ")));
        }
        report
    }
}
