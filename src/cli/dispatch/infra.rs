//! The verbs about the infrastructure.

use std::time::Duration;

use super::Run;
use super::read::differences;
use crate::cli::args::{Infra, InfraAction};
use crate::cli::wire::{Access, Hosts, Wire};
use crate::cli::{output, signals};
use crate::commands;
use crate::commands::error::CommandError;
use crate::commands::infra::Report;
use crate::domain::id::EnvironmentName;
use crate::infra::Locking;

pub(super) async fn infra(run: &Run, args: Infra) -> Result<u8, CommandError> {
    signals::watch(&run.interrupt);
    let wire = run.wire()?;
    let name = wire.configured(None)?;
    match args.action {
        InfraAction::Plan(args) => {
            let report = plan(&wire, &name, lock(args.lock_wait, args.no_lock)).await?;
            run.print(&report, output::infra::show)
        }
        InfraAction::Apply(args) => {
            let context = wire.context(Access::Write)?;
            let site = wire.site_with(&context, name, Hosts::Unread, None).await?;
            let args = commands::infra::Args { lock_wait: args.lock_wait, yes: run.global.yes };
            let report = commands::infra::apply(&context, &site, args).await?;
            run.print_done(&report, output::infra::show)
        }
        InfraAction::Drift(args) => {
            let report = plan(&wire, &name, lock(args.lock_wait, args.no_lock)).await?;
            run.print(&report, output::infra::show)?;
            Ok(differences(args.exit_code && report.differs))
        }
    }
}

/// Who may plan need not be able to read the ledger.
async fn plan(wire: &Wire, name: &EnvironmentName, lock: Locking) -> Result<Report, CommandError> {
    let context = wire.context(Access::Read)?;
    commands::infra::plan(&context, name, wire.infra_of(name)?.as_ref(), lock).await
}

fn lock(wait: Duration, none: bool) -> Locking {
    if none { Locking::Leave } else { Locking::Wait(wait) }
}
