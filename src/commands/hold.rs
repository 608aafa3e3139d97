//! `relman hold` and `unhold`: no deploys to an environment until somebody allows them again.

use serde::Serialize;

use super::Context;
use super::error::CommandError;
use crate::domain::deployment::Hold;
use crate::domain::entry::Sealed;
use crate::domain::event::Event;
use crate::domain::id::{EnvironmentName, ServiceName};

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Format of this report.
    pub schema: u32,
    /// The service.
    pub service: ServiceName,
    /// The environment.
    pub environment: EnvironmentName,
    /// The hold that is there now.
    pub hold: Option<Hold>,
    /// The hold that was there before.
    pub before: Option<Hold>,
}

/// Sets a hold. One that is there, such as a rollback's, is replaced: afterwards no deploy passes at all.
///
/// # Errors
/// When the ledger cannot be read or written.
pub async fn set(
    context: &Context,
    environment: &EnvironmentName,
    reason: String,
) -> Result<Report, CommandError> {
    change(context, environment, Event::HoldSet { reason }).await
}

/// Lifts the hold.
///
/// # Errors
/// When there is none, or the ledger cannot be read or written.
pub async fn lift(
    context: &Context,
    environment: &EnvironmentName,
    reason: String,
) -> Result<Report, CommandError> {
    change(context, environment, Event::HoldLifted { reason }).await
}

async fn change(
    context: &Context,
    environment: &EnvironmentName,
    event: Event,
) -> Result<Report, CommandError> {
    let before = current(context, environment).await?;
    append(context, environment, event).await?;
    Ok(Report {
        schema: 1,
        service: context.service.clone(),
        environment: environment.clone(),
        hold: current(context, environment).await?,
        before,
    })
}

/// An entry that needs no deploy lock: whoever stops deploys does not wait for one.
pub(super) async fn append(
    context: &Context,
    environment: &EnvironmentName,
    event: Event,
) -> Result<Sealed, CommandError> {
    let sealed = context.ledger.append(&context.stream(environment), None, context.draft(event)).await?;
    context.progress.entry(&sealed.entry);
    Ok(sealed)
}

async fn current(context: &Context, environment: &EnvironmentName) -> Result<Option<Hold>, CommandError> {
    Ok(context.environment(&context.stream(environment)).await?.hold)
}
