//! Terraform: there, recent enough, initialised, its lock free, its outputs of use. Nothing is initialised and no lock
//! is broken.

use super::{Check, CommandError, Infra, Supply, chain};
use crate::infra::InfraError;
use crate::infra::inventory::{CONFIG, InfraConfig};

pub(super) async fn terraform(infra: Option<&Infra>, supply: Option<&Supply>) -> Vec<Check> {
    let Some(infra) = infra else { return Vec::new() };
    let port = &*infra.port;
    let mut found = Vec::new();
    match port.version().await {
        Ok(version) => found.push(Check::ok("terraform", version)),
        Err(error) => return vec![failed("terraform", error)],
    }
    if let Err(error) = port.validate().await {
        found.push(failed("infrastructure", error));
        found.push(Check::not_checked("state", "an initialised configuration"));
        return found;
    }
    found.push(Check::ok("infrastructure", port.location()));
    found.push(match port.unlocked().await {
        Ok(()) => Check::ok("state", "nobody holds its lock"),
        Err(error @ InfraError::Locked { .. }) => {
            let error = CommandError::from(error);
            Check::warning("state", chain(&error), error.hints.join("; "))
        }
        Err(error) => failed("state", error),
    });
    found.extend(repository(infra, supply).await);
    found
}

fn failed(name: &str, error: InfraError) -> Check {
    super::failed(name, &CommandError::from(error), "relman infra plan")
}

/// Images that go to one repository and hosts that pull from another do not meet.
async fn repository(infra: &Infra, supply: Option<&Supply>) -> Option<Check> {
    let outputs = infra.port.outputs().await.ok()?;
    let config: InfraConfig = serde_json::from_value(outputs.get(CONFIG)?.clone()).ok()?;
    let (made, used) = (config.repository_url?, &supply?.image.repository);
    (made != *used).then(|| {
        let detail = format!("the infrastructure has {made}, and image.repository is {used}");
        Check::warning("repository", detail, "let image.repository in relman.toml be the one that was made")
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::super::super::testing::World;
    use super::super::State;
    use super::*;
    use crate::config::Provision;
    use crate::infra::contract::Bench as _;
    use crate::infra::fake::FakeInfra;

    fn infra(fake: &FakeInfra) -> Infra {
        let fleet = crate::host::fake::FakeFleet::ready(&[]);
        let fleet: Arc<dyn crate::host::Fleet> = Arc::new(fleet);
        Infra {
            port: Arc::new(fake.clone()),
            provision: Provision::Skip,
            private: false,
            fleet: Arc::new(move |_| Ok(fleet.clone())),
        }
    }

    fn states(checks: &[Check]) -> Vec<(&str, State)> {
        checks.iter().map(|check| (check.name.as_str(), check.state)).collect()
    }

    #[tokio::test]
    async fn a_held_lock_is_a_warning_with_the_exact_command() {
        let world = World::new(&[], None);
        let fake = FakeInfra::default();
        assert_eq!(terraform(None, None).await, []);
        let good = terraform(Some(&infra(&fake)), Some(&world.supply)).await;
        assert_eq!(
            states(&good),
            [("terraform", State::Ok), ("infrastructure", State::Ok), ("state", State::Ok)]
        );
        fake.want_slow(&[]);
        fake.somebody_applies().await;
        let held = terraform(Some(&infra(&fake)), Some(&world.supply)).await;
        assert_eq!(held[2].state, State::Warning);
        assert!(
            held[2].fix.as_ref().unwrap().contains("terraform -chdir=infra force-unlock lock-0"),
            "{held:?}"
        );
        assert!(held[2].detail.contains("ada@laptop"), "{held:?}");
    }

    #[tokio::test]
    async fn what_cannot_be_asked_is_a_failure_and_another_repository_a_warning() {
        let world = World::new(&[], None);
        let fake = FakeInfra::default();
        fake.world().outputs.insert(CONFIG.into(), json!({"repository_url": "r.example/other"}));
        fake.want(&["a"]);
        fake.somebody_applies().await;
        let other = terraform(Some(&infra(&fake)), Some(&world.supply)).await;
        assert_eq!(states(&other)[3], ("repository", State::Warning));
        fake.world().down = true;
        let down = terraform(Some(&infra(&fake)), Some(&world.supply)).await;
        assert_eq!(
            states(&down),
            [("terraform", State::Ok), ("infrastructure", State::Failed), ("state", State::NotChecked)]
        );
    }
}
