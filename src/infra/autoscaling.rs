//! The members of an Auto Scaling group of AWS. Account and region are those of the standard environment.

use std::sync::Arc;

use aws_sdk_autoscaling::Client;
use aws_sdk_autoscaling::types::Instance;

use super::members::{GroupError, Groups, Member, Standing};
use crate::aws::{Chain, Fault, QUICK};

const ACTION: &str = "autoscaling:DescribeAutoScalingGroups";

/// Auto Scaling, reached with the first question.
#[derive(Debug)]
pub struct AutoScaling {
    chain: Arc<Chain>,
}

impl AutoScaling {
    /// By this chain.
    pub fn new(chain: Arc<Chain>) -> Self {
        Self { chain }
    }
}

/// What an instance is there for, by its state in the group.
///
/// Whatever is not known to leave is a member: a release that misses one of them is served for ever beside the one that
/// was deployed. Those that leave are none: requests are being drained from them, they are gone within minutes and would
/// only fail a deploy; one that was detached is its new owner's. Those that come or stand by get no requests, and are
/// still members: one that was on standby goes back into service without a boot, and so without asking the ledger what
/// to serve. Warmed ones are no instances of the group yet, and boot into what the ledger wants.
fn standing(state: &str) -> Standing {
    let (first, _) = state.split_once(':').unwrap_or((state, ""));
    match first {
        "Terminating" | "Terminated" | "Detaching" | "Detached" | "Warmed" => Standing::Leaves,
        "Pending" | "EnteringStandby" | "Standby" => Standing::Aside,
        _ => Standing::Serves,
    }
}

fn member(instance: &Instance) -> Option<Member> {
    let state = instance.lifecycle_state().map(|state| state.as_str()).unwrap_or_default();
    Some(Member { id: instance.instance_id()?.to_owned(), standing: standing(state) })
}

#[async_trait::async_trait]
impl Groups for AutoScaling {
    async fn members(&self, group: &str) -> Result<Vec<Member>, GroupError> {
        let unavailable = |region: &str, fault: Fault| GroupError::Unavailable {
            group: group.to_owned(),
            region: region.to_owned(),
            source: fault.into(),
        };
        let config = self.chain.config(QUICK).await.map_err(|fault| unavailable("no region", fault))?;
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        let asked =
            Client::new(&config).describe_auto_scaling_groups().auto_scaling_group_names(group).send();
        let said = asked.await.map_err(|error| unavailable(&region, Fault::of(ACTION, error)))?;
        let found =
            said.auto_scaling_groups().iter().find(|one| one.auto_scaling_group_name() == Some(group));
        match found {
            Some(found) => Ok(found.instances().iter().filter_map(member).collect()),
            None => Err(GroupError::Missing { group: group.to_owned(), region }),
        }
    }
}

#[cfg(test)]
mod tests;
