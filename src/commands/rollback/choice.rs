//! Where a rollback goes: the named target, or the newest release that may serve again.

use super::Args;
use crate::commands::error::ErrorKind;
use crate::commands::outcome::Candidate;
use crate::commands::target::{self, Walk};
use crate::commands::{CommandError, Context, Site, Supply};
use crate::domain::deployment::{Deployment, Verdict};
use crate::domain::id::DeploymentId;
use crate::domain::policy;
use crate::domain::release::ReleaseRef;
use crate::host::wire::SlotView;
use crate::saga::claim;

/// Where a rollback goes, and what is to be said about it.
pub(super) struct Choice {
    pub(super) release: ReleaseRef,
    pub(super) deployment: Option<Deployment>,
    pub(super) passed_over: Vec<Candidate>,
    pub(super) notes: Vec<String>,
}

/// What the user named, or else what [`choose`] finds.
pub(super) async fn choice(
    context: &Context,
    site: &Site,
    supply: &Supply,
    args: &Args,
    bad: Option<&Deployment>,
) -> Result<Choice, CommandError> {
    let stream = context.stream(&site.name);
    let Some(target) = &args.target else {
        let (chosen, passed_over) = choose(context, site, supply, bad, false).await?;
        return match chosen {
            Some(deployment) => Ok(Choice {
                release: deployment.release.clone(),
                deployment: Some(deployment),
                passed_over,
                notes: Vec::new(),
            }),
            None => {
                let mut error = CommandError::new(
                    ErrorKind::NotFound,
                    format!("{} has no proven release to roll back to", site.name),
                );
                for passed in &passed_over {
                    let why = passed.skipped.as_deref().unwrap_or_default();
                    error = error.detail(format!("{} ({}): {why}", passed.version.tag(), passed.id));
                }
                Err(error
                    .hint("relman history: every attempt")
                    .hint("relman abort: when a deployment is unfinished, stop it")
                    .hint("relman rollback --to TARGET --yes: any recorded release, proven or not"))
            }
        };
    };
    let found = target::resolve(context, &site.name, target).await?;
    let tag = found.release.version.tag();
    let verdict = context.verdict(&stream, &found.release.version).await?;
    let mut notes = Vec::new();
    if let Some(verdict @ (Verdict::Faulty | Verdict::Withdrawn)) = verdict {
        if !args.yes {
            return Err(CommandError::new(ErrorKind::Refused, format!("{tag} is marked {verdict} here"))
                .hint("relman rollback --list: where it can go")
                .hint(format!("relman rollback --to {tag} --yes: go there all the same")));
        }
        notes.push(format!("{tag} is marked {verdict} here; --yes said to go there all the same"));
    }
    if !deployable(context, site, supply, &found.release).await {
        let text = format!("the image of {tag} is gone from {} and from the hosts", found.release.repository);
        return Err(CommandError::new(ErrorKind::NotFound, text)
            .hint("relman rollback --list: where it can go")
            .hint("relman releases --check: what can still be deployed"));
    }
    if found.deployment.is_none() {
        notes.push(format!("{tag} never succeeded in {}: it runs with the configuration of now", site.name));
    }
    Ok(Choice { release: found.release, deployment: found.deployment, passed_over: Vec::new(), notes })
}

/// Walks back from what is to be taken back to the newest release that may serve again (invariant 5). With `all`
/// it does not stop there.
pub(super) async fn choose(
    context: &Context,
    site: &Site,
    supply: &Supply,
    bad: Option<&Deployment>,
    all: bool,
) -> Result<(Option<Deployment>, Vec<Candidate>), CommandError> {
    const LONGEST_LIST: usize = 50;
    let stream = context.stream(&site.name);
    let (mut chosen, mut seen) = (None, Vec::new());
    let mut list: Vec<Candidate> = Vec::new();
    let bad_version = bad.map(|bad| &bad.release.version);
    let mut walk = Walk::new(context, &stream, bad.map(|bad| bad.number));
    while let Some(deployment) = walk.next().await? {
        let version = deployment.release.version.clone();
        if seen.contains(&version) {
            continue;
        }
        let verdict = context.verdict(&stream, &version).await?;
        let mut judged = policy::rollback_candidate(&deployment, bad_version, verdict, true);
        if judged.is_ok() && !deployable(context, site, supply, &deployment.release).await {
            judged = Err(policy::Skip::NotDeployable);
        }
        // A failed attempt says nothing against an older success of the same release.
        if judged != Err(policy::Skip::NotSucceeded) {
            seen.push(version.clone());
        }
        let id = DeploymentId { environment: site.name.clone(), number: deployment.number };
        let skipped = judged.err().map(|skip| skip.reason().to_owned());
        let good = skipped.is_none();
        if (all || !good) && list.len() < LONGEST_LIST {
            list.push(Candidate { id, version, skipped });
        }
        if good && chosen.is_none() {
            chosen = Some(deployment);
        }
        // A list may end; the way back does not, however often something failed since.
        if if all { list.len() >= LONGEST_LIST } else { chosen.is_some() } {
            break;
        }
    }
    Ok((chosen, list))
}

/// Whether every host can still run it. Only a registry that says so makes a release undeployable, and not even it
/// where every host has the release in a slot.
async fn deployable(context: &Context, site: &Site, supply: &Supply, release: &ReleaseRef) -> bool {
    match supply.registry.resolve(&release.repository, release.digest.as_str()).await {
        Ok(Some(_)) => true,
        Ok(None) => {
            let seen = claim::observe(&*site.fleet, &site.fleet.hosts()).await;
            let has = |slot: &SlotView| slot.running_digest.as_ref() == Some(&release.digest);
            !seen.is_empty()
                && seen.values().all(|host| host.as_ref().is_ok_and(|seen| seen.slots.iter().any(has)))
        }
        Err(error) => {
            context.progress.note(&format!("{error}; the hosts keep the images that served"));
            true
        }
    }
}
