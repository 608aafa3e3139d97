//! May this deploy start? Gathers the facts that [`policy::admit_deploy`] decides on, and says why not.

use super::Args;
use crate::commands::attempt::Attempt;
use crate::commands::error::ErrorKind;
use crate::commands::release::uncommitted;
use crate::commands::{CommandError, Context, Site, Supply, target};
use crate::domain::deployment::{Deployment, Verdict};
use crate::domain::freeze;
use crate::domain::id::{CommitSha, EnvironmentName};
use crate::domain::policy::{self, Admission, Ancestry, Overrides, Refusal, Rules, Withdrawal};
use crate::domain::record::EnvironmentRecord;
use crate::domain::release::ReleaseRef;

/// What the target comes to: a commit, and its release if it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) commit: CommitSha,
    pub(super) release: Option<ReleaseRef>,
}

impl Wanted {
    /// Whether it is this release. A commit may have several, so it only counts where none is named.
    pub(super) fn is(&self, release: &ReleaseRef) -> bool {
        match &self.release {
            Some(wanted) => wanted.digest == release.digest,
            None => self.commit == release.commit,
        }
    }

    fn shown(&self) -> String {
        match &self.release {
            Some(release) => release.version.tag(),
            None => format!("commit {}", self.commit.short()),
        }
    }
}

pub(super) async fn wanted(
    context: &Context,
    site: &Site,
    supply: &Supply,
    args: &Args,
) -> Result<Wanted, CommandError> {
    if let Some(from) = &args.from {
        let release = promoted(context, site, from).await?;
        return Ok(Wanted { commit: release.commit.clone(), release: Some(release) });
    }
    if let Some(target) = &args.target {
        let release = target::resolve(context, &site.name, target).await?.release;
        return Ok(Wanted { commit: release.commit.clone(), release: Some(release) });
    }
    let Some(repository) = &supply.repository else {
        return Err(CommandError::new(ErrorKind::Usage, "there is no git repository here to take HEAD from")
            .hint("relman deploy v1.4.2: name a release (relman releases lists them)"));
    };
    let head = repository.head()?;
    if !head.dirty.is_empty() {
        return Err(uncommitted(&head));
    }
    let commit = head.commit;
    let release = target::of_commit(context, &site.name, &commit).await?;
    Ok(Wanted { commit, release })
}

/// The release that another environment serves.
async fn promoted(
    context: &Context,
    site: &Site,
    from: &EnvironmentName,
) -> Result<ReleaseRef, CommandError> {
    if *from == site.name {
        return Err(CommandError::new(ErrorKind::Usage, format!("{from} is promoted to itself"))
            .hint("relman deploy --from STAGING --env PRODUCTION"));
    }
    let stream = context.stream(from);
    let environment = context.environment(&stream).await?;
    match context.deployment(&stream, environment.serving).await? {
        Some(serving) => Ok(serving.release),
        None => Err(CommandError::new(ErrorKind::NotFound, format!("nothing serves in {from}"))
            .hint(format!("relman history --env {from}: what was deployed there"))),
    }
}

/// What the configuration asks for, as things are now.
pub(super) async fn rules(
    context: &Context,
    site: &Site,
    environment: &EnvironmentRecord,
    wanted: &Wanted,
) -> Result<Rules, CommandError> {
    let frozen = freeze::in_force(&site.settings.freeze, &environment.freezes, context.clock.now());
    let order = match &site.settings.after {
        None => None,
        Some(first) => {
            let verdict = match &wanted.release {
                Some(release) => context.verdict(&context.stream(first), &release.version).await?,
                None => None,
            };
            Some((first.clone(), verdict == Some(Verdict::Proven)))
        }
    };
    Ok(Rules { frozen, order })
}

