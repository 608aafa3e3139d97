//! Lists, page by page.

use std::sync::Arc;

use super::fixture::*;
use crate::domain::deployment::Verdict;
use crate::domain::event::Event;
use crate::domain::id::{Digest, Stream};
use crate::domain::record::{Key, Listing, Record};
use crate::ledger::{Ledger, Page};

type Subject = Arc<dyn Ledger>;

async fn page(ledger: &Subject, listing: &Listing, before: Option<&Key>, limit: u32) -> Page {
    ledger.page(listing, before, limit).await.unwrap()
}

fn sorts(page: &Page) -> Vec<&str> {
    page.records.iter().map(|(key, _)| key.sort.as_str()).collect()
}

fn numbers(page: &Page) -> Vec<u64> {
    page.records
        .iter()
        .map(|(key, record)| match record {
            Record::Deployment(deployment) => {
                assert_eq!(*key, Key::of_deployment(&production(), deployment.number));
                deployment.number
            }
            other => panic!("{other:?}"),
        })
        .collect()
}

async fn deployments(ledger: &Subject, count: u64) -> Listing {
    let lease = take(ledger, &production(), "ada").await;
    for number in 1..=count {
        attempt(ledger, &lease, number).await;
    }
    Listing::Deployments(production())
}

pub(crate) async fn nothing_is_nothing(ledger: Subject) {
    let web = service();
    for listing in [
        Listing::Deployments(production()),
        Listing::Hosts(production()),
        Listing::Verdicts(production()),
        Listing::Releases(web.clone()),
        Listing::Commits(web.clone(), String::new()),
        Listing::Digests(web.clone(), Digest::of(b"")),
    ] {
        assert_eq!(page(&ledger, &listing, None, 10).await, Page { records: vec![], more: false });
    }
    assert_eq!(ledger.get(&Key::of_service(&web)).await.unwrap(), None);
}

pub(crate) async fn deployments_come_newest_first(ledger: Subject) {
    let listing = deployments(&ledger, 12).await;
    assert_eq!(numbers(&page(&ledger, &listing, None, 100).await), (1..=12).rev().collect::<Vec<_>>());
}

pub(crate) async fn more_is_said_exactly(ledger: Subject) {
    let listing = deployments(&ledger, 3).await;
    for (limit, count, more) in [(0, 0, true), (1, 1, true), (2, 2, true), (3, 3, false), (4, 3, false)] {
        let page = page(&ledger, &listing, None, limit).await;
        assert_eq!((page.records.len(), page.more), (count, more), "limit {limit}");
    }
    let first = Key::of_deployment(&production(), 1);
    assert_eq!(page(&ledger, &listing, Some(&first), 0).await, Page { records: vec![], more: false });
    assert_eq!(page(&ledger, &listing, None, u32::MAX).await.records.len(), 3);
}

pub(crate) async fn pages_together_are_the_whole_list(ledger: Subject) {
    let listing = deployments(&ledger, 10).await;
    for limit in 1..=11 {
        let (mut all, mut before) = (Vec::new(), None);
        loop {
            let page = page(&ledger, &listing, before.as_ref(), limit).await;
            assert!(page.records.len() <= limit as usize);
            all.extend(numbers(&page));
            before = page.records.into_iter().next_back().map(|(key, _)| key);
            if !page.more {
                break;
            }
        }
        assert_eq!(all, (1..=10).rev().collect::<Vec<_>>(), "limit {limit}");
    }
}

pub(crate) async fn a_cursor_need_not_exist(ledger: Subject) {
    let listing = deployments(&ledger, 5).await;
    let before = |number| Key::of_deployment(&production(), number);
    assert_eq!(numbers(&page(&ledger, &listing, Some(&before(1000)), 2).await), [5, 4]);
    assert_eq!(numbers(&page(&ledger, &listing, Some(&before(3)), 9).await), [2, 1]);
    let between = Key { sort: "DEP#0000000003~".into(), ..before(3) };
    assert_eq!(numbers(&page(&ledger, &listing, Some(&between), 9).await), [3, 2, 1]);
    assert_eq!(numbers(&page(&ledger, &listing, Some(&before(0)), 9).await), [] as [u64; 0]);
}

