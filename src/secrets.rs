//! Resolves references to secrets, just before the value is needed. Values live in [`Secret`] alone; what may be kept
//! and shown of one is its reference and its version.

#[cfg(feature = "cli")]
pub mod aws;
#[cfg(test)]
pub(crate) mod contract;
#[cfg(test)]
pub(crate) mod fake;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::domain::run::SecretRef;
use crate::host::wire::Secret;

/// Why a secret could not be resolved. Never holds a value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set.
    #[error("secret {name}: the environment variable {variable} is not set")]
    NotSet {
        /// The secret.
        name: String,
        /// The variable.
        variable: String,
    },
    /// The file cannot be read.
    #[error("secret {name}: {path} cannot be read")]
    File {
        /// The secret.
        name: String,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The store does not hand it out.
    #[error("secret {name}: {reference} {source_place}: {fault}", source_place = fault.place())]
    Store {
        /// The secret.
        name: String,
        /// What was asked for.
        reference: SecretRef,
        /// Why, and where.
        fault: Box<StoreFault>,
    },
    /// It is there, and the field of it is not.
    #[error("secret {name}: {reference} {reason}")]
    Field {
        /// The secret.
        name: String,
        /// What was asked for.
        reference: SecretRef,
        /// Why not: nothing of what it holds.
        reason: &'static str,
    },
    /// Longer than a secret may be.
    #[error("secret {name} has more than {limit} bytes")]
    TooLong {
        /// The secret.
        name: String,
        /// The limit.
        limit: usize,
    },
}

/// Why a store does not hand a secret out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is none of this name.
    #[error("it does not exist")]
    Missing,
    /// It is there, and has no such version, label or stage.
    #[error("it does not have this version")]
    NoSuchVersion,
    /// It is about to be deleted.
    #[error("it is marked for deletion")]
    Deleted,
    /// These credentials may not read it.
    #[error("access is denied")]
    Denied,
    /// The key that it is encrypted with cannot be used.
    #[error("the KMS key that it is encrypted with cannot be used")]
    Key,
    /// Too many requests.
    #[error("AWS takes no more requests for now")]
    Throttled,
    /// Bytes that are no text.
    #[error("its value is no text")]
    NotText,
    /// Region, profile or credentials are missing or wrong.
    #[error("AWS cannot be asked as it is set up here")]
    Setting,
    /// No answer, none that says anything, or one to credentials that are good no more.
    #[error("it could not be asked for")]
    Unavailable,
    /// There is no store here.
    #[error("this relman was not given a store to ask")]
    NoStore,
}

/// A refusal with all that whoever reads it needs.
#[derive(Debug)]
pub struct StoreFault {
    /// Why.
    pub refusal: Refusal,
    /// In which region; empty when none is set.
    pub region: String,
    /// As whom it was asked for, where AWS says so.
    pub caller: Option<String>,
    /// What AWS said, in relman's words.
    pub detail: Option<String>,
    /// What to run or to change next.
    pub hints: Vec<String>,
}

impl StoreFault {
    fn place(&self) -> String {
        let region = if self.region.is_empty() { "in no region" } else { &format!("in {}", self.region) };
        match &self.caller {
            Some(caller) => format!("{region}, asked for as {caller}"),
            None => region.to_owned(),
        }
    }

    /// Whether configuration must change first, rather than the world.
    pub fn is_configuration(&self) -> bool {
        matches!(
            self.refusal,
            Refusal::Missing
                | Refusal::NoSuchVersion
                | Refusal::Deleted
                | Refusal::NotText
                | Refusal::Setting
                | Refusal::NoStore
        )
    }
}

impl std::fmt::Display for StoreFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.detail {
            Some(detail) => write!(f, "{} ({detail})", self.refusal),
            None => write!(f, "{}", self.refusal),
        }
    }
}

/// What a store handed out.
#[derive(Debug, Clone)]
pub struct Found {
    /// The value.
    pub value: Secret,
    /// Its version: what the same reference leads to for ever when it is bound to it.
    pub version: String,
}

/// A store with versions.
#[async_trait::async_trait]
pub trait Store: std::fmt::Debug + Send + Sync {
    /// What a reference leads to now. It is asked for [`SecretRef::stored`] ones alone.
    async fn get(&self, reference: &SecretRef) -> Result<Found, StoreFault>;
}

const LIMIT: usize = 64 * 1024;
/// Requests to a store at once: its limit is some tens a second, for everybody together.
const AT_ONCE: usize = 8;

/// Where references lead: the environment as the command line found it, files relative to a root, and a store.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    /// The variables of this process.
    pub variables: BTreeMap<String, Secret>,
    /// What relative file references are relative to.
    pub root: PathBuf,
    /// What keeps versions.
    pub store: Option<Arc<dyn Store>>,
}

