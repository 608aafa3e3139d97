//! `relman rollback --offline`: back to what hosts hold themselves, with no ledger, no registry and no cloud.
//!
//! There is no lease and no history here, so nothing is guessed: where the hosts do not agree on one older release to
//! go back to, the user names it. Each host closes itself to every lease as it goes, and remembers what was done until
//! `relman ledger import --from-hosts` has put it on record.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::clock::Clock;
use crate::commands::error::{CommandError, ErrorKind};
use crate::commands::outcome::evidence_lines;
use crate::commands::{Site, attempt};
use crate::domain::actor::Actor;
use crate::domain::deployment::Offline;
use crate::domain::id::{Digest, HostName};
use crate::domain::release::ReleaseRef;
use crate::domain::run::SecretRef;
use crate::domain::target::Target;
use crate::domain::version::Version;
use crate::host::Task;
use crate::host::wire::offline::FallBack;
use crate::host::wire::{Command, Observation, Secret, SlotView};
use crate::progress::Progress;
use crate::saga::claim;

/// What it works with: all that there is without a ledger.
#[derive(Clone, Copy)]
pub struct Means<'a> {
    /// The environment, and the way to its hosts.
    pub site: &'a Site,
    /// Time and chance.
    pub clock: &'a dyn Clock,
    /// Who runs it.
    pub actor: &'a Actor,
    /// On what machine.
    pub machine: &'a str,
    /// Who listens.
    pub progress: &'a dyn Progress,
}

/// What the user asked for.
#[derive(Debug, Clone, Default)]
pub struct Args {
    /// Where to; none: the one older release that every host holds.
    pub target: Option<Target>,
    /// Only look.
    pub dry_run: bool,
    /// Why.
    pub reason: Option<String>,
    /// Only these hosts.
    pub hosts: Vec<HostName>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Format of this report.
    pub schema: u32,
    /// The environment.
    pub environment: String,
    /// Whether it was only planned.
    pub planned: bool,
    /// What serves now.
    pub version: Version,
    /// Its digest.
    pub digest: Digest,
    /// The hosts.
    pub hosts: Vec<HostReport>,
    /// What a reader should know.
    pub notes: Vec<String>,
}

/// One host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostReport {
    /// Its name.
    pub name: HostName,
    /// What took the traffic before.
    pub from_version: Option<Version>,
}

