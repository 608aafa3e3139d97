//! Every kind of entry against `ledger-schema/entry.schema.json` and the golden files.

// Long because: one example of each kind of entry.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::contract::fixture::*;
use crate::domain::actor::{Actor, ActorSource};
use crate::domain::deployment::{ApprovalRule, Kind, Offline, Outcome, ReturnPoint, Verdict, Withdrawn};
use crate::domain::entry::{ChainHash, Draft, Head, SCHEMA, Sealed};
use crate::domain::event::{Direction, Event, SecretVersion, Started, StepError, StepRef, Times};
use crate::domain::id::{Digest, HostName};
use crate::domain::infra::{InfraApplied, InfraFailed, InfraHosts, InfraStarted, StateId};
use crate::domain::release::Release;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    body: String,
    hash: ChainHash,
}

fn host() -> HostName {
    "web-1".parse().unwrap()
}

fn step(host: Option<HostName>, direction: Direction) -> StepRef {
    StepRef { deployment: 142, index: 3, name: "shift".into(), host, direction }
}

fn log() -> Option<Digest> {
    Some(Digest::of(b"log"))
}

fn state() -> StateId {
    StateId { lineage: "b365a6bc-12e0-9bbb-1848-89a6d1edaeb5".into(), serial: 17 }
}

fn deployments(full: bool) -> Vec<Event> {
    let deployment = 142;
    let withdrawn = Withdrawn {
        bad: release_ref("1.4.2"),
        good: release_ref("1.4.1"),
        versions: vec![version("1.4.2"), version("1.5.0-rc.1")],
    };
    let back = ReturnPoint { number: 141, release: release_ref("1.4.1"), run: Digest::of(b"run") };
    vec![
        Event::DeploymentStarted(Box::new(Started {
            deployment,
            kind: if full { Kind::Rollback } else { Kind::Deploy },
            release: release_ref("1.4.2"),
            run: Digest::of(b"run"),
            hosts: vec![host(), "web-2".parse().unwrap()],
            reason: full.then(|| "500s since noon — \"ü\"\n".into()),
            rollback_of: full.then_some(141),
            withdrawn: full.then_some(withdrawn),
            sets_hold: full,
            keeps_hold: false,
            offline: None,
            overrides: if full { vec!["allow_older".into()] } else { vec![] },
        })),
        Event::DeploymentPlanned {
            deployment,
            plan: Digest::of(b"plan"),
            return_point: full.then_some(back),
        },
        Event::StepStarted { step: step(full.then(host), Direction::Forward), exposes: full },
        Event::StepSucceeded { step: step(full.then(host), Direction::Forward), log: log().filter(|_| full) },
        Event::StepFailed {
            step: step(full.then(host), Direction::Undo),
            error: StepError {
                code: "unhealthy".into(),
                message: "GET /healthz answered 503".into(),
                evidence: full.then(|| Digest::of(b"evidence")),
            },
            log: log().filter(|_| full),
        },
        Event::RollingBack {
            deployment,
            cause: "unhealthy".into(),
            requested: full.then_some(Outcome::Cancelled),
        },
        Event::DeploymentFinished {
            deployment,
            outcome: Outcome::RolledBack,
            message: full.then(|| "web-1 did not get healthy".into()),
            verdict: full.then_some(Verdict::Faulty),
        },
    ]
}

