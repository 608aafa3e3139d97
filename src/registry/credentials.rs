//! Credentials of registries, as `docker login` keeps them: `auths` of its `config.json`, or a credential helper.
//! Secrets pass through stdin and stdout of the helper, never an argument.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;

use crate::host::wire::Secret;

/// How to log in to a registry.
#[derive(Debug, Clone)]
pub enum Login {
    /// User and password, or a personal token in its place.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: Secret,
    },
    /// An identity token (OAuth2 refresh token).
    Identity(Secret),
}

/// Why credentials could not be read. Never holds one.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The file is there and cannot be used.
    #[error("{path} cannot be read as a Docker configuration")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The helper failed.
    #[error("credential helper docker-credential-{helper} failed for {registry}: {message}")]
    Helper {
        /// Its name.
        helper: String,
        /// For which registry.
        registry: String,
        /// What it said.
        message: String,
    },
}

/// Where logins come from.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// The directory of `config.json`: `$DOCKER_CONFIG`, or `~/.docker`.
    pub directory: Option<PathBuf>,
    /// A login that the user gave, before any other.
    pub given: Option<Login>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct File {
    auths: BTreeMap<String, Auth>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: String,
    identitytoken: String,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Auth(…)")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// A helper that asks a cloud is slow; one that waits for a person would wait for ever.
const PATIENCE: Duration = Duration::from_secs(30);

impl Credentials {
    /// The login for a registry; none when there is none.
    ///
    /// # Errors
    /// When the file or a helper that should have it fails.
    pub async fn find(&self, registry: &str) -> Result<Option<Login>, CredentialError> {
        if let Some(given) = &self.given {
            return Ok(Some(given.clone()));
        }
        let Some(file) = self.read()? else { return Ok(None) };
        let keys = keys(registry);
        let helper = keys.iter().find_map(|key| file.cred_helpers.get(key)).or(file.creds_store.as_ref());
        if let Some(helper) = helper {
            let named = keys.iter().any(|key| file.cred_helpers.contains_key(key));
            match ask(helper, &keys[0]).await {
                Ok(Some(login)) => return Ok(Some(login)),
                Ok(None) => {}
                Err(error) if named => return Err(error),
                // A store for everything that is broken must not bar registries that need no login.
                Err(_) => {}
            }
        }
        Ok(keys.iter().find_map(|key| file.auths.get(key)).and_then(Auth::login))
    }

    fn read(&self) -> Result<Option<File>, CredentialError> {
        let Some(directory) = &self.directory else { return Ok(None) };
        let path = directory.join("config.json");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(CredentialError::File { path, source: e.into() }),
        };
        serde_json::from_str(&text)
            .map(Some)
            // serde's message could quote a value.
            .map_err(|e| CredentialError::File {
                path,
                source: format!("line {}: not the expected JSON", e.line()).into(),
            })
    }
}

impl Auth {
    fn login(&self) -> Option<Login> {
        if !self.identitytoken.is_empty() {
            return Some(Login::Identity(Secret::new(self.identitytoken.clone())));
        }
        let text = String::from_utf8(decode(&self.auth)?).ok()?;
        let (user, password) = text.split_once(':')?;
        let password = password.trim_end_matches('\0').to_owned();
        (!user.is_empty()).then(|| Login::Basic { user: user.to_owned(), password: Secret::new(password) })
    }
}

/// The names under which a registry may stand in the file; the first is what helpers are asked for.
fn keys(registry: &str) -> Vec<String> {
    if registry == "docker.io" {
        return ["https://index.docker.io/v1/", "index.docker.io", "docker.io"].map(str::to_owned).to_vec();
    }
    let forms = [
        registry.to_owned(),
        format!("https://{registry}"),
        format!("https://{registry}/"),
        format!("https://{registry}/v1/"),
        format!("https://{registry}/v2/"),
        format!("http://{registry}"),
    ];
    forms.to_vec()
}

