//! Refusals of a release that more than one step can give.

use crate::commands::error::{CommandError, ErrorKind};
use crate::domain::id::Digest;
use crate::domain::release::ReleaseRef;

pub(super) fn other_digest(bound: &ReleaseRef, found: &Digest) -> CommandError {
    let text = format!(
        "commit {} is bound to {} by {}, not to {found}",
        bound.commit,
        bound.digest,
        bound.version.tag()
    );
    CommandError::new(ErrorKind::Failed, text)
        .hint("relman release --new-build makes another build of the commit under a new version")
}
