//! Docker as a builder, through its API. The classic builder: it is in every engine since long.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;

use bollard::Docker;
use bollard::auth::DockerCredentials;
use bollard::query_parameters::{BuildImageOptionsBuilder, PushImageOptionsBuilder};
use futures_util::StreamExt as _;

use super::{BuildRequest, Builder, Cause, ImageError, Output};
use crate::engine;
use crate::host::wire::Secret;

/// A login for a push.
#[derive(Debug, Clone)]
pub enum PushLogin {
    /// User and password.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: Secret,
    },
    /// An identity token.
    Identity(Secret),
}

/// Finds the login for a registry when a push needs it, not before: a helper may ask a cloud.
pub type Logins = Box<
    dyn Fn(String) -> Pin<Box<dyn Future<Output = Result<Option<PushLogin>, Cause>> + Send>> + Send + Sync,
>;

/// A container engine.
pub struct DockerBuilder {
    address: String,
    logins: Logins,
}

impl std::fmt::Debug for DockerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DockerBuilder").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Where the engine is when nobody says.
pub const SOCKET: &str = "unix:///var/run/docker.sock";
/// Seconds: sending a large context takes its time.
const TIMEOUT: u64 = 900;
/// Lines of output that a failure shows.
const LAST: usize = 20;

impl DockerBuilder {
    /// An engine at `DOCKER_HOST`'s value, or at the default socket. It is reached at the first call.
    pub fn new(address: Option<String>, logins: Logins) -> Self {
        Self { address: address.unwrap_or_else(|| SOCKET.to_owned()), logins }
    }

    async fn connect(&self) -> Result<Docker, ImageError> {
        let version = bollard::API_DEFAULT_VERSION;
        let docker = match self.address.split_once("://") {
            Some(("unix", _)) => Docker::connect_with_unix(&self.address, TIMEOUT, version),
            Some(("tcp" | "http", _)) => Docker::connect_with_http(&self.address, TIMEOUT, version),
            _ => return Err(self.unavailable("only unix:// and tcp:// addresses are known".into())),
        };
        let docker = docker.map_err(|e| self.unavailable(Box::new(e)))?;
        engine::with_readable_logins(docker)
            .negotiate_version()
            .await
            .map_err(|e| self.unavailable(Box::new(e)))
    }

    fn unavailable(&self, source: Cause) -> ImageError {
        ImageError::Unavailable { place: self.address.clone(), source }
    }
}

#[async_trait::async_trait]
impl Builder for DockerBuilder {
    async fn engine(&self) -> Result<String, ImageError> {
        let version = self.connect().await?.version().await.map_err(|e| self.unavailable(Box::new(e)))?;
        Ok(format!("docker {}", version.version.unwrap_or_else(|| "unknown".to_owned())))
    }

    async fn build(&self, request: BuildRequest, output: &Output<'_>) -> Result<(), ImageError> {
        let docker = self.connect().await?;
        let options = BuildImageOptionsBuilder::default()
            .dockerfile(&request.dockerfile.to_string_lossy())
            .t(&request.reference)
            .buildargs(&hashed(request.build_args))
            .labels(&hashed(request.labels))
            .rm(true)
            .forcerm(true)
            .build();
        let context = bollard::body_full(request.context.into());
        let mut stream = docker.build_image(options, None, Some(context));
        let mut log: Vec<String> = Vec::new();
        let mut line = String::new();
        while let Some(part) = stream.next().await {
            let failure = match part {
                Ok(info) => {
                    line.push_str(&info.stream.unwrap_or_default());
                    while let Some(at) = line.find('\n') {
                        tell(line.drain(..=at).as_str(), &mut log, output);
                    }
                    if let Some(status) = info.status.filter(|_| info.progress_detail.is_none()) {
                        tell(&status, &mut log, output);
                    }
                    info.error_detail.map(|detail| detail.message.unwrap_or_default())
                }
                Err(error) => Some(said(&error)),
            };
            if let Some(message) = failure {
                tell(&line, &mut log, output);
                let log = log.split_off(log.len().saturating_sub(LAST));
                return Err(ImageError::Build { message: plain(&message), log });
            }
        }
        Ok(())
    }

    async fn push(&self, repository: &str, tag: &str, output: &Output<'_>) -> Result<(), ImageError> {
        let reference = format!("{repository}:{tag}");
        let failed = |message: String| ImageError::Push { reference: reference.clone(), message };
        let registry =
            repository.split('/').next().filter(|host| host.contains(['.', ':']) || *host == "localhost");
        let registry = registry.unwrap_or("docker.io").to_owned();
        let login = (self.logins)(registry.clone()).await.map_err(|e| failed(e.to_string()))?;
        let credentials = login.map(|login| credentials(login, registry));
        let docker = self.connect().await?;
        let options = PushImageOptionsBuilder::default().tag(tag).build();
        // Without any credentials the engine still wants the header.
        let mut stream = docker.push_image(repository, Some(options), Some(credentials.unwrap_or_default()));
        let mut log = Vec::new();
        while let Some(part) = stream.next().await {
            match part {
                Ok(info) => {
                    if let Some(detail) = info.error_detail {
                        return Err(failed(plain(&detail.message.unwrap_or_default())));
                    }
                    if let Some(status) = info.status.filter(|_| info.progress_detail.is_none()) {
                        tell(&status, &mut log, output);
                    }
                }
                Err(error) => return Err(failed(plain(&said(&error)))),
            }
        }
        Ok(())
    }
}

