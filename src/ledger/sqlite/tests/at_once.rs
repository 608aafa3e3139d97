//! Many clients of one file.

use super::*;
use crate::ledger::contract::{linear, race};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_3_contenders_for_the_lease_in_many_rounds() {
    let (ledger, _kept) = make();
    race::contend(ledger, 200).await;
}

/// Each client has a connection of its own, as a process has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_8_what_clients_are_answered_at_once_has_an_order() {
    linear::check(linear::HISTORIES, |clients| {
        let folder = tempfile::tempdir().unwrap();
        ((0..clients).map(|_| open(&folder)).collect(), folder)
    })
    .await;
}
