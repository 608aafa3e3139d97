//! What is added keeps deploys away and rollbacks not, from every machine.

use std::sync::Arc;

use super::*;
use crate::commands::deploy;
use crate::commands::resume;
use crate::commands::rollback;
use crate::commands::testing::{Later, World, commit};
use crate::domain::project::FREEZES;
use crate::ledger::verify::verify;

fn args(from: Option<&str>, until: &str, zone: &str) -> Args {
    Args {
        from: from.map(|text| text.parse().unwrap()),
        until: Until::Moment(until.parse().unwrap()),
        zone: zone.parse().unwrap(),
        reason: "the sale".to_owned(),
    }
}

fn lasting(seconds: u64) -> Args {
    Args { until: Until::After(Duration::from_secs(seconds)), ..args(None, "Mon 00:00", "UTC") }
}

async fn world() -> World {
    let world = World::new(&["web-1"], None);
    world.release("1.0.0", &commit('a')).await;
    world.release("1.1.0", &commit('b')).await;
    world
}

async fn deploys(world: &World, version: &str, more: deploy::Args) -> Result<(), CommandError> {
    let args = deploy::Args { target: Some(version.parse().unwrap()), ..more };
    deploy::run(&world.context, &world.site, &world.supply, args).await.map(drop)
}

async fn added(world: &World, args: Args) -> Result<Report, CommandError> {
    add(&world.context, &world.site.name, &world.site.settings.freeze, args).await
}

#[tokio::test(start_paused = true)]
async fn a_freeze_keeps_deploys_away_until_it_is_over_or_removed() {
    let world = world().await;
    deploys(&world, "1.0.0", deploy::Args::default()).await.unwrap();
    let report = added(&world, lasting(3 * 3600)).await.unwrap();
    let id = report.added.unwrap();
    assert_eq!(report.freezes.len(), 1);
    assert!(report.freezes[0].in_force_until.is_some());
    let error = deploys(&world, "1.1.0", deploy::Args::default()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    let told = format!("{error} {}", error.hints.join("; "));
    for part in [
        "frozen until",
        &format!("freeze {id}, by "),
        "the sale",
        &format!("relman freeze rm {id}"),
        "--override-freeze",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let override_it = deploy::Args {
        override_freeze: true,
        reason: Some("it is the fix".to_owned()),
        ..deploy::Args::default()
    };
    deploys(&world, "1.1.0", override_it).await.unwrap();
    rollback::run(&world.context, &world.site, &world.supply, rollback::Args::default()).await.unwrap();

    let removed = remove(&world.context, &world.site.name, &[], id, "sold".to_owned()).await.unwrap();
    assert_eq!((removed.removed, removed.freezes.len()), (Some(id), 0));
    let again = remove(&world.context, &world.site.name, &[], id, "sold".to_owned()).await.unwrap_err();
    assert_eq!(again.kind, ErrorKind::NotFound);

    added(&world, lasting(60)).await.unwrap();
    let later = Context { clock: Arc::new(Later(world.context.clock.clone())), ..world.context.clone() };
    assert!(list(&later, &world.site.name, &[]).await.unwrap().freezes.is_empty(), "it is over");
    assert!(verify(world.context.ledger.as_ref()).await.unwrap().holds());
}

#[tokio::test(start_paused = true)]
async fn a_freeze_that_came_while_a_deployment_waited_keeps_it_waiting() {
    let mut world = world().await;
    deploys(&world, "1.0.0", deploy::Args::default()).await.unwrap();
    let rule = crate::domain::deployment::ApprovalRule { needed: 1, ..Default::default() };
    world.site.settings.approval = Some(rule);
    let error = deploys(&world, "1.1.0", deploy::Args::default()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InProgress);
    added(&world, lasting(3600)).await.unwrap();
    let proven = crate::domain::actor::ActorSource::Sts;
    let actor = crate::domain::actor::Actor { source: proven, ..world.context.actor.clone() };
    let context = Context { actor, ..world.context.clone() };
    crate::commands::approve::approve(&context, &world.site.name, Default::default()).await.unwrap();
    let error = resume::run(&world.context, &world.site, resume::Args::default()).await.unwrap_err();
    assert!(error.kind == ErrorKind::Refused && error.to_string().contains("frozen until"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_freeze_is_refused_and_those_that_are_over_make_room() {
    let world = world().await;
    let ended = "2020-01-01 00:00";
    for (bad, told) in [
        (args(None, "Mon 08:00", "UTC"), "begins each week and ends once"),
        (args(Some("Fri 16:00"), "Fri 16:00", "UTC"), "does not end after it begins"),
        (
            args(Some("2019-01-01 00:00"), ended, "Europe/Berlin"),
            "it was over at 2020-01-01 00:00 Europe/Berlin",
        ),
        (args(None, ended, "UTC"), "does not end after it begins"),
        (lasting(0), "no freeze"),
    ] {
        let error = added(&world, bad).await.unwrap_err();
        assert!(error.kind == ErrorKind::Usage && error.to_string().contains(told), "{error}");
        assert!(!error.hints.is_empty());
    }
    added(&world, lasting(60)).await.unwrap();
    for _ in 1..FREEZES {
        added(&world, args(Some("Fri 16:00"), "Mon 08:00", "Europe/Berlin")).await.unwrap();
    }
    let error = added(&world, lasting(60)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    let later = Context { clock: Arc::new(Later(world.context.clock.clone())), ..world.context.clone() };
    let report = add(&later, &world.site.name, &[], lasting(60)).await.unwrap();
    assert_eq!(report.freezes.len(), FREEZES);
    assert!(verify(world.context.ledger.as_ref()).await.unwrap().holds());
}

#[tokio::test(start_paused = true)]
async fn those_of_the_configuration_are_listed_beside() {
    let world = world().await;
    let text = r#"{"from": "Fri 16:00", "until": "Mon 08:00", "zone": "Europe/Berlin", "reason": "weekend"}"#;
    let configured: Vec<Freeze> = vec![serde_json::from_str(text).unwrap()];
    add(&world.context, &world.site.name, &configured, lasting(60)).await.unwrap();
    let report = list(&world.context, &world.site.name, &configured).await.unwrap();
    let ids: Vec<bool> = report.freezes.iter().map(|row| row.id.is_some()).collect();
    assert_eq!(ids, [false, true]);
}
