//! The kinds of runs that do not go well, one after the other on the hosts of one pipeline: each leaves what the contract
//! says, and the next one goes on from there.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Ended, GREEN, Lab, Pipeline, shell};
use crate::support::eventually;
use crate::support::load::Load;

const PRODUCTION: &str = "production";
/// What somebody types who wants a shell to hear it, or a page to show it.
const TYPED: &str =
    "errors; touch pwned $(touch pwned) `touch pwned` ' \" ${{ github.token }} <b>\n--no-hold";

impl Ended {
    /// The job is red, by this exit code of relman's.
    #[track_caller]
    fn is_red(&self, job: &str, code: i32) {
        self.are(&[(job, "failure")]);
        self.relman_ended_with(code);
        self.sums_up(&format!("| code | {code} |"));
    }

    /// The job's summary, which is on the page of the run, has this text.
    #[track_caller]
    fn sums_up(&self, text: &str) {
        let summary = self.told["summary"].as_str().expect("a text");
        assert!(summary.contains(text), "no {text:?} in the summary:\n{summary}\n{}", self.log);
    }
}

/// A registry that hands out and takes nothing, until it is dropped.
struct Refusing<'a>(&'a Lab);

impl<'a> Refusing<'a> {
    fn new(lab: &'a Lab) -> Self {
        let told = "s/^  delete:/  maintenance:\\n    readonly:\\n      enabled: true\\n  delete:/";
        Self::restart(lab, told);
        Self(lab)
    }

    fn restart(lab: &Lab, edit: &str) {
        let registry = lab.registry_container();
        lab.docker(&["exec", &registry, "sed", "-i", edit, "/etc/docker/registry/config.yml"]);
        lab.docker(&["restart", "--time", "1", &registry]);
        let address = format!("http://{}/v2/", lab.registry);
        eventually("the registry answers", Duration::from_secs(30), || {
            let asked =
                std::process::Command::new("curl").args(["-fsS", "--max-time", "2", &address]).output();
            asked.expect("curl is there").status.success()
        });
    }
}

impl Drop for Refusing<'_> {
    fn drop(&mut self) {
        Self::restart(self.0, "/^  maintenance:/,/enabled: true/d");
    }
}

/// Cancelled while it is built: relman hears it and ends, and so does the build; nothing is released.
pub(super) fn build_cancelled(at: &Pipeline) {
    let repository = at.root.join("repo");
    shell(&repository, "echo 'RUN sleep 601' >>app/Dockerfile");
    let slow = at.push("feat: builds for ten minutes");
    let ended =
        at.run("deploy", &slow, &json!({"cancel": {"run": "ci-release", "says": "building and pushing"}}));
    ended.are(&[("build", "cancelled"), ("staging", "skipped")]);
    assert_eq!(ended.told["killed"], false, "{}", ended.log);
    ended.relman_ended_with(130);
    ended.sums_up("| code | 130 |");
    eventually("the engine builds no more", Duration::from_secs(20), || {
        !at.lab.docker(&["ps", "--no-trunc", "--format", "{{.Command}}"]).contains("sleep 601")
    });
    shell(&repository, "git revert --no-edit HEAD");
}

/// Resumed by its workflow after the cancelled run.
pub(super) fn resumed(at: &Pipeline, sha: &str) {
    at.dispatch("resume", sha, &json!({"environment": PRODUCTION})).are(&[("resume", "success")]);
    let newest = at.newest();
    assert_eq!((&newest["id"], &newest["outcome"]), (&"production#2".into(), &"succeeded".into()));
    let served = at.answers();
    assert!(served[0].is_some() && served[0] == served[1], "{served:?}");
}

/// The job of an older push that is run again does not take away what came after it.
pub(super) fn superseded(at: &Pipeline, older: &str) {
    let served = at.answers();
    let ended = at.run("deploy", older, &json!({"rerun": "staging"}));
    ended.are(&[("staging", "success"), (PRODUCTION, "success")]);
    ended.sums_up("| result | superseded |");
    assert_eq!(at.answers(), served, "the newer one serves");
}

/// The way back by its workflow, and words that would be more than words to a shell, to make, to relman or to a page.
pub(super) fn rolled_back(at: &Pipeline, sha: &str, good: &str) {
    let before = at.newest();
    for to in ["v1.0.0; touch pwned $(touch pwned)", "`touch pwned`\n--no-hold", "--help"] {
        let inputs = json!({"environment": PRODUCTION, "to": to, "reason": TYPED});
        let ended = at.dispatch("rollback", sha, &inputs);
        ended.are(&[("rollback", "failure")]);
        ended.relman_ended_with(2);
        assert_eq!(at.newest(), before, "{to:?} is no target, and nothing is begun");
    }
    let inputs = json!({"environment": PRODUCTION, "to": good, "reason": TYPED});
    at.dispatch("rollback", sha, &inputs).are(&[("rollback", "success")]);
    assert_eq!(at.answers()[1].as_deref(), Some(good));
    let newest = at.newest();
    assert_eq!((&newest["kind"], &newest["reason"]), (&"rollback".into(), &TYPED.into()), "{newest:#}");
    let left = shell(&at.jobs, "find . -name 'pwned*' -o -name relman-ssh-key");
    assert_eq!(left, "", "what was typed was run, or a key was left behind");
}