/// Goes back.
///
/// # Errors
/// Before anything is touched: when no host answers, or they hold no release to go back to. Afterwards: when not
/// every host serves it.
pub async fn run(means: Means<'_>, args: Args) -> Result<Report, CommandError> {
    let site = means.site;
    if !site.fleet.sees() {
        let text = format!(
            "{} goes through a playbook of your own, which keeps no earlier release on its hosts",
            site.name
        );
        return Err(CommandError::new(ErrorKind::Usage, text)
            .hint("run the playbook by hand, with the digest of the release to go back to"));
    }
    let hosts = attempt::hosts(site, &args.hosts)?;
    let seen = claim::observe(&*site.fleet, &hosts).await;
    let mut there = BTreeMap::new();
    let mut away = BTreeMap::new();
    for host in &hosts {
        match seen.get(host) {
            Some(Ok(seen)) => drop(there.insert(host.clone(), seen.clone())),
            Some(Err(error)) => drop(away.insert(host.clone(), format!("{}: {error}", error.code))),
            None => drop(away.insert(host.clone(), "no answer came back".to_owned())),
        }
    }
    if there.is_empty() {
        let mut error = CommandError::new(
            ErrorKind::Failed,
            format!("no host of {} answered; nothing was changed", site.name),
        );
        for (host, why) in &away {
            error = error.detail(format!("{host}: {why}"));
        }
        return Err(error
            .hint("--hosts NAME=ADDRESS,…: hosts that the configuration does not know how to reach")
            .hint("try `ssh` to one of them by hand"));
    }
    let to = choose(&there, args.target.as_ref()).map_err(|why| refused(why, &there))?;
    let mut report = Report {
        schema: 1,
        environment: site.name.to_string(),
        planned: args.dry_run,
        version: to.version.clone(),
        digest: to.digest.clone(),
        hosts: there
            .iter()
            .map(|(name, seen)| HostReport {
                name: name.clone(),
                from_version: seen.serving().map(|view| view.release.version.clone()),
            })
            .collect(),
        notes: Vec::new(),
    };
    if args.dry_run {
        report.notes = away.iter().map(|(host, why)| format!("{host} did not answer: {why}")).collect();
        return Ok(report);
    }
    let tag = to.version.tag();
    means.progress.note(&format!("{} host(s) go back to {tag}, without the ledger", there.len()));
    let order = FallBack {
        offline: Offline {
            nonce: means.clock.token(),
            at: means.clock.now(),
            actor: means.actor.clone(),
            machine: means.machine.to_owned(),
            reason: args.reason,
        },
        to: to.digest.clone(),
        secrets: secrets(&means).await,
    };
    let names: Vec<HostName> = there.keys().cloned().collect();
    let task = Task::bare(Command::FallBack(Box::new(order)));
    let replies = site.fleet.perform(&names, &task).await.replies;
    let mut evidence = Vec::new();
    for host in names {
        let reply = replies.iter().find(|reply| reply.host == host).map(|reply| &reply.result);
        let why = match reply {
            Some(Ok(seen)) => not_there(seen, &to.digest),
            Some(Err(error)) => {
                evidence.extend(error.evidence.iter().flat_map(|found| evidence_lines(&host, found)));
                Some(format!("{}: {error}", error.code))
            }
            None => Some("no answer came back".to_owned()),
        };
        match why {
            None => means.progress.note(&format!("{host}: {tag} serves")),
            Some(why) => drop(away.insert(host, why)),
        }
    }
    if !away.is_empty() {
        let text = format!("{} of {} host(s) do not serve {tag}", away.len(), hosts.len());
        let mut error = CommandError::new(ErrorKind::Unsafe, text);
        for (host, why) in &away {
            error = error.detail(format!("{host}: {why}"));
        }
        for line in evidence {
            error = error.detail(line);
        }
        return Err(error
            .hint(format!(
                "relman rollback --offline --to {tag}: again; hosts that serve it already stay as they are"
            ))
            .hint(AFTERWARDS));
    }
    report.notes.push(AFTERWARDS.to_owned());
    Ok(report)
}

const AFTERWARDS: &str = "when the ledger can be reached again: relman ledger import --from-hosts; until then these hosts obey no deploy";

/// Those of now that can be resolved, each by itself. A host that needs another one says so. A store is asked as well,
/// since it may be there while the ledger is not, but it is not waited for.
async fn secrets(means: &Means<'_>) -> BTreeMap<String, Secret> {
    let site = means.site;
    let one = async |(name, reference): (&String, &SecretRef)| {
        let asked = [(name.clone(), reference.clone())].into();
        let found = tokio::time::timeout(PATIENCE, site.secrets.resolve(&asked)).await;
        let why = match found {
            Ok(Ok(found)) => return found.values,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("secret {name}: {reference} was not found within {} s", PATIENCE.as_secs()),
        };
        means.progress.note(&format!("{why}; hosts go back without it where they can"));
        BTreeMap::new()
    };
    futures_util::future::join_all(site.run.secrets.iter().map(one)).await.into_iter().flatten().collect()
}

/// How long a store is waited for while hosts wait.
const PATIENCE: Duration = Duration::from_secs(6);

/// Why a host is not where it should be.
fn not_there(seen: &Observation, to: &Digest) -> Option<String> {
    match seen.serving() {
        Some(view) if view.release.digest != *to => Some(format!("{} serves", view.release.version.tag())),
        // An engine that does not answer cannot say what runs; the proxy sends the requests there.
        Some(view) if view.weight != 100 => Some("its proxy does not send the requests there".to_owned()),
        Some(view) if !view.healthy => {
            Some("it takes the requests, and does not answer its health check".to_owned())
        }
        Some(_) => None,
        None => Some("nothing serves".to_owned()),
    }
}

/// Why there is nothing to go back to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum NoWay {
    /// The target is of a kind that only the ledger can tell.
    NeedsLedger,
    /// Hosts hold no such release.
    NotHeld(Vec<HostName>),
    /// It is not clear which.
    Unclear,
}

