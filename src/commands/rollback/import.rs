//! `relman ledger import --from-hosts`: what hosts did without the ledger, on record.
//!
//! The way back is recorded as a rollback of the environment before any host is opened again, and then driven like
//! every other: a host that had not gone back follows. A host that is heard of later, when it is on record already,
//! is only opened.

use super::{Args, Choice, Order, carry_out};
use crate::commands::attempt::{self, Ahead, Ask, Attempt};
use crate::commands::error::ErrorKind;
use crate::commands::outcome::{Report, ReportResult, conclude};
use crate::commands::{CommandError, Context, Site, Supply};
use crate::domain::deployment::{Deployment, Outcome};
use crate::domain::event::Event;
use crate::domain::id::{DeploymentId, DeploymentNumber, HostName, Stream};
use crate::domain::record::{Key, Listing, Record};
use crate::domain::release::ReleaseRef;
use crate::host::wire::offline::Mark;
use crate::saga::claim::{self, Claimed, Marks};
use std::collections::BTreeMap;
use std::time::Duration;

/// Deployments among which one that is on record already is looked for. None is begun while hosts are ahead, but for
/// those that were refused or left them out.
const RECENT: u32 = 500;

/// Records what hosts did.
///
/// # Errors
/// When a host tells of a release that the ledger does not know, and as every rollback.
pub async fn run(
    context: &Context,
    site: &Site,
    supply: &Supply,
    hosts: &[HostName],
) -> Result<Report, CommandError> {
    let hosts = attempt::hosts(site, hosts)?;
    let seen = claim::observe(&*site.fleet, &hosts).await;
    let mut notes = Vec::new();
    for (host, answer) in &seen {
        if let Err(error) = answer {
            notes.push(format!(
                "{host} was not asked: {error}; when it is back: relman ledger import --from-hosts"
            ));
        }
    }
    let marks = marks(&seen);
    let Some(newest) = marks.values().max_by_key(|mark| mark.offline.at).cloned() else {
        if notes.len() == hosts.len() {
            let mut error =
                CommandError::new(ErrorKind::Failed, format!("no host of {} answered", site.name));
            for note in notes {
                error = error.detail(note);
            }
            return Err(error.hint("relman doctor: what keeps each host from taking part"));
        }
        let mut report = Report::new(site, ReportResult::NothingToDo);
        report.notes = notes;
        report.notes.push("no host is ahead of the ledger".to_owned());
        return Ok(report);
    };
    // Whoever still drives a deployment is refused by these hosts already.
    let purpose = format!("import of a rollback to {} without the ledger", newest.to.release.version.tag());
    let ask = Ask { purpose, wait: Duration::ZERO, preempt: true, timeout: None };
    let nonces = marks.iter().map(|(host, mark)| (host.clone(), mark.offline.nonce.clone()));
    let attempt = Attempt::begin(context, site, ask)
        .await?
        .opening(Ahead { marks: nonces.collect::<Marks>(), seen: seen.clone() });
    let done = record(&attempt, supply, (marks, newest), reached(&hosts, &seen)).await;
    attempt.end().await;
    let mut report = done?;
    notes.append(&mut report.notes);
    report.notes = notes;
    Ok(report)
}

fn marks(seen: &Claimed) -> BTreeMap<HostName, Mark> {
    let marked =
        seen.iter().filter_map(|(host, answer)| Some((host.clone(), answer.as_ref().ok()?.offline.clone()?)));
    marked.collect()
}

fn reached(hosts: &[HostName], seen: &Claimed) -> Vec<HostName> {
    hosts.iter().filter(|host| seen.get(host).is_some_and(Result::is_ok)).cloned().collect()
}

