//! The verbs about the infrastructure.

use std::time::Duration;

use super::Run;
use super::read::differences;
use crate::cli::args::{Infra, InfraAction};
use crate::cli::wire::{Access, Hosts};
use crate::cli::{output, signals};
use crate::commands::error::CommandError;
use crate::commands::{self};
use crate::infra::Locking;

pub(super) async fn infra(run: &Run, args: Infra) -> Result<u8, CommandError> {
    signals::watch(&run.interrupt);
    let wire = run.wire()?;
    let access = match &args.action {
        InfraAction::Apply(_) => Access::Write,
        InfraAction::Plan(_) | InfraAction::Drift(_) => Access::Read,
    };
    let context = wire.context(access)?;
    let site = wire.site_with(&context, wire.environment(None)?, Hosts::Unread, None).await?;
    match args.action {
        InfraAction::Plan(args) => {
            let report = commands::infra::plan(&context, &site, lock(args.lock_wait, args.no_lock)).await?;
            run.print(&report, output::infra::show)
        }
        InfraAction::Apply(args) => {
            let args = commands::infra::Args { lock_wait: args.lock_wait, yes: run.global.yes };
            let report = commands::infra::apply(&context, &site, args).await?;
            run.print_done(&report, output::infra::show)
        }
        InfraAction::Drift(args) => {
            let report = commands::infra::plan(&context, &site, lock(args.lock_wait, args.no_lock)).await?;
            run.print(&report, output::infra::show)?;
            Ok(differences(args.exit_code && report.differs))
        }
    }
}

fn lock(wait: Duration, none: bool) -> Locking {
    if none { Locking::Leave } else { Locking::Wait(wait) }
}
