//! What a user meets where relman ends and AWS, Terraform or a host begins: each case runs the built binary, and its
//! error must name the thing, the place and what to do, end with the exit code of `docs/cli.md`, do nothing by halves,
//! and tell no secret.
#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy takes for no tests")]

mod accounts;
mod approvals;
mod hosts;
mod looks;
mod secrets;
mod server;
mod terraform;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use server::{Plan, Server};

/// In no output, whatever happens.
const SECRETS: [&str; 3] = ["hunter2-secret-key", "hunter2-session-token", "hunter2-of-the-service"];
/// Longest time that a user waits for such an answer.
const LIMIT: Duration = Duration::from_secs(90);

/// What is around relman in a case.
pub(crate) struct Case {
    /// What the user meets.
    name: &'static str,
    /// What follows `[service]`, `[image]` and `[run]` in the configuration; `PORT` is the server's.
    config: String,
    arguments: &'static [&'static str],
    /// What AWS answers otherwise.
    plan: Plan,
    variables: Vec<(&'static str, String)>,
    /// Files in the work directory; `bin/` is in the path.
    files: Vec<(&'static str, String)>,
    code: i32,
    /// What is said: the thing, the place, the next command.
    says: Vec<&'static str>,
}

impl Case {
    fn new(name: &'static str, arguments: &'static [&'static str], code: i32, says: &[&'static str]) -> Self {
        Self {
            name,
            config: String::new(),
            arguments,
            plan: Vec::new(),
            variables: Vec::new(),
            files: Vec::new(),
            code,
            says: says.to_vec(),
        }
    }

    fn config(self, config: impl Into<String>) -> Self {
        Self { config: config.into(), ..self }
    }

    fn aws(self, plan: Plan) -> Self {
        Self { plan, ..self }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    fn file(mut self, name: &'static str, text: impl Into<String>) -> Self {
        self.files.push((name, text.into()));
        self
    }

    /// What is wrong with how it went; nothing when it went as it should.
    fn run(&self) -> Vec<String> {
        let place = tempfile::tempdir().unwrap();
        let server = Server::start(self.plan.clone());
        self.write(place.path(), server.port);
        let began = Instant::now();
        let output = self.command(place.path(), server.port).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said = text(&output.stdout) + &text(&output.stderr);
        let mut wrong = Vec::new();
        if output.status.code() != Some(self.code) {
            wrong.push(format!("exit {:?}, not {}", output.status.code(), self.code));
        }
        wrong.extend(
            self.says
                .iter()
                .filter(|part| !said.contains(**part))
                .map(|part| format!("it does not say {part:?}")),
        );
        wrong.extend(
            SECRETS
                .iter()
                .filter(|secret| said.contains(**secret))
                .map(|secret| format!("it tells {secret}")),
        );
        if said.contains("panicked") {
            wrong.push("it panicked".to_owned());
        }
        if began.elapsed() > LIMIT {
            wrong.push(format!("it took {:?}", began.elapsed()));
        }
        // A probe of the artifact store is all that the doctor puts anywhere.
        let done: Vec<String> =
            server.done().into_iter().filter(|call| self.arguments[0] != "doctor" || call != "PUT").collect();
        let asks_hosts = self.config.contains("\"ssm\"");
        if done.iter().any(|call| !asks_hosts || call != "SendCommand") {
            wrong.push(format!("half done: {done:?}"));
        }
        if !wrong.is_empty() {
            wrong.insert(0, format!("\n{}: relman {}", self.name, self.arguments.join(" ")));
            wrong.push(format!("said:\n{said}"));
        }
        wrong
    }

    fn write(&self, place: &Path, port: u16) {
        let config = format!(
            "[service]\nname = \"web\"\n[image]\nrepository = \"127.0.0.1:PORT/web\"\ninsecure = true\n[run]\nport = 8000\n[run.secrets]\nKEY = \"env:KEY\"\n{}",
            self.config
        )
        .replace("PORT", &port.to_string());
        std::fs::write(place.join("relman.toml"), config).unwrap();
        // The real one takes longer to start than all the rest.
        let ansible =
            [("bin/ansible-playbook", "#!/bin/sh\necho 'ansible-playbook [core 2.19.1]'\n".to_owned())];
        for (name, text) in ansible.iter().chain(&self.files) {
            let file = place.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, text.replace("PLACE", place.to_str().unwrap())).unwrap();
            if name.starts_with("bin/") {
                use std::os::unix::fs::PermissionsExt as _;
                std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
            }
        }
    }

    fn command(&self, place: &Path, port: u16) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_relman"));
        let path = std::env::var("PATH").unwrap();
        let path = if self.files.iter().any(|(name, _)| *name == "bin/none") {
            place.join("bin").display().to_string()
        } else {
            format!("{}:{path}", place.join("bin").display())
        };
        command
            .args(self.arguments)
            .current_dir(place)
            .env_clear()
            .env("HOME", place)
            .env("PATH", path)
            .env("KEY", SECRETS[2])
            .env("AWS_ACCESS_KEY_ID", "AKIATEST")
            .env("AWS_SECRET_ACCESS_KEY", SECRETS[0])
            .env("AWS_SESSION_TOKEN", SECRETS[1])
            .env("AWS_REGION", "us-east-1")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"))
            .stdin(Stdio::null());
        for (name, value) in &self.variables {
            match value.as_str() {
                "" => command.env_remove(name),
                "(empty)" => command.env(name, ""),
                value => {
                    let value = value.replace("PLACE", place.to_str().unwrap());
                    command.env(name, value.replace("PORT", &port.to_string()))
                }
            };
        }
        command
    }
}

/// Several at once: most wait.
fn all(cases: &[Case], at_once: usize) {
    let (next, wrong) = (Mutex::new(cases.iter()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                loop {
                    let Some(case) = next.lock().unwrap().next() else { break };
                    let found = case.run();
                    wrong.lock().unwrap().extend(found);
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_an_account_answers() {
    all(&accounts::cases(), 6);
}

#[test]
fn what_passes_with_time_is_tried_again_and_then_told() {
    let cases = accounts::transient();
    all(&cases, cases.len());
}

#[test]
fn what_github_says_of_people() {
    all(&approvals::cases(), 4);
}

#[test]
fn what_terraform_says() {
    all(&terraform::cases(), 4);
}

#[test]
fn what_hosts_do() {
    all(&hosts::cases(), 6);
}

#[test]
fn there_are_as_many_as_said_and_no_two_alike() {
    let cases =
        [accounts::cases(), accounts::transient(), approvals::cases(), terraform::cases(), hosts::cases()];
    let names: std::collections::BTreeSet<&str> = cases.iter().flatten().map(|case| case.name).collect();
    assert_eq!(names.len(), cases.iter().map(Vec::len).sum::<usize>(), "two have one name");
    assert_eq!(names.len(), 142, "cases: a change of their number is meant, and said here");
}
