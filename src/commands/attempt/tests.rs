//! Deploy, rollback, resume and abort over fakes, with a crash at every append and a failure at every step. The
//! clock stands still between waits, so nothing here takes longer than it computes.

use std::collections::BTreeSet;

use crate::commands::deploy::{self, Report, ReportResult};
use crate::commands::error::{CommandError, ErrorKind};
use crate::commands::testing::{World, commit, run_config};
use crate::commands::{abort, resume, rollback};
use crate::domain::deployment::{Kind, Outcome, Phase, Verdict};
use crate::domain::event::Event;
use crate::domain::id::Digest;
use crate::domain::release::ReleaseRef;
use crate::domain::target::Target;
use crate::host::fake::Effect;
use crate::host::wire::HostErrorCode;
use crate::ledger::Ledger as _;
use crate::ledger::memory::{Call, Fault, Moment};

const HOSTS: [&str; 2] = ["web-1", "web-2"];

fn to(version: &str) -> Option<Target> {
    Some(version.parse().unwrap())
}

async fn deploy(world: &World, version: &str) -> Result<Report, CommandError> {
    let args = deploy::Args { target: to(version), ..deploy::Args::default() };
    deploy::run(&world.context, &world.site, &world.supply, args).await
}

async fn roll_back(world: &World, target: Option<Target>) -> Result<Report, CommandError> {
    let args = rollback::Args { target, ..rollback::Args::default() };
    rollback::run(&world.context, &world.site, &world.supply, args).await
}

async fn resume(world: &World) -> Result<Report, CommandError> {
    resume::run(&world.context, &world.site, resume::Args::default()).await
}

/// Two hosts that serve 1.0.0, and a 1.1.0 on record.
async fn world() -> (World, ReleaseRef, ReleaseRef) {
    let world = World::new(&HOSTS, None);
    let old = world.release("1.0.0", &commit('a')).await;
    let new = world.release("1.1.0", &commit('b')).await;
    deploy(&world, "1.0.0").await.unwrap();
    world.fleet.take_calls();
    (world, old, new)
}

fn serving(world: &World) -> BTreeSet<Option<Digest>> {
    HOSTS.iter().map(|host| world.fleet.serving(host).map(|release| release.digest)).collect()
}

fn all(release: &ReleaseRef) -> BTreeSet<Option<Digest>> {
    [Some(release.digest.clone())].into()
}

/// What must be so whenever nothing is under way: one recorded digest on every host (1), no open shift, the ledger
/// verifies (8), and nothing has a deployment without an outcome.
async fn at_rest(world: &World, what: &str) -> Digest {
    let verified = crate::ledger::verify::verify(&*world.ledger).await.unwrap();
    assert!(verified.holds(), "{what}: {verified:?}");
    let environment = world.context.environment(&world.stream()).await.unwrap();
    assert_eq!(environment.active, None, "{what}");
    let recorded = world.context.deployment(&world.stream(), environment.serving).await.unwrap().unwrap();
    assert_eq!(serving(world), all(&recorded.release), "{what}: each host serves what is recorded");
    for host in HOSTS {
        world.fleet.edit(host, |machine| {
            assert_eq!(machine.trial, None, "{what}: {host} has an open shift");
            let running = machine.slots.iter().filter(|slot| slot.running).count();
            assert_eq!(running, 1, "{what}: {host} runs more than what serves");
        });
    }
    recorded.release.digest
}

#[tokio::test(start_paused = true)]
async fn a_deploy_says_what_it_did_and_leaves_the_old_slot_stopped() {
    let (world, old, new) = world().await;
    let report = deploy(&world, "1.1.0").await.unwrap();
    assert_eq!(report.result, ReportResult::Deployed);
    assert_eq!(report.id.unwrap().to_string(), "production#2");
    assert_eq!(report.from_version, Some(old.version));
    assert_eq!(at_rest(&world, "deploy").await, new.digest);
    let changes = world.fleet.take_changes();
    let of = |host: &str| -> Vec<&str> {
        changes.iter().filter_map(|change| change.strip_prefix(host)).map(str::trim).collect()
    };
    // Invariant 7: the old slot is retired after the new one was prepared, shifted to and confirmed.
    assert_eq!(of("web-1"), ["claim", "prepare", "shift", "commit", "retire"]);
    assert_eq!(of("web-1"), of("web-2"));
}

