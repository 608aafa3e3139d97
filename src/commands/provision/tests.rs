//! Provisioning over fakes: what is recorded, what is skipped, and that no host is asked before it is done.

mod members;

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::roster::recorded;
use super::*;
use crate::commands::deploy::{self, ReportResult};
use crate::commands::testing::{World, commit};
use crate::commands::{infra, rollback, status};
use crate::domain::infra::StateId;
use crate::domain::target::Target;
use crate::host::Fleet;
use crate::host::fake::FakeFleet;
use crate::infra::Infrastructure as _;
use crate::infra::contract::Bench as _;
use crate::infra::fake::FakeInfra;
use crate::infra::fake::groups::FakeGroups;
use crate::infra::inventory::{CONFIG, HOSTS};
use crate::ledger::Ledger as _;

const NOW: Locking = Locking::Wait(Duration::ZERO);

struct Land {
    world: World,
    infra: FakeInfra,
    groups: Arc<FakeGroups>,
    leaves: members::Leaves,
}

/// An environment whose one host is there once its resource was made, and releases 1.0.0 and 1.1.0.
async fn land(provision: Provision) -> Land {
    let mut world = World::new(&["web-1"], None);
    let fake = FakeInfra::default();
    fake.want(&["vm"]);
    fake.world().outputs.insert(HOSTS.into(), json!([{"name": "web-1", "address": "10.0.0.1"}]));
    let fleet: Arc<dyn Fleet> = world.fleet.clone();
    let groups = Arc::new(FakeGroups::default());
    world.site.infra = Some(Infra {
        port: Arc::new(fake.clone()),
        provision,
        private: true,
        fleet: Arc::new(move |hosts| {
            assert_eq!(hosts[0].name.as_str(), "web-1");
            Ok(fleet.clone())
        }),
        groups: groups.clone(),
    });
    world.site.fleet = Arc::new(FakeFleet::ready(&[]));
    world.release("1.0.0", &commit('a')).await;
    world.release("1.1.0", &commit('b')).await;
    Land { world, infra: fake, groups, leaves: members::Leaves::default() }
}

impl Land {
    async fn deploy(&self, version: &str) -> Result<deploy::Report, CommandError> {
        self.deploy_with(deploy::Args { target: target(version), ..deploy::Args::default() }).await
    }

    async fn deploy_with(&self, args: deploy::Args) -> Result<deploy::Report, CommandError> {
        deploy::run(&self.world.context, &self.world.site, &self.world.supply, args).await
    }

    async fn kinds(&self) -> Vec<&'static str> {
        let entries = self.world.ledger.read(&self.world.stream(), 0, 1_000).await.unwrap();
        entries
            .iter()
            .map(|sealed| sealed.entry.event.kind())
            .filter(|kind| !kind.starts_with("lease"))
            .collect()
    }

    async fn infra_kinds(&self) -> Vec<&'static str> {
        self.kinds().await.into_iter().filter(|kind| kind.starts_with("infra")).collect()
    }

    fn counts(&self) -> (u32, u32) {
        let world = self.infra.world();
        (world.plans, world.applies)
    }

    async fn holds(&self) {
        let verified = crate::ledger::verify::verify(&*self.world.ledger).await.unwrap();
        assert!(verified.holds(), "{verified:?}");
        assert!(
            self.world.ledger.lease(&self.world.stream()).await.unwrap().is_none_or(|lease| lease.released)
        );
    }
}

