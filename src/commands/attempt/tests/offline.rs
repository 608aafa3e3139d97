//! Back without the ledger, and on record afterwards: at every moment of a deploy, and with every crash of the import.

use super::{World, all, at_rest, deploy, resume, roll_back, serving, to, world};
use crate::commands::deploy::{Report, ReportResult};
use crate::commands::error::{CommandError, ErrorKind};
use crate::commands::rollback::{import, offline};
use crate::commands::testing::commit;
use crate::domain::deployment::{Kind, Outcome, Verdict};
use crate::domain::release::ReleaseRef;
use crate::host::fake::Effect;
use crate::host::wire::HostErrorCode;
use crate::ledger::memory::{Call, Fault, Moment};

async fn go_back(world: &World, target: Option<&str>) -> Result<offline::Report, CommandError> {
    let means = offline::Means {
        site: &world.site,
        clock: &*world.context.clock,
        actor: &world.context.actor,
        machine: "laptop",
        progress: &*world.context.progress,
    };
    let target = target.map(|text| text.parse().unwrap());
    let args = offline::Args { target, reason: Some("all is down".into()), ..offline::Args::default() };
    offline::run(means, args).await
}

async fn import(world: &World) -> Result<Report, CommandError> {
    import::run(&world.context, &world.site, &world.supply, &[]).await
}

/// The ledger takes nothing from this append on.
fn away(world: &World, skip: u32, moment: Moment) {
    world.ledger.inject(Fault { call: Call::Append, skip, times: u32::MAX, moment, transient: false });
}

fn back(world: &World) {
    world.ledger.heal();
    world.ledger.kill_holder(&world.stream());
}

#[tokio::test(start_paused = true)]
async fn what_was_done_without_the_ledger_is_a_rollback_on_record() {
    let (world, old, new) = world().await;
    deploy(&world, "1.1.0").await.unwrap();
    let report = go_back(&world, None).await.unwrap();
    assert_eq!((report.version.clone(), report.hosts.len()), (old.version.clone(), 2));
    assert_eq!(serving(&world), all(&old));
    // Twice is once, and no third release is ever found.
    assert_eq!(go_back(&world, None).await.unwrap().version, old.version);

    for refused in [deploy(&world, "1.1.0").await, roll_back(&world, to("1.0.0")).await] {
        let error = refused.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused, "{error}");
        assert_eq!(error.message, "2 hosts of production are ahead of the ledger");
        assert!(
            error.details[0].contains("web-1: it went back to v1.0.0 without the ledger (ada on laptop"),
            "{error:?}"
        );
        assert!(error.hints[0].contains("relman ledger import --from-hosts"), "{error:?}");
    }
    assert_eq!(serving(&world), all(&old), "what is refused changes nothing");

    let report = import(&world).await.unwrap();
    assert_eq!((report.result, report.kind), (ReportResult::Deployed, Some(Kind::Rollback)));
    assert_eq!(at_rest(&world, "imported").await, old.digest);
    let number = report.id.unwrap().number;
    let recorded = world.context.deployment(&world.stream(), Some(number)).await.unwrap().unwrap();
    assert_eq!((recorded.kind, recorded.outcome), (Kind::Rollback, Some(Outcome::Succeeded)));
    assert_eq!(recorded.rollback_of, Some(2));
    assert_eq!(recorded.reason.as_deref(), Some("all is down"));
    assert_eq!(recorded.offline.unwrap().machine, "laptop");
    assert_eq!(world.context.verdict(&world.stream(), &new.version).await.unwrap(), Some(Verdict::Withdrawn));
    assert!(world.context.environment(&world.stream()).await.unwrap().hold.is_some());

    let again = import(&world).await.unwrap();
    assert_eq!((again.result, again.id), (ReportResult::NothingToDo, None));
    assert_eq!(deploy(&world, "1.1.0").await.unwrap_err().kind, ErrorKind::Refused, "it is on hold");
    let fixed = world.release("1.2.0", &commit('c')).await;
    let args = crate::commands::deploy::Args {
        target: to("1.2.0"),
        fixes: Some(number),
        reason: Some("repaired".into()),
        ..Default::default()
    };
    crate::commands::deploy::run(&world.context, &world.site, &world.supply, args).await.unwrap();
    assert_eq!(at_rest(&world, "the next deploy").await, fixed.digest);
}

