//! Who did it, and how we know.

use serde::{Deserialize, Serialize};

/// Where the claim of an identity comes from. Only some sources prove anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorSource {
    /// The operating system's user name: a claim.
    Os,
    /// What the CI system says in its variables: a claim.
    Ci,
    /// What the user put into `RELMAN_ACTOR`: a claim.
    Given,
    /// An identity token that the platform signed: proof.
    Oidc,
    /// AWS STS: proof.
    Sts,
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actor {
    /// A name for people.
    pub name: String,
    /// How we know it.
    pub source: ActorSource,
    /// The CI run, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_url: Option<String>,
}

impl Actor {
    /// Whether somebody else vouches for who it is.
    pub fn is_proven(&self) -> bool {
        matches!(self.source, ActorSource::Oidc | ActorSource::Sts)
    }

    /// Who it is, so that two can be compared: `oidc:NAME`, `sts:ARN`.
    pub fn identity(&self) -> String {
        let source = match self.source {
            ActorSource::Os => "os",
            ActorSource::Ci => "ci",
            ActorSource::Given => "given",
            ActorSource::Oidc => "oidc",
            ActorSource::Sts => "sts",
        };
        format!("{source}:{}", self.name)
    }
}
