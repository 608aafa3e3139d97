//! The git repository: commits, versions, ancestry, exports, tags. Read with git2.

use std::path::PathBuf;

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
