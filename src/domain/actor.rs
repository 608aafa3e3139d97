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
    /// A name for people. By [`ActorSource::Oidc`] it is `LOGIN/ID`.
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

    /// Whether it is the one that an [`Actor::identity`] names. A login may have been changed meanwhile, or be another's
    /// now; the id behind it stays.
    pub fn is(&self, identity: &str) -> bool {
        match (self.source, identity.strip_prefix("oidc:")) {
            (ActorSource::Oidc, Some(name)) => match (id(&self.name), id(name)) {
                (Some(one), Some(other)) => one == other,
                _ => self.name == name,
            },
            _ => self.identity() == identity,
        }
    }
}

fn id(name: &str) -> Option<&str> {
    name.rsplit_once('/').map(|(_, id)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_a_name_and_the_id_is_who_it_is() {
        let actor = |source, name: &str| Actor { name: name.to_owned(), source, run_url: None };
        let ada = actor(ActorSource::Oidc, "ada/583231");
        for same in ["oidc:ada/583231", "oidc:lovelace/583231"] {
            assert!(ada.is(same), "{same}");
        }
        for other in ["oidc:ada/7", "oidc:ada", "sts:ada/583231", "ada/583231", "oidc:/583231x", "oidc:"] {
            assert!(!ada.is(other), "{other}");
        }
        let role = actor(ActorSource::Sts, "arn:aws:sts::1:assumed-role/deploy/1");
        assert!(role.is("sts:arn:aws:sts::1:assumed-role/deploy/1"));
        assert!(
            !role.is("sts:arn:aws:sts::1:assumed-role/other/1"),
            "what is no login is compared as a whole"
        );
    }
}
