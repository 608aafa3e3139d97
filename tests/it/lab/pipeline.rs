//! The workflows of this repository, their own steps in order as GitHub's runner would run them
//! (`tests/pipeline/runner.py`), from a push to what answers on staging (host1) and production (host2).

mod kinds;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use super::ssm::Agent;
use super::support::host::answering;
use super::support::lab::{Lab, relman, root};
use super::support::random;
use super::support::site::{access, head};

const KEY: &str = "RELMAN_SSH_KEY";
const MARK: &str = "GREETING = \"";
/// What production asks for, and what it asks for later.
const RULES: &str = "after = \"staging\"\nbake_seconds = 3\n";
const APPROVAL: &str = "approval = { needed = 1, four_eyes = true }\n";

/// Repository, remote, and the machine that jobs run on.
struct Pipeline {
    lab: Lab,
    root: PathBuf,
    moto: Agent,
    tests: PathBuf,
    image: String,
    /// Short, since ssh keeps sockets in the home of a job.
    jobs: PathBuf,
}

/// Gives the hosts back as they were: other scenarios have another ledger.
impl Drop for Pipeline {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.jobs);
        self.lab.script(&["fresh", "host1"]);
        self.lab.script(&["fresh", "host2"]);
    }
}

impl Pipeline {
    fn new() -> Self {
        let lab = Lab::up();
        for host in ["host1", "host2"] {
            lab.script(&["fresh", host]);
        }
        let root = lab.state.join("pipeline");
        let _ = std::fs::remove_dir_all(&root);
        let moto = Agent::start(&lab);
        let image = format!("pipeline-{}", &random()[..6]);
        let pipeline = Self {
            root,
            moto,
            tests: self::root().join("tests/pipeline"),
            jobs: std::env::temp_dir().join(image.replace("pipeline", "jobs")),
            image,
            lab,
        };
        pipeline.make_repository();
        pipeline.make_release();
        for (number, terraform) in [(1, "single"), (2, "ha")] {
            pipeline.write(&format!("stand-in/outputs/{terraform}.json"), &pipeline.outputs(number));
        }
        pipeline
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.root.join(name);
        std::fs::create_dir_all(path.parent().expect("it has a folder")).expect("the state can be written");
        std::fs::write(path, text).expect("the state can be written");
    }

    /// What Terraform would say of one host.
    fn outputs(&self, number: usize) -> String {
        let host = json!({
            "name": format!("host{number}"), "address": self.lab.hosts[number - 1],
            "port": self.lab.ssh_port.parse::<u16>().expect("a port"), "user": self.lab.user,
            "host_keys": [self.lab.host_key(number)], "ssm_id": null, "bastion": null,
        });
        json!({"relman_hosts": {"value": [host]}, "relman_config": {"value": {"access": "ssh"}}}).to_string()
    }

    /// This repository, with a relman.toml for the lab.
    fn make_repository(&self) {
        let repository = self.root.join("repo");
        std::fs::create_dir_all(&repository).expect("the state can be written");
        shell(
            root(),
            &format!(
                "git ls-files -z --cached --others --exclude-standard . | tar --null --files-from=- -cf - \
                 | tar -C '{0}' -xf -; git init -q --bare -b main '{0}/../origin.git'; cd '{0}'; git init -q -b main .; \
                 git config user.name Lab; git config user.email lab@example.com; git config commit.gpgsign false; \
                 git config core.hooksPath /dev/null; git remote add origin '{0}/../origin.git'",
                repository.display()
            ),
        );
        let head = head(&self.lab, &self.image).replace("[image]\n", "[image]\ncontext = \"app\"\n");
        let user = access(&self.lab);
        let user = user.split(", key").next().expect("it has a user");
        let environment = |name: &str, directory: &str, more: &str| {
            format!(
                "\n[environments.{name}]\nvia = \"ansible\"\ndrain_seconds = 2\n{more}{user} }}\n\
                 [environments.{name}.terraform]\ndirectory = \"infra/live/{directory}\"\n"
            )
        };
        let text = head + &environment("staging", "single", "") + &environment("production", "ha", RULES);
        std::fs::write(repository.join("relman.toml"), text).expect("the state can be written");
    }

    /// What GitHub has of relman's own releases.
    fn make_release(&self) {
        let release = self.root.join("stand-in/release");
        let bin = self.root.join("bin");
        std::fs::create_dir_all(&release).expect("the state can be written");
        std::fs::create_dir_all(&bin).expect("the state can be written");
        let built = relman();
        let built = built.parent().expect("it is in a folder").display();
        shell(
            &release,
            &format!(
                "for name in relman relman-host; do strip -o ../../bin/$name {built}/$name; done; \
                 tar -C ../../bin -cf - relman relman-host | gzip -1 >relman-v0.1.0-$(uname -m)-linux.tar.gz; \
                 sha256sum *.tar.gz >SHA256SUMS"
            ),
        );
    }

