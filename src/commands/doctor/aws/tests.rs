//! What each finding means, without AWS.

use super::judge::{bucket, table};
use super::*;
use crate::aws::survey::TableFacts;

fn good() -> TableFacts {
    TableFacts {
        status: "ACTIVE".into(),
        keys: vec![("pk".into(), "HASH".into()), ("sk".into(), "RANGE".into())],
        types: vec![("sk".into(), "S".into()), ("pk".into(), "S".into())],
        indexes: Vec::new(),
        provisioned: None,
        protected: true,
        encryption: Some("KMS".into()),
        replicas: Vec::new(),
    }
}

#[test]
fn a_table_as_the_layout_says_is_in_order() {
    let checks = [table::layout("t", &good()), table::safety("t", &good())].concat();
    assert!(checks.iter().all(|check| check.state == State::Ok), "{checks:?}");
}

#[test]
fn what_differs_has_a_name_a_meaning_and_a_command() {
    use State::{Failed, NotChecked, Ok, Warning};
    let layout = |change: fn(&mut TableFacts)| {
        let mut facts = good();
        change(&mut facts);
        table::layout("t", &facts).pop().unwrap()
    };
    let safety = |change: fn(&mut TableFacts), n: usize| {
        let mut facts = good();
        change(&mut facts);
        table::safety("t", &facts).remove(n)
    };
    let cases: Vec<(Check, State, &str)> = vec![
        (layout(|t| t.keys.truncate(1)), Failed, "its keys are pk HASH"),
        (layout(|t| t.types[0].1 = "N".into()), Failed, "type of its key sk is N, and the ledger's is S"),
        (layout(|t| t.types.truncate(1)), Failed, "type of its key pk is of no type"),
        (layout(|t| t.indexes = vec!["by-date".into()]), Warning, "by-date: the ledger knows none"),
        (layout(|t| t.status = "CREATING".into()), Failed, "it is CREATING"),
        (layout(|t| t.status = "UPDATING".into()), Warning, "being updated"),
        (layout(|t| t.replicas = vec!["eu-west-1".into()]), Failed, "last writer wins"),
        (safety(|t| t.provisioned = Some((5, 5)), 0), Warning, "throttled"),
        (safety(|t| t.provisioned = Some((25, 25)), 0), Ok, "25 read"),
        (safety(|t| t.protected = false, 1), Warning, "one call deletes it"),
        (safety(|t| t.encryption = None, 2), Ok, "DynamoDB's own"),
        (table::backups("t", false), Warning, "recovery is off"),
        (table::expiry("t", None), Ok, "nothing expires"),
        (table::expiry("t", Some("exp")), Ok, "no head"),
        (table::expiry("t", Some("at")), Failed, "expire by at"),
        (table::transactions("t", Some(true)), Ok, "tells the item"),
        (table::transactions("t", Some(false)), Failed, "does not tell"),
        (table::transactions("t", None), NotChecked, "nothing was in its way"),
        (table::locks("l", &good()), Failed, "LockID"),
        (bucket::region("b", "eu-west-1", "us-east-1"), Failed, "it is in eu-west-1"),
        (bucket::versions("b", false, "gone"), Failed, "keeps no versions: gone"),
        (bucket::lock("b", None), Warning, "no Object Lock"),
        (bucket::lock("b", Some("GOVERNANCE, 365 days")), Ok, "GOVERNANCE"),
        (bucket::encryption("b", None), Warning, "no encryption"),
        (bucket::closed("b", false), Failed, "public access"),
        (clock(3), Ok, "within 3 s"),
        (clock(-100), Warning, "100 s behind"),
        (clock(400), Failed, "400 s ahead"),
    ];
    for (check, state, part) in cases {
        assert_eq!(check.state, state, "{check:?}");
        assert!(check.detail.contains(part), "{check:?}");
        assert_eq!(check.fix.is_some(), matches!(state, Failed | Warning), "{check:?}");
    }
}
