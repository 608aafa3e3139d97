//! Back while everything is away but the hosts: no ledger, no registry, no AWS. And on record afterwards.

use std::time::Duration;

use super::access::Bare;
use super::support::eventually;
use super::support::host::answering;
use super::support::lab::Lab;
use super::support::load::Load;
use super::support::site::{Site, access, head, host_line};

/// The registry stands still until this is dropped.
struct Silence<'a>(&'a Lab, String);

impl<'a> Silence<'a> {
    fn of_the_registry(lab: &'a Lab) -> Self {
        let container = lab.registry_container();
        lab.docker(&["pause", &container]);
        Self(lab, container)
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        self.0.docker(&["unpause", &self.1]);
    }
}

fn configuration(lab: &Lab) -> String {
    format!(
        "{}\n[run.secrets]\nCANARY = \"env:LAB_CANARY\"\n\n[environments.production]\nvia = \"ansible\"\n\
         drain_seconds = 2\n{}\nhosts = [{}]\n",
        head(lab, "offline"),
        access(lab),
        host_line(lab, 1)
    )
}

/// As it would be with a ledger in DynamoDB that nobody answers for.
const AWAY: &str = "url = \"dynamodb:relman-away\"\n[artifacts]\nurl = \"s3://relman-away\"\n\n[lease]\n";

#[test]
#[ignore = "needs the lab: make test-lab"]
fn invariant_5_back_with_ledger_registry_and_cloud_away_and_on_record_when_they_return() {
    let lab = Lab::up();
    lab.script(&["fresh", "host1"]);
    let _bare = Bare(&lab);
    let mut site = Site::separate("offline", configuration);
    site.relman(&["deploy"]).expect(0);
    let good = site.serving();
    let bad = site.deploy_new();
    let load = Load::on(&site.lab.url(1), &site.root);

    let file = site.repository().join("relman.toml");
    let present = std::fs::read_to_string(&file).expect("it is in the repository");
    std::fs::write(&file, present.replacen("\n[lease]\n", &format!("\n{AWAY}"), 1))
        .expect("it can be written");
    let state = site.state();
    let hidden = site.root.join("hidden");
    std::fs::rename(&state, &hidden).expect("the ledger is there");
    site.environment = [
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into();
    let silence = Silence::of_the_registry(&lab);

    let planned = site.relman(&["rollback", "--offline", "--dry-run", "-o", "json"]).expect(0).json();
    assert_eq!(
        (&planned["version"], &planned["planned"]),
        (&good.clone().into(), &true.into()),
        "{planned:#}"
    );
    assert_eq!(answering(&site.lab, 1).as_ref(), Some(&bad), "only planned");
    let back = ["rollback", "--offline", "--reason", "errors, and the cloud is away"];
    let done = site.relman(&back).expect(0);
    assert!(done.stdout.contains("relman ledger import --from-hosts"), "{}", done.stdout);
    assert_eq!(answering(&site.lab, 1).as_ref(), Some(&good));
    site.relman(&back).expect(0);
    assert_eq!(answering(&site.lab, 1).as_ref(), Some(&good), "twice is once");
    site.relman(&["rollback", "--offline", "--to", "v9.9.9"]).expect(7);

    drop(silence);
    let _ = std::fs::remove_dir_all(&state);
    std::fs::rename(&hidden, &state).expect("it was hidden above");
    std::fs::write(&file, present).expect("it can be written");
    site.environment.clear();
    eventually("the registry answers", Duration::from_secs(30), || {
        site.relman(&["releases", "--check"]).code == Some(0)
    });

    let refused = site.relman(&["rollback", "--to", &format!("v{good}")]).expect(6);
    assert!(refused.stderr.contains("1 host of production is ahead of the ledger"), "{}", refused.stderr);
    site.relman(&["status", "--exit-code"]).expect(8);
    site.relman(&["ledger", "import", "--from-hosts"]).expect(0);
    let history = site.history();
    let latest = &history["deployments"][0];
    assert_eq!(history["serving"], good.as_str());
    assert_eq!(
        (&latest["kind"], &latest["outcome"]),
        (&"rollback".into(), &"succeeded".into()),
        "{latest:#}"
    );
    assert_eq!(latest["reason"], "errors, and the cloud is away");
    assert!(latest["offline"]["machine"].is_string(), "{latest:#}");
    site.is_settled();
    // The commits of the bad release are kept away, as after every rollback.
    site.change_harmless("feat: more of it");
    site.relman(&["deploy"]).expect(6);

    let load = load.end_without_a_failure();
    let answered = load["versions"].as_object().expect("versions by name");
    assert!(answered.contains_key(&good) && answered.contains_key(&bad), "{load:#}");
    let next = site.deploy_new();
    assert_eq!(answering(&site.lab, 1), Some(next));
    site.is_settled();
}
