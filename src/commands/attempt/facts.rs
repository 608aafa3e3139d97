//! What a plan depends on: the ledger's side and what each host said.

use std::collections::BTreeMap;

use super::Aim;
use crate::commands::error::ErrorKind;
use crate::commands::read::{digest_of, serves_for_good};
use crate::commands::{CommandError, Context, Site};
use crate::domain::deployment::{Kind, ReturnPoint};
use crate::domain::id::{DeploymentId, DeploymentNumber, Digest, HostName, Stream};
use crate::domain::plan::Plan;
use crate::host::wire::{HostErrorCode, Observation};
use crate::saga::claim::Claimed;
use crate::saga::plan::{Facts, HostFacts};

/// What a plan needs to know of each host.
///
/// # Errors
/// For hosts that cannot be asked, all of them in one error. A host that was never configured is no error, nor are
/// those that the failure budget of a deploy has place for.
pub(crate) async fn facts(
    context: &Context,
    site: &Site,
    stream: &Stream,
    aim: &Aim,
    claimed: &Claimed,
) -> Result<BTreeMap<HostName, HostFacts>, CommandError> {
    let (fleet, budget) = (&*site.fleet, site.settings.failure_budget as usize);
    let wanted = fleet.configuration().map(String::from);
    let run = digest_of(&aim.run)?;
    let mut hosts = BTreeMap::new();
    let mut failed = Vec::new();
    let mut absent = BTreeMap::new();
    for host in &aim.hosts {
        match claimed.get(host) {
            Some(Ok(seen)) => {
                let configure = wanted.is_some() && seen.configured != wanted;
                let settled = fleet.sees() && !configure && settled(context, stream, aim, &run, seen).await?;
                let committed =
                    seen.committed.and_then(|slot| seen.slots.iter().find(|view| view.slot == slot));
                let facts = HostFacts {
                    absent: None,
                    committed: committed
                        .filter(|_| fleet.sees())
                        .and_then(|view| view.running_digest.clone()),
                    open_shift: seen.trial.is_some(),
                    configure,
                    settled,
                };
                hosts.insert(host.clone(), facts);
            }
            Some(Err(error)) if error.code == HostErrorCode::NotInstalled && wanted.is_some() => {
                hosts.insert(host.clone(), HostFacts { configure: true, ..HostFacts::default() });
            }
            // Nothing was done there. Whoever waits for such a host until it is repaired waits long.
            Some(Err(error))
                if matches!(error.code, HostErrorCode::Unreachable | HostErrorCode::NoAnswer) =>
            {
                absent.insert(host, (error.code, error.message.clone()));
            }
            Some(Err(error)) => failed.push((host, error.code, error.message.clone())),
            None => failed.push((host, HostErrorCode::NoAnswer, "no answer came back".to_owned())),
        }
    }
    let may_stay_behind = aim.kind != Kind::Rollback && absent.len() <= budget && !hosts.is_empty();
    for (host, (code, message)) in absent {
        if may_stay_behind {
            hosts.insert(host.clone(), HostFacts { absent: Some(message), ..HostFacts::default() });
        } else {
            failed.push((host, code, message));
        }
    }
    failed.sort_by_key(|(host, ..)| aim.hosts.iter().position(|listed| listed == *host));
    match failed.first() {
        None => Ok(hosts),
        Some((host, code, message)) => {
            let others = match failed.len() - 1 {
                0 => String::new(),
                n => format!(" (and {n} more)"),
            };
            let text = format!("host {host} cannot take part: {message}{others}");
            let mut error = CommandError::new(ErrorKind::Failed, text);
            if *code == HostErrorCode::Fenced {
                error.kind = ErrorKind::Held;
            }
            for (host, code, message) in &failed {
                error = error.detail(format!("{host}: {code}: {message}"));
            }
            if failed.iter().any(|(_, code, _)| *code == HostErrorCode::NotInstalled) {
                error = error.hint(format!(
                    "via = \"{}\" installs nothing on hosts: put relman-host into their image, or deploy once with via = \"ansible\"",
                    fleet.way()
                ));
            }
            Err(error
                .hint("relman doctor: what keeps each host from taking part")
                .hint("--hosts NAME,…: only the hosts that you name; the others stay as they are"))
        }
    }
}

async fn settled(
    context: &Context,
    stream: &Stream,
    aim: &Aim,
    run: &Digest,
    seen: &Observation,
) -> Result<bool, CommandError> {
    // Whether the values of secrets are those of now is not known: a redeploy takes them in.
    if aim.kind == Kind::Redeploy && !aim.run.secrets.is_empty() {
        return Ok(false);
    }
    serves_for_good(context, stream, seen, &aim.release.digest, run).await
}

/// Plans on these facts.
pub(crate) async fn make_plan(
    context: &Context,
    site: &Site,
    stream: &Stream,
    aim: &Aim,
    hosts: BTreeMap<HostName, HostFacts>,
    number: DeploymentNumber,
) -> Result<Plan, CommandError> {
    let environment = context.environment(stream).await?;
    let serving = context.deployment(stream, environment.serving).await?;
    Ok(crate::saga::plan::plan(Facts {
        service: context.service.clone(),
        deployment: DeploymentId { environment: site.name.clone(), number },
        kind: aim.kind,
        candidate: aim.release.clone(),
        run: digest_of(&aim.run)?,
        return_point: serving.map(|deployment| ReturnPoint {
            number: deployment.number,
            release: deployment.release,
            run: deployment.run,
        }),
        hosts,
        bake_seconds: site.settings.bake_seconds,
        drain_seconds: site.settings.drain_seconds,
        wave_size: site.settings.wave_size,
        failure_budget: site.settings.failure_budget,
    }))
}
