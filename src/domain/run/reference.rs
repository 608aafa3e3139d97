//! Where a secret comes from. A reference names a place, never a value.

use serde::{Deserialize, Serialize};

use super::is_variable;

/// Where a secret comes from: `env:NAME`, `file:PATH`, `ssm:/PATH[:VERSION][#KEY]` or
/// `secretsmanager:NAME[:VERSION][#KEY]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SecretRef {
    /// A variable in the environment of relman.
    Env(String),
    /// A file that relman can read.
    File(String),
    /// A parameter of SSM Parameter Store. The version is its number or a label.
    Parameter(Stored),
    /// A secret of AWS Secrets Manager. The version is its id or a stage.
    Managed(Stored),
}

/// What a store with versions keeps.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stored {
    /// Its name there.
    pub name: String,
    /// Which version; none: the current one.
    pub version: Option<String>,
    /// Which field of it, where it is a JSON object; none: all of it.
    pub key: Option<String>,
}

/// Why a secret reference cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "secret reference {0:?} is none of env:NAME, file:PATH, ssm:/PATH[:VERSION][#KEY] and secretsmanager:NAME[:VERSION][#KEY]; a secret is never written into a configuration"
)]
pub struct SecretRefError(String);

/// Longest name that either store takes, with some room below it.
const NAME: usize = 512;
/// The ids that Secrets Manager gives have 36 letters; it takes 32 to 64 as ids, and stages are shorter.
const ID: std::ops::RangeInclusive<usize> = 32..=64;

impl Stored {
    fn parse(text: &str) -> Self {
        let (text, key) = match text.split_once('#') {
            Some((text, key)) => (text, Some(key.to_owned())),
            None => (text, None),
        };
        let (name, version) = match text.split_once(':') {
            Some((name, version)) => (name, Some(version.to_owned())),
            None => (text, None),
        };
        Self { name: name.to_owned(), version, key }
    }

    fn at(&self, version: &str) -> Self {
        Self { version: Some(version.to_owned()), ..self.clone() }
    }

    fn text(&self) -> String {
        let version = self.version.as_ref().map(|version| format!(":{version}")).unwrap_or_default();
        let key = self.key.as_ref().map(|key| format!("#{key}")).unwrap_or_default();
        format!("{}{version}{key}", self.name)
    }

    fn has_good_key(&self) -> bool {
        self.key.as_ref().is_none_or(|key| {
            (1..=100).contains(&key.len())
                && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
        })
    }

    fn has_good_version(&self) -> bool {
        self.version.as_ref().is_none_or(|version| {
            (1..=100).contains(&version.len())
                && version.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
        })
    }

    fn is_parameter(&self) -> bool {
        let parts = self.name.strip_prefix('/').unwrap_or_default();
        self.name.len() <= NAME
            && parts.split('/').all(|part| {
                !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
            })
            && self.has_good_version()
            && self.has_good_key()
    }

    fn is_managed(&self) -> bool {
        (1..=NAME).contains(&self.name.len())
            && self.name.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_+=.@-".contains(&b))
            && self.has_good_version()
            && self.has_good_key()
    }

    /// Whether the version is an id of Secrets Manager, rather than a stage such as `AWSPREVIOUS`.
    pub fn version_is_id(&self) -> bool {
        self.version.as_ref().is_some_and(|version| ID.contains(&version.len()))
    }
}

impl SecretRef {
    /// Whether it names something that can be there.
    pub(super) fn is_good(&self) -> bool {
        match self {
            Self::Env(variable) => is_variable(variable),
            Self::File(path) => !path.is_empty() && !path.contains(char::is_control),
            Self::Parameter(stored) => stored.is_parameter(),
            Self::Managed(stored) => stored.is_managed(),
        }
    }

    /// What a store keeps; none of what is on this machine.
    pub fn stored(&self) -> Option<&Stored> {
        match self {
            Self::Env(_) | Self::File(_) => None,
            Self::Parameter(stored) | Self::Managed(stored) => Some(stored),
        }
    }

    /// The same with all its fields: what a store is asked for.
    #[must_use]
    pub fn whole(&self) -> Self {
        let all = |stored: &Stored| Stored { key: None, ..stored.clone() };
        match self {
            Self::Env(_) | Self::File(_) => self.clone(),
            Self::Parameter(stored) => Self::Parameter(all(stored)),
            Self::Managed(stored) => Self::Managed(all(stored)),
        }
    }

