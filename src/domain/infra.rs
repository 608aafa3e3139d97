//! What the ledger knows of the infrastructure below an environment: which state, and what it was last brought to.

use serde::{Deserialize, Serialize};

use super::actor::Actor;
use super::event::StepError;
use super::id::Digest;
use super::time::Timestamp;

/// A Terraform state: which one, and how often it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateId {
    /// Stays the same over the life of a state.
    pub lineage: String,
    /// Grows with each write.
    pub serial: u64,
}

/// An apply is about to begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InfraStarted {
    /// The configuration's directory, and its workspace.
    pub location: String,
    /// Hash of the configuration; left out where it cannot be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Digest>,
    /// The state that was planned on; left out before the first apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StateId>,
    /// The plan without values, an artifact.
    pub plan: Digest,
    /// Resources to be made.
    pub created: u32,
    /// Resources to be changed in place.
    pub updated: u32,
    /// Resources to be removed; a replacement counts here and among the made ones.
    pub deleted: u32,
}

/// The infrastructure is as its configuration says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InfraApplied {
    /// The configuration's directory, and its workspace.
    pub location: String,
    /// Hash of the configuration; left out where it cannot be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Digest>,
    /// The state afterwards; left out where there is none, since nothing is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StateId>,
    /// The hosts in the outputs, an artifact; left out where they name none that could be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<Digest>,
    /// The log, an artifact; left out where there was nothing to apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Digest>,
}

/// The hosts that a deployment goes to, where they are not the ones on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InfraHosts {
    /// The list of them, an artifact: what a rollback goes by when the outputs cannot be read.
    pub hosts: Digest,
}

/// An apply did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InfraFailed {
    /// The configuration's directory, and its workspace.
    pub location: String,
    /// Why; `evidence` is what Terraform said.
    pub error: StepError,
}

/// What the entries about the infrastructure amount to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InfraRecord {
    /// Whether an apply began after the last one that is known to have come to its end.
    pub open: bool,
    /// The last one that did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<InfraApplied>,
    /// The hosts that were seen after it, where they are not its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<Digest>,
    /// When that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Actor>,
}

impl InfraRecord {
    /// The hosts that were seen last.
    pub fn hosts(&self) -> Option<&Digest> {
        self.hosts.as_ref().or_else(|| self.applied.as_ref()?.hosts.as_ref())
    }

    /// Whether it is on record already: the same configuration in the same place, the same state, and no apply since
    /// whose end is not known.
    pub fn is_recorded(
        &self,
        location: &str,
        configuration: Option<&Digest>,
        state: Option<&StateId>,
    ) -> bool {
        self.applied.as_ref().is_some_and(|applied| {
            !self.open
                && applied.location == location
                && applied.configuration.as_ref() == configuration
                && applied.state.as_ref() == state
        })
    }

    /// Whether nothing has moved since, of what Terraform makes: which hosts a group that scales by itself has is no part
    /// of it, and is asked each time. A configuration that cannot be hashed has always moved.
    pub fn is_settled(
        &self,
        location: &str,
        configuration: Option<&Digest>,
        state: Option<&StateId>,
    ) -> bool {
        configuration.is_some() && state.is_some() && self.is_recorded(location, configuration, state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_settled_only_when_nothing_moved_and_nothing_is_open() {
        let state = |serial| StateId { lineage: "a".into(), serial };
        let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
        let applied = InfraApplied {
            location: "infra".into(),
            configuration: Some(one.clone()),
            state: Some(state(3)),
            hosts: None,
            log: None,
        };
        let record = InfraRecord { applied: Some(applied), ..InfraRecord::default() };
        assert!(record.is_settled("infra", Some(&one), Some(&state(3))));
        assert!(!record.is_settled("infra", Some(&two), Some(&state(3))));
        assert!(!record.is_settled("infra", None, Some(&state(3))));
        assert!(!record.is_settled("infra", Some(&one), Some(&state(4))));
        assert!(!record.is_settled("infra", Some(&one), None));
        assert!(!record.is_settled("other", Some(&one), Some(&state(3))));
        let other = StateId { lineage: "b".into(), serial: 3 };
        assert!(!record.is_settled("infra", Some(&one), Some(&other)));
        let unknown = InfraApplied { configuration: None, ..record.applied.clone().unwrap() };
        let unknown = InfraRecord { applied: Some(unknown), ..InfraRecord::default() };
        assert!(!unknown.is_settled("infra", None, Some(&state(3))), "what has no hash is always planned");
        assert!(unknown.is_recorded("infra", None, Some(&state(3))), "and recorded once");
        let open = InfraRecord { open: true, ..record };
        assert!(!open.is_settled("infra", Some(&one), Some(&state(3))));
        assert!(!InfraRecord::default().is_settled("infra", Some(&one), Some(&state(3))));
    }
}
