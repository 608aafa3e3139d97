//! The container engine, over its own socket. It alone is asked what really runs.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use bollard::errors::Error;
use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, DownloadFromContainerOptionsBuilder,
    LogsOptionsBuilder, RemoveContainerOptionsBuilder, StopContainerOptionsBuilder,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use futures_util::{StreamExt, TryStreamExt};

use super::Host;
use super::container::kept_up;
use super::credentials::{self, Login};
use super::evidence::{LOG_LINES, clean};
use super::paths::Paths;
use crate::domain::id::Digest;
use crate::domain::release::ReleaseRef;
use crate::domain::time::Timestamp;
use crate::host::wire::{HostError, HostErrorCode};

/// For one answer of the engine; a hung one must not hang whoever asked.
const TIMEOUT: Duration = Duration::from_secs(30);

/// For the first word of a pull: the engine asks the registry before it says anything.
const PULL_TIMEOUT: Duration = Duration::from_secs(180);

/// The engine of this host.
pub(super) struct Engine {
    docker: Docker,
    paths: Paths,
}

/// What the engine says of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Container {
    pub(super) labels: HashMap<String, String>,
    /// Id of its image.
    pub(super) image: String,
    /// `running`, `exited`, `restarting`.
    pub(super) state: String,
    pub(super) running: bool,
    pub(super) exit_code: Option<i64>,
    pub(super) oom_killed: bool,
    pub(super) restarts: u64,
    pub(super) since: Option<Timestamp>,
}

/// What the engine says of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) user: String,
    pub(super) bytes: u64,
    /// `repository@digest`, as registries know it.
    names: Vec<String>,
}

impl Image {
    /// Whether it is this release, by digest.
    pub(super) fn is(&self, release: &ReleaseRef) -> bool {
        self.names.contains(&release.image())
    }

    /// The digest that it has in this repository: the release's own where it has several.
    pub(super) fn digest(&self, release: &ReleaseRef) -> Option<Digest> {
        if self.is(release) {
            return Some(release.digest.clone());
        }
        let of = |name: &String| name.split_once('@').map(|(at, digest)| (at.to_owned(), digest.to_owned()));
        let mut all = self.names.iter().filter_map(of).collect::<Vec<_>>();
        all.sort_by_key(|(at, _)| *at != release.repository);
        all.into_iter().find_map(|(_, digest)| digest.parse().ok())
    }
}

fn engine(what: &str, error: &Error) -> HostError {
    HostError::new(HostErrorCode::Engine, format!("{what}: {}", reason(error)))
}

/// The engine's own words, on one line, with what lies behind them: a client error alone says nothing.
fn reason(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    clean(&text, 400)
}

fn missing(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 404, .. })
}

impl Engine {
    /// Connects and agrees on a version of the API.
    pub(super) async fn connect(host: &Host<'_>) -> Result<Self, HostError> {
        let socket = host.paths.engine_socket.display().to_string();
        let failed = |error| engine(&format!("the container engine at {socket} does not answer"), &error);
        let docker =
            Docker::connect_with_unix(&socket, TIMEOUT.as_secs(), API_DEFAULT_VERSION).map_err(failed)?;
        let docker = crate::engine::with_readable_logins(docker).negotiate_version().await.map_err(failed)?;
        Ok(Self { docker, paths: host.paths.clone() })
    }

    /// Where it keeps images.
    pub(super) async fn directory(&self) -> Result<String, HostError> {
        let info = self.docker.info().await.map_err(|error| engine("the engine's information", &error))?;
        Ok(info.docker_root_dir.unwrap_or_else(|| "/var/lib/docker".to_owned()))
    }

    /// An image by id or name.
    pub(super) async fn image(&self, name: &str) -> Result<Option<Image>, HostError> {
        match self.docker.inspect_image(name).await {
            Ok(found) => Ok(Some(Image {
                user: found.config.and_then(|config| config.user).unwrap_or_default(),
                bytes: found.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
                names: found.repo_digests.unwrap_or_default(),
            })),
            Err(error) if missing(&error) => Ok(None),
            Err(error) => Err(engine(&format!("image {name}"), &error)),
        }
    }

    /// Pulls by digest and compares. There already: the registry is not asked.
    pub(super) async fn pull(&self, release: &ReleaseRef) -> Result<Image, HostError> {
        let name = release.image();
        if let Some(image) = self.image(&name).await?.filter(|image| image.is(release)) {
            return Ok(image);
        }
        let options = CreateImageOptionsBuilder::default()
            .from_image(&release.repository)
            .tag(release.digest.as_str())
            .build();
        let Login { login, why_not } = credentials::login(&self.paths, &release.repository).await?;
        let why_not = why_not.map(|why| format!("; {why}")).unwrap_or_default();
        let docker = self.docker.clone().with_timeout(PULL_TIMEOUT);
        let mut progress = std::pin::pin!(docker.create_image(Some(options), None, login));
        while let Some(step) = progress.next().await {
            step.map_err(|error| {
                HostError::new(
                    HostErrorCode::Image,
                    format!("cannot pull {name}: {}{why_not}", reason(&error)),
                )
            })?;
        }
        match self.image(&name).await? {
            Some(image) if image.is(release) => Ok(image),
            _ => Err(HostError::new(
                HostErrorCode::Image,
                format!("what was pulled is not {name}: the engine does not know it by this digest"),
            )),
        }
    }

