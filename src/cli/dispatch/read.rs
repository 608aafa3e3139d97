//! Verbs that only read.

use clap::CommandFactory as _;

use super::Run;
use super::change::named;
use crate::cli::place::LedgerPlace;
use crate::cli::wire::{Access, Hosts, Wire};
use crate::cli::{args, exit, output};
use crate::clock::{Clock as _, SystemClock};
use crate::commands::doctor::{Facts, Parts};
use crate::commands::error::{CommandError, ErrorKind};
use crate::commands::{self, Site, Supply};
use crate::config::Via;
use crate::domain::target::Target;

pub(super) fn completions(args: &args::Completions) -> Result<u8, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut args::Cli::command(), "relman", &mut script);
    output::print(&String::from_utf8_lossy(&script))
        .map_err(|e| CommandError::new(ErrorKind::Failed, "stdout cannot be written").caused_by(e))?;
    Ok(exit::DONE)
}

pub(super) async fn history(run: &Run, args: args::History) -> Result<u8, CommandError> {
    let wire = run.wire()?;
    let context = wire.context(Access::Read)?;
    let environment = wire.known(&context, None).await?;
    let args = commands::history::Args {
        limit: (!args.all).then_some(args.limit),
        cursor: args.cursor,
        since: args.since.map(|since| since.moment(SystemClock.now())),
        version: args.version,
        outcome: args.outcome.map(Into::into),
    };
    let report = commands::history::run(&context, &environment, args).await?;
    run.print(&report, output::history::show)
}

pub(super) async fn show(run: &Run, args: args::Show) -> Result<u8, CommandError> {
    let wire = run.wire()?;
    let context = wire.context(Access::Read)?;
    let environment = wire.known(&context, named(&args.id)).await?;
    let Target::Deployment { number, .. } = args.id else {
        return Err(CommandError::new(ErrorKind::Usage, format!("{} is no deployment", args.id)));
    };
    let report = commands::show::run(&context, &environment, number, args.logs).await?;
    run.print(&report, output::show::show)
}

pub(super) async fn releases(run: &Run, args: args::Releases) -> Result<u8, CommandError> {
    let wire = run.wire()?;
    let context = wire.context(Access::Read)?;
    if run.global.env.is_some() {
        wire.known(&context, None).await?;
    }
    let check = if args.check { Some(wire.supply()?.registry) } else { None };
    let args = commands::releases::Args { limit: args.limit, cursor: args.cursor, check };
    let report = commands::releases::run(&context, args).await?;
    run.print(&report, output::releases::show)
}

pub(super) async fn status(run: &Run, args: args::Status) -> Result<u8, CommandError> {
    let wire = run.wire()?;
    let context = wire.context(Access::Read)?;
    let site = wire.site(&context, wire.environment(None)?).await?;
    let report = commands::status::run(&context, &site).await?;
    run.print(&report, output::status::show)?;
    Ok(differences(args.exit_code && report.differs))
}

pub(super) async fn diff(run: &Run, args: args::Diff) -> Result<u8, CommandError> {
    let wire = run.wire()?;
    let context = wire.context(Access::Read)?;
    // No host is asked.
    let site = wire.site_with(&context, wire.environment(None)?, Hosts::Unread, None).await?;
    let sides = match (args.first, args.second) {
        (to, None) => commands::diff::Args { from: None, to },
        (from, to) => commands::diff::Args { from, to },
    };
    let report = commands::diff::run(&context, &site, &wire.supply()?, sides).await?;
    run.print(&report, output::diff::show)?;
    Ok(differences(args.exit_code && report.differs))
}

pub(super) fn differences(found: bool) -> u8 {
    if found { exit::code(ErrorKind::Differences) } else { exit::DONE }
}

