//! What every infrastructure must do, whatever it is made with. An implementation gives a [`Bench`] and runs
//! `infra_contract!`.

use std::time::Duration;

use super::{InfraError, Infrastructure, Locking};
use crate::interrupt::Interrupt;

/// A configuration that tests can change, and a way to reach around it.
#[async_trait::async_trait]
pub trait Bench: Send + Sync {
    /// What is tested.
    fn infra(&self) -> &dyn Infrastructure;
    /// Lets the configuration want these resources and no others. The output `names` lists them.
    fn want(&self, resources: &[&str]);
    /// Lets it want these and one that cannot be made.
    fn want_broken(&self, resources: &[&str]);
    /// Lets it want these and one whose making waits.
    fn want_slow(&self, resources: &[&str]);
    /// Returns once the making of the slow one has begun.
    async fn begun(&self);
    /// Lets somebody remove a resource beside the configuration.
    async fn lose(&self, resource: &str);
    /// Lets somebody else apply it as it is; with a slow resource they hold the lock until [`Bench::let_go`].
    async fn somebody_applies(&self);
    /// Lets them finish.
    async fn let_go(&self);
}

macro_rules! infra_contract {
    ($make:expr $(; $ignore:meta)?) => {
        $crate::infra::contract::each! { $make $(; $ignore)?;
            before_the_first_apply_there_is_nothing,
            what_was_planned_is_applied_and_then_there_is_nothing_to_do,
            a_configuration_is_known_again_by_its_hash,
            what_went_away_beside_the_configuration_is_seen,
            a_plan_is_stale_once_the_state_has_moved,
            a_held_lock_is_told_and_never_broken,
            what_fails_says_why_and_can_be_tried_again,
            what_is_stopped_frees_its_lock,
        }
    };
}

macro_rules! each {
    ($make:expr; $($case:ident),+ $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            $crate::infra::contract::$case(&$make).await;
        }
    )+};
    ($make:expr; $ignore:meta; $($case:ident),+ $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        #[$ignore]
        async fn $case() {
            $crate::infra::contract::$case(&$make).await;
        }
    )+};
}

pub(crate) use {each, infra_contract};

const NOW: Locking = Locking::Wait(Duration::ZERO);

async fn apply(infra: &dyn Infrastructure) -> Result<String, InfraError> {
    let never = Interrupt::default();
    infra.plan(NOW, &never).await?.apply(&never).await
}

async fn is_applicable(infra: &dyn Infrastructure) -> bool {
    infra.plan(NOW, &Interrupt::default()).await.unwrap().changes().applicable
}

pub(crate) async fn before_the_first_apply_there_is_nothing(bench: &dyn Bench) {
    let infra = bench.infra();
    bench.want(&["a"]);
    assert_eq!(infra.state().await.unwrap(), None);
    assert!(infra.outputs().await.unwrap().is_empty());
    infra.validate().await.unwrap();
    infra.version().await.unwrap();
    let plan = infra.plan(NOW, &Interrupt::default()).await.unwrap();
    let changes = plan.changes();
    assert!(changes.applicable && changes.differs());
    assert_eq!(changes.to_string(), "1 to create, 0 to change, 0 to delete");
    // To plan is to change nothing.
    assert_eq!(infra.state().await.unwrap(), None);
}

pub(crate) async fn what_was_planned_is_applied_and_then_there_is_nothing_to_do(bench: &dyn Bench) {
    let infra = bench.infra();
    bench.want(&["a", "b"]);
    let log = apply(infra).await.unwrap();
    assert!(!log.is_empty());
    let first = infra.state().await.unwrap().unwrap();
    assert_eq!(infra.outputs().await.unwrap()["names"], serde_json::json!(["a", "b"]));
    assert!(!is_applicable(infra).await);
    assert_eq!(infra.state().await.unwrap().unwrap(), first);

    bench.want(&["b"]);
    let plan = infra.plan(NOW, &Interrupt::default()).await.unwrap();
    assert_eq!(plan.changes().to_string(), "0 to create, 0 to change, 1 to delete");
    assert!(plan.changes().resources[0].destroys());
    plan.apply(&Interrupt::default()).await.unwrap();
    let second = infra.state().await.unwrap().unwrap();
    assert_eq!(second.lineage, first.lineage);
    assert!(second.serial > first.serial);
    assert_eq!(infra.outputs().await.unwrap()["names"], serde_json::json!(["b"]));
}

