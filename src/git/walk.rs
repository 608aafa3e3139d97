//! Walks over the history: what is new since the last release, how two commits stand to each other, what a
//! target still holds of withdrawn commits.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use git2::{Oid, Repository as Git, Sort};

use super::{CommitInfo, GitError, Repository, conventional, state};
use crate::domain::id::CommitSha;
use crate::domain::policy::{Ancestry, Withdrawal};
use crate::domain::version::{Bump, Version};

/// The version to count from, and its commit where it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// The version.
    pub version: Version,
    /// The commit that it belongs to.
    pub commit: CommitSha,
}

/// What is new since the last release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Since {
    /// The last version; none when there was none.
    pub base: Option<Version>,
    /// The highest bump that a commit since then asks for.
    pub bump: Option<Bump>,
    /// How many commits there are since then.
    pub commits: usize,
}

impl Repository {
    /// What is new in `head` since the highest of the ledger's version and the version tags reachable from it.
    ///
    /// With `known` and no higher tag in the repository this visits only the commits since then. Otherwise one
    /// walk from `head` meets the tags, highest wanted first, and stops at the highest.
    ///
    /// # Errors
    /// When the history that is needed was not fetched, or the repository cannot be read.
    pub fn since(&self, head: &CommitSha, known: Option<&Base>) -> Result<Since, GitError> {
        let git = self.open()?;
        let head = self.need(&git, head)?;
        let tags = self.version_tags(&git, known.map(|known| &known.version))?;
        let tagged = if !tags.is_empty() { self.highest_reachable(&git, head, &tags)? } else { None };
        let base = match (known, tagged) {
            (Some(known), None) => Some(known.version.clone()),
            (_, Some((version, oid))) => {
                return self.range_since(&git, head, Some(oid), Some(version));
            }
            (None, None) => None,
        };
        let commit = match known {
            Some(known) => self.find(&git, &known.commit)?,
            None => None,
        };
        self.range_since(&git, head, commit, base)
    }

    fn range_since(
        &self,
        git: &Git,
        head: Oid,
        from: Option<Oid>,
        base: Option<Version>,
    ) -> Result<Since, GitError> {
        let boundary = self.boundary(git);
        let mut range = Vec::new();
        for oid in self.walk(git, &[head], from.as_slice(), Sort::TOPOLOGICAL)? {
            let oid = oid.map_err(|e| self.error("the history cannot be read", e))?;
            if boundary.contains(&oid) {
                let needed = base.as_ref().map_or("the last release".to_owned(), Version::tag);
                return Err(GitError::Shallow { path: self.root.clone(), needed });
            }
            let commit = git.find_commit(oid).map_err(|e| self.error("a commit cannot be read", e))?;
            range.push((self.sha(oid)?, String::from_utf8_lossy(commit.message_bytes()).into_owned()));
        }
        let bump = conventional::highest(range.iter().map(|(commit, message)| (commit, message.as_str())));
        Ok(Since { base, bump, commits: range.len() })
    }

    /// The highest release among the tags that `head` contains. One walk, however many tags there are.
    fn highest_reachable(
        &self,
        git: &Git,
        head: Oid,
        tags: &HashMap<Oid, Version>,
    ) -> Result<Option<(Version, Oid)>, GitError> {
        let top = tags.values().max();
        let mut found: Option<(Version, Oid)> = None;
        // Unsorted is newest first and lazy; any other order makes libgit2 read the whole history beforehand.
        for oid in self.walk(git, &[head], &[], Sort::NONE)? {
            let oid = oid.map_err(|e| self.error("the history cannot be read", e))?;
            let Some(version) = tags.get(&oid) else { continue };
            if found.as_ref().is_none_or(|(best, _)| version > best) {
                found = Some((version.clone(), oid));
            }
            if Some(version) == top {
                break;
            }
        }
        Ok(found)
    }

    /// Release tags above a version by commit, the highest of each commit. Pre-releases are no base to count from.
    fn version_tags(&self, git: &Git, above: Option<&Version>) -> Result<HashMap<Oid, Version>, GitError> {
        let mut tags: HashMap<Oid, Version> = HashMap::new();
        let references =
            git.references_glob("refs/tags/v*").map_err(|e| self.error("the tags cannot be read", e))?;
        for reference in references.flatten() {
            let Some(version) = reference
                .name()
                .ok()
                .and_then(|name| name.strip_prefix("refs/tags/v"))
                .and_then(|text| text.parse::<Version>().ok())
                .filter(|version| !version.is_prerelease() && above.is_none_or(|above| version > above))
            else {
                continue;
            };
            let Ok(commit) = reference.peel_to_commit() else { continue };
            let kept = tags.entry(commit.id()).or_insert_with(|| version.clone());
            if version > *kept {
                *kept = version;
            }
        }
        Ok(tags)
    }

    /// How `target` stands to `serving`.
    ///
    /// # Errors
    /// When the repository cannot be read; a commit that is not here is `Unknown`.
    pub fn ancestry(&self, target: &CommitSha, serving: &CommitSha) -> Result<Ancestry, GitError> {
        if target == serving {
            return Ok(Ancestry::Same);
        }
        let git = self.open()?;
        let (Some(target), Some(serving)) = (self.find(&git, target)?, self.find(&git, serving)?) else {
            return Ok(Ancestry::Unknown);
        };
        let descends =
            |a, b| git.graph_descendant_of(a, b).map_err(|e| self.error("the history cannot be read", e));
        Ok(if descends(target, serving)? {
            Ancestry::Newer
        } else if descends(serving, target)? {
            Ancestry::Older
        } else if git.is_shallow() {
            Ancestry::Unknown
        } else {
            Ancestry::Diverged
        })
    }

