//! The plan of a deployment: stages that follow each other, steps in a stage that run side by side. It is written
//! to the ledger before anything happens, and is the plan that runs; resume never plans again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::deployment::{Kind, ReturnPoint};
use super::id::{DeploymentId, Digest, HostName, ServiceName};
use super::release::ReleaseRef;
use super::step::Step;

/// Position of a step in the plan, counted over all stages.
pub type StepIndex = u32;

/// Steps that may run at the same time: the same thing on different hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// The steps.
    pub steps: Vec<Step>,
}

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The service.
    pub service: ServiceName,
    /// The deployment.
    pub deployment: DeploymentId,
    /// Why it exists.
    pub kind: Kind,
    /// What will serve.
    pub candidate: ReleaseRef,
    /// The candidate's run configuration, an artifact.
    pub run: Digest,
    /// What serves now, and will again if this fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_point: Option<ReturnPoint>,
    /// The hosts.
    pub hosts: Vec<HostName>,
    /// What each host served when it was observed: what it must serve again if this fails. A host that served
    /// nothing is not in it.
    #[serde(default)]
    pub before: BTreeMap<HostName, Digest>,
    /// Seconds that requests to the old slot may still take after the switch.
    pub drain_seconds: u64,
    /// Hosts that may stay behind before it goes back everywhere. Those of `absent` are among them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failure_budget: u32,
    /// Hosts that could not be asked when it was planned, and why. No step is about them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub absent: BTreeMap<HostName, String>,
    /// The stages in order.
    pub stages: Vec<Stage>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Plan {
    /// All steps with their index.
    pub fn steps(&self) -> impl Iterator<Item = (StepIndex, &Step)> {
        (0..).zip(self.stages.iter().flat_map(|stage| stage.steps.iter()))
    }

    /// The step at an index.
    pub fn step(&self, index: StepIndex) -> Option<&Step> {
        self.steps().find(|(i, _)| *i == index).map(|(_, step)| step)
    }

    /// Whether nothing has to be done before the pivot.
    pub fn begins_with_its_pivot(&self) -> bool {
        self.stages.first().is_some_and(|stage| stage.steps == [Step::Commit])
    }

    /// The indexes of each stage, in order.
    pub fn stage_indexes(&self) -> Vec<std::ops::Range<StepIndex>> {
        let mut from = 0;
        self.stages
            .iter()
            .map(|stage| {
                let to = from + stage.steps.len() as StepIndex;
                let range = from..to;
                from = to;
                range
            })
            .collect()
    }
}
