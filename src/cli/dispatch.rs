//! From a parsed verb to its command and its output. One short function a verb; what a verb needs is made by
//! [`Wire`] when it asks.

mod change;
mod deploy;
mod doctor;
mod infra;
mod read;

use serde::Serialize;

use super::args::{self, Cli, Global, Output, Verb};
use super::exit;
use super::output::{self, Style};
use super::surroundings::Surroundings;
use super::wire::{Meant, Wire};
use crate::clock::{Clock as _, SystemClock};
use crate::commands::error::{CommandError, ErrorKind};
use crate::interrupt::Interrupt;

/// What every verb gets.
pub struct Run {
    /// Options.
    pub global: Global,
    /// How to render.
    pub style: Style,
    /// Whether to stop.
    pub interrupt: Interrupt,
    /// The environment that was named, where it is not the default.
    pub meant: Meant,
    around: Surroundings,
    color_of_progress: bool,
}

impl Run {
    /// For these options.
    pub fn new(global: Global, around: Surroundings, style: Style, color_of_progress: bool) -> Self {
        Self {
            global,
            style,
            interrupt: Interrupt::default(),
            meant: Meant::default(),
            around,
            color_of_progress,
        }
    }

    /// The composition root, with the configuration read.
    fn wire(&self) -> Result<Wire, CommandError> {
        let progress = super::progress::progress(&self.global, &self.around, self.color_of_progress);
        Wire::new(&self.global, self.around.clone(), progress, self.interrupt.clone(), self.meant.clone())
    }

    /// Prints the report of something that is done and on record. That it could not be told makes it neither undone nor
    /// failed: a script that took it for that would do it again.
    fn print_done<R: Serialize>(
        &self,
        report: &R,
        show: fn(&R, &Style) -> String,
    ) -> Result<u8, CommandError> {
        match self.print(report, show) {
            Err(error) if error.kind == ErrorKind::Failed => {
                let error =
                    error.detail("what was asked for is done: do not run it again").hint("relman status");
                super::complain(error, self.meant.get(), &self.global, self.color_of_progress);
                Ok(exit::DONE)
            }
            told => told,
        }
    }

    /// Prints a report as the options want it.
    fn print<R: Serialize>(&self, report: &R, show: fn(&R, &Style) -> String) -> Result<u8, CommandError> {
        // Relative times refer to the end of the command.
        let style = Style { now: SystemClock.now(), ..self.style };
        let text = match self.global.output {
            Output::Table => show(report, &style),
            Output::Json => output::json(report).map_err(|error| {
                CommandError::new(ErrorKind::Bug, "the report cannot be written as JSON").caused_by(error)
            })?,
        };
        output::print(&text)
            .map_err(|e| CommandError::new(ErrorKind::Failed, "stdout cannot be written").caused_by(e))?;
        Ok(exit::DONE)
    }
}

/// Whether a verb works on several things at once for long, and needs more than one thread.
pub fn is_long(verb: &Verb) -> bool {
    matches!(
        verb,
        Verb::Release(_)
            | Verb::Deploy(_)
            | Verb::Rollback(_)
            | Verb::Resume(_)
            | Verb::Abort(_)
            | Verb::Reject(_)
            | Verb::CatchUp(_)
            | Verb::Lock(_)
            | Verb::Infra(_)
            | Verb::Secrets(_)
            | Verb::Ledger(_)
    )
}

/// Runs a verb; the exit code when it did not fail.
///
/// # Errors
/// What the command says.
pub async fn run(cli: Cli, run: &Run) -> Result<u8, CommandError> {
    match cli.verb {
        Verb::Completions(args) => read::completions(&args),
        Verb::Init(args) => change::init(run, args),
        Verb::Doctor(args) => doctor::doctor(run, args).await,
        Verb::History(args) => read::history(run, args).await,
        Verb::Show(args) => read::show(run, args).await,
        Verb::Releases(args) => read::releases(run, args).await,
        Verb::Status(args) => read::status(run, args).await,
        Verb::Diff(args) => read::diff(run, args).await,
        Verb::Verify(args) => read::verify(run, args).await,
        Verb::Hold(args) => change::hold(run, args).await,
        Verb::Unhold(args) => change::unhold(run, args).await,
        Verb::Freeze(verb) => change::freeze(run, verb).await,
        Verb::Mark(args) => change::mark(run, args).await,
        Verb::Lock(args) => change::lock(run, args).await,
        Verb::Unlock(args) => change::unlock(run, args).await,
        Verb::Infra(args) => infra::infra(run, args).await,
        Verb::Secrets(args::SecretsVerb::Sync(args)) => deploy::sync(run, args).await,
        Verb::Ledger(args::LedgerVerb::Migrate(args)) => change::migrate(run, args).await,
        Verb::Ledger(args::LedgerVerb::Import(args)) => deploy::import(run, args).await,
        Verb::Release(args) => deploy::release(run, args).await,
        Verb::Deploy(args) => deploy::deploy(run, args).await,
        Verb::Rollback(args) => deploy::rollback(run, args).await,
        Verb::Resume(args) => deploy::resume(run, args).await,
        Verb::Abort(args) => deploy::abort(run, args).await,
        Verb::Approve(args) => change::approve(run, args).await,
        Verb::Reject(args) => deploy::reject(run, args).await,
        Verb::CatchUp(args) => deploy::catch_up(run, args).await,
    }
}
