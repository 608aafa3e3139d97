//! HEAD and the work tree as they are.

use git2::{ErrorCode, Repository as Git, StatusOptions};

use super::{GitError, Repository};
use crate::domain::id::CommitSha;
use crate::domain::time::Timestamp;

/// HEAD and the work tree as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The commit that is checked out.
    pub commit: CommitSha,
    /// Its tree.
    pub tree: CommitSha,
    /// Time of the commit.
    pub committed_at: Timestamp,
    /// The branch; none when HEAD is detached, as in most CI jobs.
    pub branch: Option<String>,
    /// Paths with changes that are not committed, and files that are neither tracked nor ignored. The first few.
    pub dirty: Vec<String>,
    /// Whether history was cut when cloning.
    pub shallow: bool,
}

/// More paths than a message can show.
const MANY: usize = 20;

impl Repository {
    /// HEAD, and what in the work tree is not in it. Submodules are left out.
    ///
    /// # Errors
    /// When there is no commit, or the repository cannot be read.
    pub fn head(&self) -> Result<Head, GitError> {
        let git = self.open()?;
        let reference = git.head().map_err(|e| match e.code() {
            ErrorCode::UnbornBranch | ErrorCode::NotFound => GitError::NoCommit { path: self.root.clone() },
            _ => self.error("HEAD cannot be read", e),
        })?;
        let commit = reference.peel_to_commit().map_err(|e| self.error("HEAD cannot be read", e))?;
        let branch =
            reference.is_branch().then(|| String::from_utf8_lossy(reference.shorthand_bytes()).into_owned());
        Ok(Head {
            commit: self.sha(commit.id())?,
            tree: self.sha(commit.tree_id())?,
            committed_at: time(commit.time().seconds()),
            branch,
            dirty: if git.is_bare() { Vec::new() } else { self.dirty(&git)? },
            shallow: git.is_shallow(),
        })
    }

    fn dirty(&self, git: &Git) -> Result<Vec<String>, GitError> {
        let mut options = StatusOptions::new();
        options.include_untracked(true).exclude_submodules(true).include_ignored(false);
        let statuses = git
            .statuses(Some(&mut options))
            .map_err(|e| self.error("the state of the work tree cannot be read", e))?;
        Ok(statuses
            .iter()
            .take(MANY)
            .map(|entry| String::from_utf8_lossy(entry.path_bytes()).into_owned())
            .collect())
    }

    /// The address of a remote; none when there is no such remote. A password in it is left out.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn remote(&self, name: &str) -> Result<Option<String>, GitError> {
        match self.open()?.find_remote(name) {
            Ok(remote) => Ok(remote.url().ok().map(without_password)),
            Err(e) if matches!(e.code(), ErrorCode::NotFound | ErrorCode::InvalidSpec) => Ok(None),
            Err(e) => Err(self.error("a remote cannot be read", e)),
        }
    }
}

/// Seconds of git as a time; a date that nobody can have meant counts as the beginning of time.
pub(super) fn time(seconds: i64) -> Timestamp {
    seconds
        .checked_mul(1000)
        .and_then(Timestamp::from_millis)
        .or_else(|| Timestamp::from_millis(0))
        .unwrap_or_else(|| Timestamp::new(chrono::DateTime::UNIX_EPOCH))
}

fn without_password(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let host = rest[..end].rsplit_once('@').map_or(&rest[..end], |(_, host)| host);
            // For ssh the user is part of the address, and keys are no secret in it.
            if scheme.starts_with("http") {
                format!("{scheme}://{host}{}", &rest[end..])
            } else {
                url.to_owned()
            }
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invariant_10_a_password_in_a_remote_is_not_repeated() {
        for (url, shown) in [
            ("https://user:hunter2@example.com/a/b.git", "https://example.com/a/b.git"),
            ("https://example.com/a@b.git", "https://example.com/a@b.git"),
            ("git@example.com:a/b.git", "git@example.com:a/b.git"),
            ("ssh://git@example.com/a/b", "ssh://git@example.com/a/b"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }

    #[test]
    fn a_senseless_commit_date_does_no_harm() {
        assert_eq!(time(i64::MAX).to_string(), "1970-01-01T00:00:00.000Z");
    }
}
