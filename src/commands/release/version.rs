//! Which number a release gets, and taking it. The ledger decides: a number is taken by a conditional insert, and
//! one that was taken and not used is burnt.

use super::inspect::Known;
use super::{Args, Job, in_git};
use crate::commands::error::{CommandError, ErrorKind};
use crate::config::OnNoBump;
use crate::domain::event::Event;
use crate::domain::id::Stream;
use crate::domain::project::Illegal;
use crate::domain::record::{Key, Record};
use crate::domain::version::{Bump, Version};
use crate::git::{Base, Head};
use crate::ledger::LedgerError;

/// Which kind of version was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The next release.
    Next,
    /// This one.
    Exact(Version),
    /// The next pre-release with this label.
    Pre(String),
}

/// More lost races in a row than can happen by chance.
const TRIES: usize = 50;

impl Wanted {
    pub(super) fn new(args: &Args, head: &Head) -> Result<Self, CommandError> {
        let branch = args.branch.as_deref().or(head.branch.as_deref());
        match (&args.version, &args.prerelease) {
            (Some(_), Some(_)) => {
                Err(CommandError::new(ErrorKind::Usage, "--version and --prerelease exclude each other"))
            }
            (Some(version), None) => Ok(Self::Exact(version.clone())),
            (None, Some(label)) => label_of(label).map(Self::Pre),
            (None, None) => match branch.and_then(|branch| branch.strip_prefix("feature/")) {
                Some(name) => label_of(name).map(Self::Pre),
                None => Ok(Self::Next),
            },
        }
    }

    pub(super) fn fits(&self, version: &Version) -> bool {
        match self {
            Self::Next => !version.is_prerelease(),
            Self::Exact(exact) => version == exact,
            Self::Pre(label) => {
                let text = version.to_string();
                let pre = text.split_once('-').and_then(|(_, pre)| pre.rsplit_once('.'));
                pre.is_some_and(|(found, _)| found == label)
            }
        }
    }
}

/// The label as `Version::with_prerelease` writes it.
fn label_of(text: &str) -> Result<String, CommandError> {
    let shown = Version::first().with_prerelease(text, 1).map(|version| version.to_string());
    let label = shown.ok().and_then(|text| Some(text.split_once('-')?.1.strip_suffix(".1")?.to_owned()));
    label
        .ok_or_else(|| CommandError::new(ErrorKind::Usage, format!("{text:?} cannot be a pre-release label")))
}

