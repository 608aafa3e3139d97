//! What a tag of this clone names.

use git2::ErrorCode;

use super::{GitError, Repository};
use crate::domain::id::CommitSha;

impl Repository {
    /// The commit that a tag names; none when this clone has no such tag.
    ///
    /// # Errors
    /// When the tag names no commit, or the repository cannot be read.
    pub fn tagged(&self, name: &str) -> Result<Option<CommitSha>, GitError> {
        let git = self.open()?;
        let reference = match git.find_reference(&format!("refs/tags/{name}")) {
            Ok(reference) => reference,
            Err(e) if matches!(e.code(), ErrorCode::NotFound | ErrorCode::InvalidSpec) => return Ok(None),
            Err(e) => return Err(self.error("a tag cannot be read", e)),
        };
        let commit = reference.peel_to_commit().map_err(|e| self.error("a tag names no commit", e))?;
        self.sha(commit.id()).map(Some)
    }
}
