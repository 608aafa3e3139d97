//! Errors of building and pushing.

use super::{CommandError, ErrorKind};
use crate::image::ImageError;

impl From<ImageError> for CommandError {
    fn from(error: ImageError) -> Self {
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
                (
                    "the image could not be pushed",
                    denied.then_some("docker login to the registry"),
                    Vec::new(),
                )
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
}