#[tokio::test(start_paused = true)]
async fn invariant_2_the_return_point_is_recorded_before_a_request_can_reach_the_release() {
    let (world, old, _) = world().await;
    deploy(&world, "1.1.0").await.unwrap();
    let entries = world.ledger.read(&world.stream(), 0, 1_000).await.unwrap();
    let (mut planned, mut exposed) = (None, None);
    for sealed in &entries {
        match &sealed.entry.event {
            Event::DeploymentPlanned { deployment: 2, return_point, .. } => {
                assert_eq!(return_point.as_ref().unwrap().release, old);
                planned = Some(sealed.entry.seq);
            }
            Event::StepStarted { step, exposes: true } if step.deployment == 2 => {
                exposed = exposed.or(Some(sealed.entry.seq));
            }
            _ => {}
        }
    }
    assert!(planned.unwrap() < exposed.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_release_that_never_gets_healthy_comes_back_and_says_why() {
    let (world, old, new) = world().await;
    world.fleet.set_unhealthy(&new.digest);
    let error = deploy(&world, "1.1.0").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Returned, "{error}: {:?}", error.details);
    assert!(error.message.contains("v1.0.0 serves as before"), "{}", error.message);
    assert!(error.details.iter().any(|line| line.contains("probe:")), "{:?}", error.details);
    assert_eq!(at_rest(&world, "unhealthy").await, old.digest);
    assert_eq!(world.context.verdict(&world.stream(), &new.version).await.unwrap(), Some(Verdict::Faulty));
    let attempt = world.context.deployment(&world.stream(), Some(2)).await.unwrap().unwrap();
    assert_eq!((attempt.outcome, attempt.exposed), (Some(Outcome::Failed), false));
    assert_eq!(world.context.environment(&world.stream()).await.unwrap().hold, None);
}

#[tokio::test(start_paused = true)]
async fn a_first_deploy_that_fails_has_nothing_to_go_back_to() {
    let world = World::new(&HOSTS, None);
    let first = world.release("1.0.0", &commit('a')).await;
    world.fleet.set_unhealthy(&first.digest);
    let error = deploy(&world, "1.0.0").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Returned);
    assert!(error.message.contains("nothing was serving before"), "{}", error.message);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_cannot_be_reached_stops_the_attempt_before_any_step() {
    let (world, old, _) = world().await;
    world.fleet.set_reachable("web-2", false);
    let error = deploy(&world, "1.1.0").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Failed);
    assert!(error.message.contains("web-2"), "{}", error.message);
    world.fleet.heal();
    assert_eq!(at_rest(&world, "unreachable").await, old.digest);
}

#[tokio::test(start_paused = true)]
async fn invariant_5_rollback_takes_the_newest_proven_release_and_never_returns_to_the_bad_one() {
    let (world, old, new) = world().await;
    let bad = world.release("1.2.0", &commit('c')).await;
    let sick = world.release("1.3.0", &commit('d')).await;
    deploy(&world, "1.1.0").await.unwrap();
    deploy(&world, "1.2.0").await.unwrap();
    world.fleet.set_unhealthy(&sick.digest);
    deploy(&world, "1.3.0").await.unwrap_err();

    let report = roll_back(&world, None).await.unwrap();
    assert_eq!(report.version, Some(new.version.clone()), "{report:?}");
    assert_eq!(report.kind, Some(Kind::Rollback));
    assert_eq!(at_rest(&world, "first rollback").await, new.digest);
    let stream = world.stream();
    assert_eq!(world.context.verdict(&stream, &bad.version).await.unwrap(), Some(Verdict::Withdrawn));
    let hold = world.context.environment(&stream).await.unwrap().hold.unwrap();
    assert_eq!(hold.withdrawn.unwrap().bad, bad);

    roll_back(&world, None).await.unwrap();
    assert_eq!(at_rest(&world, "second rollback").await, old.digest);
    let error = roll_back(&world, None).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
    assert!(error.details.iter().any(|line| line.contains("a rollback withdrew it")), "{:?}", error.details);
}