async fn ask(helper: &str, registry: &str) -> Result<Option<Login>, CredentialError> {
    let failed = |message: &str| CredentialError::Helper {
        helper: helper.chars().take(40).collect(),
        registry: registry.to_owned(),
        message: message.to_owned(),
    };
    if helper.is_empty() || !helper.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
        return Err(failed("its name is not one"));
    }
    let run = async {
        let mut child = tokio::process::Command::new(format!("docker-credential-{helper}"))
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(registry.as_bytes()).await?;
        }
        child.wait_with_output().await
    };
    let output = match tokio::time::timeout(PATIENCE, run).await {
        Err(_) => return Err(failed("it did not answer in 30 s")),
        Ok(Err(e)) => return Err(failed(&e.to_string())),
        Ok(Ok(output)) => output,
    };
    if !output.status.success() {
        // The helpers' protocol has no other way to say so.
        let nothing = String::from_utf8_lossy(&output.stdout).contains("credentials not found");
        return if nothing { Ok(None) } else { Err(failed(&output.status.to_string())) };
    }
    let answer: Answer =
        serde_json::from_slice(&output.stdout).map_err(|_| failed("its answer is not the expected JSON"))?;
    let secret = Secret::new(answer.secret);
    Ok(Some(match answer.username.as_str() {
        "<token>" => Login::Identity(secret),
        _ => Login::Basic { user: answer.username, password: secret },
    }))
}

/// Base64 (RFC 4648); none when it is not.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let (mut bits, mut count) = (0u32, 0);
    for byte in text.trim().trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(json: &str) -> (tempfile::TempDir, Credentials) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.json"), json).unwrap();
        let credentials = Credentials { directory: Some(dir.path().to_owned()), given: None };
        (dir, credentials)
    }

    fn shown(login: Option<Login>) -> String {
        match login {
            None => "none".to_owned(),
            Some(Login::Basic { user, password }) => format!("{user}/{}", password.expose()),
            Some(Login::Identity(token)) => format!("token {}", token.expose()),
        }
    }

    #[tokio::test]
    async fn auths_are_found_under_every_form_of_the_name() {
        let (_dir, credentials) = with(
            r#"{"auths":{"a.example":{"auth":"dTpwOnc="},"https://b.example/v1/":{"auth":"dTpwOnc="},
                "https://index.docker.io/v1/":{"auth":"dTpwOnc="},"c.example":{"identitytoken":"t"},"d.example":{},
                "e.example":{"auth":"!!"}},"HttpHeaders":{"x":"y"}}"#,
        );
        for (registry, expected) in [
            ("a.example", "u/p:w"),
            ("b.example", "u/p:w"),
            ("docker.io", "u/p:w"),
            ("c.example", "token t"),
            ("d.example", "none"),
            ("e.example", "none"),
            ("f.example", "none"),
        ] {
            assert_eq!(shown(credentials.find(registry).await.unwrap()), expected, "{registry}");
        }
        assert_eq!(shown(Credentials::default().find("a.example").await.unwrap()), "none");
    }

    #[tokio::test]
    async fn invariant_10_a_broken_file_or_helper_is_named_without_its_values() {
        let (_dir, credentials) = with(r#"{"auths":{"a.example":{"auth":7, "hunter2"}}}"#);
        let error = credentials.find("a.example").await.unwrap_err();
        let text = format!("{error} {:?}", error);
        assert!(text.contains("config.json") && !text.contains("hunter2"), "{text}");
        for helper in ["no-such-helper", "../../bin/sh", "x y"] {
            let (_dir, credentials) = with(&format!(r#"{{"credHelpers":{{"a.example":"{helper}"}}}}"#));
            assert!(credentials.find("a.example").await.is_err(), "{helper}");
        }
        let (_dir, store) = with(r#"{"credsStore":"no-such-helper"}"#);
        assert_eq!(shown(store.find("a.example").await.unwrap()), "none");
        let login = Login::Basic { user: "u".into(), password: Secret::new("hunter2".into()) };
        assert!(!format!("{login:?}").contains("hunter2"));
    }

    #[test]
    fn base64_follows_the_rfc() {
        for (text, expected) in
            [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYmE", "fooba")]
        {
            assert_eq!(decode(text).unwrap(), expected.as_bytes());
        }
        assert_eq!(decode("Zm 9v"), None);
    }
}
