//! Two run configurations, key by key. They hold references to secrets and never a secret, so a difference may be
//! shown.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

/// A key that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The key: `env.LOG_LEVEL`, `health.path`.
    pub key: String,
    /// Before; none: it was not there.
    pub from: Option<Value>,
    /// After; none: it is gone.
    pub to: Option<Value>,
}

/// The keys that differ, in order.
pub(super) fn compare(from: &Value, to: &Value) -> Vec<Change> {
    let (from, to) = (flat(from), flat(to));
    let keys: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    keys.into_iter()
        .filter(|key| from.get(*key) != to.get(*key))
        .map(|key| Change { key: key.clone(), from: from.get(key).cloned(), to: to.get(key).cloned() })
        .collect()
}

/// Objects become dotted keys; lists stay whole, since their order has a meaning.
fn flat(value: &Value) -> BTreeMap<String, Value> {
    let mut keys = BTreeMap::new();
    descend(String::new(), value, &mut keys);
    keys
}

fn descend(prefix: String, value: &Value, keys: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                descend(key, member, keys);
            }
        }
        Value::Null => {}
        other => {
            keys.insert(prefix, other.clone());
        }
    }
}
