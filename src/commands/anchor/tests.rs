//! What anchors find that the chain alone cannot.

use super::*;
use crate::anchor::memory::MemoryAnchors;
use crate::commands::testing::{World, commit, run_config};
use crate::ledger::verify::verify;

async fn world() -> (World, MemoryAnchors) {
    let world = World::new(&["web-1"], None);
    let release = world.release("0.1.0", &commit('a')).await;
    world.deploy(1, &release, &run_config(8000)).await;
    (world, MemoryAnchors::default())
}

fn streams(context: &Context) -> [Stream; 2] {
    [Stream::releases(&context.service), context.stream(&"production".parse().unwrap())]
}

async fn compared(world: &World, anchors: &MemoryAnchors) -> Compared {
    let chain = verify(world.context.ledger.as_ref()).await.unwrap();
    assert!(chain.holds());
    compare(&world.context, anchors, &chain).await.unwrap()
}

#[tokio::test]
async fn anchored_heads_prove_what_lies_before_them() {
    let (world, anchors) = world().await;
    let before = compared(&world, &anchors).await;
    assert_eq!((before.anchors, before.unproven.len()), (0, 2), "{before:?}");
    let heads = heads(&world.context, &streams(&world.context)).await.unwrap();
    keep(&world.context, &anchors, &heads).await.unwrap();
    keep(&world.context, &anchors, &heads).await.unwrap();
    let after = compared(&world, &anchors).await;
    assert_eq!((after.anchors, after.faults.len(), after.unproven.len()), (2, 0, 0), "{after:?}");

    let release = world.release("0.2.0", &commit('b')).await;
    world.deploy(2, &release, &run_config(8000)).await;
    let later = compared(&world, &anchors).await;
    assert!(later.faults.is_empty() && later.unproven.len() == 2, "{later:?}");
}

#[tokio::test]
async fn invariant_8_a_tail_that_was_cut_off_is_found_by_its_anchor() {
    let (long, anchors) = world().await;
    let heads_of = |world: &World| streams(&world.context);
    let release = long.release("0.2.0", &commit('b')).await;
    long.deploy(2, &release, &run_config(8000)).await;
    let heads = heads(&long.context, &heads_of(&long)).await.unwrap();
    keep(&long.context, &anchors, &heads).await.unwrap();
    // The same ledger, as a backup from before brings it back.
    let (short, _) = world().await;
    let found = compared(&short, &anchors).await;
    let classes: Vec<MismatchClass> = found.faults.iter().map(|fault| fault.class).collect();
    assert_eq!(classes, [MismatchClass::BehindAnchor; 2], "{found:?}");
}

#[tokio::test]
async fn invariant_8_a_history_that_was_written_anew_is_found_by_its_anchor() {
    let (world, anchors) = world().await;
    let mut heads = heads(&world.context, &streams(&world.context)).await.unwrap();
    for (_, head) in &mut heads {
        head.hash = ChainHash::of_body("as it was");
    }
    keep(&world.context, &anchors, &heads).await.unwrap();
    let found = compared(&world, &anchors).await;
    let classes: Vec<MismatchClass> = found.faults.iter().map(|fault| fault.class).collect();
    assert_eq!(classes, [MismatchClass::Rewritten; 2], "{found:?}");
    let right = super::heads(&world.context, &streams(&world.context)).await.unwrap();
    let error = keep(&world.context, &anchors, &right).await.unwrap_err();
    assert!(matches!(error, AnchorError::Contradicts { .. }), "{error:?}");
}
