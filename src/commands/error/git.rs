//! Git's errors.

use super::{CommandError, ErrorKind};
use crate::git::GitError;

impl From<GitError> for CommandError {
    fn from(error: GitError) -> Self {
        let message = error.to_string();
        match error {
            GitError::Push { tag, remote, source } => CommandError::new(ErrorKind::Failed, message)
                .caused_by(source)
                .hint(format!("git push {remote} {tag}, or relman release --repair")),
            GitError::Read { source, .. } => CommandError::new(ErrorKind::Failed, message).caused_by(source),
            _ => CommandError::new(ErrorKind::Failed, message),
        }
    }
}
