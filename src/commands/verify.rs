//! `relman verify`: the chain of every stream, and for releases the links that tie a version to what runs: git tag,
//! commit, version tag, digest, label in the image, running container. What was not checked is said as plainly as
//! what failed, and so is what no check of this kind can prove.

mod links;
#[cfg(test)]
mod tests;

use futures_util::{StreamExt as _, stream};
use serde::Serialize;

use super::error::{CommandError, ErrorKind};
use super::{Context, Site, Supply, anchor, status};
use crate::anchor::Anchors;
use crate::domain::id::{CommitSha, Digest, Stream};
use crate::domain::record::{Key, Listing, Record, ReleaseRecord};
use crate::domain::version::Version;
use crate::ledger::verify::{Unproven, Verified, verify_known};

/// Releases that are looked at side by side.
const AT_ONCE: usize = 8;
/// Releases that are read at once.
const PAGE: u32 = 200;

/// What to verify besides the chain.
#[derive(Debug, Clone, Default)]
pub struct Args {
    /// The links of this release; none: of the one that serves.
    pub version: Option<Version>,
    /// The links of every release.
    pub all: bool,
    /// Ask the hosts, too.
    pub live: bool,
}

/// The six links of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkName {
    /// The git tag names the commit.
    GitTag,
    /// The commit is in the history.
    Commit,
    /// The registry's version tag points to the digest.
    VersionTag,
    /// The registry's manifest is the one that was recorded, byte by byte.
    Digest,
    /// The image itself says that it was built from the commit.
    ConfigLabel,
    /// The hosts that are meant to run it do.
    Running,
}

/// How a link was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkState {
    /// It holds.
    Ok,
    /// It is broken.
    Failed,
    /// It was not looked at, or could not be.
    NotChecked,
}

/// One link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    /// Which.
    pub link: LinkName,
    /// How it was found.
    pub state: LinkState,
    /// What was found, or why it was not checked.
    pub detail: String,
}

/// The links of one release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Linked {
    /// The release.
    pub version: Version,
    /// Its commit.
    pub commit: CommitSha,
    /// Its digest.
    pub digest: Digest,
    /// The links in order.
    pub links: Vec<Link>,
}

/// The answer: the JSON output as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Format of this report.
    pub schema: u32,
    /// Where the ledger is.
    pub ledger: String,
    /// The ledger in which this goes on; nothing here is new since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<String>,
    /// The chain.
    pub chain: Verified,
    /// The chain against the anchors; none where none are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anchors: Option<anchor::Compared>,
    /// The releases that were asked for.
    pub releases: Vec<Linked>,
    /// Whether nothing is broken: otherwise the exit code is 10.
    pub holds: bool,
}

/// Verifies.
///
/// # Errors
/// When the ledger cannot be read, or the version is not known. What does not hold is in the report.
pub async fn run(
    context: &Context,
    site: Option<&Site>,
    supply: Option<&Supply>,
    anchors: Option<&dyn Anchors>,
    args: Args,
) -> Result<Report, CommandError> {
    let mut known = vec![Stream::releases(&context.service)];
    known.extend(site.map(|site| context.stream(&site.name)));
    let mut chain = verify_known(context.ledger.as_ref(), &known).await?;
    let anchors = match anchors {
        Some(anchors) => Some(anchor::compare(context, anchors, &chain).await?),
        None => None,
    };
    if anchors.as_ref().is_some_and(|compared| compared.anchors > 0) {
        // What is left open of it is said stream by stream.
        chain.unproven.retain(|unproven| !matches!(unproven, Unproven::Tail | Unproven::Rewrite));
    }
    let records = match (&args.version, args.all) {
        (_, true) => every(context).await?,
        (Some(version), false) => vec![one(context, version).await?],
        (None, false) => match site {
            Some(site) => serving(context, site).await?.into_iter().collect(),
            None => Vec::new(),
        },
    };
    let live = match site.filter(|_| args.live && !records.is_empty()) {
        Some(site) => Some(status::run(context, site).await?),
        None => None,
    };
    let finder = links::Finder { context, supply, live: live.as_ref() };
    let releases: Vec<Linked> =
        stream::iter(&records).map(|record| finder.links(record)).buffered(AT_ONCE).collect().await;
    let broken = |linked: &Linked| linked.links.iter().any(|link| link.state == LinkState::Failed);
    let anchored = anchors.as_ref().is_none_or(|compared| compared.faults.is_empty());
    let holds = chain.holds() && anchored && !releases.iter().any(broken);
    let moved_to = moved_to(context, site).await?;
    let ledger = context.ledger.location().to_string();
    Ok(Report { schema: 1, ledger, moved_to, chain, anchors, releases, holds })
}

/// Each stream says it of itself, and one without an entry has nothing to say.
async fn moved_to(context: &Context, site: Option<&Site>) -> Result<Option<String>, CommandError> {
    if let Some(Record::Service(service)) = context.ledger.get(&Key::of_service(&context.service)).await?
        && service.moved_to.is_some()
    {
        return Ok(service.moved_to);
    }
    let Some(site) = site else { return Ok(None) };
    Ok(context.environment(&context.stream(&site.name)).await?.moved_to)
}

async fn one(context: &Context, version: &Version) -> Result<ReleaseRecord, CommandError> {
    context.release(version).await?.ok_or_else(|| {
        let message = format!("there is no release {}", version.tag());
        CommandError::new(ErrorKind::NotFound, message).hint("relman releases")
    })
}

/// The release that serves; none before the first success.
async fn serving(context: &Context, site: &Site) -> Result<Option<ReleaseRecord>, CommandError> {
    let stream = context.stream(&site.name);
    let environment = context.environment(&stream).await?;
    match context.deployment(&stream, environment.serving).await? {
        Some(deployment) => context.release(&deployment.release.version).await,
        None => Ok(None),
    }
}

async fn every(context: &Context) -> Result<Vec<ReleaseRecord>, CommandError> {
    let listing = Listing::Releases(context.service.clone());
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let page = context.ledger.page(&listing, before.as_ref(), PAGE).await?;
        before = page.records.last().map(|(key, _)| key.clone());
        found.extend(page.records.into_iter().filter_map(|(_, record)| match record {
            Record::Release(record) => Some(*record),
            _ => None,
        }));
        if !page.more || before.is_none() {
            return Ok(found);
        }
    }
}
