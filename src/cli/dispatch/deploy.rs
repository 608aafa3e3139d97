//! Verbs that release or deploy. In GitHub Actions `release` and `deploy` also write step outputs and a summary.

use super::Run;
use super::change::{named, number};
use crate::cli::wire::{Access, Hosts, Purpose, Wire};
use crate::cli::{args, exit, github, hint, output, signals};
use crate::clock::{Clock as _, SystemClock};
use crate::commands::deploy::Report;
use crate::commands::error::{CommandError, ErrorKind};
use crate::commands::{self, Context, Site};
use crate::config::Via;
use crate::domain::actor::Actor;
use crate::domain::id::{EnvironmentName, Stream};
use crate::domain::target::Target;
use crate::git::PushToken;
use crate::host::wire::Secret;

async fn site(
    run: &Run,
    named: Option<&EnvironmentName>,
    which: Hosts,
) -> Result<(Wire, Context, Site), CommandError> {
    site_by(run, named, which, None).await
}

async fn site_by(
    run: &Run,
    named: Option<&EnvironmentName>,
    which: Hosts,
    way: Option<args::Way>,
) -> Result<(Wire, Context, Site), CommandError> {
    signals::watch(&run.interrupt);
    let wire = run.wire()?;
    let context = wire.context(Access::Write)?;
    let site = wire.site_with(&context, wire.environment(named)?, which, way).await?;
    Ok((wire, context, site))
}

/// What CI knows about the commit that it checked out.
fn of_ci(wire: &Wire) -> commands::release::Args {
    let around = &wire.around;
    let server = around.variable("GITHUB_SERVER_URL");
    let is_branch = around.variable("GITHUB_REF_TYPE") == Some("branch");
    let branch = around
        .variable("GITHUB_HEAD_REF")
        .or_else(|| around.variable("GITHUB_REF_NAME").filter(|_| is_branch))
        .or_else(|| around.variable("CI_COMMIT_BRANCH"));
    let source = match (server, around.variable("GITHUB_REPOSITORY")) {
        (Some(server), Some(repository)) => Some(format!("{server}/{repository}")),
        _ => around.variable("CI_PROJECT_URL").map(str::to_owned),
    };
    // The job's token is for the server of the job alone.
    let host =
        server.and_then(|server| server.strip_prefix("https://")).map(|host| host.trim_end_matches('/'));
    let push_token = match (host, around.variable("GITHUB_TOKEN")) {
        (Some(host), Some(token)) => {
            Some(PushToken { host: host.to_owned(), token: Secret::new(token.to_owned()) })
        }
        _ => None,
    };
    commands::release::Args {
        branch: branch.map(str::to_owned),
        source,
        push_token,
        ..commands::release::Args::default()
    }
}

pub(super) async fn release(run: &Run, args: args::Release) -> Result<u8, CommandError> {
    signals::watch(&run.interrupt);
    let wire = run.wire()?;
    let access = if args.dry_run { Access::Read } else { Access::Write };
    let context = wire.context(access)?;
    let args_dry = args.dry_run;
    let args = commands::release::Args {
        version: args.version,
        dry_run: args.dry_run,
        image: args.image,
        prerelease: args.prerelease,
        new_build: args.new_build,
        repair: args.repair,
        allow_dirty: args.allow_dirty,
        ..of_ci(&wire)
    };
    let report = match commands::release::run(&context, &wire.supply()?, args).await {
        Ok(report) => report,
        Err(error) => {
            tell_github(&wire, "relman release", &failed(run, &error));
            return Err(error);
        }
    };
    let text = |value: Option<String>| value.unwrap_or_default();
    let outputs = [
        ("version", text(report.version.as_ref().map(ToString::to_string))),
        ("commit", report.commit.to_string()),
        ("digest", text(report.digest.as_ref().map(ToString::to_string))),
        ("image", text(report.image.clone())),
        ("tags", report.tags.join(" ")),
    ];
    let mut outputs = outputs.to_vec();
    if !args_dry {
        outputs.extend(anchored(&wire, &context, &[Stream::releases(&context.service)]).await);
    }
    tell_github(&wire, "relman release", &outputs);
    run.print_done(&report, output::release::show)?;
    // The release exists; a caller that needs its tags must still hear that some are not in place.
    Ok(if report.is_complete() { exit::DONE } else { exit::code(ErrorKind::Failed) })
}