#[tokio::test(start_paused = true)]
async fn a_named_rollback_to_a_bad_release_asks_and_to_an_unknown_one_is_7() {
    let (world, _, new) = world().await;
    deploy(&world, "1.1.0").await.unwrap();
    roll_back(&world, to("1.0.0")).await.unwrap();
    assert_eq!(roll_back(&world, to("1.1.0")).await.unwrap_err().kind, ErrorKind::Refused);
    assert_eq!(roll_back(&world, to("9.9.9")).await.unwrap_err().kind, ErrorKind::NotFound);
    let args = rollback::Args { target: to("1.1.0"), yes: true, ..rollback::Args::default() };
    rollback::run(&world.context, &world.site, &world.supply, args).await.unwrap();
    assert_eq!(at_rest(&world, "back to the bad one on purpose").await, new.digest);
    // What was brought back on purpose is not kept away any more.
    assert_eq!(world.context.environment(&world.stream()).await.unwrap().hold, None);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_brings_back_the_run_configuration_of_then() {
    let (mut world, old, _) = world().await;
    world.site.run = run_config(9000);
    deploy(&world, "1.1.0").await.unwrap();
    roll_back(&world, to("1.0.0")).await.unwrap();
    let environment = world.context.environment(&world.stream()).await.unwrap();
    let serving = world.context.deployment(&world.stream(), environment.serving).await.unwrap().unwrap();
    assert_eq!(serving.release, old);
    assert_eq!(world.context.run_of(&serving).await.unwrap().port, 8000);

    deploy(&world, "1.1.0").await.unwrap_err();
    let args = rollback::Args { target: to("1.0.0"), config_now: true, ..rollback::Args::default() };
    rollback::run(&world.context, &world.site, &world.supply, args).await.unwrap();
    let environment = world.context.environment(&world.stream()).await.unwrap();
    let serving = world.context.deployment(&world.stream(), environment.serving).await.unwrap().unwrap();
    assert_eq!(world.context.run_of(&serving).await.unwrap().port, 9000);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_has_no_effect() {
    let (world, ..) = world().await;
    let before = world.ledger.head(&world.stream()).await.unwrap();
    let args = deploy::Args { target: to("1.1.0"), dry_run: true, ..deploy::Args::default() };
    let report = deploy::run(&world.context, &world.site, &world.supply, args).await.unwrap();
    assert_eq!(report.stages[0], ["prepare web-1", "prepare web-2"]);
    let args = rollback::Args { target: to("1.1.0"), dry_run: true, ..rollback::Args::default() };
    rollback::run(&world.context, &world.site, &world.supply, args).await.unwrap();
    assert_eq!(world.ledger.head(&world.stream()).await.unwrap(), before);
    assert_eq!(world.fleet.take_changes(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn what_serves_already_is_nothing_to_do() {
    let (world, old, _) = world().await;
    let report = deploy(&world, "1.0.0").await.unwrap();
    assert_eq!(report.result, ReportResult::NothingToDo);
    assert_eq!(at_rest(&world, "nothing to do").await, old.digest);
    assert_eq!(world.context.environment(&world.stream()).await.unwrap().last, 1);
}

fn crash(world: &World, skip: u32, moment: Moment) {
    let fault = Fault { call: Call::Append, skip, times: u32::MAX, moment, transient: false };
    world.ledger.inject(fault);
}

fn recover(world: &World) {
    world.ledger.heal();
    world.ledger.kill_holder(&world.stream());
    world.fleet.heal();
}

/// What a crashed run is followed by.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Next {
    Resume,
    DeployAgain,
    DeployAnother,
    RollBack,
    Abort,
}

/// Crashes a deploy of 1.1.0 over 1.0.0 at append `at`, then runs the next command. `None`: it did not crash.
async fn crashed_deploy(at: u32, moment: Moment, sick: bool, next: Next) -> Option<()> {
    let (world, old, new) = world().await;
    let other = world.release("1.2.0", &commit('c')).await;
    if sick {
        world.fleet.set_unhealthy(&new.digest);
    }
    crash(&world, at, moment);
    let first = deploy(&world, "1.1.0").await;
    recover(&world);
    let what = format!("append {at} {moment:?}, sick {sick}, {next:?}");
    let stream = world.stream();
    let last = world.ledger.head(&stream).await.unwrap().seq;
    let back = world
        .ledger
        .read(&stream, 0, 1_000)
        .await
        .unwrap()
        .iter()
        .any(|sealed| matches!(sealed.entry.event, Event::RollingBack { .. }));
    let left = world.context.deployment(&stream, Some(2)).await.unwrap();
    let committed = left.as_ref().is_some_and(|left| left.committed);
    let ended = left.as_ref().is_some_and(|left| left.outcome.is_some());
    // It came to its own end, good or bad: there are no more places to crash at.
    if first.as_ref().map_or_else(|error| error.kind == ErrorKind::Returned, |_| true) {
        return None;
    }
    // At every moment some recorded release takes all traffic of a host: the old one or the candidate (6).
    for seen in serving(&world) {
        assert!(seen == Some(old.digest.clone()) || seen == Some(new.digest.clone()), "{what}: {seen:?}");
    }
    let result = match next {
        Next::Resume => resume(&world).await,
        Next::DeployAgain => deploy(&world, "1.1.0").await,
        Next::DeployAnother => deploy(&world, "1.2.0").await,
        Next::RollBack => roll_back(&world, None).await,
        Next::Abort if committed && !ended => {
            let refused = abort::run(&world.context, &world.site, abort::Args::default()).await;
            assert_eq!(
                refused.unwrap_err().kind,
                ErrorKind::Refused,
                "{what}: only forward beyond the pivot"
            );
            resume(&world).await
        }
        Next::Abort => abort::run(&world.context, &world.site, abort::Args::default()).await,
    };
    let digest = at_rest(&world, &what).await;
    match next {
        Next::DeployAnother => assert_eq!(digest, other.digest, "{what}: {result:?}"),
        Next::DeployAgain if !sick && !back => assert_eq!(digest, new.digest, "{what}: {result:?}"),
        Next::RollBack => assert_eq!(digest, old.digest, "{what}: {result:?}"),
        Next::Abort if !committed => assert_eq!(digest, old.digest, "{what}: {result:?}"),
        _ => {}
    }
    // Once rolling back has begun the same deployment never goes forward again (6).
    let mut backwards = false;
    for sealed in world.ledger.read(&stream, last.saturating_sub(200), 1_000).await.unwrap() {
        match &sealed.entry.event {
            Event::RollingBack { deployment: 2, .. } => backwards = true,
            Event::StepStarted { step, .. } if step.deployment == 2 && backwards => {
                assert_eq!(step.direction, crate::domain::event::Direction::Undo, "{what}");
            }
            Event::Committed { deployment: 2 } => assert!(!backwards, "{what}"),
            _ => {}
        }
    }
    Some(())
}

#[tokio::test(start_paused = true)]
async fn invariant_6_from_every_crash_point_the_next_command_comes_home() {
    for next in [Next::Resume, Next::DeployAgain, Next::DeployAnother, Next::RollBack, Next::Abort] {
        for sick in [false, true] {
            for moment in [Moment::Before, Moment::After] {
                let mut at = 0;
                // A rollback of a first attempt that never began has nowhere to go back to.
                while crashed_deploy(at, moment, sick, next).await.is_some() {
                    at += 1;
                    assert!(at < 100, "it never ends");
                }
                assert!(at > 5, "{next:?} {moment:?}: only {at} crash points");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn invariant_6_a_rollback_that_crashes_anywhere_is_finished_by_resume_and_by_rollback() {
    for again in [false, true] {
        for moment in [Moment::Before, Moment::After] {
            for at in 0.. {
                let (world, old, _) = world().await;
                deploy(&world, "1.1.0").await.unwrap();
                crash(&world, at, moment);
                let first = roll_back(&world, None).await;
                recover(&world);
                if first.is_ok() {
                    assert!(at > 5, "only {at} crash points");
                    break;
                }
                let begun = world.context.deployment(&world.stream(), Some(3)).await.unwrap().is_some();
                if again || !begun {
                    roll_back(&world, to("1.0.0")).await.unwrap();
                } else if resume(&world).await.is_err() {
                    // It had no plan yet: nothing was touched, and it is closed.
                    roll_back(&world, to("1.0.0")).await.unwrap();
                }
                let what = format!("append {at} {moment:?}, again {again}");
                assert_eq!(at_rest(&world, &what).await, old.digest, "{what}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_step_failing_on_one_host_leaves_one_release_serving() {
    for verb in ["prepare", "shift", "commit", "retire"] {
        for effect in [Effect::None, Effect::Done] {
            let (world, old, new) = world().await;
            world.fleet.fail("web-2", verb, 1, effect, HostErrorCode::NoAnswer);
            let result = deploy(&world, "1.1.0").await;
            let what = format!("{verb} {effect:?}: {result:?}");
            match verb {
                "prepare" | "shift" => {
                    assert_eq!(result.unwrap_err().kind, ErrorKind::Returned, "{what}");
                    assert_eq!(at_rest(&world, &what).await, old.digest);
                    let verdict = world.context.verdict(&world.stream(), &new.version).await.unwrap();
                    assert_eq!(
                        verdict, None,
                        "{what}: a host that does not answer is not the release's fault"
                    );
                }
                // Beyond the pivot it is tried again.
                "commit" => assert_eq!(at_rest(&world, &what).await, new.digest),
                _ => {
                    assert_eq!(result.unwrap().notes.len(), 1, "a slot that was not retired is a warning");
                    assert_eq!(serving(&world), all(&new));
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_goes_away_while_it_goes_back_is_a_case_for_a_human_until_it_returns() {
    let (world, old, new) = world().await;
    world.fleet.fail("web-1", "shift", 1, Effect::None, HostErrorCode::Proxy);
    world.fleet.fail("web-2", "revert", 3, Effect::None, HostErrorCode::Unreachable);
    let error = deploy(&world, "1.1.0").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsafe, "{error}");
    assert!(error.details.iter().any(|line| line.contains("web-2")), "{:?}", error.details);
    assert!(error.hints.iter().any(|hint| hint.contains("relman resume '#2'")), "{:?}", error.hints);
    assert!(serving(&world).contains(&Some(new.digest.clone())));
    let error = resume(&world).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Returned, "{error}");
    assert_eq!(at_rest(&world, "resumed").await, old.digest);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_went_back_by_itself_after_the_pivot_is_brought_forward_again() {
    let (world, new) = crashed_after_the_pivot().await;
    world.fleet.edit("web-2", |machine| machine.reboot());
    resume(&world).await.unwrap();
    assert_eq!(at_rest(&world, "went back").await, new.digest);
}

async fn crashed_after_the_pivot() -> (World, ReleaseRef) {
    for at in 0.. {
        let (world, _, new) = world().await;
        crash(&world, at, Moment::After);
        assert!(deploy(&world, "1.1.0").await.is_err(), "the pivot was never the last entry");
        recover(&world);
        let left = world.context.deployment(&world.stream(), Some(2)).await.unwrap();
        if left.is_some_and(|left| left.phase == Phase::Finishing) {
            return (world, new);
        }
    }
    unreachable!()
}

#[tokio::test(start_paused = true)]
async fn invariant_3_two_deploys_at_once_one_works_and_the_other_hears_who() {
    let (world, _, new) = world().await;
    let (one, two) = tokio::join!(deploy(&world, "1.1.0"), deploy(&world, "1.1.0"));
    let errors: Vec<CommandError> = [one, two].into_iter().filter_map(Result::err).collect();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].kind, ErrorKind::Held);
    let text = format!("{} {:?}", errors[0].message, errors[0].details);
    for part in ["ada", "laptop", "deploy v1.1.0"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(at_rest(&world, "two at once").await, new.digest);
}

#[tokio::test(start_paused = true)]
async fn invariant_3_a_rollback_preempts_and_the_old_driver_touches_nothing_more() {
    let (world, old, _) = world().await;
    let mut slow = world.site.clone();
    slow.settings.bake_seconds = 3_600;
    let args = deploy::Args { target: to("1.1.0"), ..deploy::Args::default() };
    let deploying = deploy::run(&world.context, &slow, &world.supply, args);
    let rolling = async {
        world.context.clock.sleep(std::time::Duration::from_secs(60)).await;
        roll_back(&world, None).await
    };
    let (deployed, rolled) = tokio::join!(deploying, rolling);
    assert_eq!(deployed.unwrap_err().kind, ErrorKind::Held);
    let report = rolled.unwrap();
    assert_eq!(report.version, Some(old.version.clone()));
    assert_eq!(at_rest(&world, "preempted").await, old.digest);
    // The push that was on its way is kept from coming back.
    assert!(world.context.environment(&world.stream()).await.unwrap().hold.is_some());
}
