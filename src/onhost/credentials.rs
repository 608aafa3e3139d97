//! Registry logins as Docker's own configuration of root has them: `auths`, as `docker login` leaves them, and the helper
//! programs of `credHelpers` and `credsStore`, whose logins do not end while the host is away.

mod helper;

use std::fs;
use std::io::ErrorKind;

use bollard::auth::DockerCredentials;
use serde_json::Value;

use super::paths::Paths;
use crate::host::wire::{HostError, HostErrorCode};

/// What this host knows of a login.
pub(super) struct Login {
    /// The login, if there is one.
    pub(super) login: Option<DockerCredentials>,
    /// Why there is none although one was looked for: it matters when the registry does not do without.
    pub(super) why_not: Option<String>,
}

/// The login for the registry of this repository, if root has one.
///
/// # Errors
/// When the helper that was named for this very registry does not give one.
pub(super) async fn login(paths: &Paths, repository: &str) -> Result<Login, HostError> {
    let file = paths.registry_logins.display();
    let config: Value = match fs::read(&paths.registry_logins) {
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(config) => config,
            Err(_) => return Ok(Login::missing(format!("{file} is no JSON"))),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(Login { login: None, why_not: none_for(registry(repository)) });
        }
        Err(error) => return Ok(Login::missing(format!("{file} cannot be read: {error}"))),
    };
    let registry = registry(repository);
    if let Some(name) = entry(&config, "credHelpers", registry).and_then(Value::as_str) {
        return match helper::ask(paths, name, registry).await {
            Ok(Some(answer)) => Ok(Login::known(answer, registry)),
            Ok(None) => Ok(Login::missing(format!("docker-credential-{name} has no login for {registry}"))),
            Err(why) => Err(HostError::new(HostErrorCode::Image, why)),
        };
    }
    let mut why_not = None;
    if let Some(name) = config.get("credsStore").and_then(Value::as_str).filter(|name| !name.is_empty()) {
        // A store for everything that is broken must not bar a registry that needs no login.
        match helper::ask(paths, name, registry).await {
            Ok(Some(answer)) => return Ok(Login::known(answer, registry)),
            Ok(None) => {}
            Err(why) => why_not = Some(why),
        }
    }
    let login = entry(&config, "auths", registry).and_then(|entry| kept(entry, registry));
    Ok(Login { why_not: why_not.or_else(|| none_for(registry)).filter(|_| login.is_none()), login })
}

/// ECR always asks for a login, and its tokens end after twelve hours: none is left by `docker login` for long.
fn none_for(registry: &str) -> Option<String> {
    registry.contains(".dkr.ecr.").then(|| {
        format!(
            "this host has no login for {registry}: docker_registry_helpers of the docker role, with ecr-login, lets it ask by its own role"
        )
    })
}

impl Login {
    fn missing(why_not: String) -> Self {
        Self { login: None, why_not: Some(why_not) }
    }

    fn known(answer: helper::Answer, registry: &str) -> Self {
        let login = DockerCredentials { serveraddress: Some(registry.to_owned()), ..Default::default() };
        let login = match answer.username.as_str() {
            // Not a user: what stands in place of the password is an identity token.
            "<token>" => DockerCredentials { identitytoken: Some(answer.secret), ..login },
            _ => {
                DockerCredentials { username: Some(answer.username), password: Some(answer.secret), ..login }
            }
        };
        Self { login: Some(login), why_not: None }
    }
}

/// What a table of the configuration has for a registry.
fn entry<'a>(config: &'a Value, table: &str, registry: &str) -> Option<&'a Value> {
    Some(config.get(table)?.as_object()?.iter().find(|(key, _)| host(key) == registry)?.1)
}

/// A login that the file itself holds. Beside a store its entries are empty.
fn kept(entry: &Value, registry: &str) -> Option<DockerCredentials> {
    let text = |name: &str| {
        entry.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let (username, password) = match text("auth").and_then(|auth| decode(&auth)) {
        Some(pair) => pair.split_once(':').map(|(user, word)| (user.to_owned(), word.to_owned())).unzip(),
        None => (text("username"), text("password")),
    };
    let (identitytoken, registrytoken) = (text("identitytoken"), text("registrytoken"));
    if username.is_none() && identitytoken.is_none() && registrytoken.is_none() {
        return None;
    }
    Some(DockerCredentials {
        username,
        password,
        identitytoken,
        registrytoken,
        serveraddress: Some(registry.to_owned()),
        ..DockerCredentials::default()
    })
}

/// The registry that a repository names; without one it is Docker Hub.
fn registry(repository: &str) -> &str {
    match repository.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => HUB,
    }
}

const HUB: &str = "index.docker.io";

/// The host in a key of `auths`: it may be a URL.
fn host(key: &str) -> &str {
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or(rest);
    if host == "docker.io" { HUB } else { host }
}

fn decode(text: &str) -> Option<String> {
    let mut bits = 0_u32;
    let mut count = 0;
    let mut bytes = Vec::new();
    for b in text.trim_end_matches('=').bytes() {
        let value = match b {
            b'A'..=b'Z' => b - b'A',
            b'a'..=b'z' => b - b'a' + 26,
            b'0'..=b'9' => b - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests;