    /// Commits what has changed and pushes it; the commit.
    fn push(&self, message: &str) -> String {
        let script = format!(
            "git add --all; git commit -q -m '{message}'; git push -q origin main; git rev-parse HEAD"
        );
        shell(&self.root.join("repo"), &script)
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.root.join("repo").join(file);
        let text = std::fs::read_to_string(&path).expect("the file is in the repository");
        assert!(text.contains(from), "{file} has no {from:?}");
        std::fs::write(path, text.replacen(from, to, 1)).expect("it can be written");
    }

    fn change(&self, message: &str) -> String {
        self.edit("app/web/app.py", MARK, &format!("{MARK}{} ", &random()[..6]));
        self.push(message)
    }

    /// Runs a workflow for a commit; how its jobs ended.
    #[track_caller]
    fn run(&self, workflow: &str, sha: &str, more: &Value) -> Ended {
        let environment = |role: &str| {
            json!({"vars": {"RELMAN_ROLE_DEPLOY": role}, "secrets": {KEY: std::fs::read_to_string(&self.lab.key)
                .expect("the lab has a key")}, "role": self.identity()})
        };
        let venv = shell(root(), "dirname $(dirname $(command -v ansible-playbook))");
        let cache = shell(root(), "echo ${RELMAN_LAB_CACHE:-$HOME/.cache/relman-lab}");
        let state = self.root.display();
        let mut settings = json!({
            "origin": format!("{state}/origin.git"), "ref": "refs/heads/main", "sha": sha, "event": "push",
            "root": self.jobs, "path": [self.tests.join("stand-ins")], "home": {".cache/relman-lab": cache, ".stand-in": format!("{state}/stand-in")},
            "environment": {"STAND_IN": format!("{state}/stand-in"), "STAND_IN_VENV": venv},
            "vars": {
                "AWS_REGION": "us-east-1", "RELMAN_VERSION": "v0.1.0", "RELMAN_REGISTRY": self.lab.registry,
                "RELMAN_IMAGE_REPOSITORY": format!("{}/{}", self.lab.registry, self.image), "BACKEND_HCL": "bucket = \"b\"",
                "RELMAN_LEDGER_URL": format!("sqlite:{state}/ledger.db"),
                "RELMAN_ARTIFACTS_URL": format!("file:{state}/artifacts"),
            },
            "environments": {
                "build": {"vars": {"RELMAN_ROLE_BUILD": "build"}, "role": {}}, "staging": environment("staging"),
                "production": environment("production"), "production-rollback": environment("production"),
            },
        });
        for (key, value) in more.as_object().expect("an object") {
            settings[key] = value.clone();
        }
        self.write("settings.json", &settings.to_string());
        // Each run has a log of its own, and what it says is this run's.
        let _ = std::fs::remove_file(self.jobs.join("log"));
        let began = std::time::Instant::now();
        let output = Command::new(Path::new(&venv).join("bin/python3"))
            .arg(self.tests.join("runner.py"))
            .arg(self.root.join(format!("repo/.github/workflows/{workflow}.yml")))
            .arg(self.root.join("settings.json"))
            .stdin(Stdio::null())
            .output()
            .expect("python3 is there");
        let log = shell(&self.jobs, "tail -n 120 log");
        assert!(output.status.success(), "{}\n{log}", String::from_utf8_lossy(&output.stderr));
        let told: Value = serde_json::from_slice(&output.stdout).expect("the runner tells in JSON");
        println!("{workflow} {:.0?}: {told:#}", began.elapsed());
        Ended { told, log }
    }

    fn identity(&self) -> Value {
        self.moto
            .environment()
            .into_iter()
            .map(|(name, value)| (name.to_owned(), Value::from(value)))
            .collect()
    }

    /// Who answers in staging and in production.
    fn answers(&self) -> [Option<String>; 2] {
        [answering(&self.lab, 1), answering(&self.lab, 2)]
    }

    /// A run that somebody starts by hand.
    #[track_caller]
    fn dispatch(&self, workflow: &str, sha: &str, inputs: &Value) -> Ended {
        self.run(workflow, sha, &json!({"event": "workflow_dispatch", "inputs": inputs}))
    }