/// Who starts this deploy, where a second pair of eyes is asked for.
async fn first_eyes(wire: &Wire, name: &EnvironmentName) -> Result<Actor, CommandError> {
    match wire.proven(name, Purpose::Start).await? {
        Some(actor) => Ok(actor),
        None => Err(CommandError::new(
            ErrorKind::Refused,
            "four eyes are asked for here (approval.four_eyes), and who starts this deploy is not proven",
        )
        .hint(wire.to_be_proven(name, Purpose::Start)?)),
    }
}

pub(super) async fn deploy(run: &Run, args: args::Deploy) -> Result<u8, CommandError> {
    // `--fixes production#12` names a rollback of that environment and of no other.
    let environment = args.fixes.as_ref().and_then(named);
    let (wire, context, site) = match args.dry_run {
        // A dry run has nothing to write with.
        true => planning(run, environment, Hosts::Fresh).await?,
        false => site(run, environment, Hosts::Fresh).await?,
    };
    // Where a second pair of eyes is asked for, whose the first is must be known.
    let four_eyes = site.settings.approval.as_ref().is_some_and(|rule| rule.four_eyes);
    let context = match four_eyes && !args.dry_run {
        true => Context { actor: first_eyes(&wire, &site.name).await?, ..context },
        false => context,
    };
    let args = commands::deploy::Args {
        target: args.target,
        from: args.from,
        dry_run: args.dry_run,
        reason: args.reason,
        lock_wait: args.lock_wait,
        timeout: args.timeout,
        allow_older: args.allow_older,
        override_hold: args.override_hold,
        override_freeze: args.override_freeze,
        override_order: args.override_order,
        fixes: args.fixes.and_then(|id| match id {
            Target::Deployment { number, .. } => Some(number),
            _ => None,
        }),
        hosts: args.hosts,
        yes: run.global.yes,
        release: of_ci(&wire),
    };
    let dry = args.dry_run;
    let result = commands::deploy::run(&context, &site, &wire.supply()?, args).await;
    ended(run, &wire, &context, &site, ("relman deploy", dry), result).await
}

/// What follows each deployment, whatever its end: the heads are kept, GitHub is told, the report is printed.
async fn ended(
    run: &Run,
    wire: &Wire,
    context: &Context,
    site: &Site,
    (title, dry): (&str, bool),
    result: Result<Report, CommandError>,
) -> Result<u8, CommandError> {
    let mut outputs = match &result {
        Ok(report) => outputs(report),
        Err(error) => {
            let mut told = failed(run, error);
            told.insert(0, ("environment", site.name.to_string()));
            told
        }
    };
    let wrote = match &result {
        Ok(_) => !dry,
        Err(error) => matches!(error.kind, ErrorKind::Returned | ErrorKind::Unsafe),
    };
    if wrote {
        let streams = [Stream::releases(&context.service), context.stream(&site.name)];
        outputs.extend(anchored(wire, context, &streams).await);
    }
    tell_github(wire, title, &outputs);
    let report = result?;
    if wrote {
        run.print_done(&report, output::deploy::show)
    } else {
        run.print(&report, output::deploy::show)
    }
}

/// Keeps the heads where the configuration has a place for it, and says them for the job's summary: whoever has that
/// can prove later that nothing before them was lost.
async fn anchored(wire: &Wire, context: &Context, streams: &[Stream]) -> Vec<(&'static str, String)> {
    let heads = match commands::anchor::heads(context, streams).await {
        Ok(heads) => heads,
        Err(error) => {
            wire.progress.note(&format!("the heads of the ledger were not read: {error}"));
            return Vec::new();
        }
    };
    if let Ok(Some(anchors)) = wire.anchors()
        && let Err(error) = commands::anchor::keep(context, anchors.as_ref(), &heads).await
    {
        wire.progress.note(&format!("the heads were not anchored, the next run does it: {error}"));
    }
    let text = heads.iter().map(|(stream, head)| format!("{stream} {} {}", head.seq, head.hash));
    vec![("ledger_heads", text.collect::<Vec<_>>().join("; "))]
}

