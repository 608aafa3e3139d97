//! The items: their keys and attributes, as `ledger-schema/README.md` lists them. Attribute names that stand in an
//! expression are none of DynamoDB's reserved words.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::domain::entry::{ChainHash, Head, Sealed};
use crate::domain::id::{Stream, Token};
use crate::domain::record::{Key, Record};
use crate::ledger::LeaseView;

/// An item as DynamoDB gives it.
pub(super) type Item = HashMap<String, AttributeValue>;

/// The highest number that a key of an entry has place for.
pub(super) const HIGHEST: u64 = 999_999_999_999;

/// Where an item lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) pk: String,
    pub(super) sk: String,
}

/// The partition of the ledger itself. Written once: IAM goes by partitions, so a role that writes entries needs no right
/// to write here.
pub(super) const META: &str = "META";
/// The partition of the names of the streams.
pub(super) const STREAMS: &str = "STREAMS";
/// Sort prefix of a stream's name.
pub(super) const STREAM: &str = "STREAM#";

/// Attribute of a head: the entry whose marks are still to be written.
pub(super) const OWED: &str = "owed";

pub(super) fn place(pk: impl Into<String>, sk: impl Into<String>) -> Place {
    Place { pk: pk.into(), sk: sk.into() }
}

/// Who the ledger is.
pub(super) fn meta() -> Place {
    place(META, "SCHEMA")
}

/// That a stream is there.
pub(super) fn name(stream: &Stream) -> Place {
    place(STREAMS, format!("{STREAM}{stream}"))
}

/// The partition of a stream.
pub(super) fn log(stream: &Stream) -> String {
    format!("LOG#{stream}")
}

/// Sort key of an entry.
pub(super) fn entry_key(seq: u64) -> String {
    format!("EV#{seq:012}")
}

/// An entry.
pub(super) fn entry(stream: &Stream, seq: u64) -> Place {
    place(log(stream), entry_key(seq))
}

/// Which entry has this id.
pub(super) fn id(stream: &Stream, eid: &Token) -> Place {
    place(log(stream), format!("ID#{eid}"))
}

/// The head of a stream. Never deleted: the fence would start again.
pub(super) fn head(stream: &Stream) -> Place {
    place(log(stream), "HEAD")
}

/// The lease of a stream. Never deleted.
pub(super) fn lock(stream: &Stream) -> Place {
    place(log(stream), "LOCK")
}

/// A record.
pub(super) fn record(key: &Key) -> Place {
    place(&key.partition, &key.sort)
}

impl Place {
    /// The key of a request.
    pub(super) fn key(self) -> Item {
        HashMap::from([("pk".to_owned(), text(self.pk)), ("sk".to_owned(), text(self.sk))])
    }

    /// An item that lies here.
    pub(super) fn item<const N: usize>(self, attributes: [(&str, AttributeValue); N]) -> Item {
        let mut item = self.key();
        item.extend(attributes.map(|(name, value)| (name.to_owned(), value)));
        item
    }
}

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(super) fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(super) fn flag(value: bool) -> AttributeValue {
    AttributeValue::Bool(value)
}

/// What does not read: the attribute.
pub(super) type Unreadable = String;

pub(super) fn get_text(item: &Item, name: &str) -> Result<String, Unreadable> {
    match item.get(name) {
        Some(AttributeValue::S(value)) => Ok(value.clone()),
        _ => Err(format!("it has no text {name}")),
    }
}

pub(super) fn get_number(item: &Item, name: &str) -> Result<u64, Unreadable> {
    match item.get(name) {
        Some(AttributeValue::N(value)) => value.parse().map_err(|_| format!("{name} is not a whole number")),
        _ => Err(format!("it has no number {name}")),
    }
}

fn get_flag(item: &Item, name: &str) -> Result<bool, Unreadable> {
    match item.get(name) {
        Some(AttributeValue::Bool(value)) => Ok(*value),
        _ => Err(format!("it has no flag {name}")),
    }
}

pub(super) fn read_head(item: &Item) -> Result<Head, Unreadable> {
    Ok(Head {
        seq: get_number(item, "seq")?,
        hash: ChainHash(get_text(item, "h")?),
        fence: get_number(item, "fence")?,
    })
}

pub(super) fn read_lease(item: &Item) -> Result<LeaseView, Unreadable> {
    let holder = get_text(item, "holder")?;
    Ok(LeaseView {
        fence: get_number(item, "fence")?,
        holder: serde_json::from_str(&holder).map_err(|e| format!("holder: {e}"))?,
        renewal: get_text(item, "rvn")?.parse().map_err(|e| format!("rvn: {e}"))?,
        ttl: Duration::from_millis(get_number(item, "lease_ms")?),
        released: get_flag(item, "released")?,
        holder_dead: false,
    })
}

pub(super) fn read_record(item: &Item) -> Result<Record, Unreadable> {
    serde_json::from_str(&get_text(item, "body")?).map_err(|e| e.to_string())
}

pub(super) fn write_entry(stream: &Stream, sealed: &Sealed) -> Item {
    entry(stream, sealed.entry.seq).item([
        ("body", text(&sealed.body)),
        ("h", text(&sealed.hash.0)),
        ("eid", text(sealed.entry.eid.as_str())),
    ])
}

pub(super) fn write_lease(stream: &Stream, lease: &LeaseView) -> Result<Item, serde_json::Error> {
    Ok(lock(stream).item([
        ("fence", number(lease.fence)),
        ("nonce", text(lease.holder.nonce.as_str())),
        ("holder", text(serde_json::to_string(&lease.holder)?)),
        ("rvn", text(lease.renewal.as_str())),
        ("lease_ms", number(u64::try_from(lease.ttl.as_millis()).unwrap_or(u64::MAX))),
        ("released", flag(lease.released)),
    ]))
}

pub(super) fn write_record(key: &Key, record_: &Record) -> Result<Item, serde_json::Error> {
    Ok(record(key).item([("body", text(serde_json::to_string(record_)?))]))
}