pub(crate) async fn a_configuration_is_known_again_by_its_hash(bench: &dyn Bench) {
    let infra = bench.infra();
    bench.want(&["a"]);
    let first = infra.configuration().await.unwrap().unwrap();
    apply(infra).await.unwrap();
    assert_eq!(infra.configuration().await.unwrap().unwrap(), first);
    bench.want(&["a", "b"]);
    assert_ne!(infra.configuration().await.unwrap().unwrap(), first);
    bench.want(&["a"]);
    assert_eq!(infra.configuration().await.unwrap().unwrap(), first);
}

pub(crate) async fn what_went_away_beside_the_configuration_is_seen(bench: &dyn Bench) {
    let infra = bench.infra();
    bench.want(&["a", "b"]);
    apply(infra).await.unwrap();
    bench.lose("a").await;
    let plan = infra.plan(NOW, &Interrupt::default()).await.unwrap();
    assert!(plan.changes().differs());
    assert_eq!(plan.changes().to_string(), "1 to create, 0 to change, 0 to delete");
    assert!(plan.changes().resources[0].address.ends_with('a'), "{:?}", plan.changes());
    plan.apply(&Interrupt::default()).await.unwrap();
    assert!(!is_applicable(infra).await);
}

pub(crate) async fn a_plan_is_stale_once_the_state_has_moved(bench: &dyn Bench) {
    let infra = bench.infra();
    bench.want(&["a"]);
    let plan = infra.plan(NOW, &Interrupt::default()).await.unwrap();
    bench.somebody_applies().await;
    let state = infra.state().await.unwrap();
    let error = plan.apply(&Interrupt::default()).await.unwrap_err();
    assert!(matches!(error, InfraError::Stale { .. }), "{error:?}");
    assert_eq!(infra.state().await.unwrap(), state);
}

pub(crate) async fn a_held_lock_is_told_and_never_broken(bench: &dyn Bench) {
    let infra = bench.infra();
    bench.want(&["a"]);
    apply(infra).await.unwrap();
    bench.want_slow(&["a"]);
    bench.somebody_applies().await;
    let error = infra.plan(NOW, &Interrupt::default()).await.map(|_| ()).unwrap_err();
    let InfraError::Locked { lock, .. } = &error else { panic!("{error:?}") };
    assert!(!lock.id.is_empty() && lock.who.contains('@') && !lock.created.is_empty(), "{lock:?}");
    assert_eq!(error.code(), "locked");
    // What only reads needs no lock.
    assert!(infra.state().await.unwrap().is_some());
    infra.plan(Locking::Leave, &Interrupt::default()).await.unwrap();
    bench.let_go().await;
    assert!(!is_applicable(infra).await, "whoever held the lock was not disturbed");
}

pub(crate) async fn what_fails_says_why_and_can_be_tried_again(bench: &dyn Bench) {
    let infra = bench.infra();
    bench.want_broken(&["a"]);
    let error = apply(infra).await.unwrap_err();
    let InfraError::Failed { said, log, .. } = &error else { panic!("{error:?}") };
    assert!(said.contains("broken"), "{said}");
    assert!(log.contains("broken"), "{log}");
    // It would wait for nobody's lock.
    bench.want(&["a"]);
    apply(infra).await.unwrap();
    assert!(!is_applicable(infra).await);
}

pub(crate) async fn what_is_stopped_frees_its_lock(bench: &dyn Bench) {
    let infra = bench.infra();
    bench.want_slow(&["a"]);
    let stop = Interrupt::default();
    let plan = infra.plan(NOW, &stop).await.unwrap();
    let asking = async {
        bench.begun().await;
        stop.raise();
    };
    let (applied, ()) = tokio::join!(plan.apply(&stop), asking);
    let error = applied.unwrap_err();
    assert!(matches!(error, InfraError::Stopped { .. }), "{error:?}");
    // It would wait for nobody's lock.
    bench.want(&["a"]);
    apply(infra).await.unwrap();
    assert!(!is_applicable(infra).await);
}