fn outputs(report: &Report) -> Vec<(&'static str, String)> {
    let text = |value: Option<String>| value.unwrap_or_default();
    let result = serde_json::to_value(report.result).unwrap_or_default();
    vec![
        ("environment", report.environment.clone()),
        ("result", result.as_str().unwrap_or_default().to_owned()),
        ("deployment", text(report.id.as_ref().map(ToString::to_string))),
        ("version", text(report.version.as_ref().map(ToString::to_string))),
        ("commit", text(report.commit.as_ref().map(ToString::to_string))),
        ("digest", text(report.digest.as_ref().map(ToString::to_string))),
        ("from_version", text(report.from_version.as_ref().map(ToString::to_string))),
    ]
}

/// Why it did not work, and what to run next: whoever opens a red job sees this before its log.
fn failed(run: &Run, error: &CommandError) -> Vec<(&'static str, String)> {
    let named = |text: &str| match run.meant.get() {
        Some(name) => hint::for_environment(text, name),
        None => text.to_owned(),
    };
    let hints: Vec<_> = error.hints.iter().map(|hint| named(hint)).collect();
    vec![
        ("code", exit::code(error.kind).to_string()),
        ("error", named(&error.message)),
        ("next", hints.join("; ")),
    ]
}

fn tell_github(wire: &Wire, title: &str, outputs: &github::Outputs<'_>) {
    for failure in github::write(&wire.around, title, outputs, &SystemClock.token()) {
        wire.progress.note(&failure);
    }
}

async fn planning(
    run: &Run,
    named: Option<&EnvironmentName>,
    which: Hosts,
) -> Result<(Wire, Context, Site), CommandError> {
    let wire = run.wire()?;
    let context = wire.context(Access::Read)?;
    let site = wire.site_with(&context, wire.environment(named)?, which, None).await?;
    Ok((wire, context, site))
}

pub(super) async fn rollback(run: &Run, args: args::Rollback) -> Result<u8, CommandError> {
    // `production#142` names the release; where to is another matter, so its environment counts only without --env.
    let environment = args.to.as_ref().and_then(named).filter(|_| run.global.env.is_none());
    if args.offline {
        return offline(run, environment.cloned(), args).await;
    }
    if let Some(host) = args.hosts.iter().find(|host| host.at.is_some()) {
        let text = format!("--hosts {}=ADDRESS goes with --offline", host.name);
        return Err(CommandError::new(ErrorKind::Usage, text).hint("its address belongs into relman.toml"));
    }
    let (wire, context, site) = match args.dry_run || args.list {
        true => planning(run, environment, Hosts::Known).await?,
        false => site_by(run, environment, Hosts::Known, args.via).await?,
    };
    let args = commands::rollback::Args {
        config_now: args.config == args::Moment::Now,
        secrets_then: args.secrets == args::Moment::Then,
        target: args.to,
        list: args.list,
        dry_run: args.dry_run,
        reason: args.reason,
        no_hold: args.no_hold,
        hosts: args.hosts.into_iter().map(|host| host.name).collect(),
        yes: run.global.yes,
        timeout: args.timeout,
    };
    let dry = args.dry_run || args.list;
    let result = commands::rollback::run(&context, &site, &wire.supply()?, args).await;
    ended(run, &wire, &context, &site, ("relman rollback", dry), result).await
}