    /// The same at one version. What has no versions stays as it is.
    #[must_use]
    pub fn at(&self, version: &str) -> Self {
        match self {
            Self::Env(_) | Self::File(_) => self.clone(),
            Self::Parameter(stored) => Self::Parameter(stored.at(version)),
            Self::Managed(stored) => Self::Managed(stored.at(version)),
        }
    }
}

impl std::fmt::Display for SecretRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{path}"),
            Self::Parameter(stored) => write!(f, "ssm:{}", stored.text()),
            Self::Managed(stored) => write!(f, "secretsmanager:{}", stored.text()),
        }
    }
}

impl TryFrom<String> for SecretRef {
    type Error = SecretRefError;
    fn try_from(text: String) -> Result<Self, SecretRefError> {
        let found = match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => return Ok(Self::Env(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => return Ok(Self::File(path.to_owned())),
            Some(("ssm", rest)) => Some(Self::Parameter(Stored::parse(rest))),
            Some(("secretsmanager", rest)) => Some(Self::Managed(Stored::parse(rest))),
            _ => None,
        };
        if let Some(found) = found.filter(Self::is_good) {
            return Ok(found);
        }
        // Whatever it is, it may be the secret itself: only its scheme is repeated.
        Err(SecretRefError(match text.split_once(':') {
            Some((scheme, _)) if scheme.len() <= 10 || scheme == "secretsmanager" => format!("{scheme}:…"),
            _ => "…".to_owned(),
        }))
    }
}

impl From<SecretRef> for String {
    fn from(secret: SecretRef) -> String {
        secret.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invariant_10_a_bad_reference_is_not_repeated_in_the_error() {
        for text in [
            "hunter2",
            "postgres://user:hunter2@db",
            "vault:hunter2",
            "env:",
            "file:",
            "ssm:hunter2",
            "ssm:",
            "ssm:/",
            "ssm:/a//hunter2",
            "ssm:/a:",
            "ssm:/a:1:2",
            "ssm:/a/:1",
            "ssm:/a b",
            "ssm:/a\n",
            "secretsmanager:",
            "secretsmanager:a b",
            "secretsmanager:hunter2:",
            "secretsmanager:a#",
            "secretsmanager:a#hunter2#b",
            "secretsmanager:a#hunter2:1",
            "secretsmanager:#hunter2",
            "ssm:/a#hunter2/b",
            // The account is that of the credentials: what is in another one is not asked for by accident.
            "secretsmanager:arn:aws:secretsmanager:eu-central-1:1:secret:hunter2",
        ] {
            let error = SecretRef::try_from(text.to_owned()).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn references_read_back() {
        for text in [
            "env:TOKEN",
            "file:/etc/token",
            "file:C:/x",
            "ssm:/relman/web/production/key",
            "ssm:/relman/web/production/key:12",
            "ssm:/key:stable",
            "secretsmanager:relman/web/production/db",
            "secretsmanager:a+b=c.d@e-f_g:AWSPREVIOUS",
            "secretsmanager:relman/web/production/db#password",
            "secretsmanager:db:AWSPREVIOUS#password",
            "ssm:/relman/web/production/db:3#user.name",
        ] {
            assert_eq!(String::from(SecretRef::try_from(text.to_owned()).unwrap()), text);
        }
    }

    #[test]
    fn a_version_binds_what_has_versions_and_nothing_else() {
        let at = |text: &str| SecretRef::try_from(text.to_owned()).unwrap().at("7").to_string();
        assert_eq!(at("ssm:/a/b"), "ssm:/a/b:7");
        assert_eq!(at("ssm:/a/b:stable"), "ssm:/a/b:7");
        assert_eq!(at("secretsmanager:a"), "secretsmanager:a:7");
        assert_eq!(at("secretsmanager:a#user"), "secretsmanager:a:7#user");
        assert_eq!(at("secretsmanager:a:6#user"), "secretsmanager:a:7#user");
        assert_eq!(at("env:A"), "env:A");
        let managed = |version: &str| Stored { name: "a".into(), version: Some(version.into()), key: None };
        assert!(managed("a1b2c3d4-5678-90ab-cdef-EXAMPLE11111").version_is_id());
        assert!(!managed("AWSCURRENT").version_is_id());
    }
}
