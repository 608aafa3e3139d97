//! Run configurations key by key; two sides with and without a history.

use serde_json::{Value, json};

use super::*;
use crate::commands::error::ErrorKind;
use crate::commands::testing::{World, commit, run_config};
use crate::domain::id::Digest;
use crate::git::testing::Lab;

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

#[tokio::test]
async fn what_serves_is_compared_with_head_and_its_configuration_of_now() {
    let lab = Lab::new();
    lab.write("a", "1");
    let first = lab.commit("feat: one");
    let mut world = World::new(&["web-1"], Some(lab.repository()));
    let one = world.release("0.1.0", &first).await;
    world.deploy(1, &one, &run_config(8000)).await;
    let same = run(&world.context, &world.site, &world.supply, Args::default()).await.unwrap();
    assert!(!same.differs, "{same:?}");
    assert_eq!(same.image_differs, Some(false));

    lab.write("a", "2");
    let second = lab.commit("fix: two");
    world.site.run = run_config(9000);
    let report = run(&world.context, &world.site, &world.supply, Args::default()).await.unwrap();
    let added: Vec<_> =
        report.added.iter().flatten().map(|c| (c.commit.clone(), c.author.as_str())).collect();
    assert_eq!(added, [(second, "Ada")]);
    assert_eq!(report.removed.as_deref(), Some(&[][..]));
    assert_eq!(report.image_differs, None, "HEAD has no image yet");
    assert_eq!(report.run.unwrap().iter().map(|c| c.key.as_str()).collect::<Vec<_>>(), ["port"]);
    assert!(report.differs && report.notes.iter().any(|note| note.contains("not released")));
}

#[tokio::test]
async fn without_a_history_image_and_configuration_are_still_compared() {
    let world = World::new(&["web-1"], None);
    let (one, two) = (world.release("0.1.0", &commit('a')).await, world.release("0.2.0", &commit('b')).await);
    world.deploy(1, &one, &run_config(8000)).await;
    world.deploy(2, &two, &run_config(8001)).await;
    let diff = async |from: &str, to: &str| {
        let target = |text: &str| Some(text.parse().unwrap());
        run(&world.context, &world.site, &world.supply, Args { from: target(from), to: target(to) }).await
    };
    let full = commit('a').to_string();
    for (from, to) in [
        ("v0.1.0", "v0.2.0"),
        ("#1", "production#2"),
        ("aaaaaaa", two.digest.as_str()),
        (full.as_str(), "0.2.0"),
        ("@-1", "#2"),
    ] {
        let report = diff(from, to).await.unwrap();
        assert_eq!((report.added, report.image_differs), (None, Some(true)), "{from} {to}");
        assert_eq!(report.run.unwrap().len(), 1, "{from} {to}: the port of then");
        assert!(report.notes.iter().any(|note| note.contains("no git repository")));
    }
    for unknown in ["v9.9.9", "#9", "ccccccc", "@-2"] {
        assert_eq!(diff(unknown, "#2").await.unwrap_err().kind, ErrorKind::NotFound, "{unknown}");
    }
    world.artifacts.lose(&Digest::of(serde_json::to_string(&run_config(8000)).unwrap().as_bytes()));
    let report = diff("#1", "#2").await.unwrap();
    assert_eq!(report.run, None);
    assert!(report.notes.iter().any(|note| note.contains("not recorded")), "{:?}", report.notes);
}

#[tokio::test]
async fn another_version_of_a_deployed_image_keeps_its_own_name() {
    let world = World::new(&["web-1"], None);
    let one = world.release("0.1.0", &commit('a')).await;
    let two = world.name("0.1.1", &one).await;
    world.deploy(1, &one, &run_config(8000)).await;
    let args = Args { from: Some("v0.1.0".parse().unwrap()), to: Some("v0.1.1".parse().unwrap()) };
    let report = run(&world.context, &world.site, &world.supply, args).await.unwrap();
    assert_eq!(report.to.version, Some(two.version));
    assert_eq!(report.image_differs, Some(false));
}
