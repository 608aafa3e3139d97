//! `relman releases`: every release, highest version first, and whether its image can still be deployed.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use serde::Serialize;

use super::Context;
use super::error::{CommandError, ErrorKind};
use crate::domain::actor::Actor;
use crate::domain::deployment::Verdict;
use crate::domain::id::{CommitSha, Digest, EnvironmentName, ServiceName, Stream};
use crate::domain::record::{Key, Listing, Record, ReleaseRecord};
use crate::domain::time::Timestamp;
use crate::domain::version::Version;
use crate::registry::Registry;

/// What to list.
#[derive(Clone, Default)]
pub struct Args {
    /// How many.
    pub limit: u32,
    /// Where the page before ended: its `next`.
    pub cursor: Option<String>,
    /// Where to ask whether images are still there; none: what was recorded last.
    pub check: Option<Arc<dyn Registry>>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Format of this report.
    pub schema: u32,
    /// The service.
    pub service: ServiceName,
    /// The releases, highest version first.
    pub releases: Vec<Row>,
    /// The cursor of the next page.
    pub next: Option<String>,
}

/// One release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its version.
    pub version: Version,
    /// Its commit.
    pub commit: CommitSha,
    /// Its image.
    pub digest: Digest,
    /// `repository@digest`.
    pub image: String,
    /// Tags that point to it.
    pub tags: Vec<String>,
    /// Its tags that point elsewhere.
    pub conflicts: Vec<String>,
    /// When it was bound.
    pub created_at: Timestamp,
    /// Who bound it.
    pub actor: Actor,
    /// Environments where it serves.
    pub serving: Vec<EnvironmentName>,
    /// Environments where it is proven.
    pub proven: Vec<EnvironmentName>,
    /// Environments where it is faulty.
    pub faulty: Vec<EnvironmentName>,
    /// Environments where a rollback took it back.
    pub withdrawn: Vec<EnvironmentName>,
    /// Whether it is blocked everywhere.
    pub blocked: bool,
    /// Whether it is kept for ever.
    pub pinned: bool,
    /// Whether its image is there: the last answer. None: the registry could not be asked.
    pub deployable: Option<bool>,
    /// When that answer was given.
    pub checked_at: Option<Timestamp>,
}

/// Releases that are asked for side by side.
const AT_ONCE: usize = 8;

/// Lists.
///
/// # Errors
/// When the ledger cannot be read, or the cursor is none.
pub async fn run(context: &Context, args: Args) -> Result<Report, CommandError> {
    let before = args.cursor.as_deref().map(|cursor| version(context, cursor)).transpose()?;
    let listing = Listing::Releases(context.service.clone());
    let page = context.ledger.page(&listing, before.as_ref(), args.limit).await?;
    let records: Vec<ReleaseRecord> = page
        .records
        .into_iter()
        .filter_map(|(_, record)| if let Record::Release(release) = record { Some(*release) } else { None })
        .collect();
    let next = records.last().filter(|_| page.more).map(|record| record.release.identity.version.to_string());
    let environments = environments(context).await?;
    let mut releases = Vec::with_capacity(records.len());
    for record in &records {
        let mut row = row(record);
        for (stream, name, serving) in &environments {
            if serving.as_ref() == Some(&row.version) {
                row.serving.push(name.clone());
            }
            match context.verdict(stream, &row.version).await? {
                Some(Verdict::Proven) => row.proven.push(name.clone()),
                Some(Verdict::Faulty) => row.faulty.push(name.clone()),
                Some(Verdict::Withdrawn) => row.withdrawn.push(name.clone()),
                None => {}
            }
        }
        releases.push(row);
    }
    if let Some(registry) = &args.check {
        let now = context.clock.now();
        let repositories = records.iter().map(|record| record.release.identity.repository.clone());
        let asked = releases.into_iter().zip(repositories).map(|(row, repository)| async move {
            let answer = registry.resolve(&repository, row.digest.as_str()).await;
            let (deployable, checked_at) = match answer {
                Ok(found) => (Some(found.as_ref() == Some(&row.digest)), Some(now)),
                Err(error) => {
                    context.progress.note(&format!("{}: {error}", row.version.tag()));
                    (None, None)
                }
            };
            Row { deployable, checked_at, ..row }
        });
        releases = stream::iter(asked).buffered(AT_ONCE).collect().await;
    }
    Ok(Report { schema: 1, service: context.service.clone(), releases, next })
}

fn version(context: &Context, cursor: &str) -> Result<Key, CommandError> {
    let version = cursor.parse().map_err(|_| {
        CommandError::new(ErrorKind::Usage, format!("cursor {cursor:?} is not the `next` of a page"))
    })?;
    Ok(Key::of_release(&context.service, &version))
}

/// Every environment of the ledger with the version that serves there.
async fn environments(
    context: &Context,
) -> Result<Vec<(Stream, EnvironmentName, Option<Version>)>, CommandError> {
    let mut found = Vec::new();
    for stream in context.ledger.streams().await? {
        let Some(name) = stream.environment.clone().filter(|_| stream.service == context.service) else {
            continue;
        };
        let serving = context.environment(&stream).await?.serving;
        let version =
            context.deployment(&stream, serving).await?.map(|deployment| deployment.release.version);
        found.push((stream, name, version));
    }
    Ok(found)
}

/// A release was read back from the registry before it was bound: that is the last answer until somebody checks.
fn row(record: &ReleaseRecord) -> Row {
    let identity = &record.release.identity;
    Row {
        version: identity.version.clone(),
        commit: identity.commit.clone(),
        digest: identity.digest.clone(),
        image: identity.image(),
        tags: record.tags.clone(),
        conflicts: record.conflicts.clone(),
        created_at: record.created_at,
        actor: record.actor.clone(),
        serving: Vec::new(),
        proven: Vec::new(),
        faulty: Vec::new(),
        withdrawn: Vec::new(),
        blocked: false,
        pinned: false,
        deployable: Some(true),
        checked_at: Some(record.created_at),
    }
}