/// Where to go back to. Pure: from what each host holds.
fn choose(hosts: &BTreeMap<HostName, Observation>, target: Option<&Target>) -> Result<ReleaseRef, NoWay> {
    let to = match target {
        Some(target) => named(hosts, target)?,
        None => guessed(hosts)?,
    };
    let lacks = |seen: &Observation| !seen.slots.iter().any(|view| view.release.digest == to.digest);
    let lacking: Vec<HostName> =
        hosts.iter().filter(|(_, seen)| lacks(seen)).map(|(name, _)| name.clone()).collect();
    if lacking.is_empty() { Ok(to) } else { Err(NoWay::NotHeld(lacking)) }
}

fn named(hosts: &BTreeMap<HostName, Observation>, target: &Target) -> Result<ReleaseRef, NoWay> {
    if let Target::Back(_) = target {
        return Err(NoWay::NeedsLedger);
    }
    let means = |view: &&SlotView| match target {
        Target::Version(version) => view.release.version == *version,
        Target::Commit(hex) => view.release.commit.as_str().starts_with(hex.as_str()),
        Target::Digest(digest) => view.release.digest == *digest,
        Target::Deployment { number, .. } => view.deployment == *number,
        Target::Back(_) => false,
    };
    let found = hosts.values().flat_map(|seen| &seen.slots).filter(means).map(|view| &view.release);
    only(found)?.ok_or_else(|| NoWay::NotHeld(hosts.keys().cloned().collect()))
}

/// What was begun is finished; a trial goes back to what is committed; and what serves goes back to the release that
/// served before it: an older one, of an earlier deployment. A newer one in the other slot was taken back itself.
fn guessed(hosts: &BTreeMap<HostName, Observation>) -> Result<ReleaseRef, NoWay> {
    let begun = hosts.values().filter_map(|seen| seen.offline.as_ref()).max_by_key(|mark| mark.offline.at);
    if let Some(mark) = begun {
        return Ok(mark.to.release.clone());
    }
    let slot = |seen: &'_ Observation, slot| seen.slots.iter().find(|view| Some(view.slot) == slot).cloned();
    let tried = hosts.values().filter(|seen| seen.trial.is_some());
    let before: Vec<ReleaseRef> =
        tried.filter_map(|seen| slot(seen, seen.committed)).map(|view| view.release).collect();
    if let Some(release) = only(before.iter())? {
        return Ok(release);
    }
    let mut older = Vec::new();
    for seen in hosts.values() {
        let serving = seen.serving().ok_or(NoWay::Unclear)?;
        let other = slot(seen, Some(serving.slot.other())).ok_or(NoWay::Unclear)?;
        if other.deployment >= serving.deployment || other.release.version >= serving.release.version {
            return Err(NoWay::Unclear);
        }
        older.push(other.release);
    }
    only(older.iter())?.ok_or(NoWay::Unclear)
}

/// The one release among these; none of none.
fn only<'a>(mut releases: impl Iterator<Item = &'a ReleaseRef>) -> Result<Option<ReleaseRef>, NoWay> {
    let Some(first) = releases.next() else { return Ok(None) };
    if releases.all(|other| other.digest == first.digest) {
        Ok(Some(first.clone()))
    } else {
        Err(NoWay::Unclear)
    }
}

fn refused(why: NoWay, hosts: &BTreeMap<HostName, Observation>) -> CommandError {
    let mut error = match why {
        NoWay::NeedsLedger => CommandError::new(
            ErrorKind::Usage,
            "@-N is counted in the ledger: --offline takes a version, commit, digest or deployment",
        ),
        NoWay::NotHeld(lacking) => {
            let names: Vec<&str> = lacking.iter().map(HostName::as_str).collect();
            CommandError::new(
                ErrorKind::NotFound,
                format!("{} cannot go there: no slot holds it; nothing was changed", names.join(", ")),
            )
        }
        NoWay::Unclear => CommandError::new(
            ErrorKind::NotFound,
            "the hosts do not say which release served before; nothing was changed",
        ),
    };
    for (host, seen) in hosts {
        let serving = seen.serving().map(|view| view.slot);
        let held = seen.slots.iter().map(|view| {
            let what = if Some(view.slot) == serving { "serves" } else { "is held" };
            format!("{} (deployment {}) {what}", view.release.version.tag(), view.deployment)
        });
        error = error.detail(format!("{host}: {}", held.collect::<Vec<_>>().join(", ")));
    }
    error
        .hint("relman rollback --offline --to VERSION: one that is held")
        .hint("--hosts NAME,…: only the hosts that you name; the others stay as they are")
}

#[cfg(test)]
mod tests;