fn others(full: bool) -> Vec<Event> {
    vec![
        Event::ReleaseBound(Box::new(Release {
            identity: release_ref("1.4.2"),
            tree: full.then(|| commit("7ee")),
            committed_at: full.then(|| at(0)),
            manifest: Digest::of(b"manifest"),
            media_type: "application/vnd.oci.image.manifest.v1+json".into(),
            base_digest: full.then(|| Digest::of(b"base").to_string()),
            adopted: !full,
            tools: "relman 0.1.0, engine 28.0".into(),
        })),
        Event::InfraStarted(Box::new(InfraStarted {
            location: "infra/live/single".into(),
            configuration: full.then(|| Digest::of(b"configuration")),
            state: full.then(state),
            plan: Digest::of(b"plan"),
            created: 3,
            updated: 0,
            deleted: 1,
        })),
        Event::InfraApplied(Box::new(InfraApplied {
            location: "infra/live/single, workspace blue".into(),
            configuration: full.then(|| Digest::of(b"configuration")),
            state: full.then(state),
            hosts: full.then(|| Digest::of(b"hosts")),
            log: log().filter(|_| full),
        })),
        Event::InfraFailed(Box::new(InfraFailed {
            location: "infra/live/single".into(),
            error: StepError {
                code: "failed".into(),
                message: "creating EC2 Instance: UnauthorizedOperation".into(),
                evidence: full.then(|| Digest::of(b"evidence")),
            },
        })),
        Event::InfraHosts(InfraHosts { hosts: Digest::of(b"hosts") }),
        Event::ApprovalRequested {
            deployment: 142,
            rule: ApprovalRule {
                needed: 2,
                four_eyes: full,
                approvers: if full {
                    vec!["oidc:ada".into(), "sts:arn:aws:iam::1:user/bob".into()]
                } else {
                    vec![]
                },
            },
        },
        Event::ApprovalGiven {
            deployment: 142,
            plan: Digest::of(b"plan"),
            reason: full.then(|| "looked at it".into()),
        },
        Event::ReleaseTagged {
            version: version("1.4.2"),
            tags: vec!["v1.4.2".into(), "git:v1.4.2".into()],
            conflicts: if full { vec!["latest".into()] } else { vec![] },
        },
    ]
}

/// Kinds without optional fields.
fn plain() -> Vec<Event> {
    let deployment = 142;
    let holder = crate::domain::deployment::Holder { nonce: token(7), ..holder("ada") };
    vec![
        Event::LeaseAcquired { holder, stolen: true },
        Event::LeaseReleased {},
        Event::DeploymentSecrets {
            deployment,
            secrets: vec![SecretVersion { name: "KEY".into(), version: "7".into() }],
        },
        Event::DeploymentResumed { deployment },
        Event::Committed { deployment },
        Event::VerdictMarked {
            version: version("1.4.2"),
            verdict: Verdict::Withdrawn,
            reason: "leaks".into(),
        },
        hold("until Monday"),
        Event::HoldLifted { reason: "it is Monday".into() },
        Event::FreezeAdded(Times {
            from: "Fri 16:00".into(),
            until: "Mon 08:00".into(),
            zone: "Europe/Berlin".into(),
            reason: "weekend".into(),
        }),
        Event::FreezeRemoved { freeze: 41, reason: "it is Monday".into() },
        claimed("1.4.2-rc.1", &commit("abc")),
        Event::LedgerMoved { to: "dynamodb:relman-ledger".into() },
        Event::LedgerImported { from: "sqlite:/srv/relman/ledger.db".into() },
    ]
}

/// A deploy beside what a rollback withdrew.
fn beside() -> Event {
    let Some(Event::DeploymentStarted(started)) = deployments(false).into_iter().next() else {
        unreachable!("the first of the list")
    };
    Event::DeploymentStarted(Box::new(Started { keeps_hold: true, ..*started }))
}

/// A rollback that was done without the ledger.
fn afterwards() -> Event {
    let Some(Event::DeploymentStarted(started)) = deployments(true).into_iter().next() else {
        unreachable!("the first of the list")
    };
    let offline = Offline {
        nonce: token(9),
        at: at(1),
        actor: actor(),
        machine: "laptop".into(),
        reason: Some("all of it is down".into()),
    };
    Event::DeploymentStarted(Box::new(Started { offline: Some(offline), ..*started }))
}

