//! Run configurations key by key, and how targets are taken.

use serde_json::{Value, json};

use super::*;

#[test]
fn one_target_is_compared_with_what_serves() {
    let target = |text: &str| Some(text.parse::<Target>().unwrap());
    let one = Args::of(target("v1.0.0"), None);
    assert_eq!((one.from, one.to), (None, target("v1.0.0")));
    let two = Args::of(target("v1.0.0"), target("#2"));
    assert_eq!((two.from, two.to), (target("v1.0.0"), target("#2")));
}

#[test]
fn run_configurations_differ_key_by_key() {
    let from =
        json!({"port": 8000, "env": {"A": "1", "B": "2"}, "volumes": ["/a:/a"], "secrets": {"t": "env:T"}});
    let to = json!({"port": 8000, "env": {"A": "1", "C": "3"}, "volumes": ["/a:/a", "/b:/b"], "secrets": {"t": "file:/t"}});
    let change = |key: &str, from: Value, to: Value| Change {
        key: key.to_owned(),
        from: (!from.is_null()).then_some(from),
        to: (!to.is_null()).then_some(to),
    };
    assert_eq!(
        run::compare(&from, &to),
        [
            change("env.B", json!("2"), Value::Null),
            change("env.C", Value::Null, json!("3")),
            change("secrets.t", json!("env:T"), json!("file:/t")),
            change("volumes", json!(["/a:/a"]), json!(["/a:/a", "/b:/b"])),
        ]
    );
    assert!(run::compare(&to, &to).is_empty());
}
