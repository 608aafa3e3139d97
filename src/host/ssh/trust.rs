//! Whether a host key is the right one: pinned, in a known-hosts file, or taken at the first meeting.
//!
//! Invariants: pinned keys win over files; a key that is marked as revoked is never taken; a host whose key is known
//! is never met for the first time again, so that a changed key is refused and not learned.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use hmac::{Hmac, KeyInit, Mac};
use russh::keys::ssh_key::known_hosts::{Entry, HostPatterns, Marker};
use russh::keys::{Algorithm, HashAlg, PublicKey};
use sha1::Sha1;

use super::pattern;

/// What is known of a host's key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Trust {
    /// Host and port as known-hosts files write them.
    pub(super) name: String,
    /// Pinned keys; with any, no file is asked.
    pub(super) pins: Vec<String>,
    /// Known-hosts files.
    pub(super) files: Vec<PathBuf>,
    /// Where a key is written when the host is met for the first time; none: an unknown key is refused.
    pub(super) record: Option<PathBuf>,
}

/// Why a key is not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TrustError {
    #[error(
        "its host key has changed or is another's: {found} is not among the pinned host_keys ({pinned}); compare it \
         on the host's console (ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub), then correct host_keys"
    )]
    NotPinned { found: String, pinned: String },
    #[error(
        "its host key has changed or is another's: {found}, and {}:{line} has {known}; compare it on the host's \
         console, then accept it with: ssh-keygen -R '{name}' -f {}", .file.display(), .file.display()
    )]
    Changed { found: String, known: String, file: PathBuf, line: usize, name: String },
    #[error("its host key {found} is marked as revoked at {}:{line}", .file.display())]
    Revoked { found: String, file: PathBuf, line: usize },
    #[error(
        "its host key is not known: {found}; compare it on the host's console, then pin it (host_keys), or add it: \
         ssh-keyscan -p {port} {host} >> {}", .file.display()
    )]
    Unknown { found: String, host: String, port: String, file: PathBuf },
    #[error("its host key cannot be recorded in {}: {reason}", .file.display())]
    NotRecorded { file: PathBuf, reason: std::io::ErrorKind },
    #[error("a pinned host key is no key: {0}")]
    NoKey(String),
}

/// A host and its port as known-hosts files write them.
pub(super) fn name(host: &str, port: u16) -> String {
    match port {
        22 => host.to_lowercase(),
        port => format!("[{}]:{port}", host.to_lowercase()),
    }
}

/// One line of a known-hosts file that is about the host.
struct Known {
    file: PathBuf,
    line: usize,
    marker: Option<Marker>,
    key: PublicKey,
}

/// Writers of this process take turns; those of others append whole lines.
static RECORDING: Mutex<()> = Mutex::new(());

impl Trust {
    /// Takes the key, or says why not. A host that is met for the first time may be recorded.
    pub(super) fn check(&self, key: &PublicKey) -> Result<(), TrustError> {
        let found = shown(key);
        if !self.pins.is_empty() {
            let pins = self.pinned()?;
            if pins.iter().any(|pin| pin.key_data() == key.key_data()) {
                return Ok(());
            }
            let pinned = pins.iter().map(shown).collect::<Vec<_>>().join(", ");
            return Err(TrustError::NotPinned { found, pinned });
        }
        let _turn = RECORDING.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.known();
        let same = |known: &&Known| known.key.key_data() == key.key_data();
        if let Some(revoked) = known.iter().filter(same).find(|known| known.marker == Some(Marker::Revoked)) {
            let (file, line) = (revoked.file.clone(), revoked.line);
            return Err(TrustError::Revoked { found, file, line });
        }
        let mut plain = known.iter().filter(|known| known.marker.is_none());
        let first = plain.next();
        match first {
            Some(known) if same(&known) || plain.any(|known| same(&known)) => Ok(()),
            Some(known) => Err(TrustError::Changed {
                found,
                known: shown(&known.key),
                file: known.file.clone(),
                line: known.line,
                name: self.name.clone(),
            }),
            None => match &self.record {
                Some(file) => record(file, &self.name, key)
                    .map_err(|error| TrustError::NotRecorded { file: file.clone(), reason: error.kind() }),
                None => Err(self.unknown(found)),
            },
        }
    }

    fn unknown(&self, found: String) -> TrustError {
        let bare = self.name.strip_prefix('[').and_then(|rest| rest.rsplit_once("]:"));
        let (host, port) = bare.unwrap_or((&self.name, "22"));
        let file = self.files.first().cloned().unwrap_or_else(|| "known_hosts".into());
        TrustError::Unknown { found, host: host.to_owned(), port: port.to_owned(), file }
    }

    /// The kinds of keys that the host is known by: they are asked for first, or a host with several keys would show
    /// one that nobody knows.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        let keys = match self.pins.is_empty() {
            false => self.pinned().unwrap_or_default(),
            true => {
                let plain = self.known().into_iter().filter(|known| known.marker.is_none());
                plain.map(|known| known.key).collect()
            }
        };
        keys.iter().map(PublicKey::algorithm).collect()
    }

    fn pinned(&self) -> Result<Vec<PublicKey>, TrustError> {
        let parse = |line: &String| line.parse().map_err(|_| TrustError::NoKey(line.clone()));
        self.pins.iter().map(parse).collect()
    }

    fn known(&self) -> Vec<Known> {
        self.record.iter().chain(&self.files).flat_map(|file| lines_about(file, &self.name)).collect()
    }
}

/// Kind and fingerprint, as `ssh-keygen -l` shows them.
fn shown(key: &PublicKey) -> String {
    format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256))
}

fn lines_about(file: &Path, name: &str) -> Vec<Known> {
    let Ok(text) = std::fs::read(file) else { return Vec::new() };
    let text = String::from_utf8_lossy(&text);
    let about = |(n, line): (usize, &str)| {
        let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
        if words.is_empty() || words.starts_with('#') {
            return None;
        }
        // What cannot be read is passed over, as ssh does.
        let entry: Entry = words.parse().ok()?;
        is_about(entry.host_patterns(), name).then(|| Known {
            file: file.to_owned(),
            line: n + 1,
            marker: entry.marker().copied(),
            key: entry.public_key().clone(),
        })
    };
    text.lines().enumerate().filter_map(about).collect()
}

fn is_about(patterns: &HostPatterns, name: &str) -> bool {
    match patterns {
        HostPatterns::Patterns(patterns) => pattern::any_fits(patterns.iter().map(String::as_str), name),
        HostPatterns::HashedName { salt, hash } => Hmac::<Sha1>::new_from_slice(salt)
            .is_ok_and(|mac| mac.chain_update(name).verify_slice(hash).is_ok()),
    }
}

/// Adds a line, in one write.
fn record(file: &Path, name: &str, key: &PublicKey) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut open = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(file)?;
    let mut before = Vec::new();
    open.read_to_end(&mut before)?;
    let gap = if before.last().is_some_and(|last| *last != b'\n') { "\n" } else { "" };
    let key = PublicKey::from(key.key_data().clone()).to_openssh().map_err(std::io::Error::other)?;
    open.write_all(format!("{gap}{name} {key}\n").as_bytes())?;
    open.sync_all()
}

#[cfg(test)]
mod tests;
