//! The git repository: commits, versions, ancestry, exports, tags. Read with git2; no process is started, and no
//! file of the work tree is changed.

pub mod conventional;
mod export;
mod lookup;
mod state;
pub mod tags;
mod walk;

use std::path::{Path, PathBuf};

use git2::{ErrorCode, Oid, Repository as Git};

pub use self::export::Export;
pub use self::state::Head;
pub use self::tags::{PushToken, Pushed};
pub use self::walk::{Base, Since};
use crate::domain::id::CommitSha;
use crate::domain::time::Timestamp;

/// A clone on disk. It is opened anew for each question, so that it can be shared between threads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// The work tree.
    pub root: PathBuf,
}

/// One commit as people see it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CommitInfo {
    /// The commit.
    pub commit: CommitSha,
    /// The author's name.
    pub author: String,
    /// First line of the message.
    pub summary: String,
    /// Time of the commit.
    pub at: Timestamp,
}

/// What a question to the repository can end with.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// Another user owns the files, so git (and we) will not trust its configuration.
    #[error(
        "git repository {path} belongs to another user; if that is meant: git config --global --add safe.directory {path}"
    )]
    NotOwned {
        /// The work tree.
        path: PathBuf,
    },
    /// It has no commit yet.
    #[error("git repository {path} has no commit yet")]
    NoCommit {
        /// The work tree.
        path: PathBuf,
    },
    /// History that is needed was not fetched.
    #[error(
        "git repository {path} is a shallow clone that ends before {needed}; fetch the history: git fetch --unshallow --tags (GitHub Actions: fetch-depth: 0 for actions/checkout)"
    )]
    Shallow {
        /// The work tree.
        path: PathBuf,
        /// What was looked for.
        needed: String,
    },
    /// A commit that is not in this clone.
    #[error("commit {commit} is not in git repository {path}")]
    Missing {
        /// The commit.
        commit: CommitSha,
        /// The work tree.
        path: PathBuf,
    },
    /// The build context is not a directory of the commit.
    #[error("{directory} is not a directory of commit {commit}")]
    NoDirectory {
        /// As it was given.
        directory: PathBuf,
        /// The commit.
        commit: CommitSha,
    },
    /// The remote did not take a tag.
    #[error("git remote {remote} did not take tag {tag}")]
    Push {
        /// The remote's name.
        remote: String,
        /// The tag.
        tag: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Anything else.
    #[error("git repository {path}: {what}")]
    Read {
        /// The work tree.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What git2 said.
        #[source]
        source: git2::Error,
    },
}

impl Repository {
    /// The repository that `path` lies in; none when it lies in none.
    ///
    /// # Errors
    /// When there is one that cannot be used.
    pub fn discover(path: &Path) -> Result<Option<Self>, GitError> {
        match Git::discover(path) {
            Ok(git) => {
                let root = git.workdir().unwrap_or(git.path());
                // git2 gives a trailing slash, which no message needs.
                Ok(Some(Self { root: root.components().collect() }))
            }
            Err(e) if e.code() == ErrorCode::NotFound => Ok(None),
            Err(e) => Err(Self { root: path.to_owned() }.error("cannot be opened", e)),
        }
    }

    /// The commit that a prefix of 4 to 40 hex digits names; none when none or several do, or it is no commit.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn resolve(&self, hex: &str) -> Result<Option<CommitSha>, GitError> {
        let git = self.open()?;
        if !(4..=40).contains(&hex.len()) || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(None);
        }
        match git.find_commit_by_prefix(hex) {
            Ok(commit) => self.sha(commit.id()).map(Some),
            Err(e) if matches!(e.code(), ErrorCode::NotFound | ErrorCode::Ambiguous) => Ok(None),
            Err(e) => Err(self.error("a commit cannot be read", e)),
        }
    }

    /// Whether the commit is in this clone.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn contains(&self, commit: &CommitSha) -> Result<bool, GitError> {
        Ok(self.find(&self.open()?, commit)?.is_some())
    }

    fn open(&self) -> Result<Git, GitError> {
        Git::open(&self.root).map_err(|e| self.error("cannot be opened", e))
    }

    fn error(&self, what: &'static str, source: git2::Error) -> GitError {
        match source.code() {
            ErrorCode::Owner => GitError::NotOwned { path: self.root.clone() },
            _ => GitError::Read { path: self.root.clone(), what, source },
        }
    }

    fn find(&self, git: &Git, commit: &CommitSha) -> Result<Option<Oid>, GitError> {
        let oid = self.oid(commit)?;
        match git.find_commit(oid) {
            Ok(commit) => Ok(Some(commit.id())),
            Err(e) if e.code() == ErrorCode::NotFound => Ok(None),
            Err(e) => Err(self.error("a commit cannot be read", e)),
        }
    }

    fn need(&self, git: &Git, commit: &CommitSha) -> Result<Oid, GitError> {
        self.find(git, commit)?
            .ok_or_else(|| GitError::Missing { commit: commit.clone(), path: self.root.clone() })
    }

    fn oid(&self, commit: &CommitSha) -> Result<Oid, GitError> {
        Oid::from_str(commit.as_str()).map_err(|e| self.error("a commit id cannot be read", e))
    }

    fn sha(&self, oid: Oid) -> Result<CommitSha, GitError> {
        oid.to_string().parse().map_err(|_| {
            self.error("its object ids are not SHA-1", git2::Error::from_str("an id of another length"))
        })
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