/// The ledger goes away at append `at` of a deploy of 1.1.0, the hosts go back, it returns, and `first` is typed
/// before the import. `None`: the deploy came to its end before.
async fn away_at(at: u32, moment: Moment, first: &str) -> Option<()> {
    let (world, old, new) = world().await;
    away(&world, at, moment);
    if deploy(&world, "1.1.0").await.is_ok() {
        return None;
    }
    let what = format!("append {at} {moment:?}, then {first}");
    let before = serving(&world);
    let gone_back = go_back(&world, Some("1.0.0")).await;
    gone_back.unwrap_or_else(|error| panic!("{what}: {error} {:?}", error.details));
    assert_eq!(serving(&world), all(&old), "{what}");
    back(&world);
    let result = match first {
        "resume" => resume(&world).await,
        "deploy" => deploy(&world, "1.1.0").await,
        _ => roll_back(&world, to("1.0.0")).await,
    };
    let nothing = result.as_ref().is_ok_and(|report| report.result == ReportResult::NothingToDo);
    assert!(result.is_err() || nothing, "{what}: {result:?}");
    assert_eq!(serving(&world), all(&old), "{what}: a host obeyed before the ledger knew");
    let report = import(&world).await.unwrap_or_else(|error| panic!("{what}: {error} {:?}", error.details));
    assert_eq!(report.result, ReportResult::Deployed, "{what}");
    assert_eq!(at_rest(&world, &what).await, old.digest, "{what}");
    let verdict = world.context.verdict(&world.stream(), &new.version).await.unwrap();
    let exposed = before != all(&old);
    assert!(!exposed || verdict == Some(Verdict::Withdrawn), "{what}: {verdict:?}");
    Some(())
}

#[tokio::test(start_paused = true)]
async fn invariant_6_the_ledger_may_go_away_at_every_moment_of_a_deploy() {
    for first in ["resume", "deploy", "rollback"] {
        for moment in [Moment::Before, Moment::After] {
            let mut at = 0;
            while away_at(at, moment, first).await.is_some() {
                at += 1;
                assert!(at < 100, "it never ends");
            }
            assert!(at > 15, "{first} {moment:?}: only {at} places");
        }
    }
}

async fn gone_back() -> (World, ReleaseRef) {
    let (world, old, _) = world().await;
    deploy(&world, "1.1.0").await.unwrap();
    go_back(&world, None).await.unwrap();
    (world, old)
}

#[tokio::test(start_paused = true)]
async fn an_import_that_crashes_anywhere_is_done_by_the_next() {
    for moment in [Moment::Before, Moment::After] {
        for at in 0.. {
            let (world, old) = gone_back().await;
            away(&world, at, moment);
            let first = import(&world).await;
            back(&world);
            if first.is_ok() {
                assert!(at > 4, "only {at} crash points");
                break;
            }
            let what = format!("append {at} {moment:?}");
            import(&world).await.unwrap_or_else(|error| panic!("{what}: {error} {:?}", error.details));
            // Cut off behind its last step, it is on record and open, and somebody has to say that it ended.
            if world.context.environment(&world.stream()).await.unwrap().active.is_some() {
                resume(&world).await.unwrap_or_else(|error| panic!("{what}: {error}"));
            }
            assert_eq!(at_rest(&world, &what).await, old.digest, "{what}");
            let environment = world.context.environment(&world.stream()).await.unwrap();
            let serving =
                world.context.deployment(&world.stream(), environment.serving).await.unwrap().unwrap();
            assert_eq!((serving.kind, serving.rollback_of), (Kind::Rollback, Some(2)), "{what}");
            assert!(serving.offline.is_some(), "{what}");
            assert!(environment.hold.is_some(), "{what}");
        }
    }
}

