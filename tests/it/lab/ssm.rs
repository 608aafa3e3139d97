//! The way by Systems Manager: relman sends commands to moto, and an agent runs the document of `infra/` on a host.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::access::Bare;
use super::support::host::answering;
use super::support::lab::{Lab, root};
use super::support::site::{Site, access, head, host_line};

const INSTANCE: &str = "i-0123456789abcdef0";

/// moto with an agent on host1, until it is dropped.
pub(super) struct Agent {
    process: Child,
    endpoint: String,
}

impl Agent {
    pub(super) fn start(lab: &Lab) -> Self {
        let way =
            format!("{INSTANCE}=ssh -o BatchMode=yes -F '{}' host1 sudo sh -s", lab.ssh_config.display());
        let mut process = Command::new(root().join("tests/aws/serve"))
            .args(["ssm", "--instance", &way])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tests/aws/serve starts");
        let stdout = process.stdout.take().expect("it is piped");
        let ready = BufReader::new(stdout).lines().map_while(Result::ok).find_map(|line| {
            let port = line.strip_prefix("ready ")?;
            Some(format!("http://127.0.0.1:{port}"))
        });
        Self { process, endpoint: ready.expect("moto listens") }
    }

    pub(super) fn environment(&self) -> Vec<(&'static str, String)> {
        let of_nobody = [
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ];
        let mut all: Vec<_> = of_nobody.map(|(name, value)| (name, value.to_owned())).into();
        all.push(("AWS_ENDPOINT_URL", self.endpoint.clone()));
        all
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
#[ignore = "needs the lab: make test-lab"]
fn a_host_without_ssh_is_deployed_to_and_rolled_back_by_systems_manager() {
    let lab = Lab::up();
    lab.script(&["fresh", "host1"]);
    let _bare = Bare(&lab);
    let agent = Agent::start(&lab);
    let by_ansible = |lab: &Lab| {
        format!(
            "{}\n[environments.production]\nvia = \"ansible\"\ndrain_seconds = 2\n{}\nhosts = [{}]\n",
            head(lab, "ssm"),
            access(lab),
            host_line(lab, 1)
        )
    };
    let mut site = Site::separate("ssm", by_ansible);
    site.environment = agent.environment();

    // A bare host cannot be reached this way at all, and it is said what is missing.
    let line = host_line(&lab, 1);
    let there = format!(r#"{{ name = "host1", address = "{INSTANCE}" }}"#);
    site.change("chore: by Systems Manager", "relman.toml", &line, &there);
    site.change("chore: by Systems Manager", "relman.toml", "via = \"ansible\"", "via = \"ssm\"");
    site.change("chore: no login", "relman.toml", &access(&lab), "");
    let bare = site.relman(&["deploy"]).expect(1);
    assert!(bare.stderr.contains("put relman-host into their image"), "{}", bare.stderr);

    // The image of such a host has relman-host in it; here the roles put it there.
    site.git(&["revert", "--no-edit", "HEAD", "HEAD~1", "HEAD~2"]);
    site.relman(&["deploy"]).expect(0);
    let first = site.serving();
    site.git(&["revert", "--no-edit", "HEAD", "HEAD~1", "HEAD~2"]);
    site.relman(&["deploy"]).expect(0);
    let second = site.serving();
    assert_ne!(first, second);
    assert_eq!(answering(&site.lab, 1).as_ref(), Some(&second));
    site.relman(&["rollback", "--reason", "by Systems Manager"]).expect(0);
    assert_eq!(answering(&site.lab, 1).as_ref(), Some(&first));
    site.relman(&["unhold", "--reason", "the test is over"]).expect(0);
    site.is_settled();
    drop(agent);

    // Nobody answers: it is not known what the host does, and nothing is begun.
    let away = site.relman(&["deploy"]);
    assert!(away.code != Some(0), "{}", away.stderr);
    assert_eq!(answering(&site.lab, 1).as_ref(), Some(&first));
}