/// The registry takes no image: nothing is released or deployed, and the same run goes on when it does.
pub(super) fn not_pushed(at: &Pipeline, sha: &str) {
    let (served, before) = (at.answers(), at.newest());
    let refusing = Refusing::new(&at.lab);
    let ended = at.run("deploy", sha, &json!({}));
    drop(refusing);
    ended.is_red("build", 1);
    ended.are(&[("test", "success"), ("staging", "skipped"), (PRODUCTION, "skipped")]);
    assert_eq!((at.answers(), at.newest()), (served, before));
}

/// A push that would bring back what the rollback took away is built and goes to staging; production is held.
pub(super) fn held(at: &Pipeline, sha: &str) {
    let (served, before) = (at.answers(), at.newest());
    let ended = at.run("deploy", sha, &json!({"rerun": "build"}));
    ended.are(&[("build", "success"), ("staging", "success")]);
    ended.is_red(PRODUCTION, 6);
    ended.sums_up("relman unhold --env production");
    let now = at.answers();
    assert_ne!(now[0], served[0]);
    assert_eq!((&now[1], at.newest()), (&served[1], before));
    at.person(&["unhold", "--env", PRODUCTION, "--reason", "they were not to blame"]);
}

/// Planned and nothing more, until somebody else has approved; then by the workflow.
pub(super) fn approved(at: &Pipeline, sha: &str) {
    let served = at.answers();
    let ended = at.run("deploy", sha, &json!({"rerun": PRODUCTION}));
    ended.is_red(PRODUCTION, 9);
    let id = at.newest()["id"].as_str().expect("it is recorded").to_owned();
    ended.sums_up(&format!("relman approve '{}'", id.replace('#', "\\#")));
    assert_eq!(at.answers(), served, "no host was touched");

    let resume = || at.dispatch("resume", sha, &json!({"environment": PRODUCTION}));
    resume().is_red("resume", 9);
    let own = at.moto.environment();
    let nobody: Vec<_> =
        own.iter().filter(|(name, _)| !name.contains("_KEY") && !name.contains("_URL")).cloned().collect();
    for (who, why) in [(&own, "second pair of eyes"), (&nobody, "AWS credentials of your own")] {
        let output = at.person_as(who, &["approve", &id]);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(6), "{stderr}");
        assert!(stderr.contains(why), "{stderr}");
    }
    let output = at.person_as(&another(at), &["approve", &id, "--reason", "looked at the plan"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    resume().are(&[("resume", "success")]);
    let now = at.answers();
    assert_eq!(now[0], now[1], "production serves what staging does");
    assert_ne!(now, served);
}

/// Somebody else, as AWS tells it: whoever assumed a role.
fn another(at: &Pipeline) -> Vec<(&'static str, String)> {
    let mut identity = at.moto.environment();
    let endpoint =
        identity.iter().find(|(name, _)| *name == "AWS_ENDPOINT_URL").expect("it is set").1.clone();
    let asked = format!(
        "curl -fsS -H 'Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sts/aws4_request, \
         SignedHeaders=host, Signature=0' -d Action=AssumeRole -d Version=2011-06-15 -d RoleSessionName=grace \
         -d RoleArn=arn:aws:iam::123456789012:role/reviewers {endpoint}/"
    );
    let answer = shell(&at.root, &asked);
    let told = |tag: &str| {
        let inner = answer.split_once(&format!("<{tag}>")).and_then(|(_, rest)| rest.split_once("</"));
        inner.unwrap_or_else(|| panic!("no {tag} in {answer}")).0.to_owned()
    };
    identity.retain(|(name, _)| !name.contains("_KEY"));
    identity.push(("AWS_ACCESS_KEY_ID", told("AccessKeyId")));
    identity.push(("AWS_SECRET_ACCESS_KEY", told("SecretAccessKey")));
    identity.push(("AWS_SESSION_TOKEN", told("SessionToken")));
    identity
}

/// On a machine that hangs nobody hears SIGINT or SIGTERM, and all are killed: while a host is prepared, and in the job
/// that is run again while it shifts traffic. Under load, to the end, without a request that failed.
pub(super) fn killed(at: &Pipeline, sha: &str) {
    let served = at.answers();
    let load = Load::on(&at.lab.url(2), &at.root);
    let killed = |says: &str, more: &Value| {
        let mut settings = json!({"cancel": {"run": "ci-deploy", "says": says, "stuck": true}});
        for (key, value) in more.as_object().expect("an object") {
            settings[key] = value.clone();
        }
        let ended = at.run("deploy", sha, &settings);
        ended.are(&[(PRODUCTION, "cancelled")]);
        assert_eq!(ended.told["killed"], true, "{}", ended.log);
    };
    killed("host2: prepare", &json!({}));
    assert_eq!(at.answers()[1], served[1]);
    let interrupted = at.newest();
    assert!(interrupted["outcome"].is_null(), "{interrupted:#}");

    killed("host2: shift", &json!({"rerun": PRODUCTION}));
    let new = at.answers()[0].clone();
    let now = at.answers()[1].clone();
    assert!(now == served[1] || now == new, "{now:?} is neither");

    at.dispatch("resume", sha, &json!({"environment": PRODUCTION})).are(&[("resume", "success")]);
    assert_eq!(at.answers()[1], new);
    assert_eq!(at.newest()["outcome"], "succeeded");
    load.end_without_a_failure();
    // Whoever comes next finds nothing half done.
    at.run("deploy", sha, &json!({"rerun": PRODUCTION})).are(&GREEN);
}
