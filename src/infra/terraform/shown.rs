//! `terraform show -json` of a plan, without the values in it.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::infra::{Change, Changes};

#[derive(Deserialize)]
struct Plan {
    #[serde(default)]
    resource_changes: Vec<Resource>,
    #[serde(default)]
    resource_drift: Vec<Resource>,
    #[serde(default)]
    output_changes: BTreeMap<String, Actions>,
}

#[derive(Deserialize)]
struct Resource {
    address: String,
    change: Actions,
}

#[derive(Deserialize)]
struct Actions {
    actions: Vec<String>,
}

fn change(address: String, change: Actions) -> Option<Change> {
    let nothing = change.actions.iter().all(|action| matches!(action.as_str(), "no-op" | "read"));
    (!nothing).then_some(Change { address, actions: change.actions })
}

/// What a plan does. Whether there is anything to apply is what the plan's exit code said.
pub(super) fn changes(text: &str, applicable: bool) -> Result<Changes, serde_json::Error> {
    let plan: Plan = serde_json::from_str(text)?;
    let resources = |all: Vec<Resource>| all.into_iter().filter_map(|one| change(one.address, one.change));
    Ok(Changes {
        applicable,
        resources: resources(plan.resource_changes).collect(),
        outputs: plan
            .output_changes
            .into_iter()
            .filter_map(|(name, actions)| change(name, actions))
            .collect(),
        drifted: resources(plan.resource_drift).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invariant_10_only_addresses_and_actions_are_read() {
        let text = r#"{"format_version":"1.2","variables":{"password":{"value":"hunter22"}},
            "resource_changes":[
                {"address":"aws_instance.a","change":{"actions":["create"],"after":{"user_data":"hunter22"}}},
                {"address":"aws_instance.b","change":{"actions":["no-op"]}},
                {"address":"data.aws_ami.c","change":{"actions":["read"]}},
                {"address":"aws_instance.d","change":{"actions":["delete","create"]}}],
            "resource_drift":[{"address":"aws_eip.e","change":{"actions":["update"],"before":{"x":"hunter22"}}}],
            "output_changes":{"relman_hosts":{"actions":["update"],"after":"hunter22"},"same":{"actions":["no-op"]}}}"#;
        let changes = changes(text, true).unwrap();
        let shown = |all: &[Change]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(shown(&changes.resources), ["create aws_instance.a", "replace aws_instance.d"]);
        assert_eq!(shown(&changes.drifted), ["update aws_eip.e"]);
        assert_eq!(shown(&changes.outputs), ["update relman_hosts"]);
        assert!(!serde_json::to_string(&changes).unwrap().contains("hunter22"));
    }

    #[test]
    fn an_empty_plan_has_nothing_in_it() {
        assert_eq!(changes("{}", false).unwrap(), Changes::default());
        assert!(changes("3", false).is_err());
    }
}
