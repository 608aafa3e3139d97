//! `relman mark`: somebody's verdict on a release in an environment, after the fact.

use serde::Serialize;

use super::Context;
use super::error::{CommandError, ErrorKind};
use super::target::Walk;
use crate::domain::deployment::{Deployment, Outcome, Verdict};
use crate::domain::event::Event;
use crate::domain::id::{EnvironmentName, ServiceName, Stream};
use crate::domain::target::Target;
use crate::domain::version::Version;

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Format of this report.
    pub schema: u32,
    /// The service.
    pub service: ServiceName,
    /// The environment.
    pub environment: EnvironmentName,
    /// The release.
    pub version: Version,
    /// What was thought of it before.
    pub before: Option<Verdict>,
    /// What is thought of it now.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// Whether it serves here: a faulty release that serves asks for a rollback.
    pub serves: bool,
}

/// Records a verdict on the release of a deployment, or of a version.
///
/// # Errors
/// When there is no such deployment or release, or `proven` is asked for one that never succeeded here.
pub async fn run(
    context: &Context,
    environment: &EnvironmentName,
    target: Target,
    verdict: Verdict,
    reason: String,
) -> Result<Report, CommandError> {
    let stream = context.stream(environment);
    let (version, succeeded) = match &target {
        Target::Deployment { number, .. } => match context.deployment(&stream, Some(*number)).await? {
            Some(deployment) => {
                let succeeded = deployment.outcome == Some(Outcome::Succeeded);
                (deployment.release.version, succeeded)
            }
            None => return Err(unknown(format!("deployment {environment}#{number} is not known"))),
        },
        Target::Version(version) => {
            if context.release(version).await?.is_none() {
                return Err(unknown(format!("release {} is not known", version.tag())));
            }
            (version.clone(), false)
        }
        other => {
            let message = format!("{other} is neither a deployment nor a version");
            return Err(CommandError::new(ErrorKind::Usage, message));
        }
    };
    if verdict == Verdict::Proven && !succeeded && !succeeded_once(context, &stream, &version).await? {
        let message =
            format!("{} never succeeded in {environment}, so it cannot be proven here", version.tag());
        return Err(CommandError::new(ErrorKind::Refused, message)
            .hint(format!("relman deploy {} --env {environment}", version.tag())));
    }
    let before = context.verdict(&stream, &version).await?;
    let event = Event::VerdictMarked { version: version.clone(), verdict, reason: reason.clone() };
    let sealed = context.ledger.append(&stream, None, context.draft(event)).await?;
    context.progress.entry(&sealed.entry);
    let serves =
        serving(context, &stream).await?.is_some_and(|deployment| deployment.release.version == version);
    Ok(Report {
        schema: 1,
        service: context.service.clone(),
        environment: environment.clone(),
        version,
        before,
        verdict,
        reason,
        serves,
    })
}

fn unknown(message: String) -> CommandError {
    CommandError::new(ErrorKind::NotFound, message).hint("relman history, relman releases")
}

async fn succeeded_once(context: &Context, stream: &Stream, version: &Version) -> Result<bool, CommandError> {
    let mut walk = Walk::new(context, stream, None);
    while let Some(deployment) = walk.next().await? {
        if deployment.release.version == *version && deployment.outcome == Some(Outcome::Succeeded) {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn serving(context: &Context, stream: &Stream) -> Result<Option<Deployment>, CommandError> {
    let environment = context.environment(stream).await?;
    context.deployment(stream, environment.serving).await
}
