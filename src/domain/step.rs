//! The steps of a deployment: a closed, serialisable enum. What undoes a step is a step again.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::id::HostName;

/// One step. Each may be performed twice, and each undo accepts that the step never happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Bring the host itself into shape (engine, proxy, relman-host) and claim it.
    Configure {
        /// The host.
        host: HostName,
    },
    /// Pull by digest, start in the idle slot, probe until healthy. No traffic.
    Prepare {
        /// The host.
        host: HostName,
    },
    /// Remove what [`Step::Prepare`] made.
    Discard {
        /// The host.
        host: HostName,
    },
    /// Send this share of the host's traffic to the prepared slot.
    Shift {
        /// The host.
        host: HostName,
        /// Percent of requests.
        weight: u8,
    },
    /// Send all traffic back to the committed slot.
    Revert {
        /// The host.
        host: HostName,
    },
    /// Watch the release under traffic.
    Bake {
        /// For how long.
        seconds: u64,
    },
    /// The pivot: from here on only forward.
    Commit,
    /// Make the shift final on the host.
    Confirm {
        /// The host.
        host: HostName,
    },
    /// Let the old slot finish its requests and stop it.
    Retire {
        /// The host.
        host: HostName,
    },
}

impl Step {
    /// Name of [`Step::Shift`]; entries tell steps by name, and some names decide what an entry amounts to.
    pub const SHIFT: &str = "shift";
    /// Name of [`Step::Bake`].
    pub const BAKE: &str = "bake";
    /// Name of [`Step::Confirm`].
    pub const CONFIRM: &str = "confirm";

    /// The step that undoes this one, if there is anything to undo.
    pub fn undo(&self) -> Option<Step> {
        match self {
            Self::Prepare { host } => Some(Self::Discard { host: host.clone() }),
            Self::Shift { host, .. } => Some(Self::Revert { host: host.clone() }),
            Self::Configure { .. }
            | Self::Discard { .. }
            | Self::Revert { .. }
            | Self::Bake { .. }
            | Self::Commit
            | Self::Confirm { .. }
            | Self::Retire { .. } => None,
        }
    }

    /// The host that it is about.
    pub fn host(&self) -> Option<&HostName> {
        match self {
            Self::Configure { host }
            | Self::Prepare { host }
            | Self::Discard { host }
            | Self::Shift { host, .. }
            | Self::Revert { host }
            | Self::Confirm { host }
            | Self::Retire { host } => Some(host),
            Self::Bake { .. } | Self::Commit => None,
        }
    }

    /// Its name, for people and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Configure { .. } => "configure",
            Self::Prepare { .. } => "prepare",
            Self::Discard { .. } => "discard",
            Self::Shift { .. } => Self::SHIFT,
            Self::Revert { .. } => "revert",
            Self::Bake { .. } => Self::BAKE,
            Self::Commit => "commit",
            Self::Confirm { .. } => Self::CONFIRM,
            Self::Retire { .. } => "retire",
        }
    }

    /// Whether a request may reach the candidate once this step may have run.
    pub fn exposes(&self) -> bool {
        matches!(self, Self::Shift { weight, .. } if *weight > 0)
    }

    /// Whether the deployment stands although this step failed beyond the pivot. A slot that was not cleaned up
    /// is a warning; a shift that a host did not confirm is not.
    pub fn may_lag(&self) -> bool {
        matches!(self, Self::Retire { .. })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host() {
            Some(host) => write!(f, "{} {host}", self.name()),
            None => f.write_str(self.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undo_leads_to_steps_that_need_no_undo() {
        let host: HostName = "web-1".parse().unwrap();
        for step in [Step::Prepare { host: host.clone() }, Step::Shift { host, weight: 100 }] {
            let undo = step.undo().unwrap();
            assert_eq!(undo.undo(), None);
            assert_eq!(undo.host(), step.host());
        }
    }
}