    /// `relman` of a person with rights of their own.
    fn person(&self, arguments: &[&str]) -> String {
        let output = self.person_as(&self.moto.environment(), arguments);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {stderr}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The same, as somebody whom these variables prove, or do not.
    fn person_as(&self, identity: &[(&str, String)], arguments: &[&str]) -> Output {
        let state = self.root.display();
        Command::new(relman())
            .args(arguments)
            .current_dir(self.root.join("repo"))
            .env_remove("RELMAN_BIN")
            .env_remove("RELMAN_LAB")
            .env("RELMAN_LEDGER__URL", format!("sqlite:{state}/ledger.db"))
            .env("RELMAN_ARTIFACTS__URL", format!("file:{state}/artifacts"))
            .envs(identity.iter().map(|(name, value)| (name, value)))
            .output()
            .expect("relman runs")
    }

    fn newest(&self) -> Value {
        let history = self.person(&["history", "--env", "production", "--all", "-o", "json"]);
        let history: Value = serde_json::from_str(&history).expect("JSON");
        history["deployments"][0].clone()
    }
}

/// How a run ended.
struct Ended {
    told: Value,
    log: String,
}

impl Ended {
    /// Each job's result, in this order of names.
    #[track_caller]
    fn are(&self, expected: &[(&str, &str)]) {
        for (job, result) in expected {
            assert_eq!(self.told["jobs"][job]["result"], **result, "{job}: {:#}\n{}", self.told, self.log);
        }
    }

    /// The log, which is all that somebody sees, has this text.
    #[track_caller]
    fn says(&self, text: &str) {
        assert!(self.log.contains(text), "no {text:?} in\n{}", self.log);
    }

    /// make turns every failure into 2; what relman ended with stands in make's own line.
    #[track_caller]
    fn relman_ended_with(&self, code: i32) {
        let last = format!("Error {code}");
        assert!(self.log.lines().any(|line| line.ends_with(&last)), "no {last:?} in\n{}", self.log);
    }
}

fn shell(directory: &Path, script: &str) -> String {
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .current_dir(directory)
        .output()
        .expect("bash is there");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

const GREEN: [(&str, &str); 4] =
    [("test", "success"), ("build", "success"), ("staging", "success"), ("production", "success")];

#[test]
#[ignore = "needs the lab: make test-lab"]
fn a_push_ends_in_served_traffic_and_what_fails_leaves_what_serves() {
    let at = Pipeline::new();

    let first = at.push("feat: the service");
    at.run("deploy", &first, &json!({})).are(&GREEN);
    let served = at.answers();
    assert!(served[0].is_some() && served[0] == served[1], "{served:?}");

    // Tests fail: nothing is built.
    at.edit("app/web/health.py", "return []", "return [\"never\"]");
    let broken = at.push("feat: does not pass its tests");
    at.run("deploy", &broken, &json!({})).are(&[
        ("test", "failure"),
        ("build", "skipped"),
        ("production", "skipped"),
    ]);
    shell(&at.root.join("repo"), "git revert --no-edit HEAD");

    // The build fails: nothing is deployed.
    shell(&at.root.join("repo"), "echo 'RUN false' >>app/Dockerfile");
    let broken = at.push("feat: does not build");
    at.run("deploy", &broken, &json!({})).are(&[
        ("test", "success"),
        ("build", "failure"),
        ("staging", "skipped"),
    ]);
    shell(&at.root.join("repo"), "git revert --no-edit HEAD");
    assert_eq!(at.answers(), served);
    kinds::build_cancelled(&at);

    // Cancelled while production is worked on; it hears the first signal, and `resume` goes on.
    let second = at.change("feat: cancelled half-way");
    let ended = at.run("deploy", &second, &json!({"cancel": {"run": "ci-deploy", "says": "host2: prepare"}}));
    ended.are(&[("staging", "success"), ("production", "cancelled")]);
    assert_eq!(ended.told["killed"], false, "{}", ended.log);
    ended.relman_ended_with(130);
    ended.says("production#2 was interrupted");
    assert_eq!(at.newest()["id"], "production#2");
    assert_eq!(at.answers()[1], served[1], "nothing was switched yet");
    kinds::resumed(&at, &second);

    kinds::superseded(&at, &first);
    kinds::rolled_back(&at, &second, served[1].as_deref().expect("it was seen above"));
    at.edit("relman.toml", RULES, &format!("{RULES}{APPROVAL}"));
    let third = at.change("feat: nobody has looked at it");
    kinds::not_pushed(&at, &third);
    kinds::held(&at, &third);
    kinds::approved(&at, &third);
    at.edit("relman.toml", APPROVAL, "");
    let fourth = at.change("feat: killed on its way");
    kinds::killed(&at, &fourth);
}