/// Without the ledger: nothing of AWS is asked, and nothing is recorded but on the hosts.
async fn offline(
    run: &Run,
    named: Option<EnvironmentName>,
    args: args::Rollback,
) -> Result<u8, CommandError> {
    let wire = run.wire()?;
    let site = wire.offline_site(wire.configured(named.as_ref())?, &args.hosts).await?;
    let means = commands::rollback::offline::Means {
        site: &site,
        clock: &SystemClock,
        actor: &wire.around.actor(),
        machine: &wire.around.machine,
        progress: &*wire.progress,
    };
    let dry = args.dry_run;
    let args = commands::rollback::offline::Args {
        target: args.to,
        dry_run: args.dry_run,
        reason: args.reason,
        hosts: args.hosts.into_iter().map(|host| host.name).collect(),
    };
    let report = commands::rollback::offline::run(means, args).await?;
    if dry {
        run.print(&report, output::offline::show)
    } else {
        run.print_done(&report, output::offline::show)
    }
}

/// Secrets that moved, to the containers of what serves.
pub(super) async fn sync(run: &Run, args: args::SecretsSync) -> Result<u8, CommandError> {
    let (wire, context, site) = match args.dry_run {
        true => planning(run, None, Hosts::Known).await?,
        false => site(run, None, Hosts::Known).await?,
    };
    let dry = args.dry_run;
    let args = commands::secrets::Args {
        dry_run: args.dry_run,
        reason: args.reason,
        lock_wait: args.lock_wait,
        timeout: args.timeout,
        override_freeze: args.override_freeze,
    };
    let result = commands::secrets::run(&context, &site, args).await;
    ended(run, &wire, &context, &site, ("relman secrets sync", dry), result).await
}

/// What was done without the ledger, on record.
pub(super) async fn import(run: &Run, args: args::Import) -> Result<u8, CommandError> {
    let (wire, context, site) = site(run, None, Hosts::Known).await?;
    let result = commands::rollback::import::run(&context, &site, &wire.supply()?, &args.hosts).await;
    ended(run, &wire, &context, &site, ("relman ledger import", false), result).await
}

pub(super) async fn resume(run: &Run, args: args::Resume) -> Result<u8, CommandError> {
    let (wire, context, site) = site(run, args.id.as_ref().and_then(named), Hosts::Known).await?;
    let args = commands::resume::Args { number: number(args.id), lock_wait: args.lock_wait };
    let result = commands::resume::run(&context, &site, args).await;
    ended(run, &wire, &context, &site, ("relman resume", false), result).await
}

pub(super) async fn reject(run: &Run, args: args::Reject) -> Result<u8, CommandError> {
    // No host is asked for anything.
    let (wire, context, site) = site(run, args.id.as_ref().and_then(named), Hosts::Unread).await?;
    let proven = wire.proven(&site.name, Purpose::Decide).await?;
    let actor = proven.unwrap_or_else(|| context.actor.clone());
    let context = Context { actor, ..context };
    let args = commands::approve::Args { number: number(args.id), plan: None, reason: Some(args.reason) };
    run.print_done(&commands::approve::reject(&context, &site, args).await?, output::approve::show)
}

pub(super) async fn abort(run: &Run, args: args::Abort) -> Result<u8, CommandError> {
    let (wire, context, site) = site(run, None, Hosts::Known).await?;
    let args = commands::abort::Args { reason: args.reason };
    let result = commands::abort::run(&context, &site, args).await;
    ended(run, &wire, &context, &site, ("relman abort", false), result).await
}

/// On a host: it reads the ledger, and the host is the only thing that changes.
pub(super) async fn catch_up(run: &Run, args: args::CatchUp) -> Result<u8, CommandError> {
    let wire = run.wire()?;
    let context = wire.context(Access::Read)?;
    let site = wire.site(&context, wire.configured(None)?).await?;
    if site.settings.via != Via::Local {
        let text =
            format!("catch-up is for the host that it runs on, and {} is not via = \"local\"", site.name);
        return Err(CommandError::new(ErrorKind::Usage, text)
            .hint("relman deploy: hosts that lag are caught up from where relman runs"));
    }
    let args = commands::catch_up::Args { lock_wait: args.lock_wait };
    let report = commands::catch_up::run(&context, &site, args).await?;
    run.print_done(&report, output::catch_up::show)
}
