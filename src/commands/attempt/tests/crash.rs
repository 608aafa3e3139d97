//! A crash at every append of a deploy and of a rollback, before and after its effect, and each command that may
//! come next.

use super::{World, at_rest, deploy, resume, roll_back, serving, to, world};
use crate::commands::abort;
use crate::commands::error::ErrorKind;
use crate::commands::testing::commit;
use crate::domain::deployment::Phase;
use crate::domain::event::{Direction, Event};
use crate::domain::release::ReleaseRef;
use crate::ledger::Ledger as _;
use crate::ledger::memory::{Call, Fault, Moment};

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
        // Nothing reached a request, so nothing is to be taken back, and there is nothing older to go to.
        Next::RollBack if left.as_ref().is_none_or(|left| !left.exposed) => {
            assert_eq!(roll_back(&world, None).await.unwrap_err().kind, ErrorKind::NotFound, "{what}");
            resume(&world).await
        }
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
        Next::RollBack if left.as_ref().is_some_and(|left| left.exposed) => {
            assert_eq!(digest, old.digest, "{what}: {result:?}");
        }
        Next::Abort if !committed => assert_eq!(digest, old.digest, "{what}: {result:?}"),
        _ => {}
    }
    // Once rolling back has begun the same deployment never goes forward again (6).
    let mut backwards = false;
    for sealed in world.ledger.read(&stream, last.saturating_sub(200), 1_000).await.unwrap() {
        match &sealed.entry.event {
            Event::RollingBack { deployment: 2, .. } => backwards = true,
            Event::StepStarted { step, .. } if step.deployment == 2 && backwards => {
                assert_eq!(step.direction, Direction::Undo, "{what}");
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
                if again && begun {
                    // As a user types it again.
                    if roll_back(&world, None).await.is_err() {
                        roll_back(&world, to("1.0.0")).await.unwrap();
                    }
                } else if !begun {
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