async fn record(
    attempt: &Attempt<'_>,
    supply: &Supply,
    (marks, newest): (BTreeMap<HostName, Mark>, Mark),
    hosts: Vec<HostName>,
) -> Result<Report, CommandError> {
    let (context, site, stream) = (attempt.context, &attempt.site, &attempt.stream);
    let environment = context.environment(stream).await?;
    let active = context.deployment(stream, environment.active).await?;
    let is_same = |deployment: &Deployment| {
        deployment.offline.as_ref().is_some_and(|offline| offline.nonce == newest.offline.nonce)
    };
    // An import that was cut off.
    if let Some(begun) = active.as_ref().filter(|active| active.plan.is_some() && is_same(active))
        && !attempt.is_lost(begun).await?
        && let Some(done) = attempt.take_over(begun, None).await?
    {
        return conclude(context, site, done).await;
    }
    if let Some(known) = recorded(context, stream, is_same).await? {
        return open(attempt, &known, marks.into_keys().collect()).await;
    }
    let release = known_release(context, &newest).await?;
    let bad = taken_back(context, stream, &marks, &newest).await?;
    if let Some(active) = active {
        // Its hosts have gone back already, or are brought there by this rollback.
        let message = format!("its hosts went back to {} without the ledger", release.version.tag());
        attempt
            .append(Event::DeploymentFinished {
                deployment: active.number,
                outcome: Outcome::Superseded,
                message: Some(message),
                verdict: None,
            })
            .await?;
    }
    let placed = context.deployment(stream, Some(newest.to.deployment)).await?;
    let deployment = placed.filter(|deployment| deployment.release.digest == release.digest);
    let mut notes = Vec::new();
    for host in hosts.iter().filter(|host| !marks.contains_key(host)) {
        notes.push(format!("{host} had not gone back without the ledger; it follows now"));
    }
    let run = match &deployment {
        Some(deployment) => match context.run_of(deployment).await {
            // Hosts that nobody can open again would be worse than another configuration.
            Err(error) if error.kind == ErrorKind::NotFound => {
                notes.push(format!("{error}: it is recorded, and runs, with the configuration of now"));
                site.run.clone()
            }
            run => run?,
        },
        None => site.run.clone(),
    };
    let choice = Choice { release, deployment, passed_over: Vec::new(), notes };
    let args = Args { reason: newest.offline.reason.clone(), ..Args::default() };
    let offline = Some(newest.offline);
    carry_out(attempt, supply, Order { bad, choice, run, hosts, args: &args, offline }).await
}

/// The deployment as which this was recorded. One that did not come beyond its pivot does not count.
async fn recorded(
    context: &Context,
    stream: &Stream,
    is_same: impl Fn(&Deployment) -> bool,
) -> Result<Option<Deployment>, CommandError> {
    const PAGE: u32 = 100;
    let listing = Listing::Deployments(stream.clone());
    let mut before: Option<Key> = None;
    for _ in 0..RECENT / PAGE {
        let page = context.ledger.page(&listing, before.as_ref(), PAGE).await?;
        before = page.records.last().map(|(key, _)| key.clone());
        for (_, record) in page.records {
            if let Record::Deployment(deployment) = record
                && deployment.committed
                && is_same(&deployment)
            {
                return Ok(Some(*deployment));
            }
        }
        if !page.more {
            break;
        }
    }
    Ok(None)
}

/// It is on record: these hosts only have to obey again.
async fn open(
    attempt: &Attempt<'_>,
    known: &Deployment,
    hosts: Vec<HostName>,
) -> Result<Report, CommandError> {
    let site = &attempt.site;
    let claimed = attempt.claim(&hosts, known.number).await;
    let failed: Vec<String> = claimed
        .iter()
        .filter_map(|(host, answer)| Some(format!("{host}: {}", answer.as_ref().err()?)))
        .collect();
    if !failed.is_empty() {
        let mut error = CommandError::new(ErrorKind::Failed, "not every host obeys the ledger again");
        for line in failed {
            error = error.detail(line);
        }
        return Err(error.hint("relman ledger import --from-hosts: again"));
    }
    let id = DeploymentId { environment: site.name.clone(), number: known.number };
    let mut report = Report::new(site, ReportResult::NothingToDo);
    report.notes.push(format!("what these hosts did is on record as {id}; they obey the ledger again"));
    report.notes.push(
        "relman status: whether they serve what is wanted; a deploy or a rollback brings them there"
            .to_owned(),
    );
    report.id = Some(id);
    report.hosts = hosts;
    Ok(report)
}

/// The release, as the ledger has it: a host may be mistaken about what it runs.
async fn known_release(context: &Context, newest: &Mark) -> Result<ReleaseRef, CommandError> {
    let told = &newest.to.release;
    match context.release(&told.version).await? {
        Some(known) if known.release.identity.digest == told.digest => Ok(known.release.identity),
        Some(known) => {
            let text = format!(
                "the hosts went back to {} with digest {}, and the ledger knows it as {}",
                told.version.tag(),
                told.digest,
                known.release.identity.digest
            );
            Err(CommandError::new(ErrorKind::Refused, text)
                .hint(format!("relman verify {}", told.version.tag())))
        }
        None => {
            let text =
                format!("the hosts went back to {}, which this ledger does not know", told.version.tag());
            Err(CommandError::new(ErrorKind::NotFound, text)
                .hint("relman doctor: whether this is the ledger of these hosts"))
        }
    }
}

/// What was taken back: the newest deployment that took traffic on a host before.
async fn taken_back(
    context: &Context,
    stream: &Stream,
    marks: &BTreeMap<HostName, Mark>,
    newest: &Mark,
) -> Result<Option<Deployment>, CommandError> {
    let from =
        |mark: &Mark| (mark.from.release.digest != newest.to.release.digest).then_some(mark.from.deployment);
    let numbers: Vec<DeploymentNumber> = marks.values().filter_map(from).collect();
    context.deployment(stream, numbers.into_iter().max()).await
}
