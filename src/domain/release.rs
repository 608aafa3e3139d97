//! Releases: immutable, version + commit + image digest.

use serde::{Deserialize, Serialize};

use super::id::{CommitSha, Digest};
use super::time::Timestamp;
use super::version::Version;

/// What a deployment needs to know of a release, by value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseRef {
    /// The version.
    pub version: Version,
    /// The commit that it was built from.
    pub commit: CommitSha,
    /// The digest of the image manifest: the identity.
    pub digest: Digest,
    /// Registry and repository without tag, `registry.example/web`.
    pub repository: String,
}

impl ReleaseRef {
    /// `repository@sha256:…`: the only way in which deploy and rollback name an image.
    pub fn image(&self) -> String {
        format!("{}@{}", self.repository, self.digest)
    }
}

/// What `release.bound` records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Version, commit, digest, repository.
    #[serde(flatten)]
    pub identity: ReleaseRef,
    /// Git tree of the commit; absent for an adopted image whose commit is not at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<CommitSha>,
    /// Time of the commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed_at: Option<Timestamp>,
    /// The raw manifest as an artifact, so that tags can be written again without the image.
    pub manifest: Digest,
    /// The media type of the manifest, needed to put it again.
    pub media_type: String,
    /// Digest of the base image, where the builder could tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_digest: Option<String>,
    /// Whether relman built it, or took a finished image.
    pub adopted: bool,
    /// relman and engine, for whoever compares two builds.
    pub tools: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invariant_9_an_image_is_named_by_digest() {
        let release = ReleaseRef {
            version: "1.4.2".parse().unwrap(),
            commit: "0123456789abcdef0123456789abcdef01234567".parse().unwrap(),
            digest: Digest::of(b"manifest"),
            repository: "registry.example/web".into(),
        };
        assert_eq!(release.image(), format!("registry.example/web@{}", Digest::of(b"manifest")));
    }
}
