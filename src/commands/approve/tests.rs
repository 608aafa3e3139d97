//! Who may let a deployment go on, and what a deployment that waits does not do.

use std::sync::Arc;

use super::*;
use crate::commands::deploy::{Args as DeployArgs, run as deploy_with};
use crate::commands::testing::{Later, World, commit};
use crate::commands::{abort, resume, rollback};
use crate::domain::actor::{Actor, ActorSource};
use crate::domain::deployment::ApprovalRule;
use crate::domain::event::Event;
use crate::domain::freeze::Freeze;

fn sts(name: &str) -> Actor {
    Actor { name: name.to_owned(), source: ActorSource::Sts, run_url: None }
}

fn oidc(name: &str) -> Actor {
    Actor { source: ActorSource::Oidc, ..sts(name) }
}

fn by(world: &World, actor: Actor) -> Context {
    Context { actor, ..world.context.clone() }
}

/// A host that serves 1.0.0, and from there on approvals.
async fn world(needed: u32, four_eyes: bool, approvers: &[&str]) -> World {
    let mut world = World::new(&["web-1"], None);
    world.release("1.0.0", &commit('a')).await;
    world.release("1.1.0", &commit('b')).await;
    deploy(&world, &world.context, "1.0.0").await.unwrap();
    let approvers = approvers.iter().map(ToString::to_string).collect();
    world.site.settings.approval = Some(ApprovalRule { needed, four_eyes, approvers });
    world
}

async fn deploy(world: &World, context: &Context, version: &str) -> Result<(), CommandError> {
    let args = DeployArgs { target: Some(version.parse().unwrap()), ..DeployArgs::default() };
    deploy_with(context, &world.site, &world.supply, args).await.map(drop)
}

async fn wait_for_it(world: &World, starter: Actor) {
    let before = world.fleet.edit("web-1", |machine| format!("{machine:?}"));
    let error = deploy(world, &by(world, starter), "1.1.0").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InProgress, "{error}");
    assert!(error.hints.iter().any(|hint| hint.contains("relman approve 'production#2'")), "{error:?}");
    let lease = world.context.ledger.lease(&world.stream()).await.unwrap().unwrap();
    assert!(lease.released, "the deploy lock is free while it waits");
    let serving = |text: &str| text.contains("1.1.0");
    let after = world.fleet.edit("web-1", |machine| format!("{machine:?}"));
    assert!(!serving(&before) && !serving(&after), "no host was touched");
}

async fn approve_by(world: &World, actor: Actor) -> Result<Report, CommandError> {
    approve(&by(world, actor), &world.site.name, Args::default()).await
}

async fn resume_it(world: &World) -> Result<(), CommandError> {
    resume::run(&world.context, &world.site, resume::Args::default()).await.map(drop)
}

fn serving(world: &World) -> String {
    world.fleet.serving("web-1").unwrap().version.to_string()
}

#[tokio::test(start_paused = true)]
async fn it_waits_until_somebody_approves_and_then_goes_on() {
    let world = world(1, false, &[]).await;
    wait_for_it(&world, world.context.actor.clone()).await;
    for again in 0..2 {
        let error = resume_it(&world).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InProgress, "{again}: {error}");
    }
    // The same deploy again waits on, and is no second deployment.
    let error = deploy(&world, &world.context, "1.1.0").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InProgress, "{error}");
    let report = approve_by(&world, sts("bob")).await.unwrap();
    assert!(report.approved && report.given == 1, "{report:?}");
    let error = approve_by(&world, sts("eve")).await.unwrap_err();
    assert!(error.to_string().contains("approved already"), "{error}");
    resume_it(&world).await.unwrap();
    assert_eq!(serving(&world), "1.1.0");
    let record = world.context.deployment(&world.stream(), Some(2)).await.unwrap().unwrap();
    assert_eq!(record.approval.unwrap().given[0].actor, sts("bob"));
}

