//! `relman infra plan`, `apply` and `drift`: the infrastructure apart from deploys.

use std::time::Duration;

use serde::Serialize;

use super::attempt::{Ask, Attempt};
use super::error::ErrorKind;
use super::provision::{self, Brought, Wish};
use super::{CommandError, Context, Infra, Site};
use crate::domain::id::{EnvironmentName, ServiceName};
use crate::domain::infra::StateId;
use crate::infra::{Change, Changes, Locking};

/// What `apply` is told.
#[derive(Debug, Clone, Default)]
pub struct Args {
    /// How long to wait for a deployment, and for somebody else's Terraform.
    pub lock_wait: Duration,
    /// Whether something that exists may go away.
    pub yes: bool,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportResult {
    /// Planned: there is something to apply.
    Planned,
    /// Applied.
    Applied,
    /// It is as the configuration says.
    NothingToDo,
}

/// The answer: the JSON output as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Format of this report.
    pub schema: u32,
    /// The service.
    pub service: ServiceName,
    /// The environment.
    pub environment: EnvironmentName,
    /// The configuration's directory, and its workspace.
    pub location: String,
    /// What came of it.
    pub result: ReportResult,
    /// Whether infrastructure and configuration differed; outputs alone do not count.
    pub differs: bool,
    /// Resources to be made.
    pub created: u32,
    /// Resources to be changed in place.
    pub updated: u32,
    /// Resources to be removed; a replacement counts here and among the made ones.
    pub deleted: u32,
    /// Each of them.
    pub changes: Vec<Change>,
    /// Outputs that change.
    pub outputs: Vec<Change>,
    /// Resources that somebody changed beside the configuration.
    pub drifted: Vec<Change>,
    /// The state that it is about; none before the first apply.
    pub state: Option<StateId>,
}

fn infra<'a>(name: &EnvironmentName, infra: Option<&'a Infra>) -> Result<&'a Infra, CommandError> {
    infra.ok_or_else(|| {
        let text = format!("{name} has no infrastructure that relman knows");
        CommandError::new(ErrorKind::Usage, text)
            .hint(format!("[environments.{name}.terraform] in relman.toml names its directory"))
    })
}

fn report(
    context: &Context,
    (name, infra): (&EnvironmentName, &Infra),
    result: ReportResult,
    changes: Changes,
    state: Option<StateId>,
) -> Report {
    Report {
        schema: 1,
        service: context.service.clone(),
        environment: name.clone(),
        location: infra.port.location(),
        result,
        differs: changes.has_moved(),
        created: changes.created(),
        updated: changes.updated(),
        deleted: changes.deleted(),
        changes: changes.resources,
        outputs: changes.outputs,
        drifted: changes.drifted,
        state,
    }
}

/// Plans, and changes nothing: `plan` and `drift`. Neither ledger nor hosts are asked for anything.
///
/// # Errors
/// When it cannot be planned.
pub async fn plan(
    context: &Context,
    name: &EnvironmentName,
    known: Option<&Infra>,
    lock: Locking,
) -> Result<Report, CommandError> {
    let infra = infra(name, known)?;
    let changes = infra.port.plan(lock, &context.interrupt).await?.changes().clone();
    let state = infra.port.state().await?;
    let result = if changes.applicable { ReportResult::Planned } else { ReportResult::NothingToDo };
    Ok(report(context, (name, infra), result, changes, state))
}

/// Plans and applies, under the deploy lock.
///
/// # Errors
/// When it is not as the configuration says afterwards.
pub async fn apply(context: &Context, site: &Site, args: Args) -> Result<Report, CommandError> {
    let port = infra(&site.name, site.infra.as_ref())?.clone();
    let ask = Ask { purpose: "infra apply".to_owned(), wait: args.lock_wait, ..Ask::default() };
    let attempt = Attempt::begin(context, site, ask).await?;
    let wish = Wish { wait: args.lock_wait, may_destroy: args.yes, skip_settled: false };
    let result = match idle(&attempt).await {
        Ok(()) => provision::bring(&attempt, &port, wish).await,
        Err(error) => Err(error),
    };
    attempt.end().await;
    let of = (&site.name, &port);
    Ok(match result? {
        Brought::Applied(changes, state) => report(context, of, ReportResult::Applied, changes, state),
        Brought::Same(changes, state) => report(context, of, ReportResult::NothingToDo, changes, state),
        Brought::Settled(_) => report(context, of, ReportResult::NothingToDo, Changes::default(), None),
    })
}

/// A deployment that was left in the middle has hosts that must not move below it.
async fn idle(attempt: &Attempt<'_>) -> Result<(), CommandError> {
    let environment = attempt.context.environment(&attempt.stream).await?;
    let Some(number) = environment.active else { return Ok(()) };
    let id = format!("{}#{number}", attempt.site.name);
    Err(CommandError::new(ErrorKind::InProgress, format!("{id} is not finished; nothing was applied"))
        .hint(format!("relman resume '#{number}', or relman abort; then again")))
}