/// Values, and what may be told of them.
#[derive(Debug, Clone, Default)]
pub struct Resolved {
    /// The values by name.
    pub values: BTreeMap<String, Secret>,
    /// The version by name, of those that have one.
    pub versions: BTreeMap<String, String>,
}

impl Secrets {
    /// The values of these references by name. One trailing newline of a file is not part of the value.
    ///
    /// # Errors
    /// For one reference that leads nowhere; it names the secret and the place, never a value.
    pub async fn resolve(&self, references: &BTreeMap<String, SecretRef>) -> Result<Resolved, SecretError> {
        // What is on this machine first: no store is asked for nothing.
        let mut resolved = Resolved::default();
        for (name, reference) in references.iter().filter(|(_, reference)| reference.stored().is_none()) {
            resolved.values.insert(name.clone(), self.here(name, reference)?);
        }
        let stored = references.iter().filter(|(_, reference)| reference.stored().is_some());
        // Fields of one secret are asked for once, and so are of one version: user and password belong together.
        let wholes: BTreeMap<SecretRef, (&String, &SecretRef)> =
            stored.clone().map(|(name, reference)| (reference.whole(), (name, reference))).collect();
        let found: BTreeMap<SecretRef, Found> = stream::iter(wholes)
            .map(async |(whole, (name, reference))| {
                let found = self.there(name, reference, &whole).await?;
                Ok::<_, SecretError>((whole, found))
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        for (name, reference) in stored {
            let Some(found) = found.get(&reference.whole()) else { continue };
            let key = reference.stored().and_then(|stored| stored.key.as_deref());
            let value = match key.map(|key| field(&found.value, key)) {
                None => found.value.clone(),
                Some(Ok(value)) => value,
                Some(Err(reason)) => {
                    let (name, reference) = (name.clone(), reference.clone());
                    return Err(SecretError::Field { name, reference, reason });
                }
            };
            resolved.versions.insert(name.clone(), found.version.clone());
            resolved.values.insert(name.clone(), value);
        }
        if let Some((name, _)) = resolved.values.iter().find(|(_, value)| value.expose().len() > LIMIT) {
            return Err(SecretError::TooLong { name: name.clone(), limit: LIMIT });
        }
        Ok(resolved)
    }

    async fn there(
        &self,
        name: &str,
        reference: &SecretRef,
        whole: &SecretRef,
    ) -> Result<Found, SecretError> {
        let found = match &self.store {
            Some(store) => store.get(whole).await,
            None => Err(StoreFault {
                refusal: Refusal::NoStore,
                region: String::new(),
                caller: None,
                detail: None,
                hints: Vec::new(),
            }),
        };
        found.map_err(|fault| SecretError::Store {
            name: name.to_owned(),
            reference: reference.clone(),
            fault: Box::new(fault),
        })
    }

    fn here(&self, name: &str, reference: &SecretRef) -> Result<Secret, SecretError> {
        match reference {
            SecretRef::Env(variable) => self
                .variables
                .get(variable)
                .cloned()
                .ok_or_else(|| SecretError::NotSet { name: name.to_owned(), variable: variable.clone() }),
            SecretRef::File(path) => {
                let path = self.root.join(path);
                match std::fs::read_to_string(&path) {
                    Ok(text) => Ok(Secret::new(text.strip_suffix('\n').unwrap_or(&text).to_owned())),
                    Err(source) => Err(SecretError::File { name: name.to_owned(), path, source }),
                }
            }
            // Only what is here is asked for here.
            SecretRef::Parameter(_) | SecretRef::Managed(_) => Ok(Secret::new(String::new())),
        }
    }
}

/// A field of a JSON object, as RDS and most rotations write it. Numbers and truth values are as they are written.
fn field(whole: &Secret, key: &str) -> Result<Secret, &'static str> {
    // What serde says has parts of the text in it.
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(whole.expose())
        .map_err(|_| "asks for a field, and what is there is no JSON object")?;
    match object.get(key) {
        None => Err("asks for a field that the JSON object does not have"),
        Some(serde_json::Value::String(text)) => Ok(Secret::new(text.clone())),
        Some(value @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_))) => {
            Ok(Secret::new(value.to_string()))
        }
        Some(_) => Err("asks for a field that is neither text, number nor truth value"),
    }
}

/// Versions for people: `DB 3, KEY a1b2c3d4`.
pub fn listed<'a>(versions: impl IntoIterator<Item = (&'a String, &'a String)>) -> String {
    // Of an id the beginning tells enough; the ledger has all of it.
    let short = |version: &String| version.chars().take(if version.len() > 20 { 8 } else { 20 }).collect();
    let one = |(name, version): (&String, &String)| {
        let version: String = short(version);
        format!("{name} {version}")
    };
    versions.into_iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