/// Whatever becomes of one import, and of a second, the bad release does not come back with the next push.
#[tokio::test(start_paused = true)]
async fn invariant_5_no_crash_of_an_import_lets_the_next_push_bring_the_bad_release_back() {
    for moment in [Moment::Before, Moment::After] {
        'first: for at in 0.. {
            for again in 0.. {
                let (world, old) = gone_back().await;
                away(&world, at, moment);
                let first = import(&world).await;
                back(&world);
                if first.is_ok() {
                    assert!(at > 4, "only {at} crash points");
                    break 'first;
                }
                away(&world, again, moment);
                let second = import(&world).await;
                back(&world);
                let what = format!("append {at}, then {again}, {moment:?}");
                let pushed = deploy(&world, "1.1.0").await;
                assert!(pushed.is_err(), "{what}: {pushed:?}");
                assert_eq!(serving(&world), all(&old), "{what}");
                if second.is_ok() {
                    break;
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn artifacts_that_are_lost_do_not_keep_hosts_closed() {
    let (world, old) = gone_back().await;
    let placed = world.context.deployment(&world.stream(), Some(1)).await.unwrap().unwrap();
    world.artifacts.lose(&placed.run);
    let report = import(&world).await.unwrap();
    assert!(
        report.notes.iter().any(|note| note.contains("with the configuration of now")),
        "{:?}",
        report.notes
    );
    assert_eq!(at_rest(&world, "imported").await, old.digest);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_could_not_go_back_follows_with_the_import() {
    let (world, old, new) = world().await;
    deploy(&world, "1.1.0").await.unwrap();
    world.fleet.set_reachable("web-2", false);
    let error = go_back(&world, None).await.unwrap_err();
    assert_eq!(
        (error.kind, error.message.as_str()),
        (ErrorKind::Unsafe, "1 of 2 host(s) do not serve v1.0.0")
    );
    assert!(error.details[0].starts_with("web-2: unreachable"), "{:?}", error.details);
    world.fleet.heal();
    assert!(serving(&world).contains(&Some(new.digest)));
    let report = import(&world).await.unwrap();
    assert!(report.notes.iter().any(|note| note.contains("web-2 had not gone back")), "{:?}", report.notes);
    assert_eq!(at_rest(&world, "both").await, old.digest);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_heard_of_later_is_opened_and_changes_nothing_in_the_environment() {
    let (world, old) = gone_back().await;
    world.fleet.set_reachable("web-2", false);
    let report = import(&world).await.unwrap();
    let id = report.id.unwrap();
    assert!(report.notes.iter().any(|note| note.contains("web-2 was not asked")), "{:?}", report.notes);
    let fixed = world.release("1.2.0", &commit('c')).await;
    let args = crate::commands::deploy::Args {
        target: to("1.2.0"),
        fixes: Some(id.number),
        reason: Some("repaired".into()),
        hosts: vec!["web-1".parse().unwrap()],
        ..Default::default()
    };
    crate::commands::deploy::run(&world.context, &world.site, &world.supply, args).await.unwrap();
    world.fleet.heal();
    assert_eq!(
        deploy(&world, "1.2.0").await.unwrap_err().message,
        "1 host of production is ahead of the ledger"
    );
    let late = import(&world).await.unwrap();
    assert_eq!((late.result, late.id), (ReportResult::NothingToDo, Some(id)));
    assert!(
        serving(&world).contains(&Some(fixed.digest.clone())) && serving(&world).contains(&Some(old.digest))
    );
    deploy(&world, "1.2.0").await.unwrap();
    assert_eq!(at_rest(&world, "caught up").await, fixed.digest);
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_lives_on_is_stopped_by_the_hosts() {
    let (world, old, _) = world().await;
    let mut slow = world.site.clone();
    slow.settings.bake_seconds = 3_600;
    let args = crate::commands::deploy::Args { target: to("1.1.0"), ..Default::default() };
    let deploying = crate::commands::deploy::run(&world.context, &slow, &world.supply, args);
    let going_back = async {
        world.context.clock.sleep(std::time::Duration::from_secs(60)).await;
        go_back(&world, None).await
    };
    let (deployed, gone_back) = tokio::join!(deploying, going_back);
    assert_eq!(gone_back.unwrap().version, old.version);
    let error = deployed.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsafe, "{error}");
    assert!(
        error.details.iter().any(|line| line.contains("without the ledger (ada on laptop")),
        "{:?}",
        error.details
    );
    assert_eq!(serving(&world), all(&old));
    import(&world).await.unwrap();
    assert_eq!(at_rest(&world, "imported").await, old.digest);
}

#[tokio::test(start_paused = true)]
async fn what_a_host_says_is_believed_only_if_the_ledger_says_the_same() {
    for (digest, kind) in [(None, ErrorKind::Refused), (Some("9.9.9"), ErrorKind::NotFound)] {
        let (world, _) = gone_back().await;
        world.fleet.edit("web-1", |machine| {
            let to = &mut machine.offline.as_mut().unwrap().to.release;
            match digest {
                None => to.digest = crate::domain::id::Digest::of(b"another"),
                Some(version) => to.version = version.parse().unwrap(),
            }
        });
        world.fleet.edit("web-2", |machine| machine.offline = None);
        assert_eq!(import(&world).await.unwrap_err().kind, kind);
    }
}

#[tokio::test(start_paused = true)]
async fn where_it_does_not_get_healthy_what_served_serves_on_and_the_host_obeys() {
    let (world, old, new) = world().await;
    deploy(&world, "1.1.0").await.unwrap();
    world.fleet.set_unhealthy(&old.digest);
    let error = go_back(&world, None).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsafe, "{error}");
    assert_eq!(serving(&world), all(&new));
    deploy(&world, "1.1.0").await.unwrap();
    assert_eq!(go_back(&world, Some("@-1")).await.unwrap_err().kind, ErrorKind::Usage);
    for host in ["web-1", "web-2"] {
        world.fleet.fail(host, "observe", 1, Effect::None, HostErrorCode::Unreachable);
    }
    assert_eq!(go_back(&world, None).await.unwrap_err().kind, ErrorKind::Failed, "no host answers");
}
