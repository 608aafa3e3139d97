//! Ways in which a deploy or a rollback once went wrong: each bug that was found keeps its reproduction.
// Long because: each bug keeps its own reproduction, and they share a world.

use super::*;

use crate::commands::abort;
use crate::host::wire::Secret;
use crate::ledger::memory::{Call, Fault, Moment};

#[tokio::test(start_paused = true)]
async fn invariant_5_a_rollback_that_died_is_finished_by_the_next_and_goes_no_further_back() {
    let mut wrong = Vec::new();
    for at in 0..40 {
        let (world, _old, new) = world().await;
        let _bad = world.release("1.2.0", &commit('c')).await;
        deploy(&world, "1.1.0").await.unwrap();
        deploy(&world, "1.2.0").await.unwrap();
        world.ledger.inject(Fault {
            call: Call::Append,
            skip: at,
            times: u32::MAX,
            moment: Moment::After,
            transient: false,
        });
        let first = roll_back(&world, None).await;
        world.ledger.heal();
        world.ledger.kill_holder(&world.stream());
        world.fleet.heal();
        // Done, whether or not the answer came: a second rollback is another one.
        let left = world.context.deployment(&world.stream(), Some(4)).await.unwrap();
        if first.is_ok() || left.is_some_and(|left| left.outcome.is_some()) {
            break;
        }
        let second = roll_back(&world, None).await;
        if serving(&world) != all(&new) {
            wrong.push((at, second.map(|r| r.version)));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_lags_on_one_host_keeps_the_bad_release_away_all_the_same() {
    let (world, _old, _new) = world().await;
    deploy(&world, "1.1.0").await.unwrap();
    world.fleet.fail("web-2", "shift", 6, Effect::None, HostErrorCode::Proxy);
    let error = roll_back(&world, to("1.0.0")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsafe, "{error}");
    let again = deploy(&world, "1.1.0").await;
    assert!(again.is_err(), "{again:?}");
}

#[tokio::test(start_paused = true)]
async fn a_redeploy_with_secrets_takes_the_values_of_now() {
    let (mut world, ..) = world().await;
    world.site.run =
        serde_json::from_value(serde_json::json!({"port": 8000, "secrets": {"KEY": "env:KEY"}})).unwrap();
    let secrets = crate::secrets::Secrets {
        variables: [("KEY".to_owned(), Secret::new("one-value".into()))].into(),
        root: "/".into(),
        ..crate::secrets::Secrets::default()
    };
    world.site.secrets = std::sync::Arc::new(secrets);
    deploy(&world, "1.1.0").await.unwrap();
    world.fleet.take_changes();
    let report = deploy(&world, "1.1.0").await.unwrap();
    let changes = world.fleet.take_changes();
    assert!(changes.iter().any(|c| c.contains("prepare")), "{:?} {changes:?}", report.result);
}

#[tokio::test(start_paused = true)]
async fn what_serves_is_not_at_fault_when_another_configuration_does_not_start() {
    let (mut world, old, _) = world().await;
    world.site.run = run_config(9000);
    world.fleet.set_unhealthy(&old.digest);
    assert_eq!(deploy(&world, "1.0.0").await.unwrap_err().kind, ErrorKind::Returned);
    assert_eq!(world.context.verdict(&world.stream(), &old.version).await.unwrap(), Some(Verdict::Proven));
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_goes_away_after_a_host_was_touched_is_unsafe() {
    let mut wrong = Vec::new();
    for at in 0..40 {
        let (world, ..) = world().await;
        world.ledger.inject(Fault {
            call: Call::Append,
            skip: at,
            times: u32::MAX,
            moment: Moment::After,
            transient: false,
        });
        let first = deploy(&world, "1.1.0").await;
        let changes = world.fleet.take_changes();
        let Err(error) = first else { break };
        if changes.iter().any(|c| c.contains("prepare") || c.contains("shift"))
            && error.kind == ErrorKind::Failed
        {
            wrong.push(at);
        }
    }
    assert!(wrong.is_empty(), "exit 1 after a host was touched, crash at {wrong:?}");
}

#[tokio::test(start_paused = true)]
async fn a_rollback_to_nowhere_stops_nobody() {
    let (world, _, new) = world().await;
    let mut slow = world.site.clone();
    slow.settings.bake_seconds = 3_600;
    let args = deploy::Args { target: to("1.1.0"), ..deploy::Args::default() };
    let deploying = deploy::run(&world.context, &slow, &world.supply, args);
    let rolling = async {
        world.context.clock.sleep(std::time::Duration::from_secs(60)).await;
        roll_back(&world, to("9.9.9")).await
    };
    let (deployed, rolled) = tokio::join!(deploying, rolling);
    assert_eq!(rolled.unwrap_err().kind, ErrorKind::NotFound);
    assert!(deployed.is_ok(), "{:?}", deployed.unwrap_err().message);
    assert_eq!(serving(&world), all(&new));
}

#[tokio::test(start_paused = true)]
async fn head_under_a_hold_is_refused_before_it_is_built() {
    let lab = crate::git::testing::Lab::new();
    lab.write("Dockerfile", "FROM scratch\n");
    let one = lab.commit("feat: one");
    let world = World::new(&HOSTS, Some(lab.repository()));
    world.release("0.1.0", &one).await;
    deploy(&world, "0.1.0").await.unwrap();
    crate::commands::hold::set(&world.context, &world.site.name, "stop".into()).await.unwrap();
    lab.write("x", "y");
    lab.commit("feat: two");
    let before =
        world.ledger.head(&crate::domain::id::Stream::releases(&world.context.service)).await.unwrap().seq;
    let result = deploy::run(&world.context, &world.site, &world.supply, deploy::Args::default()).await;
    let after =
        world.ledger.head(&crate::domain::id::Stream::releases(&world.context.service)).await.unwrap().seq;
    assert_eq!((result.unwrap_err().kind, before), (ErrorKind::Refused, after));
}

#[tokio::test(start_paused = true)]
async fn as_before_is_only_said_where_it_is_also_what_the_ledger_says() {
    for at in 0..30 {
        let (world, old, _new) = world().await;
        let next = world.release("1.2.0", &commit('c')).await;
        deploy(&world, "1.1.0").await.unwrap();
        world.ledger.inject(Fault {
            call: Call::Append,
            skip: at,
            times: u32::MAX,
            moment: Moment::After,
            transient: false,
        });
        let first = deploy(&world, "1.2.0").await;
        world.ledger.heal();
        world.ledger.kill_holder(&world.stream());
        if first.is_ok() {
            break;
        }
        let left = world.context.deployment(&world.stream(), Some(3)).await.unwrap();
        if !left.is_some_and(|left| left.committed && left.outcome.is_none()) {
            continue;
        }
        world.fleet.set_unhealthy(&old.digest);
        let error = roll_back(&world, to("1.0.0")).await.unwrap_err();
        let environment = world.context.environment(&world.stream()).await.unwrap();
        let recorded = world.context.deployment(&world.stream(), environment.serving).await.unwrap().unwrap();
        if serving(&world) != all(&recorded.release) {
            assert_ne!(
                error.kind,
                ErrorKind::Returned,
                "at {at}: {} but recorded {} and hosts {:?}; next {}",
                error.message,
                recorded.release.version,
                serving(&world),
                next.digest
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn invariant_5_an_attempt_that_nobody_saw_is_not_what_a_rollback_takes_back() {
    let (world, old, _new) = world().await;
    world.release("1.2.0", &commit('c')).await;
    deploy(&world, "1.1.0").await.unwrap();
    world.ledger.inject(Fault {
        call: Call::Append,
        skip: 4,
        times: u32::MAX,
        moment: Moment::After,
        transient: false,
    });
    deploy(&world, "1.2.0").await.unwrap_err();
    world.ledger.heal();
    world.ledger.kill_holder(&world.stream());
    let report = roll_back(&world, None).await.unwrap();
    assert_eq!(report.version, Some(old.version), "it served 1.1.0, and 1.2.0 never took a request");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_does_not_go_back_keeps_no_other_from_it() {
    let (world, _old, new) = world().await;
    world.fleet.fail("web-1", "shift", 1, Effect::None, HostErrorCode::Proxy);
    world.fleet.fail("web-2", "revert", 30, Effect::None, HostErrorCode::Unreachable);
    let error = deploy(&world, "1.1.0").await.unwrap_err();
    let left = world
        .fleet
        .edit("web-1", |machine| machine.slots.iter().any(|s| s.release.digest == new.digest && s.running));
    assert!(!left, "{:?}: web-1 answers, and still runs the candidate", error.kind);
}

#[tokio::test(start_paused = true)]
async fn a_dirty_tree_is_refused_before_the_lease_is_asked_for_and_by_a_dry_run_too() {
    let lab = crate::git::testing::Lab::new();
    lab.commit("feat: a");
    lab.write("new", "x");
    let world = World::new(&HOSTS, Some(lab.repository()));
    for dry_run in [true, false] {
        let args = deploy::Args { dry_run, ..deploy::Args::default() };
        let error = deploy::run(&world.context, &world.site, &world.supply, args).await.unwrap_err();
        assert_eq!(
            (error.kind, error.details.as_slice()),
            (ErrorKind::Failed, ["new".to_owned()].as_slice())
        );
    }
}

/// Lets the ledger go away after this many more appends.
pub(super) fn crash_after(world: &World, appends: u32) {
    let (moment, transient) = (Moment::Before, false);
    world.ledger.inject(Fault { call: Call::Append, skip: appends, times: u32::MAX, moment, transient });
}

pub(super) fn recover(world: &World) {
    world.ledger.heal();
    world.ledger.kill_holder(&world.stream());
    world.fleet.heal();
}

/// Aborts, and dies as soon as it is recorded that it goes back.
async fn abort_and_die(world: &World) {
    crash_after(world, 2);
    abort::run(&world.context, &world.site, abort::Args::default()).await.unwrap_err();
    recover(world);
}

#[tokio::test(start_paused = true)]
async fn a_deploy_that_finds_an_abort_half_done_deploys_all_the_same() {
    let (world, _, new) = world().await;
    crash_after(&world, 7);
    deploy(&world, "1.1.0").await.unwrap_err();
    recover(&world);
    abort_and_die(&world).await;
    let report = deploy(&world, "1.1.0").await.unwrap();
    assert_eq!(report.result, ReportResult::Deployed);
    assert_eq!(at_rest(&world, "deployed after an abort").await, new.digest);
    let aborted = world.context.deployment(&world.stream(), Some(2)).await.unwrap().unwrap();
    assert!(aborted.outcome.is_some_and(|outcome| outcome != Outcome::Succeeded), "{aborted:?}");
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_finds_its_like_half_aborted_rolls_back_all_the_same() {
    let (world, old, _) = world().await;
    deploy(&world, "1.1.0").await.unwrap();
    crash_after(&world, 3);
    roll_back(&world, None).await.unwrap_err();
    recover(&world);
    abort_and_die(&world).await;
    let report = roll_back(&world, None).await.unwrap();
    assert_eq!(report.result, ReportResult::Deployed);
    assert_eq!(at_rest(&world, "rolled back after an abort").await, old.digest);
}

#[tokio::test(start_paused = true)]
async fn another_build_of_the_same_commit_is_another_target() {
    let (world, ..) = world().await;
    let again = world.release("1.1.1", &commit('b')).await;
    crash_after(&world, 7);
    deploy(&world, "1.1.0").await.unwrap_err();
    recover(&world);
    let report = deploy(&world, "1.1.1").await.unwrap();
    assert_eq!(report.version, Some(again.version.clone()));
    assert_eq!(at_rest(&world, "another build").await, again.digest);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_finds_its_way_past_any_number_of_failed_attempts() {
    let (world, old, _) = world().await;
    let sick = world.release("1.2.0", &commit('c')).await;
    world.fleet.set_unhealthy(&sick.digest);
    for _ in 0..51 {
        deploy(&world, "1.2.0").await.unwrap_err();
    }
    deploy(&world, "1.1.0").await.unwrap();
    roll_back(&world, None).await.unwrap();
    assert_eq!(at_rest(&world, "past all failures").await, old.digest);
}

#[tokio::test(start_paused = true)]
async fn whoever_finishes_a_rollback_to_what_was_withdrawn_lifts_the_hold_on_it() {
    let (world, _, new) = world().await;
    deploy(&world, "1.1.0").await.unwrap();
    roll_back(&world, to("1.0.0")).await.unwrap();
    crash_after(&world, 8);
    let args = rollback::Args { target: to("1.1.0"), yes: true, ..rollback::Args::default() };
    rollback::run(&world.context, &world.site, &world.supply, args).await.unwrap_err();
    recover(&world);
    resume(&world).await.unwrap();
    assert_eq!(at_rest(&world, "resumed").await, new.digest);
    assert_eq!(world.context.environment(&world.stream()).await.unwrap().hold, None);
}

#[tokio::test(start_paused = true)]
async fn who_is_interrupted_while_waiting_for_the_lock_hears_that_and_not_who_has_it() {
    let (world, _, new) = world().await;
    world.begin(2, &new, &run_config(8000)).await;
    let lock_wait = std::time::Duration::from_secs(900);
    let args = deploy::Args { target: to("1.1.0"), lock_wait, ..deploy::Args::default() };
    let waiting = deploy::run(&world.context, &world.site, &world.supply, args);
    let interrupting = async {
        world.context.clock.sleep(std::time::Duration::from_secs(3)).await;
        world.context.interrupt.raise();
    };
    let (waited, ()) = tokio::join!(waiting, interrupting);
    assert_eq!(waited.unwrap_err().kind, ErrorKind::Interrupted);
}

#[tokio::test(start_paused = true)]
async fn a_deployment_whose_plan_is_lost_bars_nobody() {
    enum Next {
        Same,
        Another,
        RollBack,
    }
    for (appends, next) in [3, 7, 9, 11]
        .into_iter()
        .flat_map(|at| [Next::Same, Next::Another, Next::RollBack].map(|next| (at, next)))
    {
        let (world, old, new) = world().await;
        let other = world.release("1.2.0", &commit('c')).await;
        crash_after(&world, appends);
        deploy(&world, "1.1.0").await.unwrap_err();
        recover(&world);
        let left = world.context.deployment(&world.stream(), Some(2)).await.unwrap().unwrap();
        world.artifacts.lose(&left.plan.unwrap());
        let error = resume(&world).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound, "{appends}: {error}");
        let (result, wanted) = match next {
            Next::Same => (deploy(&world, "1.1.0").await, new),
            Next::Another => (deploy(&world, "1.2.0").await, other),
            Next::RollBack => (roll_back(&world, to("1.0.0")).await, old),
        };
        result.unwrap_or_else(|error| panic!("{appends}: {error}: {:?}", error.details));
        // A candidate that took no traffic may still run: nobody knows of it until its slot is needed.
        assert_eq!(serving(&world), all(&wanted), "{appends}");
        for host in HOSTS {
            world.fleet.edit(host, |machine| assert_eq!(machine.trial, None, "{appends}: {host}"));
        }
        assert_eq!(world.context.environment(&world.stream()).await.unwrap().active, None);
    }
}

#[tokio::test(start_paused = true)]
async fn invariant_10_a_resume_that_prepares_nothing_records_no_secret_either() {
    let (mut world, ..) = world().await;
    world.site.run =
        serde_json::from_value(serde_json::json!({"port": 8000, "secrets": {"KEY": "env:KEY"}})).unwrap();
    // What the fake host says when it fails begins with this word.
    let secrets = crate::secrets::Secrets {
        variables: [("KEY".to_owned(), Secret::new("injected".into()))].into(),
        root: "/".into(),
        ..crate::secrets::Secrets::default()
    };
    world.site.secrets = std::sync::Arc::new(secrets);
    crash_after(&world, 7);
    deploy(&world, "1.1.0").await.unwrap_err();
    recover(&world);
    world.fleet.fail("web-2", "shift", 1, Effect::None, HostErrorCode::Proxy);
    let error = resume(&world).await.unwrap_err();
    assert!(error.message.contains("[secret KEY]"), "{}", error.message);
    for sealed in world.ledger.read(&world.stream(), 0, 1_000).await.unwrap() {
        assert!(!sealed.body.contains("injected"), "{}", sealed.body);
    }
}

#[tokio::test(start_paused = true)]
async fn invariant_5_a_hotfix_beside_the_withdrawn_commits_does_not_let_them_back_in() {
    let lab = crate::git::testing::Lab::new();
    lab.write("a", "1");
    let good = lab.commit("feat: good");
    lab.write("b", "1");
    let bad = lab.commit("feat: bad");
    let world = World::new(&HOSTS, Some(lab.repository()));
    world.release("1.0.0", &good).await;
    world.release("1.1.0", &bad).await;
    deploy(&world, "1.0.0").await.unwrap();
    deploy(&world, "1.1.0").await.unwrap();
    roll_back(&world, to("1.0.0")).await.unwrap();

    lab.branch("hotfix", &good);
    lab.write("c", "1");
    let fix = lab.commit("fix: beside it");
    world.release("1.0.1", &fix).await;
    deploy(&world, "1.0.1").await.unwrap();

    lab.branch("main", &bad);
    lab.write("c", "1");
    let merged = lab.merge("Merge hotfix", &fix);
    let both = world.release("1.1.1", &merged).await;
    let refused = deploy(&world, "1.1.1").await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Refused, "{refused}");

    let back = lab.commit(&format!("Revert \"feat: bad\"\n\nThis reverts commit {bad}."));
    let reverted = world.release("1.1.2", &back).await;
    deploy(&world, "1.1.2").await.unwrap();
    assert_ne!(both.digest, reverted.digest);
    assert_eq!(world.context.environment(&world.stream()).await.unwrap().hold, None);
}