/// One entry of each kind, and one with the least where there are optional fields.
fn examples() -> Vec<(String, Sealed)> {
    let full = plain().into_iter().chain(deployments(true)).chain(others(true)).map(|event| (event, true));
    let least = deployments(false).into_iter().chain(others(false)).map(|event| (event, false));
    full.map(|(event, full)| (event, full, ""))
        .chain(least.map(|(event, full)| (event, full, ".least")))
        .chain([(beside(), true, ".beside"), (afterwards(), true, ".offline")])
        .map(|(event, full, suffix)| {
            let stream = match event.kind() {
                "version.claimed" | "release.bound" | "release.tagged" => releases(),
                _ => production(),
            };
            let name = format!("{}{suffix}", event.kind());
            let head = Head { seq: 41, hash: ChainHash::of_body("the entry before"), fence: 6 };
            let fence = match &event {
                Event::LeaseAcquired { .. } => 7,
                event if event.needs_fence() => 6,
                _ => 0,
            };
            let run_url = full.then(|| "https://ci.example/run/1".into());
            let actor = Actor { name: "ada".into(), source: ActorSource::Given, run_url };
            let draft = Draft { eid: token(42), at: at(0), actor, event };
            (name, Sealed::seal(&stream, &head, fence, draft).unwrap())
        })
        .collect()
}

fn schema() -> Value {
    serde_json::from_str(include_str!("../../ledger-schema/entry.schema.json")).unwrap()
}

fn validator() -> jsonschema::Validator {
    jsonschema::draft202012::meta::validate(&schema()).unwrap();
    jsonschema::draft202012::new(&schema()).unwrap()
}

fn value(sealed: &Sealed) -> Value {
    serde_json::from_str(&sealed.body).unwrap()
}

/// Tests run in the folder of the crate.
fn folder(schema: u32) -> PathBuf {
    Path::new("tests/fixtures/entries").join(format!("v{schema}"))
}

#[test]
fn there_is_an_example_of_every_kind() {
    let kinds: BTreeSet<&str> = include_str!("../domain/event.rs")
        .split("#[serde(rename = \"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .filter(|name| name.contains('.'))
        .collect();
    assert!(kinds.len() >= 17, "{kinds:?}");
    let examples = examples();
    let found: BTreeSet<&str> = examples.iter().map(|(_, sealed)| sealed.entry.event.kind()).collect();
    assert_eq!(found, kinds);
    let schema = schema();
    let named = |list: &Value| -> BTreeSet<String> {
        list.as_array().unwrap().iter().map(|kind| kind.as_str().unwrap().to_owned()).collect()
    };
    let kinds: BTreeSet<String> = kinds.into_iter().map(str::to_owned).collect();
    assert_eq!(named(&schema["properties"]["kind"]["enum"]), kinds);
    let branches: Vec<Value> = schema["oneOf"]
        .as_array()
        .unwrap()
        .iter()
        .map(|b| b["properties"]["kind"]["const"].clone())
        .collect();
    assert_eq!(named(&Value::Array(branches)), kinds);
}

#[test]
fn every_kind_fits_the_schema() {
    let validator = validator();
    for (name, sealed) in examples() {
        let errors: Vec<String> = validator.iter_errors(&value(&sealed)).map(|e| e.to_string()).collect();
        assert_eq!(errors, [] as [String; 0], "{name}");
    }
}

/// Every way to a value inside `value`.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(key, child)| (key.clone(), child)).collect(),
        Value::Array(list) => list.iter().enumerate().map(|(n, child)| (n.to_string(), child)).collect(),
        _ => vec![],
    };
    for (key, child) in children {
        let at = format!("{at}/{key}");
        pointers(child, &at, found);
        found.push(at);
    }
}

#[test]
fn a_wrong_entry_does_not_fit_the_schema() {
    let validator = validator();
    let mut tried = 0;
    for (name, sealed) in examples() {
        let right = value(&sealed);
        let mut places = Vec::new();
        pointers(&right, "", &mut places);
        for place in &places {
            for wrong in [Value::Null, json!(1.5), json!({"unknown": true})] {
                let mut entry = right.clone();
                *entry.pointer_mut(place).unwrap() = wrong.clone();
                assert!(!validator.is_valid(&entry), "{name}: {place} = {wrong}");
                tried += 1;
            }
        }
        let objects = std::iter::once(String::new())
            .chain(places.into_iter().filter(|place| right.pointer(place).unwrap().is_object()));
        for place in objects {
            let mut entry = right.clone();
            entry.pointer_mut(&place).unwrap()["unknown"] = json!("x");
            assert!(!validator.is_valid(&entry), "{name}: {place}/unknown");
            let keys: Vec<String> =
                right.pointer(&place).unwrap().as_object().unwrap().keys().cloned().collect();
            for key in keys.iter().filter(|_| name.ends_with(".least")) {
                let mut entry = right.clone();
                entry.pointer_mut(&place).unwrap().as_object_mut().unwrap().remove(key);
                assert!(!validator.is_valid(&entry), "{name}: without {place}/{key}");
                tried += 1;
            }
        }
    }
    assert!(tried > 1_000, "{tried}");
}