    /// A container by name.
    pub(super) async fn container(&self, name: &str) -> Result<Option<Container>, HostError> {
        match self.docker.inspect_container(name, None).await {
            Ok(found) => Ok(Some(container(found))),
            Err(error) if missing(&error) => Ok(None),
            Err(error) => Err(engine(&format!("container {name}"), &error)),
        }
    }

    /// Makes a container, without starting it.
    pub(super) async fn create(
        &self,
        name: &str,
        body: bollard::models::ContainerCreateBody,
    ) -> Result<(), HostError> {
        let options = CreateContainerOptionsBuilder::default().name(name).build();
        let made = self.docker.create_container(Some(options), body).await;
        made.map(drop).map_err(|error| engine(&format!("cannot make container {name}"), &error))
    }

    /// Starts it. Running already: nothing.
    pub(super) async fn start(&self, name: &str) -> Result<(), HostError> {
        let started = self.docker.start_container(name, None).await;
        started.map_err(|error| engine(&format!("cannot start container {name}"), &error))
    }

    /// Has the engine start it again whenever it ends, also after a reboot.
    pub(super) async fn keep_up(&self, name: &str) -> Result<(), HostError> {
        let kept = self.docker.update_container(name, kept_up()).await;
        kept.map_err(|error| engine(&format!("cannot change container {name}"), &error))
    }

    /// Stops it: SIGTERM, then SIGKILL. It stays stopped also over a reboot. Not there: nothing.
    pub(super) async fn stop(&self, name: &str, seconds: u32) -> Result<(), HostError> {
        let options =
            StopContainerOptionsBuilder::default().t(i32::try_from(seconds).unwrap_or(i32::MAX)).build();
        let docker = self.docker.clone().with_timeout(TIMEOUT + Duration::from_secs(u64::from(seconds)));
        match docker.stop_container(name, Some(options)).await {
            Ok(()) => Ok(()),
            Err(error) if missing(&error) => Ok(()),
            // 304: it does not run.
            Err(Error::DockerResponseServerError { status_code: 304, .. }) => Ok(()),
            Err(error) => Err(engine(&format!("cannot stop container {name}"), &error)),
        }
    }

    /// Removes it, running or not. Not there: nothing.
    pub(super) async fn remove(&self, name: &str) -> Result<(), HostError> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        match self.docker.remove_container(name, Some(options)).await {
            Ok(()) => Ok(()),
            Err(error) if missing(&error) => Ok(()),
            Err(error) => Err(engine(&format!("cannot remove container {name}"), &error)),
        }
    }

    /// The end of its log.
    pub(super) async fn log(&self, name: &str) -> String {
        // Blank lines are dropped later: somewhat more is asked for.
        let tail = (LOG_LINES * 2).to_string();
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).tail(&tail).build();
        let mut log = String::new();
        let mut stream = std::pin::pin!(self.docker.logs(name, Some(options)));
        while let Some(Ok(part)) = stream.next().await {
            log.push_str(&String::from_utf8_lossy(&part.into_bytes()));
        }
        log
    }

    /// A file of a container, as the tar archive in which the engine hands it out.
    pub(super) async fn archive(&self, name: &str, path: &Path) -> Result<Vec<u8>, HostError> {
        let options =
            DownloadFromContainerOptionsBuilder::default().path(&path.display().to_string()).build();
        let parts: Vec<_> = self
            .docker
            .download_from_container(name, Some(options))
            .try_collect()
            .await
            .map_err(|error| engine(&format!("{} in container {name}", path.display()), &error))?;
        Ok(parts.concat())
    }
}

fn container(found: ContainerInspectResponse) -> Container {
    let state = found.state.unwrap_or_default();
    let running = state.running.unwrap_or(false) && !state.restarting.unwrap_or(false);
    Container {
        labels: found.config.and_then(|config| config.labels).unwrap_or_default(),
        image: found.image.unwrap_or_default(),
        state: state.status.unwrap_or(ContainerStateStatusEnum::EMPTY).to_string(),
        running,
        exit_code: state.exit_code.filter(|_| !running),
        oom_killed: state.oom_killed.unwrap_or(false),
        restarts: found.restart_count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0),
        since: state.started_at.filter(|_| running).and_then(|at| at.try_into().ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onhost::properties::sample;

    #[test]
    fn invariant_1_the_running_digest_is_what_the_engine_says() {
        let release = sample::record(1).release;
        let other = Digest::of(b"other");
        let image = |names: &[String]| Image { names: names.to_vec(), ..Image::default() };
        let foreign = format!("{}@{other}", release.repository);
        assert_eq!(image(&[foreign.clone(), release.image()]).digest(&release), Some(release.digest.clone()));
        assert_eq!(image(&["x/y@sha256:1".into(), foreign]).digest(&release), Some(other));
        assert_eq!(image(&[]).digest(&release), None);
        assert!(!image(&[]).is(&release));
    }
}
