//! `relman diff`: what would change from one release to another: commits with authors, image, run configuration.
//! Works without the git history, and says what it cannot show then.

mod run;
mod side;
#[cfg(test)]
mod tests;

use serde::Serialize;

pub use run::Change;
pub use side::{RunSource, Side};

use super::error::CommandError;
use super::{Context, Site, Supply};
use crate::domain::id::EnvironmentName;
use crate::domain::target::Target;
use crate::git::CommitInfo;

/// More commits than a report lists.
const COMMITS: usize = 200;

/// What to compare.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Args {
    /// From; none: what serves.
    pub from: Option<Target>,
    /// To; none: the release of HEAD, or HEAD itself.
    pub to: Option<Target>,
}

/// The answer: the JSON output as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Format of this report.
    pub schema: u32,
    /// The environment.
    pub environment: EnvironmentName,
    /// From; none: nothing serves.
    pub from: Option<Side>,
    /// To.
    pub to: Side,
    /// Commits that come in, newest first; none: the history is not here.
    pub added: Option<Vec<CommitInfo>>,
    /// Commits that go out: of `from` and not of `to`.
    pub removed: Option<Vec<CommitInfo>>,
    /// Whether there are more commits than are listed.
    pub truncated: bool,
    /// Whether the image is another one; none: one side has none yet.
    pub image_differs: Option<bool>,
    /// Keys of the run configuration that differ; secrets by reference. None: one side is not known.
    pub run: Option<Vec<Change>>,
    /// What could not be shown, and why.
    pub notes: Vec<String>,
    /// Whether anything differs: what `--exit-code` asks for.
    pub differs: bool,
}

/// Finds both sides and compares them.
///
/// # Errors
/// When a target is not known, or the ledger cannot be read.
pub async fn run(
    context: &Context,
    site: &Site,
    supply: &Supply,
    args: Args,
) -> Result<Report, CommandError> {
    let finder = side::Finder { context, site, repository: supply.repository.as_ref() };
    let from = match &args.from {
        Some(target) => Some(finder.find(target).await?),
        None => finder.serving().await?,
    };
    let to = match &args.to {
        Some(target) => finder.find(target).await?,
        None => finder.head().await?,
    };
    let mut notes = Vec::new();
    let (added, removed) = commits(supply, from.as_ref(), &to, &mut notes);
    let run = match (&from, &to) {
        (Some(from), to) => match (&from.run, &to.run) {
            (Some(a), Some(b)) => Some(run::compare(a, b)),
            _ => {
                for side in [from, to].into_iter().filter(|side| side.run.is_none()) {
                    notes.push(format!("the run configuration of {} is not recorded here", side.name));
                }
                None
            }
        },
        (None, to) => to.run.as_ref().map(|run| run::compare(&serde_json::Value::Null, run)),
    };
    let image_differs = match (&from, &to.digest) {
        (Some(from), Some(digest)) => from.digest.as_ref().map(|from| from != digest),
        (None, Some(_)) => Some(true),
        (_, None) => None,
    };
    if to.digest.is_none() {
        notes.push(format!("{} is not released yet: it has no image", to.name));
    }
    let some = |commits: &Option<Vec<CommitInfo>>| commits.as_ref().is_some_and(|list| !list.is_empty());
    let moved = from.as_ref().is_none_or(|from| from.commit != to.commit);
    let differs = moved
        || image_differs == Some(true)
        || run.as_ref().is_some_and(|changes| !changes.is_empty())
        || some(&added)
        || some(&removed);
    let truncated = [&added, &removed].iter().any(|list| list.as_ref().is_some_and(|l| l.len() >= COMMITS));
    let environment = site.name.clone();
    Ok(Report {
        schema: 1,
        environment,
        from,
        to,
        added,
        removed,
        truncated,
        image_differs,
        run,
        notes,
        differs,
    })
}

type Commits = Option<Vec<CommitInfo>>;

/// The commits of each side that the other has not. Without a history both are none, with a note.
fn commits(supply: &Supply, from: Option<&Side>, to: &Side, notes: &mut Vec<String>) -> (Commits, Commits) {
    let Some(repository) = &supply.repository else {
        notes.push("this is no git repository: commits cannot be shown".to_owned());
        return (None, None);
    };
    let Some(from) = from else {
        notes.push("nothing serves: the whole history is new".to_owned());
        return (None, None);
    };
    let list = |a: &Side, b: &Side| repository.commits(Some(&a.commit), &b.commit, COMMITS);
    match (list(from, to), list(to, from)) {
        (Ok(added), Ok(removed)) => {
            if repository.head().is_ok_and(|head| head.shallow) {
                notes.push("this clone has cut history: there may be more commits".to_owned());
            }
            (Some(added), Some(removed))
        }
        (Err(error), _) | (_, Err(error)) => {
            notes.push(format!("commits cannot be shown: {error}"));
            (None, None)
        }
    }
}
