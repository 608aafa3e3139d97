//! Verbs that only read.

use clap::CommandFactory as _;

use super::Run;
use super::change::named;
use crate::cli::wire::{Access, Hosts};
use crate::cli::{args, exit, output};
use crate::clock::{Clock as _, SystemClock};
use crate::commands::error::{CommandError, ErrorKind};
use crate::commands::{self};
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