pub(crate) async fn releases_come_by_precedence(ledger: Subject) {
    for text in ["1.9.0", "1.10.0-rc.2", "1.10.0", "0.1.0", "1.10.0-rc.10", "2.0.0-alpha"] {
        append(&ledger, &releases(), claimed(text, &commit("abc"))).await.unwrap();
        append(&ledger, &releases(), bound(text)).await.unwrap();
    }
    let page = page(&ledger, &Listing::Releases(service()), None, 10).await;
    let versions: Vec<String> = page
        .records
        .iter()
        .map(|(_, record)| match record {
            Record::Release(release) => release.release.identity.version.to_string(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(versions, ["2.0.0-alpha", "1.10.0", "1.10.0-rc.10", "1.10.0-rc.2", "1.9.0", "0.1.0"]);
}

pub(crate) async fn commits_are_found_by_prefix(ledger: Subject) {
    for (text, hex) in [
        ("1.0.0", "abcdef0"),
        ("1.1.0", "abcdef1"),
        ("1.2.0", "abcdff0"),
        ("1.3.0", "ffffffff"),
        ("1.4.0", "9999"),
        ("1.5.0", "abcdef0"),
    ] {
        append(&ledger, &releases(), claimed(text, &commit(hex))).await.unwrap();
    }
    let full = commit("abcdef0");
    for (prefix, expected) in [
        ("abcdef", vec!["1.1.0", "1.5.0", "1.0.0"]),
        ("abcd", vec!["1.2.0", "1.1.0", "1.5.0", "1.0.0"]),
        (full.as_str(), vec!["1.5.0", "1.0.0"]),
        ("f", vec!["1.3.0"]),
        ("9", vec!["1.4.0"]),
        ("abcdf", vec!["1.2.0"]),
        ("abcde0", vec![]),
        ("abcdef00000000000000000000000000000000001", vec![]),
        ("", vec!["1.3.0", "1.2.0", "1.1.0", "1.5.0", "1.0.0", "1.4.0"]),
    ] {
        let page = page(&ledger, &Listing::Commits(service(), prefix.into()), None, 10).await;
        let found: Vec<String> = page
            .records
            .iter()
            .map(|(_, record)| match record {
                Record::Commit(version) => version.to_string(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(found, expected, "prefix {prefix:?}");
    }
}

pub(crate) async fn digests_are_found(ledger: Subject) {
    for text in ["1.0.0", "1.1.0"] {
        append(&ledger, &releases(), claimed(text, &commit("abc"))).await.unwrap();
        append(&ledger, &releases(), bound(text)).await.unwrap();
    }
    let listing = Listing::Digests(service(), release_ref("1.1.0").digest);
    let page = page(&ledger, &listing, None, 10).await;
    assert_eq!(
        page.records.into_iter().map(|(_, r)| r).collect::<Vec<_>>(),
        [Record::Digest(version("1.1.0"))]
    );
}

pub(crate) async fn hosts_and_verdicts_are_listed(ledger: Subject) {
    let lease = take(&ledger, &production(), "ada").await;
    succeed(&ledger, &lease, 1).await;
    for text in ["1.9.0", "1.10.0"] {
        let verdict =
            Event::VerdictMarked { version: version(text), verdict: Verdict::Faulty, reason: "slow".into() };
        append(&ledger, &production(), verdict).await.unwrap();
    }
    assert_eq!(sorts(&page(&ledger, &Listing::Hosts(production()), None, 9).await), ["HOST#web-1"]);
    let verdicts = page(&ledger, &Listing::Verdicts(production()), None, 9).await;
    let expected = ["1.10.0", "1.9.0"].map(|text| Key::of_verdict(&production(), &version(text)));
    assert_eq!(verdicts.records.into_iter().map(|(key, _)| key).collect::<Vec<_>>(), expected);
}

pub(crate) async fn lists_of_similar_names_are_apart(ledger: Subject) {
    for name in ["web/a", "web/a-b", "web-a/b", "we/b"] {
        let stream: Stream = name.parse().unwrap();
        let lease = take(&ledger, &stream, "ada").await;
        attempt(&ledger, &lease, 1).await;
    }
    for name in ["web/a", "web/a-b", "web-a/b", "we/b"] {
        let stream: Stream = name.parse().unwrap();
        let page = page(&ledger, &Listing::Deployments(stream.clone()), None, 9).await;
        let keys: Vec<Key> = page.records.into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, [Key::of_deployment(&stream, 1)]);
    }
    assert_eq!(page(&ledger, &Listing::Deployments("web/b".parse().unwrap()), None, 9).await.records, []);
}

pub(crate) async fn a_cursor_of_another_list_is_only_a_place(ledger: Subject) {
    let listing = deployments(&ledger, 2).await;
    let cursor = |partition: &str, sort: &str| Key { partition: partition.into(), sort: sort.into() };
    for (cursor, expected) in [
        (cursor("ENV#web#production", "VER#zzz"), 2),
        (cursor("ENV#web#production", "CURRENT"), 0),
        (cursor("ENV#aaa#production", "DEP#9999999999"), 0),
        (cursor("ENV#zzz#production", ""), 2),
        (cursor("", ""), 0),
    ] {
        let page = page(&ledger, &listing, Some(&cursor), 9).await;
        assert_eq!(page.records.len(), expected, "{cursor:?}");
        assert!(!page.more);
    }
}
