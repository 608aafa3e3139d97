//! What a plan depends on: the ledger's side and what each host said.

use std::collections::BTreeMap;

use super::Aim;
use crate::commands::error::ErrorKind;
use crate::commands::read::{digest_of, serves_for_good};
use crate::commands::{CommandError, Context, Site};
use crate::domain::deployment::{Kind, ReturnPoint};
use crate::domain::id::{DeploymentId, DeploymentNumber, Digest, EnvironmentName, HostName, Stream};
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
    none_ahead(&site.name, claimed)?;
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
                    idle_runs: fleet.sees()
                        && settled
                        && seen.slots.iter().any(|view| view.running && Some(view.slot) != seen.committed),
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
    let (excused, absent): (Vec<_>, Vec<_>) =
        absent.into_iter().partition(|(host, _)| excuse(site, host, aim.kind).is_some());
    let any_left = !hosts.is_empty();
    let may_stay_behind = aim.kind != Kind::Rollback && absent.len() <= budget && any_left;
    for (host, (code, message)) in excused {
        let why = excuse(site, host, aim.kind).unwrap_or_default();
        if any_left {
            let absent = Some(format!("{message}; {why}"));
            hosts.insert(host.clone(), HostFacts { absent, ..HostFacts::default() });
        } else {
            failed.push((host, code, message));
        }
    }
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
            let uncertain =
                |host: &HostName| site.roster.as_ref().is_some_and(|roster| roster.is_uncertain(host));
            if failed.iter().any(|(host, ..)| uncertain(host)) {
                error = error.hint(
                    "a host that came after the last apply may still be booting: the same again in a minute",
                );
            }
            let can = aim.hosts.iter().filter(|host| !failed.iter().any(|(failed, ..)| failed == host));
            let can: Vec<&str> = can.map(HostName::as_str).collect();
            let error = error.hint("relman doctor: what keeps each host from taking part");
            Err(match can.is_empty() {
                true => error,
                false => error.hint(format!(
                    "--hosts {}: only the hosts that can; the others stay as they are",
                    can.join(",")
                )),
            })
        }
    }
}

/// Why a host that cannot be reached may stay behind beside the failure budget.
fn excuse(site: &Site, host: &HostName, kind: Kind) -> Option<&'static str> {
    site.roster.as_ref()?.excuse(host, kind)
}

/// Refused while hosts have gone back without the ledger: what was done there is on record before anything follows.
pub(super) fn none_ahead(environment: &EnvironmentName, claimed: &Claimed) -> Result<(), CommandError> {
    let ahead = claimed.iter().filter_map(|(host, answer)| match answer {
        Err(error) if error.code == HostErrorCode::Ahead => Some((host, &error.message)),
        _ => None,
    });
    let ahead: Vec<_> = ahead.collect();
    if ahead.is_empty() {
        return Ok(());
    }
    let text = match ahead.len() {
        1 => format!("1 host of {environment} is ahead of the ledger"),
        n => format!("{n} hosts of {environment} are ahead of the ledger"),
    };
    let mut error = CommandError::new(ErrorKind::Refused, text);
    for (host, message) in ahead {
        error = error.detail(format!("{host}: {message}"));
    }
    Err(error.hint(format!("relman ledger import --from-hosts --env {environment}: record it, then go on")))
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
    // Those that are excused take no place of the others.
    let excused =
        hosts.iter().filter(|(host, facts)| facts.absent.is_some() && excuse(site, host, aim.kind).is_some());
    let excused = u32::try_from(excused.count()).unwrap_or(u32::MAX);
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
        failure_budget: site.settings.failure_budget.saturating_add(excused),
    }))
}
