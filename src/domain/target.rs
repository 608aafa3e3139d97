//! What a user may name as the target of a deploy or a rollback.

use std::fmt;
use std::str::FromStr;

use super::id::{DeploymentNumber, Digest, EnvironmentName};
use super::version::Version;

/// A TARGET of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `v1.4.2` or `1.4.2`.
    Version(Version),
    /// 7 to 40 hex digits.
    Commit(String),
    /// `sha256:…`.
    Digest(Digest),
    /// `production#142`, or `#142` in the environment at hand.
    Deployment {
        /// The environment, if it was named.
        environment: Option<EnvironmentName>,
        /// Its number.
        number: DeploymentNumber,
    },
    /// `@-N`: N proven releases back along the environment's history.
    Back(u32),
}

/// Why a text names no target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "target {0:?} is not a version (v1.4.2), a commit (7 to 40 hex digits), a digest (sha256:…), a deployment (production#142) or @-N"
)]
pub struct TargetError(String);

impl FromStr for Target {
    type Err = TargetError;
    fn from_str(text: &str) -> Result<Self, TargetError> {
        let error = || TargetError(text.chars().take(80).collect());
        if text.starts_with("sha256:") {
            return text.parse().map(Self::Digest).map_err(|_| error());
        }
        if let Some(back) = text.strip_prefix("@-") {
            return match back.parse() {
                Ok(n) if n > 0 => Ok(Self::Back(n)),
                _ => Err(error()),
            };
        }
        if let Some((environment, number)) = text.split_once('#') {
            let number = number.parse().ok().filter(|n| *n > 0).ok_or_else(error)?;
            let environment = match environment {
                "" => None,
                name => Some(name.parse().map_err(|_| error())?),
            };
            return Ok(Self::Deployment { environment, number });
        }
        if let Ok(version) = text.parse() {
            return Ok(Self::Version(version));
        }
        let hex = text.bytes().all(|b| b.is_ascii_hexdigit());
        if hex && (7..=40).contains(&text.len()) {
            return Ok(Self::Commit(text.to_ascii_lowercase()));
        }
        Err(error())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "{}", version.tag()),
            Self::Commit(commit) => f.write_str(commit),
            Self::Digest(digest) => write!(f, "{digest}"),
            Self::Deployment { environment: Some(environment), number } => {
                write!(f, "{environment}#{number}")
            }
            Self::Deployment { environment: None, number } => write!(f, "#{number}"),
            Self::Back(n) => write!(f, "@-{n}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_and_shows() {
        let digest = Digest::of(b"x").to_string();
        for text in ["v1.4.2", "0123abc", digest.as_str(), "production#142", "#142", "@-1", "v1.4.2-rc.1"] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        assert_eq!("1.4.2".parse::<Target>().unwrap().to_string(), "v1.4.2");
        assert_eq!("ABCDEF0".parse::<Target>().unwrap(), Target::Commit("abcdef0".into()));
    }

    #[test]
    fn everything_else_is_refused() {
        for text in ["", "latest", "abc", "@-0", "@-", "@1", "#0", "#x", "a/b#1", "sha256:12", "v1.4", "../x"]
        {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
