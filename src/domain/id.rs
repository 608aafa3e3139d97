//! Names and identities. Each is validated where it enters the program and cannot hold anything else, so it is
//! safe in a key, a path, a label or an argument list.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is not the identity that it was taken for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Service, environment and host names.
    #[error(
        "{what} name {value:?} is not valid: 1 to 40 of a-z, 0-9 and '-', starting and ending with a letter or digit"
    )]
    Name {
        /// Which name.
        what: &'static str,
        /// What was given, cut to a length that fits a line.
        value: String,
    },
    /// A full commit id.
    #[error("commit {0:?} is not 40 lower-case hex digits")]
    Commit(String),
    /// A content digest.
    #[error("digest {0:?} is not sha256: and 64 lower-case hex digits")]
    Digest(String),
    /// A deployment id such as `production#142`.
    #[error("deployment id {0:?} is not ENVIRONMENT#NUMBER")]
    Deployment(String),
    /// A stream name such as `web/production`.
    #[error("stream {0:?} is neither SERVICE nor SERVICE/ENVIRONMENT")]
    Stream(String),
    /// A random 128-bit token.
    #[error("token {0:?} is not 32 lower-case hex digits")]
    Token(String),
}

fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn is_name(text: &str) -> bool {
    let alnum = |b: u8| b.is_ascii_digit() || b.is_ascii_lowercase();
    let bytes = text.as_bytes();
    (1..=40).contains(&bytes.len())
        && bytes.iter().all(|b| alnum(*b) || *b == b'-')
        && bytes.first().is_some_and(|b| alnum(*b))
        && bytes.last().is_some_and(|b| alnum(*b))
}

/// A validated string newtype: parse, display, serde through the same check.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $check:expr, $error:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let check: fn(&str) -> bool = $check;
                let error: fn(String) -> IdError = $error;
                if check(text) { Ok(Self(text.to_owned())) } else { Err(error(shown(text))) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

text_id!(
    /// What is deployed.
    ServiceName,
    is_name,
    |value| IdError::Name { what: "service", value }
);
text_id!(
    /// Where to: `production`, `staging`.
    EnvironmentName,
    is_name,
    |value| IdError::Name { what: "environment", value }
);
text_id!(
    /// A host as the inventory calls it; its address is another matter.
    HostName,
    is_name,
    |value| IdError::Name { what: "host", value }
);
text_id!(
    /// A full git commit id (SHA-1), 40 lower-case hex digits.
    CommitSha,
    |text| is_hex(text, 40),
    IdError::Commit
);
text_id!(
    /// A content digest, `sha256:` and 64 hex digits (OCI image specification, "Digests").
    Digest,
    |text| text.strip_prefix("sha256:").is_some_and(|hex| is_hex(hex, 64)),
    IdError::Digest
);
text_id!(
    /// 128 random bits in hex: the id of an entry, or the nonce of a lease holder.
    Token,
    |text| is_hex(text, 32),
    IdError::Token
);

impl CommitSha {
    /// The first seven digits, as git shows them.
    pub fn short(&self) -> &str {
        &self.0[..7]
    }
}

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(format!("sha256:{}", hex::encode(sha2::Sha256::digest(bytes))))
    }

    /// The 64 hex digits without the algorithm.
    pub fn hex(&self) -> &str {
        &self.0["sha256:".len()..]
    }

    /// Algorithm and twelve digits, for tables.
    pub fn short(&self) -> &str {
        &self.0[..19]
    }
}

impl Token {
    /// A token of these bits. The caller brings the randomness.
    pub fn from_bits(bits: [u8; 16]) -> Self {
        Self(hex::encode(bits))
    }
}

/// Number of a deployment within its environment, from 1 without gaps.
pub type DeploymentNumber = u64;

/// `production#142`: what people call a deployment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeploymentId {
    /// The environment.
    pub environment: EnvironmentName,
    /// The number in it.
    pub number: DeploymentNumber,
}