/// Whether it may start, as things are now; refused is an error.
pub(super) async fn admitted(
    attempt: &Attempt<'_>,
    supply: &Supply,
    args: &Args,
    wanted: &Wanted,
) -> Result<Admission, CommandError> {
    let environment = attempt.context.environment(&attempt.stream).await?;
    let serving = attempt.context.deployment(&attempt.stream, environment.serving).await?;
    let rules = rules(attempt.context, &attempt.site, &environment, wanted).await?;
    match admit(supply, args, wanted, (serving.as_ref(), &environment), &rules)? {
        Admission::Refused(refusal) => Err(refused(&refusal, &attempt.site, &environment)),
        admission => Ok(admission),
    }
}

pub(super) fn admit(
    supply: &Supply,
    args: &Args,
    wanted: &Wanted,
    (serving, environment): (Option<&Deployment>, &EnvironmentRecord),
    rules: &Rules,
) -> Result<Admission, CommandError> {
    let commit = &wanted.commit;
    let ancestry = match (serving, &supply.repository) {
        (None, _) => None,
        (Some(serving), Some(repository)) => {
            Some((&serving.release, repository.ancestry(commit, &serving.release.commit)?))
        }
        (Some(serving), None) => Some((&serving.release, Ancestry::Unknown)),
    };
    let hold = match &environment.hold {
        None => None,
        Some(hold) => {
            let withdrawal = match (&hold.withdrawn, &supply.repository) {
                (Some(withdrawn), Some(repository)) => {
                    repository.withdrawal(commit, &withdrawn.bad.commit, &withdrawn.good.commit)?
                }
                _ => Withdrawal::Unknown,
            };
            Some((hold, withdrawal))
        }
    };
    if let (Some(hold), Some(fixes)) = (&environment.hold, args.fixes)
        && hold.deployment != Some(fixes)
    {
        let text = format!("rollback #{fixes} is not what keeps deploys away");
        return Err(match hold.deployment {
            Some(number) => CommandError::new(ErrorKind::Usage, text).hint(format!("--fixes '#{number}'")),
            None => {
                CommandError::new(ErrorKind::Usage, text).hint("relman unhold --reason '…': lift the hold")
            }
        });
    }
    let overrides = Overrides {
        hold: args.override_hold,
        older: args.allow_older,
        fixes: args.fixes.is_some(),
        freeze: args.override_freeze,
        order: args.override_order,
    };
    Ok(policy::admit_deploy(&wanted.shown(), args.names_target(), ancestry, hold, rules, overrides))
}

pub(super) fn refused(refusal: &Refusal, site: &Site, environment: &EnvironmentRecord) -> CommandError {
    let rollback = environment.hold.as_ref().and_then(|hold| hold.deployment);
    let id = rollback.map_or("ID".to_owned(), |number| format!("{}#{number}", site.name));
    let error = CommandError::new(ErrorKind::Refused, refusal.to_string());
    match refusal {
        Refusal::Hold { .. } => error.hint("relman unhold --reason '…': lift it"),
        Refusal::BringsBack { .. } => error
            .hint("git revert the withdrawn commits, then push")
            .hint(format!(
                "relman deploy --fixes {id} --reason '…': when a later commit repairs what was wrong with them"
            ))
            .hint("relman unhold --reason '…': when they were not to blame"),
        Refusal::CannotJudge { .. } => error
            .hint("git fetch --unshallow (GitHub Actions: fetch-depth: 0), then again")
            .hint("--override-hold --reason '…'"),
        Refusal::Frozen(frozen) => {
            let error = error.hint("relman rollback is exempt");
            match frozen.id {
                Some(id) => error.hint(format!("relman freeze rm {id} --reason '…': when it is over")),
                None => error,
            }
            .hint("--override-freeze --reason '…': when this one cannot wait")
        }
        Refusal::OutOfOrder { environment, .. } => error
            .hint(format!("relman deploy --env {environment}, then relman deploy --from {environment}"))
            .hint("--override-order --reason '…': when it cannot wait"),
        Refusal::NotNewer { .. } => {
            error.hint("relman rollback --to TARGET: go back on purpose").hint("--allow-older --reason '…'")
        }
    }
}
