//! A builder in memory for tests: it pushes into whatever it is given, and fails where it is told to.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::{BuildRequest, Builder, ImageError, Output};

/// Where a push goes: repository, tag and image configuration.
pub type Sink = Box<dyn Fn(&str, &str, &[u8]) + Send + Sync>;

/// A builder in memory.
pub struct FakeBuilder {
    sink: Sink,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    images: BTreeMap<String, Vec<u8>>,
    built: Vec<BuildRequest>,
    fail: Option<String>,
}

impl std::fmt::Debug for FakeBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakeBuilder").field("state", &self.state).finish_non_exhaustive()
    }
}

impl FakeBuilder {
    /// A builder that pushes into `sink`.
    pub fn new(sink: Sink) -> Self {
        Self { sink, state: Mutex::default() }
    }

    /// What was built so far.
    pub fn built(&self) -> Vec<BuildRequest> {
        self.with(|state| state.built.clone())
    }

    /// The next build fails with this message.
    pub fn fail(&self, message: &str) {
        self.with(|state| state.fail = Some(message.to_owned()));
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait::async_trait]
impl Builder for FakeBuilder {
    async fn engine(&self) -> Result<String, ImageError> {
        Ok("fake 1.0".to_owned())
    }

    async fn build(&self, request: BuildRequest, output: &Output<'_>) -> Result<(), ImageError> {
        output("building");
        self.with(|state| {
            if let Some(message) = state.fail.take() {
                return Err(ImageError::Build { message, log: vec!["the last line".to_owned()] });
            }
            state.built.push(request.clone());
            // Builds are not reproducible: each has a digest of its own.
            let config = serde_json::json!({
                "config": { "Labels": request.labels },
                "build": state.built.len(),
            });
            state.images.insert(request.reference, config.to_string().into_bytes());
            Ok(())
        })
    }

    async fn push(&self, repository: &str, tag: &str, output: &Output<'_>) -> Result<(), ImageError> {
        output("pushing");
        let reference = format!("{repository}:{tag}");
        match self.with(|state| state.images.get(&reference).cloned()) {
            Some(config) => {
                (self.sink)(repository, tag, &config);
                Ok(())
            }
            None => Err(ImageError::Push { reference, message: "no such image".to_owned() }),
        }
    }
}