#[tokio::test(start_paused = true)]
async fn a_name_is_no_identity_and_two_times_one_are_not_two() {
    let world = world(2, false, &[]).await;
    wait_for_it(&world, world.context.actor.clone()).await;
    for source in [ActorSource::Os, ActorSource::Ci, ActorSource::Given] {
        let error = approve_by(&world, Actor { source, ..sts("bob") }).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    }
    assert!(!approve_by(&world, sts("bob")).await.unwrap().approved);
    assert_eq!(approve_by(&world, sts("bob")).await.unwrap_err().kind, ErrorKind::Refused);
    assert_eq!(resume_it(&world).await.unwrap_err().kind, ErrorKind::InProgress);
    // Who that is at GitHub, nobody knows: it may be Bob.
    let error = approve_by(&world, oidc("ada/1")).await.unwrap_err();
    assert!(error.kind == ErrorKind::Refused && error.to_string().contains("of another kind"), "{error}");
    assert!(approve_by(&world, sts("eve")).await.unwrap().approved);
    resume_it(&world).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_login_that_was_changed_is_the_same_person() {
    let world = world(1, true, &["oidc:bob/2", "oidc:ada/1"]).await;
    wait_for_it(&world, oidc("ada/1")).await;
    for (who, told) in [
        (oidc("lovelace/1"), "second pair of eyes"),
        (oidc("bob/3"), "not among those"),
        (sts("bob"), "not among those"),
    ] {
        let error = approve_by(&world, who).await.unwrap_err();
        assert!(error.kind == ErrorKind::Refused && error.to_string().contains(told), "{error}");
    }
    assert!(approve_by(&world, oidc("robert/2")).await.unwrap().approved);

    // By GitHub it started, by AWS it would be approved.
    let world = self::world(1, true, &[]).await;
    wait_for_it(&world, oidc("ada/1")).await;
    let error = approve_by(&world, sts("ada")).await.unwrap_err();
    assert!(error.to_string().contains("of another kind"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn four_eyes_are_two_people_that_are_both_known() {
    let world = world(1, true, &[]).await;
    wait_for_it(&world, sts("ada")).await;
    let error = approve_by(&world, sts("ada")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    approve_by(&world, sts("bob")).await.unwrap();
    resume_it(&world).await.unwrap();

    let world = self::world(1, true, &[]).await;
    wait_for_it(&world, world.context.actor.clone()).await;
    let error = approve_by(&world, sts("bob")).await.unwrap_err();
    assert!(error.kind == ErrorKind::Refused && error.to_string().contains("not proven"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn only_those_who_are_asked_count_and_only_for_this_plan() {
    let world = world(1, false, &["sts:bob"]).await;
    wait_for_it(&world, world.context.actor.clone()).await;
    assert_eq!(approve_by(&world, sts("eve")).await.unwrap_err().kind, ErrorKind::Refused);
    let other = Args { plan: Some(Digest::of(b"another plan")), ..Args::default() };
    let error = approve(&by(&world, sts("bob")), &world.site.name, other).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    approve_by(&world, sts("bob")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_rejected_is_over() {
    let world = world(1, false, &[]).await;
    wait_for_it(&world, world.context.actor.clone()).await;
    let args = Args { reason: Some("not on a Friday".to_owned()), ..Args::default() };
    let report = reject(&world.context, &world.site, args.clone()).await.unwrap();
    assert!(report.rejected && !report.approved, "{report:?}");
    assert_eq!(reject(&world.context, &world.site, args).await.unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(approve_by(&world, sts("bob")).await.unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(serving(&world), "1.0.0");
    // Rejected is no verdict on the release: it may be asked for again.
    wait_again(&world).await;
}

async fn wait_again(world: &World) {
    let error = deploy(world, &world.context, "1.1.0").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InProgress, "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_newer_deploy_an_abort_and_a_rollback_end_what_waits() {
    let world = world(1, false, &[]).await;
    world.release("1.2.0", &commit('c')).await;
    wait_for_it(&world, world.context.actor.clone()).await;
    let error = deploy(&world, &world.context, "1.2.0").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InProgress, "{error}");
    let outcome = async |number| {
        world.context.deployment(&world.stream(), Some(number)).await.unwrap().unwrap().outcome
    };
    assert_eq!(outcome(2).await, Some(Outcome::Superseded));

    abort::run(&world.context, &world.site, abort::Args::default()).await.unwrap();
    assert_eq!(outcome(3).await, Some(Outcome::Cancelled));

    wait_again(&world).await;
    let args =
        rollback::Args { target: Some("1.0.0".parse().unwrap()), yes: true, ..rollback::Args::default() };
    let _ = rollback::run(&world.context, &world.site, &world.supply, args).await;
    assert!(outcome(4).await.is_some());
    assert_eq!(serving(&world), "1.0.0");
}

/// Nobody gets past the rule by writing entries of their own: the ledger knows it.
#[tokio::test(start_paused = true)]
async fn invariant_3_no_step_begins_while_a_deployment_waits() {
    use crate::domain::event::{Direction, StepRef};
    let world = world(1, false, &[]).await;
    wait_for_it(&world, world.context.actor.clone()).await;
    let ask = Ask { purpose: "test".to_owned(), ..Ask::default() };
    let attempt = Attempt::begin(&world.context, &world.site, ask).await.unwrap();
    let step = StepRef {
        deployment: 2,
        index: 0,
        name: "prepare".to_owned(),
        host: Some("web-1".parse().unwrap()),
        direction: Direction::Forward,
    };
    attempt.append(Event::StepStarted { step, exposes: false }).await.unwrap_err();
    attempt.append(Event::Committed { deployment: 2 }).await.unwrap_err();
    attempt.end().await;
}

/// What came while it waited keeps it from going on, approved or not; what it was started in spite of does not.
#[tokio::test(start_paused = true)]
async fn a_hold_or_a_freeze_that_came_meanwhile_keeps_it_from_going_on() {
    let mut world = world(1, false, &[]).await;
    wait_for_it(&world, world.context.actor.clone()).await;
    approve_by(&world, sts("bob")).await.unwrap();
    let held = world.context.draft(Event::HoldSet { reason: "the database moves".into() });
    world.context.ledger.append(&world.stream(), None, held).await.unwrap();
    let error = resume_it(&world).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    assert!(
        error.message.contains("the database moves") && error.hints[0].contains("relman unhold"),
        "{error:?}"
    );
    assert_eq!(serving(&world), "1.0.0");
    let lifted = world.context.draft(Event::HoldLifted { reason: "moved".into() });
    world.context.ledger.append(&world.stream(), None, lifted).await.unwrap();

    let start = chrono::Utc::now();
    world.context.clock = Arc::new(Later(world.context.clock.clone()));
    let window = |from_hours: i64| {
        let at = |hours: i64| (start + chrono::Duration::hours(hours)).format("%Y-%m-%d %H:%M").to_string();
        vec![Freeze {
            from: at(from_hours).parse().unwrap(),
            until: at(9).parse().unwrap(),
            zone: "UTC".parse().unwrap(),
            reason: "the year ends".into(),
        }]
    };
    world.site.settings.freeze = window(1);
    let error = resume_it(&world).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    assert!(error.message.contains("the year ends"), "{error}");
    world.site.settings.freeze = window(-1);
    // It was in force at the start already: whoever started it said so.
    resume_it(&world).await.unwrap();
    assert_eq!(serving(&world), "1.1.0");
}