#[test]
fn wrong_values_do_not_fit_the_schema() {
    let validator = validator();
    let (_, sealed) = examples().into_iter().find(|(name, _)| name == "release.bound").unwrap();
    for (place, wrong) in [
        ("/schema", json!(3)),
        ("/stream", json!("web/production/x")),
        ("/stream", json!("Web")),
        ("/seq", json!(0)),
        ("/prev", json!("00")),
        ("/eid", json!("ABCDEF00000000000000000000000000")),
        ("/at", json!("2026-01-02T03:04:05Z")),
        ("/kind", json!("release.unbound")),
        ("/kind", json!("release.tagged")),
        ("/actor/source", json!("rumour")),
        ("/data/version", json!("1.4.2+meta")),
        ("/data/version", json!("01.4.2")),
        ("/data/commit", json!("abc")),
        ("/data/digest", json!("latest")),
    ] {
        let mut entry = value(&sealed);
        *entry.pointer_mut(place).unwrap() = wrong;
        assert!(!validator.is_valid(&entry), "{place}: {entry}");
    }
}

#[test]
fn entries_are_written_as_the_golden_files_say() {
    for (name, sealed) in examples() {
        let path = folder(SCHEMA).join(format!("{name}.json"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| {
            panic!("{}: {e}; `cargo test write_golden_entries -- --ignored` writes it", path.display())
        });
        let golden: Golden = serde_json::from_str(&text).unwrap();
        assert_eq!(sealed.body, golden.body, "{name}");
        assert_eq!(sealed.hash, golden.hash, "{name}");
    }
}

#[test]
fn golden_entries_of_every_schema_read_forever() {
    let validator = validator();
    let mut count = 0;
    for schema in 1..=SCHEMA {
        for file in std::fs::read_dir(folder(schema)).unwrap() {
            let path = file.unwrap().path();
            let golden: Golden = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            let value: Value = serde_json::from_str(&golden.body).unwrap();
            let stream = value["stream"].as_str().unwrap().parse().unwrap();
            let seq = value["seq"].as_u64().unwrap();
            let sealed = Sealed::open(&stream, seq, golden.body.clone(), golden.hash.clone()).unwrap();
            let again = serde_json_canonicalizer::to_string(&sealed.entry).unwrap();
            assert_eq!(again, golden.body, "{}", path.display());
            assert_eq!(ChainHash::of_body(&again), golden.hash, "{}", path.display());
            assert!(schema < SCHEMA || validator.is_valid(&value), "{}", path.display());
            count += 1;
        }
    }
    assert!(count >= examples().len(), "{count}");
}

#[test]
fn what_an_entry_about_the_infrastructure_names_is_copied_with_it() {
    for (name, sealed) in examples() {
        let event = &sealed.entry.event;
        if !event.kind().starts_with("infra.") {
            continue;
        }
        let mut data = value(&sealed)["data"].take();
        // A hash of files, and no artifact.
        data.as_object_mut().unwrap().remove("configuration");
        assert_eq!(data.to_string().matches("sha256:").count(), event.artifacts().len(), "{name}");
    }
}

#[test]
#[ignore = "writes the golden files that are missing, for a new schema"]
fn write_golden_entries() {
    std::fs::create_dir_all(folder(SCHEMA)).unwrap();
    for (name, sealed) in examples() {
        let path = folder(SCHEMA).join(format!("{name}.json"));
        if !path.exists() {
            let golden = Golden { body: sealed.body, hash: sealed.hash };
            std::fs::write(&path, serde_json::to_string_pretty(&golden).unwrap() + "\n").unwrap();
        }
    }
}
