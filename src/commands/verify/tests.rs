//! Links that hold, that break, and that cannot be checked.

use super::*;
use crate::commands::testing::{World, commit, run_config};
use crate::git::testing::Lab;

/// A release whose every link holds, deployed.
async fn linked() -> (World, Lab, CommitSha) {
    let lab = Lab::new();
    lab.write("a", "1");
    let commit = lab.commit("feat: one");
    let repository = lab.repository();
    let at = crate::domain::time::Timestamp::from_millis(0).unwrap();
    repository.tag("v0.1.0", &commit, "one", "ada", at).unwrap();
    let world = World::new(&["web-1"], Some(repository));
    let release = world.release("0.1.0", &commit).await;
    world.deploy(1, &release, &run_config(8000)).await;
    (world, lab, commit)
}

async fn states(world: &World, live: bool) -> Vec<LinkState> {
    let args = Args { version: Some("0.1.0".parse().unwrap()), all: false, live };
    let report = run(&world.context, Some(&world.site), Some(&world.supply), None, args).await.unwrap();
    assert!(report.chain.holds(), "{:?}", report.chain.faults);
    let broken = report.releases[0].links.iter().any(|link| link.state == LinkState::Failed);
    assert_eq!(report.holds, !broken);
    report.releases[0].links.iter().map(|link| link.state).collect()
}

use LinkState::{Failed, NotChecked, Ok as Holds};

#[tokio::test]
async fn all_six_links_hold() {
    let (world, _lab, _) = linked().await;
    assert_eq!(states(&world, true).await, [Holds; 6]);
    assert_eq!(states(&world, false).await, [Holds, Holds, Holds, Holds, Holds, NotChecked]);
}

#[tokio::test]
async fn invariant_9_a_moved_or_lost_tag_is_told_and_the_digest_still_holds() {
    let (world, _lab, _) = linked().await;
    world.registry.tags.lock().unwrap().insert("v0.1.0".to_owned(), Digest::of(b"other"));
    assert_eq!(states(&world, true).await, [Holds, Holds, Failed, Holds, Holds, Holds]);
    world.registry.tags.lock().unwrap().clear();
    assert_eq!(states(&world, true).await, [Holds, Holds, Failed, Holds, Holds, Holds]);
}

#[tokio::test]
async fn a_lost_image_and_a_foreign_container_are_told() {
    let (world, _lab, _) = linked().await;
    let other = world.release("0.2.0", &commit('b')).await;
    world.serve("web-1", 1, &other);
    let digest = other_digest(&world).await;
    world.registry.content.lock().unwrap().remove(&digest);
    assert_eq!(states(&world, true).await, [Holds, Holds, Holds, Failed, Holds, Failed]);
}

async fn other_digest(world: &World) -> Digest {
    one(&world.context, &"0.1.0".parse().unwrap()).await.unwrap().release.identity.digest
}

#[tokio::test]
async fn what_cannot_be_reached_is_not_checked_and_not_failed() {
    let (mut world, _lab, _) = linked().await;
    *world.registry.down.lock().unwrap() = true;
    world.supply.repository = None;
    world.fleet.set_reachable("web-1", false);
    assert_eq!(states(&world, true).await, [NotChecked; 6]);
}

#[tokio::test]
async fn a_git_tag_on_another_commit_and_another_label_are_told() {
    let (world, lab, _) = linked().await;
    lab.write("a", "2");
    let second = lab.commit("feat: two");
    let at = crate::domain::time::Timestamp::from_millis(0).unwrap();
    world.release("0.2.0", &commit('c')).await;
    lab.repository().tag("v0.2.0", &second, "two", "ada", at).unwrap();
    let args = Args { all: true, ..Args::default() };
    let report = run(&world.context, None, Some(&world.supply), None, args).await.unwrap();
    assert_eq!(report.releases.len(), 2);
    let newest = &report.releases[0];
    assert_eq!(newest.version.to_string(), "0.2.0");
    let found: Vec<LinkState> = newest.links.iter().map(|link| link.state).collect();
    assert_eq!(found, [Failed, Failed, Holds, Holds, Holds, NotChecked]);
    assert!(!report.holds);
}

#[tokio::test]
async fn without_a_version_the_serving_release_is_looked_at_and_an_unknown_one_is_not_found() {
    let (world, _lab, _) = linked().await;
    let report =
        run(&world.context, Some(&world.site), Some(&world.supply), None, Args::default()).await.unwrap();
    assert_eq!(report.releases.len(), 1);
    assert!(!report.chain.unproven.is_empty(), "what no such check can prove is always said");
    let args = Args { version: Some("9.9.9".parse().unwrap()), ..Args::default() };
    let error = run(&world.context, None, None, None, args).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
}
