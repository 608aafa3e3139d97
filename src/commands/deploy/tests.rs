//! From one environment to the next: what is promoted, in which order, and when the calendar says no.

use super::*;
use crate::commands::rollback;
use crate::commands::testing::{World, commit};
use crate::domain::freeze::Freeze;
use crate::host::fake::FakeFleet;

struct Two {
    world: World,
    staging: Site,
}

/// `staging` and `production`, where a release gets only after it is proven in `staging`.
fn two() -> Two {
    let mut world = World::new(&["web-1"], None);
    let fleet = std::sync::Arc::new(FakeFleet::ready(&["stage-1"]));
    let staging = Site { name: "staging".parse().unwrap(), fleet, ..world.site.clone() };
    world.site.settings.after = Some(staging.name.clone());
    Two { world, staging }
}

fn named(version: &str) -> Args {
    Args { target: Some(version.parse().unwrap()), ..Args::default() }
}

impl Two {
    async fn stage(&self, args: Args) -> Result<Report, CommandError> {
        run(&self.world.context, &self.staging, &self.world.supply, args).await
    }

    async fn produce(&self, args: Args) -> Result<Report, CommandError> {
        run(&self.world.context, &self.world.site, &self.world.supply, args).await
    }

    fn promotion(&self) -> Args {
        Args { from: Some(self.staging.name.clone()), ..Args::default() }
    }
}

#[tokio::test(start_paused = true)]
async fn what_one_environment_serves_is_promoted_with_its_digest() {
    let two = two();
    let release = two.world.release("1.0.0", &commit('a')).await;
    let error = two.produce(two.promotion()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
    two.stage(named("1.0.0")).await.unwrap();
    two.produce(Args { dry_run: true, ..two.promotion() }).await.unwrap();
    two.produce(two.promotion()).await.unwrap();
    assert_eq!(two.world.fleet.serving("web-1"), Some(release));
    let itself = Args { from: Some(two.world.site.name.clone()), ..Args::default() };
    assert_eq!(two.produce(itself).await.unwrap_err().kind, ErrorKind::Usage);
}

#[tokio::test(start_paused = true)]
async fn a_release_goes_first_where_the_order_says() {
    let two = two();
    two.world.release("1.0.0", &commit('a')).await;
    let later = two.world.release("1.1.0", &commit('b')).await;
    two.stage(named("1.0.0")).await.unwrap();
    two.produce(named("1.0.0")).await.unwrap();

    for dry_run in [true, false] {
        let error = two.produce(Args { dry_run, ..named("1.1.0") }).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused, "{error}");
        assert!(error.to_string().contains("v1.1.0 is not proven in staging"), "{error}");
        assert!(error.hints[0].contains("--from staging"), "{error:?}");
    }
    // Marked after it was proven: it is not proven any more.
    two.stage(named("1.1.0")).await.unwrap();
    let stream = two.world.context.stream(&two.staging.name);
    let version = later.version.clone();
    let faulty = Event::VerdictMarked {
        version: version.clone(),
        verdict: crate::domain::deployment::Verdict::Faulty,
        reason: "slow".to_owned(),
    };
    two.world.context.ledger.append(&stream, None, two.world.context.draft(faulty)).await.unwrap();
    assert_eq!(two.produce(two.promotion()).await.unwrap_err().kind, ErrorKind::Refused);

    let forced = Args { override_order: true, ..named("1.1.0") };
    assert_eq!(two.produce(forced.clone()).await.unwrap_err().kind, ErrorKind::Usage, "it needs a reason");
    two.produce(Args { reason: Some("urgent".to_owned()), ..forced }).await.unwrap();
    assert_eq!(two.world.fleet.serving("web-1"), Some(later));
    let record = two.world.context.deployment(&two.world.stream(), Some(2)).await.unwrap().unwrap();
    assert_eq!(record.overrides, ["override-order"]);

    // Back goes what was proven here, whatever staging thinks.
    let args = rollback::Args { reason: Some("x".to_owned()), ..rollback::Args::default() };
    rollback::run(&two.world.context, &two.world.site, &two.world.supply, args).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_freeze_keeps_deploys_away_and_no_rollback() {
    let mut two = two();
    two.world.site.settings.after = None;
    two.world.release("1.0.0", &commit('a')).await;
    let later = two.world.release("1.1.0", &commit('b')).await;
    two.produce(named("1.0.0")).await.unwrap();
    // The clock of the tests is the machine's: all of this and the next years.
    two.world.site.settings.freeze = vec![Freeze {
        from: "2020-01-01 00:00".parse().unwrap(),
        until: "2100-01-01 00:00".parse().unwrap(),
        zone: "Europe/Berlin".parse().unwrap(),
        reason: "the year end".to_owned(),
    }];
    for dry_run in [true, false] {
        let error = two.produce(Args { dry_run, ..named("1.1.0") }).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused, "{error}");
        assert_eq!(
            error.to_string(),
            "deploys are frozen until 2099-12-31T23:00:00.000Z (relman.toml): the year end"
        );
    }
    let forced =
        Args { override_freeze: true, reason: Some("a hole is closed".to_owned()), ..named("1.1.0") };
    two.produce(forced).await.unwrap();
    assert_eq!(two.world.fleet.serving("web-1"), Some(later));
    let args = rollback::Args { reason: Some("x".to_owned()), ..rollback::Args::default() };
    rollback::run(&two.world.context, &two.world.site, &two.world.supply, args).await.unwrap();
    assert_ne!(two.world.fleet.serving("web-1").unwrap().version.to_string(), "1.1.0");
}