    /// Up to `limit` commits reachable from `to` and not from `from`, newest first.
    ///
    /// # Errors
    /// When one of the two is not here, or the repository cannot be read.
    pub fn commits(
        &self,
        from: Option<&CommitSha>,
        to: &CommitSha,
        limit: usize,
    ) -> Result<Vec<CommitInfo>, GitError> {
        let git = self.open()?;
        let to = self.need(&git, to)?;
        let from = from.map(|from| self.need(&git, from)).transpose()?;
        let mut commits = Vec::new();
        for oid in self.walk(&git, &[to], from.as_slice(), Sort::TOPOLOGICAL | Sort::TIME)?.take(limit) {
            let oid = oid.map_err(|e| self.error("the history cannot be read", e))?;
            let commit = git.find_commit(oid).map_err(|e| self.error("a commit cannot be read", e))?;
            let author = String::from_utf8_lossy(commit.author().name_bytes()).into_owned();
            commits.push(CommitInfo {
                commit: self.sha(oid)?,
                author,
                summary: String::from_utf8_lossy(commit.summary_bytes().unwrap_or_default()).into_owned(),
                at: state::time(commit.time().seconds()),
            });
        }
        Ok(commits)
    }

    /// Which commits of `bad` that are not in `good` the target still holds and does not revert.
    ///
    /// A merge brings nothing by itself: reverting what it merged is enough, and reverting the merge reverts all
    /// that it brought.
    ///
    /// # Errors
    /// When the repository cannot be read; history that is not here is `Unknown`.
    pub fn withdrawal(
        &self,
        target: &CommitSha,
        bad: &CommitSha,
        good: &CommitSha,
    ) -> Result<Withdrawal, GitError> {
        let git = self.open()?;
        let (Some(target), Some(bad), Some(good)) =
            (self.find(&git, target)?, self.find(&git, bad)?, self.find(&git, good)?)
        else {
            return Ok(Withdrawal::Unknown);
        };
        let boundary = self.boundary(&git);
        let withdrawn = self.set(&git, bad, &[good])?;
        let lacking: HashSet<Oid> = self.set(&git, bad, &[good, target])?.into_iter().collect();
        let news = self.set(&git, target, &[good])?;
        if withdrawn.iter().chain(&news).any(|oid| boundary.contains(oid)) {
            return Ok(Withdrawal::Unknown);
        }
        let gone = self.reverted(&git, &news)?;
        let held: Vec<Oid> = withdrawn.into_iter().filter(|oid| !lacking.contains(oid)).collect();
        let holds = !held.is_empty();
        let merge = |oid: &Oid| git.find_commit(*oid).is_ok_and(|commit| commit.parent_count() > 1);
        let only_merges = held.iter().all(merge);
        let present = held
            .into_iter()
            .filter(|oid| !gone.contains(oid) && (only_merges || !merge(oid)))
            .map(|oid| self.sha(oid))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(match (holds, present.is_empty()) {
            (false, _) => Withdrawal::Absent,
            (true, true) => Withdrawal::Reverted,
            (true, false) => Withdrawal::Present(present),
        })
    }

    /// What the reverts among these commits (newest first) take back, reverts of reverts considered.
    fn reverted(&self, git: &Git, commits: &[Oid]) -> Result<HashSet<Oid>, GitError> {
        let mut gone = HashSet::new();
        for oid in commits.iter().filter(|oid| !self.is_noise(git, oid)) {
            if gone.contains(oid) {
                continue;
            }
            let commit = git.find_commit(*oid).map_err(|e| self.error("a commit cannot be read", e))?;
            for back in conventional::reverts(&String::from_utf8_lossy(commit.message_bytes())) {
                let Some(back) = self.find(git, &back)? else { continue };
                gone.insert(back);
                let merged = git.find_commit(back).map_err(|e| self.error("a commit cannot be read", e))?;
                if merged.parent_count() > 1 {
                    let first = merged.parent_id(0).map_err(|e| self.error("a commit cannot be read", e))?;
                    gone.extend(self.set(git, back, &[first])?);
                }
            }
        }
        Ok(gone)
    }

    /// Commits whose message cannot hold a revert, told without decoding it.
    fn is_noise(&self, git: &Git, oid: &Oid) -> bool {
        git.find_commit(*oid).is_ok_and(|commit| {
            !commit.message_bytes().windows(19).any(|window| window == b"This reverts commit")
        })
    }

    fn set(&self, git: &Git, include: Oid, exclude: &[Oid]) -> Result<Vec<Oid>, GitError> {
        self.walk(git, &[include], exclude, Sort::TOPOLOGICAL)?
            .collect::<Result<_, _>>()
            .map_err(|e| self.error("the history cannot be read", e))
    }

    fn walk<'g>(
        &self,
        git: &'g Git,
        include: &[Oid],
        exclude: &[Oid],
        order: Sort,
    ) -> Result<git2::Revwalk<'g>, GitError> {
        let begin = || {
            let mut walk = git.revwalk()?;
            walk.set_sorting(order)?;
            include.iter().try_for_each(|oid| walk.push(*oid))?;
            exclude.iter().try_for_each(|oid| walk.hide(*oid))?;
            Ok(walk)
        };
        begin().map_err(|e| self.error("the history cannot be read", e))
    }

    /// The commits whose parents were not fetched.
    fn boundary(&self, git: &Git) -> HashSet<Oid> {
        read_shallow(git.commondir())
    }
}

fn read_shallow(directory: &Path) -> HashSet<Oid> {
    std::fs::read_to_string(directory.join("shallow"))
        .unwrap_or_default()
        .lines()
        .filter_map(|line| Oid::from_str(line.trim()).ok())
        .collect()
}
