//! Who logs in: key files and the agent, in the order in which OpenSSH tries them.
//!
//! Invariant: a key behind a passphrase is used through the agent or not at all; nothing is ever asked for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey};
use tokio::net::UnixStream;

use super::link::Client;

/// Where keys are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Identities {
    /// Private key files, in order.
    pub(super) files: Vec<PathBuf>,
    /// Whether they were named, so that one that is not there is an error.
    pub(super) must_exist: bool,
    /// Whether the agent's other keys are left out.
    pub(super) only: bool,
    /// The agent's socket.
    pub(super) agent: Option<PathBuf>,
}

/// Why nobody could log in.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoginError {
    #[error("the key {} cannot be read: {reason}", .file.display())]
    Unreadable { file: PathBuf, reason: String },
    #[error(
        "the key {} has a passphrase, and no agent has it; add it there: ssh-add {}", .0.display(), .0.display()
    )]
    Passphrase(PathBuf),
    #[error("there is no key to log in with: neither an agent with one, nor a key file; set access.key")]
    NoKey,
    #[error("it asks for more than a key (a code, or a password), which nobody is there to give")]
    MoreThanAKey,
    #[error("the login as {user} is refused; tried {tried}: check user and key")]
    Refused { user: String, tried: String },
    #[error("the login failed")]
    Ssh(#[source] russh::Error),
}

type Agent = AgentClient<UnixStream>;

enum Key {
    File(Arc<PrivateKey>),
    /// The agent signs.
    Agent(PublicKey),
}

/// Logs in, or says why nobody can.
pub(super) async fn log_in(
    handle: &mut Handle<Client>,
    user: &str,
    identities: &Identities,
) -> Result<(), LoginError> {
    let (mut agent, held) = match &identities.agent {
        Some(socket) => agent(socket).await,
        None => (None, Vec::new()),
    };
    let (keys, locked) = candidates(identities, &held)?;
    let mut tried = Vec::new();
    for (shown, key) in keys {
        let is_rsa = match &key {
            Key::File(key) => key.algorithm().is_rsa(),
            Key::Agent(key) => key.algorithm().is_rsa(),
        };
        // Only asked where it matters: some servers never say, and that is waited for.
        let hash = match is_rsa {
            true => handle.best_supported_rsa_hash().await.map_err(LoginError::Ssh)?.flatten(),
            false => None,
        };
        // SHA-1 signatures are given to nobody.
        let hash = if is_rsa { hash.or(Some(HashAlg::Sha256)) } else { None };
        let result = match (key, &mut agent) {
            (Key::File(key), _) => {
                let key = PrivateKeyWithHashAlg::new(key, hash);
                handle.authenticate_publickey(user, key).await.map_err(LoginError::Ssh)?
            }
            (Key::Agent(key), Some(agent)) => {
                match handle.authenticate_publickey_with(user, key, hash, agent).await {
                    Ok(result) => result,
                    // It may want to be asked about each use, and be declined: the next key, then.
                    Err(_) => continue,
                }
            }
            (Key::Agent(_), None) => continue,
        };
        match result {
            AuthResult::Success => return Ok(()),
            AuthResult::Failure { partial_success: true, .. } => return Err(LoginError::MoreThanAKey),
            AuthResult::Failure { .. } => tried.push(shown),
        }
        if handle.is_closed() {
            break;
        }
    }
    match (tried.is_empty(), locked) {
        (_, Some(file)) => Err(LoginError::Passphrase(file)),
        (true, None) => Err(LoginError::NoKey),
        (false, None) => Err(LoginError::Refused { user: user.to_owned(), tried: tried.join(", ") }),
    }
}

/// The agent with what it holds. One that does not answer holds nothing.
async fn agent(socket: &Path) -> (Option<Agent>, Vec<PublicKey>) {
    let Ok(mut agent) = Agent::connect_uds(socket).await else { return (None, Vec::new()) };
    let held = agent.request_identities().await.unwrap_or_default();
    let plain = |identity: AgentIdentity| match identity {
        AgentIdentity::PublicKey { key, .. } => Some(key),
        AgentIdentity::Certificate { .. } => None,
    };
    (Some(agent), held.into_iter().filter_map(plain).collect())
}

/// Keys to try, each with what it is called, and the first that is locked and that no agent has.
#[expect(clippy::type_complexity, reason = "a list and what was left out of it")]
fn candidates(
    identities: &Identities,
    held: &[PublicKey],
) -> Result<(Vec<(String, Key)>, Option<PathBuf>), LoginError> {
    let holds = |key: &PublicKey| held.iter().any(|one| one.key_data() == key.key_data());
    let (mut keys, mut locked, mut taken) = (Vec::new(), None, Vec::new());
    for file in &identities.files {
        let shown = file.display().to_string();
        match read(file) {
            Ok(Read::Open(key)) => {
                taken.push(key.public_key().key_data().clone());
                keys.push((shown, Key::File(Arc::new(*key))));
            }
            Ok(Read::Locked(Some(public))) if holds(&public) => {
                taken.push(public.key_data().clone());
                keys.push((shown, Key::Agent(public)));
            }
            Ok(Read::Locked(_)) => {
                locked.get_or_insert_with(|| file.clone());
            }
            Ok(Read::Absent) if !identities.must_exist => {}
            Ok(Read::Absent) => {
                return Err(LoginError::Unreadable { file: file.clone(), reason: "it is not there".into() });
            }
            Err(reason) => return Err(LoginError::Unreadable { file: file.clone(), reason }),
        }
    }
    if !identities.only {
        let others = held.iter().filter(|key| !taken.contains(key.key_data()));
        let others = others.map(|key| {
            let shown = format!("the agent's {}", key.fingerprint(HashAlg::Sha256));
            (shown, Key::Agent(key.clone()))
        });
        // Keys that were named come first, then the agent's, as ssh does.
        keys.extend(others);
    }
    Ok((keys, locked))
}

enum Read {
    Open(Box<PrivateKey>),
    /// Behind a passphrase, with the public half where it can be known.
    Locked(Option<PublicKey>),
    Absent,
}

fn read(file: &Path) -> Result<Read, String> {
    let beside = || {
        let mut name = file.as_os_str().to_owned();
        name.push(".pub");
        russh::keys::load_public_key(PathBuf::from(name)).ok()
    };
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        // The private half may be with the agent alone.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(beside().map_or(Read::Absent, |key| Read::Locked(Some(key))));
        }
        Err(error) => return Err(error.kind().to_string()),
    };
    if let Ok(key) = text.parse::<PublicKey>() {
        return Ok(Read::Locked(Some(key)));
    }
    match russh::keys::decode_secret_key(&text, None) {
        Ok(key) if key.is_encrypted() => Ok(Read::Locked(Some(key.public_key().clone()))),
        Ok(key) => Ok(Read::Open(Box::new(key))),
        Err(russh::keys::Error::KeyIsEncrypted) => {
            let inside = PrivateKey::from_openssh(&text).ok().map(|key| key.public_key().clone());
            Ok(Read::Locked(inside.or_else(beside)))
        }
        Err(_) if text.contains("ENCRYPTED") => Ok(Read::Locked(beside())),
        // The error may quote the file.
        Err(_) => Err("it is no private key of OpenSSH, PKCS#8 or PKCS#1".to_owned()),
    }
}

#[cfg(test)]
mod tests;