impl FromStr for DeploymentId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = || IdError::Deployment(shown(text));
        let (environment, number) = text.split_once('#').ok_or_else(error)?;
        let number: DeploymentNumber = number.parse().map_err(|_| error())?;
        if number == 0 {
            return Err(error());
        }
        Ok(Self { environment: environment.parse()?, number })
    }
}

impl TryFrom<String> for DeploymentId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<DeploymentId> for String {
    fn from(id: DeploymentId) -> String {
        id.to_string()
    }
}

impl fmt::Display for DeploymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.environment, self.number)
    }
}

/// An ordered list of entries: one per service for its releases (`web`), one per environment for its deployments
/// (`web/production`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Stream {
    /// The service.
    pub service: ServiceName,
    /// The environment; none for the service's releases.
    pub environment: Option<EnvironmentName>,
}

impl Stream {
    /// The stream of a service's releases.
    pub fn releases(service: &ServiceName) -> Self {
        Self { service: service.clone(), environment: None }
    }

    /// The stream of an environment's deployments.
    pub fn deployments(service: &ServiceName, environment: &EnvironmentName) -> Self {
        Self { service: service.clone(), environment: Some(environment.clone()) }
    }
}

impl FromStr for Stream {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        match text.split_once('/') {
            None => Ok(Self { service: text.parse()?, environment: None }),
            Some((service, environment)) => {
                Ok(Self { service: service.parse()?, environment: Some(environment.parse()?) })
            }
        }
    }
}

impl TryFrom<String> for Stream {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<Stream> for String {
    fn from(stream: Stream) -> String {
        stream.to_string()
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.environment {
            None => write!(f, "{}", self.service),
            Some(environment) => write!(f, "{}/{environment}", self.service),
        }
    }
}

/// The growing number of a lease with its holder's nonce. A greater number fences out a smaller one; an equal
/// number with another nonce is refused, so that two ledgers can never share a host by accident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fence {
    /// Grows by one with each lease.
    pub number: u64,
    /// Who holds it.
    pub nonce: Token,
}

impl Fence {
    /// Whether whoever stored `self` must obey `other`: it is newer, or it is the same lease.
    pub fn admits(&self, other: &Fence) -> bool {
        other.number > self.number || self == other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hold_nothing_that_could_escape_a_key_or_a_path() {
        for good in ["a", "web", "web-2", "0", &"a".repeat(40)] {
            assert!(good.parse::<ServiceName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a#b", "a/b", "..", "a\0", "ä", "a b", &"a".repeat(41)] {
            assert!(bad.parse::<HostName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn digests_and_commits_are_exact() {
        assert_eq!(
            Digest::of(b"").as_str(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert!("sha256:E3".parse::<Digest>().is_err());
        assert!("0123456789abcdef0123456789abcdef0123456".parse::<CommitSha>().is_err());
        assert!("0123456789ABCDEF0123456789abcdef01234567".parse::<CommitSha>().is_err());
    }

    #[test]
    fn deployment_ids_read_back() {
        let id: DeploymentId = "production#142".parse().unwrap();
        assert_eq!(id.to_string(), "production#142");
        for bad in ["production", "#1", "production#0", "production#-1", "production#1x", "a/b#1"] {
            assert!(bad.parse::<DeploymentId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn streams_read_back() {
        for text in ["web", "web/production"] {
            assert_eq!(text.parse::<Stream>().unwrap().to_string(), text);
        }
        assert!("web/production/x".parse::<Stream>().is_err());
    }

    #[test]
    fn invariant_3_an_older_or_foreign_fence_is_refused() {
        let fence = |number, bits| Fence { number, nonce: Token::from_bits([bits; 16]) };
        assert!(fence(3, 1).admits(&fence(4, 2)));
        assert!(fence(3, 1).admits(&fence(3, 1)));
        assert!(!fence(3, 1).admits(&fence(3, 2)));
        assert!(!fence(3, 1).admits(&fence(2, 1)));
    }
}