pub(super) async fn verify(run: &Run, args: args::Verify) -> Result<u8, CommandError> {
    let wire = run.wire()?;
    let context = wire.context(Access::Read)?;
    let links = args.version.is_some() || args.all || args.live;
    // The chain alone needs neither registry nor hosts.
    let site = match args.live {
        true => Some(wire.site(&context, wire.environment(None)?).await?),
        false => None,
    };
    let supply = if links { Some(wire.supply()?) } else { None };
    let anchors = wire.anchors()?;
    let args = commands::verify::Args { version: args.version, all: args.all, live: args.live };
    let report =
        commands::verify::run(&context, site.as_ref(), supply.as_ref(), anchors.as_deref(), args).await?;
    run.print(&report, output::verify::show)?;
    Ok(if report.holds { exit::DONE } else { exit::code(ErrorKind::Unverified) })
}

pub(super) async fn doctor(run: &Run) -> Result<u8, CommandError> {
    let parts = match run.wire() {
        Ok(wire) => parts(&wire).await,
        // Without a configuration there is nothing to look at but itself.
        Err(error) => {
            let facts = Facts { config: Some(Err(error.to_string())), ..Facts::default() };
            let missing = || CommandError::new(ErrorKind::Usage, "there is no usable configuration");
            Parts {
                context: Err(missing()),
                site: Err(missing()),
                supply: Err(missing()),
                infra: None,
                facts,
            }
        }
    };
    let report = commands::doctor::run(parts).await;
    run.print(&report, output::doctor::show)?;
    Ok(if report.healthy { exit::DONE } else { exit::code(ErrorKind::Failed) })
}

async fn parts(wire: &Wire) -> Parts {
    let context = wire.context(Access::Read);
    let infra = wire.environment(None).ok().and_then(|name| wire.infra_of(&name));
    // To read outputs would initialise it, and here nothing is changed.
    let usable = match &infra {
        Some(infra) => infra.port.validate().await.map_err(CommandError::from),
        None => Ok(()),
    };
    let site: Result<Site, CommandError> = match (&context, wire.environment(None), usable) {
        (Ok(context), Ok(name), Ok(())) => wire.site(context, name).await,
        (Err(error), ..) => Err(CommandError::new(error.kind, error.message.clone())),
        (_, Err(error), _) | (_, _, Err(error)) => Err(error),
    };
    let supply: Result<Supply, CommandError> = wire.supply();
    let roles = wire.loaded.root.join(&wire.loaded.config.ansible.directory);
    let binary = wire.host_binary();
    let uses =
        |is: fn(Via) -> bool| wire.loaded.config.environments.values().any(|environment| is(environment.via));
    let uses_roles = uses(|via| !matches!(via, Via::Playbook | Via::Ssm));
    let uses_ansible = uses(|via| via != Via::Ssm);
    let there = |path: std::path::PathBuf, is: bool| {
        if is { Ok(path.display().to_string()) } else { Err(format!("{} is not there", path.display())) }
    };
    let facts = Facts {
        config: Some(Ok(wire.loaded.file.display().to_string())),
        ledger_writable: wire.place().ok().and_then(|place| match place.ledger {
            LedgerPlace::File(path) => Some(writable(&path)),
            LedgerPlace::Table(_) => None,
        }),
        ansible: match uses_ansible {
            false => None,
            true => Some(wire.ansible().version().await.map_err(|error| error.to_string())),
        },
        roles: uses_roles.then(|| {
            let is = roles.join("site.yml").is_file();
            there(roles, is)
        }),
        agent: uses_roles.then(|| {
            let is = binary.is_file();
            there(binary, is)
        }),
    };
    Parts { context, site, infra, supply, facts }
}

/// Whether a file, or the nearest directory above it that exists, can be written.
fn writable(file: &std::path::Path) -> Result<(), String> {
    let nearest = file.ancestors().find(|path| path.exists()).unwrap_or(file);
    rustix::fs::access(nearest, rustix::fs::Access::WRITE_OK)
        .map_err(|error| format!("{}: {error}", nearest.display()))
}
