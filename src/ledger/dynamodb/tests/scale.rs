//! The table with very many entries, and what relman adds to a call of the SDK.

use std::time::Instant;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use futures_util::StreamExt as _;

use super::*;
use crate::aws::QUICK;
use crate::domain::entry::{Head, Sealed};
use crate::domain::event::Event;
use crate::domain::record::{Key, Listing, Record};
use crate::ledger::contract::scale::{Maker, Sink, many, measure};

/// Writes items as they are, many at once.
struct Direct {
    client: Client,
    table: String,
}

/// Items that a request of this kind takes.
const BATCH: usize = 25;

#[async_trait::async_trait]
impl Sink for Direct {
    async fn put(&mut self, entries: Vec<Sealed>, records: Vec<(Key, Record)>, head: &Head) {
        let mut all: Vec<items::Item> = vec![items::name(&production()).key()];
        for sealed in &entries {
            all.push(items::write_entry(&production(), sealed));
            if matches!(sealed.entry.event, Event::LeaseAcquired { .. } | Event::LeaseReleased {}) {
                let seq = ("seq", items::number(sealed.entry.seq));
                all.push(items::id(&production(), &sealed.entry.eid).item([seq]));
            }
        }
        all.extend(records.iter().map(|(key, record)| items::write_record(key, record).unwrap()));
        all.push(items::head(&production()).item([
            ("seq", items::number(head.seq)),
            ("h", items::text(&head.hash.0)),
            ("fence", items::number(head.fence)),
        ]));
        let batches: Vec<Vec<items::Item>> = all.chunks(BATCH).map(<[items::Item]>::to_vec).collect();
        let (client, table) = (&self.client, &self.table);
        let requests = batches.into_iter().map(|batch| async move {
            let writes = batch.into_iter().map(|item| {
                let put = PutRequest::builder().set_item(Some(item)).build().unwrap();
                WriteRequest::builder().put_request(put).build()
            });
            let answer =
                client.batch_write_item().request_items(table, writes.collect()).send().await.unwrap();
            let left = answer.unprocessed_items.unwrap_or_default();
            assert!(left.is_empty(), "{left:?}");
        });
        futures_util::stream::iter(requests).buffer_unordered(8).collect::<Vec<()>>().await;
    }
}

async fn filled(table: &str) -> Direct {
    Direct { client: table::client().await, table: table.to_owned() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: make bench"]
async fn bench_very_many_entries() {
    let table = table::fresh();
    let mut direct = filled(&table).await;
    measure("DynamoDB (dynoxide)", many(), on(&table), &mut direct).await;
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// A page of the history by relman, and by the SDK alone with the same question, in turn. And what it takes until a
/// first question can be asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: make bench"]
async fn bench_a_page_beside_the_bare_sdk() {
    const TIMES: usize = 101;
    let table = table::fresh();
    let ledger = on(&table);
    let id = ledger.id().await.unwrap();
    Maker::new(&id).fill(&mut filled(&table).await, 10_000).await;
    let (listing, client) = (Listing::Deployments(production()), table::client().await);
    let prefix = listing.prefix();
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let began = Instant::now();
        assert_eq!(ledger.page(&listing, None, 20).await.unwrap().records.len(), 20);
        ours.push(began.elapsed().as_secs_f64() * 1000.0);
        let began = Instant::now();
        let answer = client
            .query()
            .table_name(&table)
            .key_condition_expression("pk = :pk AND begins_with(sk, :sk)")
            .expression_attribute_values(":pk", AttributeValue::S(prefix.partition.clone()))
            .expression_attribute_values(":sk", AttributeValue::S(prefix.sort.clone()))
            .scan_index_forward(false)
            .limit(20)
            .consistent_read(true)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.items().len(), 20);
        bare.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    let (ours, bare) = (median(ours), median(bare));
    println!(
        "LINE|What relman adds to AWS|a page of 20 deployments from DynamoDB (dynoxide)|{ours:.1} ms, {:.1} ms over the bare SDK call|at most 10 ms over it|{}",
        ours - bare,
        ours - bare <= 10.0
    );

    let endpoint = crate::aws::testing::variable("RELMAN_TEST_DYNAMODB");
    let mut setup = Vec::new();
    for _ in 0..21 {
        let began = Instant::now();
        let chain = crate::aws::Chain::fresh(endpoint.clone());
        let client = Client::new(&chain.config(QUICK).await.unwrap());
        let ask = || client.get_item().table_name(&table).set_key(Some(items::meta().key())).send();
        ask().await.unwrap();
        let first = began.elapsed();
        let again = Instant::now();
        ask().await.unwrap();
        setup.push((first - again.elapsed().min(first)).as_secs_f64() * 1000.0);
    }
    let setup = median(setup);
    println!(
        "LINE|What relman adds to AWS|credentials, client and connection to DynamoDB, over a call on a connection that is there|{setup:.1} ms|at most 30 ms|{}",
        setup <= 30.0
    );
}
