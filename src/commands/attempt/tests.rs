//! Deploy, rollback, resume and abort over fakes. The clock stands still between waits, so nothing here takes
//! longer than it computes.

mod capacity;
mod crash;
mod faults;
mod offline;
mod regressions;
mod secrets;
mod waves;

use std::collections::BTreeSet;

use crate::commands::deploy::{self, Report, ReportResult};
use crate::commands::error::{CommandError, ErrorKind};
use crate::commands::testing::{World, commit, run_config};
use crate::commands::{resume, rollback};
use crate::domain::deployment::{Kind, Outcome, Verdict};
use crate::domain::event::Event;
use crate::domain::id::Digest;
use crate::domain::release::ReleaseRef;
use crate::domain::target::Target;
use crate::host::fake::Effect;
use crate::host::wire::HostErrorCode;
use crate::ledger::Ledger as _;

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
async fn back_and_further_back_keeps_away_what_both_took_back() {
    let (world, old, _) = world().await;
    let bad = world.release("1.2.0", &commit('c')).await;
    deploy(&world, "1.1.0").await.unwrap();
    deploy(&world, "1.2.0").await.unwrap();
    roll_back(&world, None).await.unwrap();
    roll_back(&world, None).await.unwrap();
    let hold = world.context.environment(&world.stream()).await.unwrap().hold.unwrap();
    let withdrawn = hold.withdrawn.unwrap();
    assert_eq!((withdrawn.bad, withdrawn.good), (bad, old));
    assert_eq!(withdrawn.versions.len(), 2);

    let fixes = |number| deploy::Args {
        target: to("1.2.0"),
        fixes: Some(number),
        allow_older: true,
        reason: Some("repaired".into()),
        ..deploy::Args::default()
    };
    let error = deploy::run(&world.context, &world.site, &world.supply, fixes(3)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Usage, "{error}: another rollback is not what keeps it away");
    deploy::run(&world.context, &world.site, &world.supply, fixes(5)).await.unwrap();
    let last = world.context.deployment(&world.stream(), Some(6)).await.unwrap().unwrap();
    assert_eq!(last.overrides, ["fixes #5"]);
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
    let args = deploy::Args { target: to("1.0.0"), dry_run: true, ..deploy::Args::default() };
    let planned = deploy::run(&world.context, &world.site, &world.supply, args).await.unwrap();
    assert_eq!(planned.result, ReportResult::NothingToDo, "a dry run says what the run would");
}

#[tokio::test(start_paused = true)]
async fn another_version_of_the_image_that_serves_is_recorded_and_moves_no_host() {
    let (world, old, _) = world().await;
    world.name("1.0.1", &old).await;
    world.fleet.take_changes();
    let report = deploy(&world, "1.0.1").await.unwrap();
    assert_eq!(report.result, ReportResult::Deployed);
    // The fence is raised, and nothing else changes.
    assert_eq!(world.fleet.take_changes(), ["web-1 claim", "web-2 claim"]);
    let environment = world.context.environment(&world.stream()).await.unwrap();
    let serving = world.context.deployment(&world.stream(), environment.serving).await.unwrap().unwrap();
    assert_eq!(serving.release.version.to_string(), "1.0.1");
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
