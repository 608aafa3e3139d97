//! Verbs that change something.

use super::Run;
use crate::cli::args;
use crate::cli::output;
use crate::cli::wire::{Access, Purpose};
use crate::clock::SystemClock;
use crate::commands::error::{CommandError, ErrorKind};
use crate::commands::{self, Context};
use crate::domain::id::{DeploymentNumber, EnvironmentName};
use crate::domain::target::Target;

/// The environment that a target names, if it names one.
pub(super) fn named(target: &Target) -> Option<&EnvironmentName> {
    match target {
        Target::Deployment { environment, .. } => environment.as_ref(),
        Target::Version(_) | Target::Commit(_) | Target::Digest(_) | Target::Back(_) => None,
    }
}

pub(super) fn init(run: &Run, args: args::Init) -> Result<u8, CommandError> {
    let args = commands::init::Args {
        root: run.around.directory.clone(),
        ledger: args.ledger,
        artifacts: args.artifacts,
    };
    let report = commands::init::run(&SystemClock, &args)?;
    run.print_done(&report, output::init::show)
}

pub(super) async fn hold(run: &Run, args: args::WithReason) -> Result<u8, CommandError> {
    let wire = run.wire()?;
    let environment = wire.configured(None)?;
    let report = commands::hold::set(&wire.context(Access::Write)?, &environment, args.reason).await?;
    run.print_done(&report, output::hold::show)
}

pub(super) async fn unhold(run: &Run, args: args::WithReason) -> Result<u8, CommandError> {
    let wire = run.wire()?;
    let environment = wire.configured(None)?;
    let report = commands::hold::lift(&wire.context(Access::Write)?, &environment, args.reason).await?;
    run.print_done(&report, output::hold::show)
}

pub(super) async fn freeze(run: &Run, verb: args::FreezeVerb) -> Result<u8, CommandError> {
    use commands::freeze::{Args, Until, add, list, remove};

    let wire = run.wire()?;
    let environment = wire.configured(None)?;
    let configured = &wire.settings(&environment)?.freeze;
    let report = match verb {
        args::FreezeVerb::List => {
            let report = list(&wire.context(Access::Read)?, &environment, configured).await?;
            return run.print(&report, output::freeze::show);
        }
        args::FreezeVerb::Add(args) => {
            let args::FreezeAdd { from, until, length, zone, reason } = args;
            let until = match until {
                Some(moment) => Until::Moment(moment),
                None => Until::After(length.unwrap_or_default()),
            };
            let args = Args { from, until, zone, reason };
            add(&wire.context(Access::Write)?, &environment, configured, args).await?
        }
        args::FreezeVerb::Rm(args) => {
            remove(&wire.context(Access::Write)?, &environment, configured, args.id, args.reason).await?
        }
    };
    run.print_done(&report, output::freeze::show)
}

pub(super) async fn approve(run: &Run, args: args::Approve) -> Result<u8, CommandError> {
    let wire = run.wire()?;
    let environment = wire.configured(args.id.as_ref().and_then(named))?;
    let context = wire.context(Access::Write)?;
    // What cannot be proven is judged, and refused, by the ledger's rule.
    let proven = wire.proven(&environment, Purpose::Decide).await?;
    let way = proven.is_none().then(|| wire.to_be_proven(&environment, Purpose::Decide)).transpose()?;
    let actor = proven.unwrap_or_else(|| context.actor.clone());
    let context = Context { actor, ..context };
    let args = commands::approve::Args { number: number(args.id), plan: args.plan, reason: args.reason };
    let result = commands::approve::approve(&context, &environment, args).await;
    let report = result.map_err(|error| match way.filter(|_| error.kind == ErrorKind::Refused) {
        Some(way) => error.hint(way),
        None => error,
    })?;
    run.print_done(&report, output::approve::show)
}

/// The number of a deployment that is named.
pub(super) fn number(id: Option<Target>) -> Option<DeploymentNumber> {
    match id {
        Some(Target::Deployment { number, .. }) => Some(number),
        _ => None,
    }
}

pub(super) async fn mark(run: &Run, args: args::Mark) -> Result<u8, CommandError> {
    let wire = run.wire()?;
    let environment = wire.configured(named(&args.target))?;
    let context = wire.context(Access::Write)?;
    let report =
        commands::mark::run(&context, &environment, args.target, args.verdict.into(), args.reason).await?;
    run.print_done(&report, output::mark::show)
}

pub(super) async fn lock(run: &Run, args: args::Lock) -> Result<u8, CommandError> {
    let wire = run.wire()?;
    let report = match args.reason {
        None => {
            let context = wire.context(Access::Read)?;
            commands::lock::show(&context, &wire.known(&context, None).await?).await?
        }
        Some(reason) => {
            let environment = wire.configured(None)?;
            crate::cli::signals::watch(&run.interrupt);
            let context = wire.context(Access::Write)?;
            commands::lock::hold(&context, &environment, &reason, args.ttl, wire.lease()).await?
        }
    };
    run.print_done(&report, output::lock::show)
}

pub(super) async fn unlock(run: &Run, args: args::WithReason) -> Result<u8, CommandError> {
    let wire = run.wire()?;
    let environment = wire.configured(None)?;
    let context = wire.context(Access::Write)?;
    let report = commands::lock::free(&context, &environment, &args.reason, wire.lease()).await?;
    run.print_done(&report, output::lock::show)
}

pub(super) async fn migrate(run: &Run, args: args::Migrate) -> Result<u8, CommandError> {
    let wire = run.wire()?;
    crate::cli::signals::watch(&run.interrupt);
    let context = wire.context(Access::Write)?;
    let target = wire.new_place(&context, &args.to, args.artifacts.as_deref()).await?;
    let report = commands::migrate::run(&context, &target, &wire.streams(&context), wire.lease()).await?;
    run.print_done(&report, output::migrate::show)
}