impl Job<'_> {
    /// Takes a number for this commit; none when nothing asks for one.
    pub(super) async fn claim(
        &self,
        wanted: &Wanted,
        known: &Known,
    ) -> Result<Option<Version>, CommandError> {
        if let Some(version) = known.reusable(wanted) {
            return Ok(Some(version.clone()));
        }
        let stream = Stream::releases(&self.context.service);
        for _ in 0..TRIES {
            let Some(version) = self.next(wanted).await? else { return Ok(None) };
            if let Some(theirs) = self.taken_since(wanted, known).await? {
                return Ok(Some(theirs));
            }
            let commit = self.head.commit.clone();
            let event = Event::VersionClaimed { version: version.clone(), commit };
            match self.context.ledger.append(&stream, None, self.context.draft(event)).await {
                Ok(sealed) => {
                    self.context.progress.entry(&sealed.entry);
                    return Ok(Some(version));
                }
                Err(LedgerError::Illegal(Illegal::VersionTaken { version, commit })) => {
                    match wanted {
                        Wanted::Exact(_) if commit != self.head.commit => {
                            let text = format!(
                                "version {version} belongs to commit {commit}, and HEAD is {}",
                                self.head.commit
                            );
                            return Err(CommandError::new(ErrorKind::Failed, text)
                                .hint("relman release without --version takes the next number"));
                        }
                        Wanted::Exact(_) => {
                            let text = format!(
                                "version {version} is this commit's already, and a version has one build"
                            );
                            return Err(CommandError::new(ErrorKind::Failed, text)
                                .hint("relman release --new-build without --version takes the next number"));
                        }
                        // Another run for the same commit: go on with its number, and bind decides.
                        _ if commit == self.head.commit
                            && !known.releases.iter().any(|r| r.release.identity.version == version) =>
                        {
                            return Ok(Some(version));
                        }
                        _ => self.context.progress.note(&format!("{} was taken meanwhile", version.tag())),
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(CommandError::new(ErrorKind::Failed, "no version number could be taken").hint("relman releases"))
    }

    /// What another run for the same commit took after `known` was read: the next number counts from there, and would
    /// be a second one for this commit. Go on with theirs, and bind decides.
    async fn taken_since(&self, wanted: &Wanted, known: &Known) -> Result<Option<Version>, CommandError> {
        if matches!(wanted, Wanted::Exact(_)) {
            return Ok(None);
        }
        let now = self.known().await?;
        let bound = |version: &Version| known.releases.iter().any(|r| r.release.identity.version == *version);
        let all = now.claims.into_iter().chain(now.releases.into_iter().map(|r| r.release.identity.version));
        let mut new =
            all.filter(|version| wanted.fits(version) && !bound(version) && !known.claims.contains(version));
        Ok(new.next())
    }

    /// The number that is next now; none when nothing asks for one.
    pub(super) async fn next(&self, wanted: &Wanted) -> Result<Option<Version>, CommandError> {
        if let Wanted::Exact(version) = wanted {
            return Ok(Some(version.clone()));
        }
        let base = self.base().await?;
        let commit = self.head.commit.clone();
        let since = in_git(&self.repository, move |r| r.since(&commit, base.as_ref())).await?;
        let next = match (&since.base, since.bump) {
            (None, _) => Version::first(),
            (Some(_), None) if self.stays_without() && *wanted == Wanted::Next => return Ok(None),
            (Some(base), bump) => base.next(bump.unwrap_or(Bump::Patch)).map_err(overflow)?,
        };
        match wanted {
            Wanted::Pre(label) => self.numbered(&next, label).await.map(Some),
            _ => Ok(Some(next)),
        }
    }

    fn stays_without(&self) -> bool {
        self.supply.version.on_no_bump == OnNoBump::CommitOnly
    }

    /// The highest number of the ledger, with its commit.
    async fn base(&self) -> Result<Option<Base>, CommandError> {
        let service = &self.context.service;
        let ledger = &self.context.ledger;
        let highest = match ledger.get(&Key::of_service(service)).await? {
            Some(Record::Service(totals)) => totals.highest,
            _ => None,
        };
        let Some(version) = highest else { return Ok(None) };
        Ok(match ledger.get(&Key::of_claim(service, &version)).await? {
            Some(Record::Claim(claim)) => Some(Base { version, commit: claim.commit }),
            _ => None,
        })
    }

    /// The first free number behind the label. They are given without gaps, so few questions find it.
    async fn numbered(&self, version: &Version, label: &str) -> Result<Version, CommandError> {
        let mut free = 1;
        while self.is_claimed(version, label, free).await? {
            free *= 2;
        }
        let mut taken = free / 2;
        while free - taken > 1 {
            let middle = taken + (free - taken) / 2;
            if self.is_claimed(version, label, middle).await? {
                taken = middle;
            } else {
                free = middle;
            }
        }
        version.with_prerelease(label, free).map_err(overflow)
    }

    async fn is_claimed(&self, version: &Version, label: &str, number: u64) -> Result<bool, CommandError> {
        let version = version.with_prerelease(label, number).map_err(overflow)?;
        let key = Key::of_claim(&self.context.service, &version);
        Ok(self.context.ledger.get(&key).await?.is_some())
    }
}

fn overflow(error: crate::domain::version::VersionError) -> CommandError {
    CommandError::new(ErrorKind::Failed, "there is no next version")
        .caused_by(error)
        .hint("relman release --version X.Y.Z")
}
