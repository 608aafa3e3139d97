//! Errors of the ports as errors of the command, with what to do next.

use crate::artifact::ArtifactError;
use crate::commands::error::{CommandError, ErrorKind};
use crate::domain::id::Digest;
use crate::domain::release::ReleaseRef;
use crate::git::GitError;
use crate::image::ImageError;
use crate::ledger::LedgerError;
use crate::registry::RegistryError;

pub(super) fn git(error: GitError) -> CommandError {
    // The text names the remedy already where there is one.
    CommandError::new(ErrorKind::Failed, "the git repository could not be used").caused_by(error)
}

pub(super) fn ledger(error: LedgerError) -> CommandError {
    CommandError::new(ErrorKind::Failed, "the ledger could not be used")
        .caused_by(error)
        .hint("relman doctor")
}

pub(super) fn artifact(error: ArtifactError) -> CommandError {
    CommandError::new(ErrorKind::Failed, "the artifact store could not be used")
        .caused_by(error)
        .hint("relman doctor")
}

pub(super) fn registry(error: RegistryError) -> CommandError {
    let kind =
        if matches!(error, RegistryError::Repository(_)) { ErrorKind::Usage } else { ErrorKind::Failed };
    let hint = match &error {
        RegistryError::Denied { registry, .. } => Some(format!("docker login {registry}")),
        RegistryError::Repository(_) => Some("set image.repository in relman.toml".to_owned()),
        RegistryError::Unavailable { .. } => Some("relman release goes on where it ended".to_owned()),
        _ => None,
    };
    let error = CommandError::new(kind, "the registry could not be used").caused_by(error);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

pub(super) fn image(error: ImageError) -> CommandError {
    let (message, hint, log) = match &error {
        ImageError::Unavailable { .. } => {
            ("the image cannot be built", Some("start Docker, or set DOCKER_HOST"), Vec::new())
        }
        ImageError::Build { log, message } => {
            let hint = message.contains("BuildKit").then_some(
                "build it with docker buildx, push it, and take it: relman release --image REPOSITORY@sha256:…",
            );
            ("the image could not be built", hint, log.clone())
        }
        ImageError::Push { message, .. } => {
            let denied =
                ["denied", "unauthorized", "no basic auth"].iter().any(|word| message.contains(word));
            ("the image could not be pushed", denied.then_some("docker login to the registry"), Vec::new())
        }
    };
    let mut result = CommandError::new(ErrorKind::Failed, message).caused_by(error);
    for line in log {
        result = result.detail(line);
    }
    match hint {
        Some(hint) => result.hint(hint),
        None => result,
    }
}

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
