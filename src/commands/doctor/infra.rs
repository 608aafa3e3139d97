//! Terraform: there, recent enough, initialised, its state readable, its outputs those of the configuration. Nothing is
//! initialised, and no lock is taken or broken: to take one is to write.

use super::aws::Account;
use super::{Check, CommandError, Infra, State, Supply};
use crate::infra::InfraError;
use crate::infra::inventory::{CONFIG, InfraConfig};

pub(super) async fn terraform(
    infra: Option<&Infra>,
    supply: Option<&Supply>,
    account: Option<&Account>,
) -> Vec<Check> {
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
    found.push(match port.state().await {
        Ok(Some(state)) => Check::ok(
            "state",
            format!("serial {}; whether somebody holds its lock, a plan tells", state.serial),
        ),
        Ok(None) => Check::ok("state", "none yet"),
        Err(error) => match permission(&error) {
            Some(permission) => Check::new("state", State::NotChecked, permission),
            None => failed("state", error),
        },
    });
    found.extend(agreement(infra, supply, account).await);
    found
}

/// Which permission lacks, where that is why it could not be looked at.
fn permission(error: &InfraError) -> Option<String> {
    let InfraError::Failed { said, log, .. } = error else { return None };
    let named = [said, log].into_iter().find_map(|text| {
        let (_, rest) = text.split_once("not authorized to perform: ")?;
        rest.split_whitespace().next()
    });
    let is_denied = [said, log].into_iter().any(|text| text.contains("AccessDenied"));
    match named {
        Some(action) => Some(format!("the permission {action} is missing")),
        None => is_denied.then(|| "the permission to read it is missing".to_owned()),
    }
}

fn failed(name: &str, error: InfraError) -> Check {
    super::failed(name, &CommandError::from(error), "relman infra plan")
}

/// What the infrastructure was made with, beside what the configuration uses. Images that go to one repository and hosts
/// that pull from another do not meet, and so with ledger and artifacts.
async fn agreement(infra: &Infra, supply: Option<&Supply>, account: Option<&Account>) -> Vec<Check> {
    let Ok(outputs) = infra.port.outputs().await else { return Vec::new() };
    let Some(config) = outputs.get(CONFIG) else { return Vec::new() };
    let Ok(config) = serde_json::from_value::<InfraConfig>(config.clone()) else { return Vec::new() };
    let region = match account {
        Some(account) => account.survey.region().await.ok(),
        None => None,
    };
    let table = account.and_then(|account| account.table.as_deref());
    let bucket = account.and_then(|account| account.bucket.as_ref()).map(|(name, _)| name.as_str());
    let mut found = Vec::new();
    if let Some(supply) = supply {
        let used = Some(supply.image.repository.as_str());
        found.extend(differs("repository", config.repository_url, used, "image.repository in relman.toml"));
    }
    found.extend(differs(
        "ledger table",
        config.ledger_table,
        table,
        "the table of ledger.url in relman.toml",
    ));
    let of_bucket = "the bucket of artifacts.url in relman.toml";
    found.extend(differs("artifacts bucket", config.artifacts_bucket, bucket, of_bucket));
    if region.is_some() {
        found.extend(differs(
            "region",
            config.region,
            region.as_deref(),
            "AWS_REGION or region of the profile",
        ));
    }
    found
}

fn differs(name: &str, made: Option<String>, used: Option<&str>, key: &str) -> Option<Check> {
    let made = made.filter(|made| Some(made.as_str()) != used)?;
    let used = used.map_or_else(|| format!("{key} names none"), |used| format!("{key} is {used}"));
    let detail = format!("the infrastructure was made with {made}, and {used}");
    Some(Check::warning(
        name,
        detail,
        format!("let {key} be {made}, or apply the infrastructure with the other"),
    ))
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
            groups: Arc::new(crate::infra::fake::groups::FakeGroups::default()),
        }
    }

    fn states(checks: &[Check]) -> Vec<(&str, State)> {
        checks.iter().map(|check| (check.name.as_str(), check.state)).collect()
    }

    #[tokio::test]
    async fn a_look_at_the_state_takes_no_lock() {
        let world = World::new(&[], None);
        let fake = FakeInfra::default();
        assert_eq!(terraform(None, None, None).await, []);
        let good = terraform(Some(&infra(&fake)), Some(&world.supply), None).await;
        assert_eq!(
            states(&good),
            [("terraform", State::Ok), ("infrastructure", State::Ok), ("state", State::Ok)]
        );
        // Where a lock is held, whoever takes one hears of it.
        fake.want_slow(&[]);
        fake.somebody_applies().await;
        let held = terraform(Some(&infra(&fake)), Some(&world.supply), None).await;
        assert_eq!(states(&held), states(&good), "{held:?}");
    }

    #[test]
    fn what_may_not_be_read_is_not_broken() {
        let error = |said: &str, log: &str| InfraError::Failed {
            what: "terraform state pull in infra".into(),
            said: said.into(),
            log: log.into(),
        };
        let full = "User: arn:aws:sts::1:assumed-role/deploy/x is not authorized to perform: s3:ListBucket on resource: b";
        assert_eq!(
            permission(&error("Error loading state", full)).as_deref(),
            Some("the permission s3:ListBucket is missing")
        );
        let short = "operation error S3: HeadObject, StatusCode: 403, api error AccessDenied: Access Denied";
        assert_eq!(permission(&error(short, "")).as_deref(), Some("the permission to read it is missing"));
        assert_eq!(permission(&error("no such host", "")), None);
    }

    #[tokio::test]
    async fn what_cannot_be_asked_is_a_failure_and_another_repository_a_warning() {
        let world = World::new(&[], None);
        let fake = FakeInfra::default();
        fake.world().outputs.insert(CONFIG.into(), json!({
            "repository_url": "r.example/other", "ledger_table": "web-ledger", "artifacts_bucket": "web-artifacts",
            "region": "eu-central-1",
        }));
        fake.want(&["a"]);
        fake.somebody_applies().await;
        let other = terraform(Some(&infra(&fake)), Some(&world.supply), None).await;
        let differing = ["repository", "ledger table", "artifacts bucket"].map(|name| (name, State::Warning));
        assert_eq!(states(&other)[3..], differing);
        assert!(
            other[4]
                .detail
                .contains("made with web-ledger, and the table of ledger.url in relman.toml names none")
        );
        assert_eq!(differs("region", Some("a".into()), Some("a"), "AWS_REGION"), None);
        assert!(
            differs("region", Some("a".into()), Some("b"), "AWS_REGION")
                .unwrap()
                .detail
                .contains("AWS_REGION is b")
        );
        fake.world().down = true;
        let down = terraform(Some(&infra(&fake)), Some(&world.supply), None).await;
        assert_eq!(
            states(&down),
            [("terraform", State::Ok), ("infrastructure", State::Failed), ("state", State::NotChecked)]
        );
    }
}