fn target(version: &str) -> Option<Target> {
    Some(version.parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_first_deploy_makes_its_hosts_and_records_it_before_it_asks_them() {
    let land = land(Provision::Apply).await;
    let report = land.deploy("1.0.0").await.unwrap();
    assert_eq!(report.result, ReportResult::Deployed);
    let kinds = land.kinds().await;
    assert_eq!(&kinds[..4], ["infra.started", "infra.applied", "deployment.started", "deployment.planned"]);
    let record = land.world.context.infra(&land.world.stream()).await.unwrap();
    let applied = record.applied.unwrap();
    assert_eq!(applied.state.unwrap(), StateId { lineage: "fake".into(), serial: 1 });
    assert!(!record.open && applied.log.is_some());
    let listing = recorded(&land.world.context, &land.world.stream()).await.unwrap().unwrap();
    assert_eq!(listing.hosts[0].address, "10.0.0.1");
    land.holds().await;
}

#[tokio::test(start_paused = true)]
async fn it_is_skipped_until_the_configuration_or_the_state_moves() {
    let mut land = land(Provision::Apply).await;
    land.deploy("1.0.0").await.unwrap();
    land.world.site.fleet = land.world.fleet.clone();
    assert_eq!(land.counts(), (1, 1));
    land.deploy("1.1.0").await.unwrap();
    assert_eq!(land.counts(), (1, 1), "nothing moved");
    land.infra.want(&["vm", "disk"]);
    land.deploy("1.1.0").await.unwrap();
    assert_eq!(land.counts(), (2, 2), "the configuration moved");
    land.infra.lose("disk").await;
    land.deploy("1.1.0").await.unwrap();
    assert_eq!(land.counts(), (3, 3), "the state moved");
    // A configuration that moved and wants the same is planned once, and known from then on.
    land.infra.want(&["disk", "vm"]);
    land.infra.world().outputs.insert("names".into(), json!("x"));
    for _ in 0..2 {
        land.deploy("1.1.0").await.unwrap();
    }
    assert!(land.counts().0 <= 5, "{:?}", land.counts());
    land.holds().await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_touches_no_host_and_is_tried_again() {
    let land = land(Provision::Apply).await;
    land.infra.want_broken(&["vm"]);
    let error = land.deploy("1.0.0").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Failed);
    assert!(error.message.contains("cannot be made"), "{error}");
    assert_eq!(land.kinds().await, ["infra.started", "infra.failed"]);
    assert!(land.world.fleet.take_calls().is_empty());
    assert!(land.world.context.infra(&land.world.stream()).await.unwrap().open);
    land.holds().await;
    land.infra.want(&["vm"]);
    land.deploy("1.0.0").await.unwrap();
    let record = land.world.context.infra(&land.world.stream()).await.unwrap();
    assert!(!record.open && record.applied.is_some());
}

/// What was half done and then wished away must be planned again, although configuration and state are known.
#[tokio::test(start_paused = true)]
async fn what_failed_is_never_taken_for_settled() {
    let mut land = land(Provision::Apply).await;
    land.deploy("1.0.0").await.unwrap();
    land.world.site.fleet = land.world.fleet.clone();
    land.infra.world().lock = None;
    land.infra.want_broken(&["vm"]);
    land.deploy("1.1.0").await.unwrap_err();
    let (plans, _) = land.counts();
    land.infra.want(&["vm"]);
    land.deploy("1.1.0").await.unwrap();
    assert_eq!(land.counts().0, plans + 1);
}

#[tokio::test(start_paused = true)]
async fn a_check_tells_and_applies_nothing() {
    let mut land = land(Provision::Check).await;
    land.world.site.fleet = land.world.fleet.clone();
    land.deploy("1.0.0").await.unwrap();
    assert_eq!(land.counts(), (1, 0));
    assert!(land.infra_kinds().await.is_empty());
    land.infra.want_slow(&[]);
    land.infra.somebody_applies().await;
    let error = land.deploy("1.1.0").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Failed);
    assert!(error.hints.iter().any(|hint| hint.contains("force-unlock lock-0")), "{:?}", error.hints);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_never_touches_the_infrastructure() {
    let mut land = land(Provision::Apply).await;
    land.deploy("1.0.0").await.unwrap();
    land.world.site.fleet = land.world.fleet.clone();
    land.deploy("1.1.0").await.unwrap();
    let before = land.counts();
    land.infra.want(&["vm", "disk"]);
    land.infra.world().down = true;
    let args = rollback::Args::default();
    let report =
        rollback::run(&land.world.context, &land.world.site, &land.world.supply, args).await.unwrap();
    assert_eq!(report.version, Some("1.0.0".parse().unwrap()));
    assert_eq!(land.counts(), before);
    land.holds().await;
}

#[tokio::test(start_paused = true)]
async fn what_exists_goes_away_only_when_that_was_said() {
    let mut land = land(Provision::Apply).await;
    land.infra.want(&["vm", "disk"]);
    land.deploy("1.0.0").await.unwrap();
    land.world.site.fleet = land.world.fleet.clone();
    land.infra.want(&["vm"]);
    let error = land.deploy("1.1.0").await.unwrap_err();
    assert_eq!(
        (error.kind, error.details.as_slice()),
        (ErrorKind::Refused, &["delete fake.disk".to_owned()][..])
    );
    assert_eq!(land.infra_kinds().await.len(), 2, "nothing was begun");
    let args = deploy::Args { target: target("1.1.0"), yes: true, ..deploy::Args::default() };
    land.deploy_with(args).await.unwrap();
    assert_eq!(land.infra.world().real, ["vm"]);
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_lets_it_stop_by_itself_and_gives_the_lock_back() {
    let land = land(Provision::Apply).await;
    land.infra.want_slow(&["vm"]);
    let asking = async {
        land.infra.begun().await;
        land.world.context.interrupt.raise();
    };
    let (result, ()) = tokio::join!(land.deploy("1.0.0"), asking);
    assert_eq!(result.unwrap_err().kind, ErrorKind::Interrupted);
    assert_eq!(land.kinds().await, ["infra.started", "infra.failed"]);
    assert!(land.infra.plan(Locking::Wait(Duration::ZERO), &Interrupt::default()).await.is_ok());
    land.holds().await;
}

#[tokio::test(start_paused = true)]
async fn outputs_that_cannot_be_used_fail_the_deploy_and_keep_the_apply() {
    let land = land(Provision::Apply).await;
    land.infra.world().outputs.insert(HOSTS.into(), json!([{"name": "web-1", "address": "198.51.100.7"}]));
    let error = land.deploy("1.0.0").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Usage);
    assert!(error.message.contains("198.51.100.7 is public"), "{error}");
    assert_eq!(land.kinds().await, ["infra.started", "infra.applied"]);
    assert_eq!(recorded(&land.world.context, &land.world.stream()).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_plans_both_and_changes_neither() {
    let land = land(Provision::Apply).await;
    let args = || deploy::Args { target: target("1.0.0"), dry_run: true, ..deploy::Args::default() };
    let report = land.deploy_with(args()).await.unwrap();
    assert_eq!(report.result, ReportResult::Planned);
    assert!(report.notes.iter().any(|note| note.contains("1 to create")), "{:?}", report.notes);
    assert_eq!(land.counts(), (1, 0));
    assert!(land.kinds().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_verbs_plan_apply_and_tell_drift() {
    let land = land(Provision::Skip).await;
    let (context, site) = (&land.world.context, &land.world.site);
    let planned = infra::plan(context, &site.name, site.infra.as_ref(), NOW).await.unwrap();
    assert_eq!((planned.result, planned.differs, planned.created), (infra::ReportResult::Planned, true, 1));
    assert_eq!(planned.state, None);
    let applied = infra::apply(context, site, infra::Args::default()).await.unwrap();
    assert_eq!(applied.result, infra::ReportResult::Applied);
    assert_eq!(applied.state.unwrap().serial, 1);
    let again = infra::apply(context, site, infra::Args::default()).await.unwrap();
    assert_eq!((again.result, again.differs), (infra::ReportResult::NothingToDo, false));
    assert_eq!(land.infra_kinds().await, ["infra.started", "infra.applied"]);
    land.infra.lose("vm").await;
    assert!(infra::plan(context, &site.name, site.infra.as_ref(), NOW).await.unwrap().differs);
    land.holds().await;
}

#[tokio::test(start_paused = true)]
async fn no_apply_below_a_deployment_that_has_not_ended() {
    let land = land(Provision::Skip).await;
    let release = land.world.release("1.2.0", &commit('c')).await;
    let run = land.world.site.run.clone();
    let lease = land.world.begin(1, &release, &run).await;
    let draft = land.world.context.draft(Event::LeaseReleased {});
    land.world.ledger.release(&lease, draft).await.unwrap();
    let error =
        infra::apply(&land.world.context, &land.world.site, infra::Args::default()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InProgress);
    assert_eq!(land.counts(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_environment_without_a_configuration_says_where_to_name_it() {
    let world = World::new(&["web-1"], None);
    let error =
        infra::plan(&world.context, &world.site.name, world.site.infra.as_ref(), NOW).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Usage);
    assert!(error.hints[0].contains("[environments.production.terraform]"));
}

/// Scaling in takes a machine away without a word: the next commands find the fleet as it is.
#[tokio::test(start_paused = true)]
async fn a_host_that_was_scaled_in_leaves_nothing_behind() {
    let Land { mut world, infra, .. } = land(Provision::Skip).await;
    let both: Arc<dyn Fleet> = Arc::new(FakeFleet::ready(&["web-1", "web-2"]));
    let made_by = world.site.infra.take();
    world.site.fleet = both.clone();
    let deploy = async |world: &World, version: &str| {
        let args = deploy::Args { target: target(version), ..deploy::Args::default() };
        deploy::run(&world.context, &world.site, &world.supply, args).await.unwrap()
    };
    deploy(&world, "1.0.0").await;
    deploy(&world, "1.1.0").await;
    let names = |hosts: &[crate::domain::id::HostName]| -> Vec<String> {
        hosts.iter().map(ToString::to_string).collect()
    };

    // From here on there is web-1 alone, which serves 1.0.0 as deployed below.
    world.site.fleet = Arc::new(FakeFleet::ready(&["web-1"]));
    let seen = status::run(&world.context, &world.site).await.unwrap();
    assert_eq!(names(&seen.forgotten), ["web-2"], "a list of hosts that lost one says so");
    world.site.infra = made_by;
    deploy(&world, "1.1.0").await;
    let seen = status::run(&world.context, &world.site).await.unwrap();
    assert_eq!((names(&seen.forgotten), seen.differs), (Vec::new(), false), "{seen:?}");
    let report = rollback::run(&world.context, &world.site, &world.supply, rollback::Args::default()).await;
    assert_eq!(report.unwrap().version.unwrap().to_string(), "1.0.0");
    let seen = status::run(&world.context, &world.site).await.unwrap();
    assert_eq!((names(&seen.forgotten), seen.differs), (Vec::new(), false), "{seen:?}");
    let verified = crate::ledger::verify::verify(&*world.ledger).await.unwrap();
    assert!(verified.holds(), "{verified:?}");
    drop(infra);
}

/// The state of another environment: a plan would make it into this one's.
#[tokio::test(start_paused = true)]
async fn what_is_anothers_is_not_even_planned() {
    let land = land(Provision::Skip).await;
    land.infra.world().outputs.insert(CONFIG.into(), json!({"environment": "staging"}));
    land.infra.somebody_applies().await;
    land.infra.want(&["vm", "disk"]);
    let error =
        infra::apply(&land.world.context, &land.world.site, infra::Args::default()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Usage);
    assert!(error.message.contains("of environment staging, and not of production"), "{error}");
    assert_eq!(land.counts(), (0, 0));
    assert!(land.infra_kinds().await.is_empty());
}