fn credentials(login: PushLogin, registry: String) -> DockerCredentials {
    let serveraddress =
        Some(if registry == "docker.io" { "https://index.docker.io/v1/".to_owned() } else { registry });
    match login {
        PushLogin::Basic { user, password } => DockerCredentials {
            username: Some(user),
            password: Some(password.expose().to_owned()),
            serveraddress,
            ..DockerCredentials::default()
        },
        PushLogin::Identity(token) => DockerCredentials {
            identitytoken: Some(token.expose().to_owned()),
            serveraddress,
            ..DockerCredentials::default()
        },
    }
}

fn said(error: &bollard::errors::Error) -> String {
    match error {
        bollard::errors::Error::DockerStreamError { error } => error.clone(),
        bollard::errors::Error::DockerResponseServerError { message, .. } => message.clone(),
        other => other.to_string(),
    }
}

fn tell(line: &str, log: &mut Vec<String>, output: &Output<'_>) {
    let line = plain(line);
    if !line.is_empty() {
        output(&line);
        log.push(line);
    }
}

/// Without what could steer a terminal: colours of a build tool, carriage returns of a progress bar.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => while chars.next().is_some_and(|c| !c.is_ascii_alphabetic()) {},
            '\t' => out.push(' '),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out.trim_end().to_owned()
}

fn hashed(map: BTreeMap<String, String>) -> HashMap<String, String> {
    map.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_cannot_steer_a_terminal() {
        assert_eq!(plain("\u{1b}[31mred\u{1b}[0m\r\n"), "red");
        assert_eq!(plain("a\tb\u{7}"), "a b");
        assert_eq!(plain("\u{1b}["), "");
    }

    /// An engine on a loopback port that takes a push; what it was sent comes back.
    async fn pushed(password: &str) -> String {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("tcp://{}", listener.local_addr().unwrap());
        let login = PushLogin::Basic { user: "ada".into(), password: Secret::new(password.into()) };
        let builder = DockerBuilder::new(
            Some(address),
            Box::new(move |_| {
                let login = login.clone();
                Box::pin(async move { Ok(Some(login)) })
            }),
        );
        let engine = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (mut text, mut part) = (String::new(), [0; 4096]);
                // Several requests may come over one connection.
                loop {
                    let read = stream.read(&mut part).await.unwrap_or(0);
                    if read == 0 {
                        break;
                    }
                    text.push_str(&String::from_utf8_lossy(&part[..read]));
                    if !text.ends_with("\r\n\r\n") {
                        continue;
                    }
                    let push = text.starts_with("POST");
                    let body = if push { "{}\n" } else { r#"{"ApiVersion":"1.47"}"# };
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    if push {
                        return text;
                    }
                    text.clear();
                }
            }
        });
        builder.push("registry.example/web", "v1", &|_| {}).await.unwrap();
        engine.await.unwrap()
    }

    #[tokio::test]
    async fn a_login_is_in_the_alphabet_that_the_engine_reads() {
        // {"username":"ada","password":"~~~ÿ>?",…}
        let expected = "eyJ1c2VybmFtZSI6ImFkYSIsInBhc3N3b3JkIjoifn5-w78-PyIsImF1dGgiOm51bGwsImVtYWlsIjpudWxsLCJzZXJ2ZXJhZGRyZXNzIjoicmVnaXN0cnkuZXhhbXBsZSIsImlkZW50aXR5dG9rZW4iOm51bGwsInJlZ2lzdHJ5dG9rZW4iOm51bGx9";
        assert!(expected.contains('-'), "both alphabets would do");
        let request = pushed("~~~ÿ>?").await;
        let mut lines = request.lines().filter_map(|line| line.split_once(": "));
        let login = lines.find(|(name, _)| name.eq_ignore_ascii_case(engine::LOGIN)).map(|(_, value)| value);
        assert_eq!(login, Some(expected), "{request}");
    }

    #[tokio::test]
    async fn an_engine_that_is_not_there_is_named() {
        for address in ["unix:///nowhere/docker.sock", "ssh://host", "nonsense"] {
            let builder =
                DockerBuilder::new(Some(address.into()), Box::new(|_| Box::pin(async { Ok(None) })));
            let error = builder.engine().await.unwrap_err();
            assert!(error.to_string().contains(address), "{error}");
        }
    }
}
