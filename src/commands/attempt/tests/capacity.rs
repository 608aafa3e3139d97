//! What a whole deploy costs in DynamoDB, by the figures of dynoxide, which counts as AWS does.

mod operations;

use super::{deploy, roll_back, to};
use crate::commands::testing::{World, commit};
use crate::domain::id::Token;
use crate::ledger::dynamodb::tests::metered;
use crate::ledger::dynamodb::tests::proxy::Proxy;

const HOSTS: [&str; 3] = ["web-1", "web-2", "web-3"];

/// Write units of a deploy to three hosts, from its lease to its end, with every step in the ledger.
const BUDGET: f64 = 190.0;

/// A world whose ledger is a table, and what its requests pass through.
async fn world() -> (World, Proxy) {
    let (ledger, proxy) = metered(Token::from_bits([9; 16])).await;
    let mut world = World::new(&HOSTS, None);
    world.context.ledger = ledger;
    (world, proxy)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs dynoxide: tests/aws/run"]
async fn a_deploy_to_three_hosts_stays_within_its_budget() {
    let (world, proxy) = world().await;
    for (digit, version) in [('a', "1.0.0"), ('b', "1.1.0")] {
        world.release(version, &commit(digit)).await;
    }
    deploy(&world, "1.0.0").await.unwrap();
    proxy.capacity();
    deploy(&world, "1.1.0").await.unwrap();
    let used = proxy.capacity();
    println!("deploy to three hosts: {used:?}");
    assert!(used.write > 50.0 && used.write <= BUDGET, "{used:?}");

    roll_back(&world, to("1.0.0")).await.unwrap();
    let used = proxy.capacity();
    println!("rollback of three hosts: {used:?}");
    assert!(used.write > 50.0 && used.write <= BUDGET, "{used:?}");
}
