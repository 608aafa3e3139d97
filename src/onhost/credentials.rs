//! Registry logins as `docker login` leaves them: the `auths` of root's configuration, never a helper program.

use std::fs;
use std::path::Path;

use bollard::auth::DockerCredentials;
use serde_json::Value;

/// The login for the registry of this repository, if root has one.
pub(super) fn login(file: &Path, repository: &str) -> Option<DockerCredentials> {
    let config: Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    let registry = registry(repository);
    let entry = config.get("auths")?.as_object()?.iter().find(|(key, _)| host(key) == registry)?.1;
    let text = |name: &str| {
        entry.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let (username, password) = match text("auth").and_then(|auth| decode(&auth)) {
        Some(pair) => pair.split_once(':').map(|(user, word)| (user.to_owned(), word.to_owned())).unzip(),
        None => (text("username"), text("password")),
    };
    Some(DockerCredentials {
        username,
        password,
        identitytoken: text("identitytoken"),
        registrytoken: text("registrytoken"),
        serveraddress: Some(registry.to_owned()),
        ..DockerCredentials::default()
    })
}

/// The registry that a repository names; without one it is Docker Hub.
fn registry(repository: &str) -> &str {
    match repository.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => "index.docker.io",
    }
}

/// The host in a key of `auths`: it may be a URL.
fn host(key: &str) -> &str {
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or(rest);
    if host == "docker.io" { "index.docker.io" } else { host }
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
mod tests {
    use super::*;

    #[test]
    fn the_login_of_a_registry_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.json");
        fs::write(
            &file,
            r#"{"auths":{"registry.example":{"auth":"ZGVwbG95OnMzY3I6ZXQ="},
                "https://index.docker.io/v1/":{"username":"u","password":"p"}}}"#,
        )
        .unwrap();
        let found = login(&file, "registry.example/team/web").unwrap();
        assert_eq!((found.username.as_deref(), found.password.as_deref()), (Some("deploy"), Some("s3cr:et")));
        assert_eq!(login(&file, "library/python").unwrap().username.as_deref(), Some("u"));
        assert!(login(&file, "other.example/web").is_none());
        assert!(login(&directory.path().join("none"), "registry.example/web").is_none());
    }
}
