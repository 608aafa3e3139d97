//! From a TARGET to a release.

use super::error::ErrorKind;
use super::{CommandError, Context};
use crate::domain::deployment::{Deployment, Outcome, Verdict};
use crate::domain::id::{CommitSha, EnvironmentName, Stream};
use crate::domain::record::{Key, Listing, Record};
use crate::domain::release::ReleaseRef;
use crate::domain::target::Target;
use crate::domain::version::Version;

/// What a target names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The release.
    pub release: ReleaseRef,
    /// The deployment, where one was named, or the newest success of the release in the environment.
    pub deployment: Option<Deployment>,
}

const PAGE: u32 = 50;

/// Finds what a target names. No network is asked, only the ledger.
///
/// # Errors
/// [`ErrorKind::NotFound`] when there is no such release, [`ErrorKind::Usage`] when several fit.
pub async fn resolve(
    context: &Context,
    environment: &EnvironmentName,
    target: &Target,
) -> Result<Found, CommandError> {
    let stream = context.stream(environment);
    let version = match target {
        Target::Version(version) => version.clone(),
        Target::Commit(hex) => beginning_with(context, hex).await?,
        Target::Digest(digest) => {
            let listing = Listing::Digests(context.service.clone(), digest.clone());
            let page = context.ledger.page(&listing, None, 1).await?;
            match page.records.into_iter().next() {
                Some((_, Record::Digest(version))) => version,
                _ => return Err(unknown(target)),
            }
        }
        Target::Deployment { environment: named, number } => {
            let stream = context.stream(named.as_ref().unwrap_or(environment));
            let found = context.deployment(&stream, Some(*number)).await?.ok_or_else(|| unknown(target))?;
            let here = named.as_ref().is_none_or(|named| named == environment);
            return Ok(Found { release: found.release.clone(), deployment: here.then_some(found) });
        }
        Target::Back(n) => {
            let found = proven_back(context, &stream, *n).await?.ok_or_else(|| unknown(target))?;
            return Ok(Found { release: found.release.clone(), deployment: Some(found) });
        }
    };
    let record = context.release(&version).await?.ok_or_else(|| unknown(target))?;
    let deployment = newest_success(context, &stream, &version).await?;
    Ok(Found { release: record.release.identity, deployment })
}

/// The newest release of a commit; none when it is not released.
pub(crate) async fn of_commit(
    context: &Context,
    environment: &EnvironmentName,
    commit: &CommitSha,
) -> Result<Option<ReleaseRef>, CommandError> {
    match resolve(context, environment, &Target::Commit(commit.to_string())).await {
        Ok(found) => Ok(Some(found.release)),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn unknown(target: &Target) -> CommandError {
    CommandError::new(ErrorKind::NotFound, format!("{target} is not in the ledger"))
        .hint("relman releases: what can be deployed")
        .hint("relman history: what was deployed")
}

async fn beginning_with(context: &Context, hex: &str) -> Result<Version, CommandError> {
    let listing = Listing::Commits(context.service.clone(), hex.to_owned());
    let page = context.ledger.page(&listing, None, PAGE).await?;
    let mut found: Option<ReleaseRef> = None;
    for (_, record) in page.records {
        let Record::Commit(version) = record else { continue };
        // A number may have been claimed and never built.
        let Some(release) = context.release(&version).await? else { continue };
        let release = release.release.identity;
        match &found {
            None => found = Some(release),
            Some(first) if first.commit == release.commit => {}
            Some(first) => {
                return Err(CommandError::new(
                    ErrorKind::Usage,
                    format!("commit {hex} is ambiguous: {} and {}", first.commit, release.commit),
                )
                .hint("give more digits"));
            }
        }
    }
    found.map(|release| release.version).ok_or_else(|| unknown(&Target::Commit(hex.to_owned())))
}

/// Deployments of an environment, newest first, before `before`, one page after the other.
pub(crate) struct Walk<'a> {
    context: &'a Context,
    listing: Listing,
    before: Option<Key>,
    page: std::vec::IntoIter<(Key, Record)>,
    more: bool,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(context: &'a Context, stream: &Stream, before: Option<u64>) -> Self {
        Self {
            context,
            listing: Listing::Deployments(stream.clone()),
            before: before.map(|number| Key::of_deployment(stream, number)),
            page: Vec::new().into_iter(),
            more: true,
        }
    }

    pub(crate) async fn next(&mut self) -> Result<Option<Deployment>, CommandError> {
        loop {
            if let Some((key, record)) = self.page.next() {
                self.before = Some(key);
                match record {
                    Record::Deployment(deployment) => return Ok(Some(*deployment)),
                    _ => continue,
                }
            }
            if !self.more {
                return Ok(None);
            }
            let page = self.context.ledger.page(&self.listing, self.before.as_ref(), PAGE).await?;
            self.more = page.more;
            self.page = page.records.into_iter();
            if self.page.len() == 0 {
                return Ok(None);
            }
        }
    }
}

async fn newest_success(
    context: &Context,
    stream: &Stream,
    version: &Version,
) -> Result<Option<Deployment>, CommandError> {
    // Whatever succeeded here has a verdict; without one there is nothing to walk for.
    if context.verdict(stream, version).await?.is_none() {
        return Ok(None);
    }
    let mut walk = Walk::new(context, stream, None);
    while let Some(deployment) = walk.next().await? {
        if deployment.outcome == Some(Outcome::Succeeded) && deployment.release.version == *version {
            return Ok(Some(deployment));
        }
    }
    Ok(None)
}

/// The `n`th proven release before the one that serves; each release counts once.
async fn proven_back(context: &Context, stream: &Stream, n: u32) -> Result<Option<Deployment>, CommandError> {
    let environment = context.environment(stream).await?;
    let Some(serving) = context.deployment(stream, environment.serving).await? else { return Ok(None) };
    let mut seen = vec![serving.release.version];
    let mut walk = Walk::new(context, stream, Some(serving.number));
    while let Some(deployment) = walk.next().await? {
        let version = &deployment.release.version;
        if deployment.outcome != Some(Outcome::Succeeded) || seen.contains(version) {
            continue;
        }
        seen.push(version.clone());
        if context.verdict(stream, version).await? == Some(Verdict::Proven) {
            if seen.len() as u32 > n {
                return Ok(Some(deployment));
            }
        } else {
            seen.pop();
        }
    }
    Ok(None)
}
