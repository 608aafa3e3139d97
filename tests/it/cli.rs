//! The built binary as scripts see it: exit codes, what goes to stdout and to stderr, and that reading makes nothing.
#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy takes for no tests")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

const CONFIG: &str = r#"
[service]
name = "web"
[image]
repository = "registry.example/web"
[ledger]
id = "0123456789abcdef0123456789abcdef"
[run]
port = 8000
[environments.production]
hosts = [{ name = "web-1", address = "192.0.2.1" }]
"#;

struct Place(tempfile::TempDir);

impl Place {
    fn new(config: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("relman.toml"), config).unwrap();
        Self(directory)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_relman"));
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("HOME", self.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn exit_codes_are_those_of_the_table() {
    let place = Place::new(CONFIG);
    for (arguments, expected) in [
        (vec!["--help"], 0),
        (vec!["--version"], 0),
        (vec!["completions", "bash"], 0),
        (vec!["history"], 0),
        (vec!["releases"], 0),
        (vec!["lock"], 0),
        (vec!["verify"], 0),
        (vec!["unhold", "--reason", "x"], 1),
        (vec![], 2),
        (vec!["bogus"], 2),
        (vec!["deploy", "latest"], 2),
        (vec!["history", "--env", "a/b"], 2),
        (vec!["status", "--env", "staging"], 2),
        (vec!["hold", "--env", "staging", "--reason", "x"], 2),
        (vec!["unhold", "--env", "staging", "--reason", "x"], 2),
        (vec!["mark", "faulty", "v0.1.0", "--env", "staging", "--reason", "x"], 2),
        (vec!["lock", "--env", "staging", "--reason", "x"], 2),
        (vec!["lock", "--env", "staging"], 2),
        (vec!["unlock", "--env", "staging", "--reason", "x"], 2),
        (vec!["history", "--env", "staging"], 2),
        (vec!["releases", "--env", "staging"], 2),
        (vec!["show", "staging#1", "--env", "production"], 2),
        (vec!["show", "#1"], 7),
        (vec!["mark", "faulty", "v1.0.0", "--reason", "x"], 7),
    ] {
        let output = place.run(&arguments);
        assert_eq!(code(&output), Some(expected), "{arguments:?}: {}", text(&output.stderr));
    }
}

#[test]
fn stdout_holds_the_result_alone() {
    let place = Place::new(CONFIG);
    let output = place.run(&["history", "-o", "json"]);
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["schema"], 1);
    assert_eq!(value["deployments"], serde_json::json!([]));
    assert!(text(&output.stderr).contains("no ledger yet"), "{}", text(&output.stderr));
    assert!(place.run(&["history", "-q"]).stderr.is_empty());
}

#[test]
fn reading_makes_nothing() {
    let place = Place::new(CONFIG);
    for arguments in [vec!["history"], vec!["releases"], vec!["verify"], vec!["lock"]] {
        place.run(&arguments);
    }
    let left: Vec<_> = std::fs::read_dir(place.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["relman.toml"]);
}

#[test]
fn errors_in_json_are_one_object_on_stderr() {
    let place = Place::new(CONFIG);
    for (arguments, kind, expected) in [
        (vec!["show", "#1", "-o", "json"], "not_found", 7),
        (vec!["-ojson", "bogus"], "usage", 2),
        (vec!["status", "--env", "x", "--output=json"], "usage", 2),
    ] {
        let output = place.run(&arguments);
        assert!(output.stdout.is_empty());
        let last = text(&output.stderr).lines().last().unwrap().to_owned();
        let value: serde_json::Value = serde_json::from_str(&last).unwrap();
        assert_eq!(value["error"]["kind"], kind, "{arguments:?}");
        assert_eq!(value["error"]["code"], expected);
        assert_eq!(code(&output), Some(expected));
    }
}

#[test]
fn a_wrong_configuration_names_line_key_and_fix() {
    let place = Place::new(&CONFIG.replace("port = 8000", "prot = 8000"));
    let output = place.run(&["history"]);
    assert_eq!(code(&output), Some(2));
    assert_eq!(
        text(&output.stderr),
        "Error: relman.toml:9: run.prot: is not a key; did you mean run.port?\n\
         Hint: correct it, then relman doctor checks everything else\n"
    );
    let empty = tempfile::tempdir().unwrap();
    let output = place.command(&["history"]).current_dir(empty.path()).output().unwrap();
    assert_eq!(code(&output), Some(2));
    assert!(text(&output.stderr).contains("Hint: relman init makes one"), "{}", text(&output.stderr));
}

#[test]
fn a_ledger_that_would_be_lost_is_refused() {
    let place =
        Place::new(&CONFIG.replace("id = \"0123456789abcdef0123456789abcdef\"", "url = \"sqlite:l.db\""));
    let output = place.command(&["history"]).env("GITHUB_WORKSPACE", place.path()).output().unwrap();
    assert_eq!(code(&output), Some(2));
    assert!(text(&output.stderr).contains("would be lost"), "{}", text(&output.stderr));
    assert!(!place.path().join("l.db").exists());
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new(CONFIG);
    let mut child = place
        .command(&["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((code(&output), text(&output.stderr)), (Some(0), String::new()));
}

#[test]
fn a_hold_is_set_seen_and_lifted() {
    let place = Place::new(CONFIG);
    let output = place.run(&["hold", "--reason", "fair", "--progress", "json"]);
    assert_eq!(code(&output), Some(0), "{}", text(&output.stderr));
    let entry: serde_json::Value =
        serde_json::from_str(text(&output.stderr).lines().last().unwrap()).unwrap();
    assert_eq!(entry["kind"], "hold.set");
    assert_eq!(entry["data"]["reason"], "fair");
    let mut unhold = place.command(&["unhold", "--reason", "over", "-o", "json"]);
    let output = unhold.env("RELMAN_ACTOR", "eve").output().unwrap();
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&value["hold"], &value["before"]["reason"]), (&serde_json::Value::Null, &"fair".into()));
}

#[test]
fn a_freeze_is_added_seen_and_removed_and_what_is_none_is_refused() {
    let place = Place::new(CONFIG);
    let added = place.run(&["freeze", "add", "--for", "3h", "--reason", "the sale", "-o", "json"]);
    assert_eq!(code(&added), Some(0), "{}", text(&added.stderr));
    let added: serde_json::Value = serde_json::from_slice(&added.stdout).unwrap();
    let id = added["added"].as_u64().unwrap().to_string();
    let listed = place.run(&["freeze", "list"]);
    assert_eq!(code(&listed), Some(0), "{}", text(&listed.stderr));
    let table = text(&listed.stdout);
    assert!(table.contains("the sale") && table.contains("until 20"), "{table}");
    let long = "x".repeat(201);
    for (arguments, expected, told) in [
        (vec!["add", "--for", "3h"], 2, "--reason"),
        (vec!["add", "--reason", "x"], 2, "--until"),
        (vec!["add", "--for", "3h", "--until", "Mon 08:00", "--reason", "x"], 2, "cannot be used with"),
        (vec!["add", "--for", "-1h", "--reason", "x"], 2, "-1"),
        (vec!["add", "--for", "3h", "--zone", "Mars/Olympus", "--reason", "x"], 2, "is no time zone"),
        (vec!["add", "--until", "tomorrow", "--reason", "x"], 2, "neither a time of the week"),
        (vec!["add", "--until", "2020-01-01 00:00", "--reason", "x"], 2, "this is no freeze"),
        (
            vec!["add", "--from", "Fri 16:00", "--until", "2027-01-01 00:00", "--reason", "x"],
            2,
            "begins each week",
        ),
        (vec!["add", "--for", "3h", "--reason", "a\u{1b}[2Jb"], 2, "no control characters"),
        (vec!["add", "--for", "3h", "--reason", "a\nb"], 2, "one line"),
        (vec!["add", "--for", "3h", "--reason", &long], 2, "at most 200"),
        (vec!["rm", "99", "--reason", "x"], 7, "there is no freeze 99"),
        (vec!["rm", "x", "--reason", "x"], 2, "invalid"),
        (vec!["rm", &id], 2, "--reason"),
    ] {
        let output = place.run(&[&["freeze"], arguments.as_slice()].concat());
        let said = text(&output.stderr);
        assert_eq!(code(&output), Some(expected), "{arguments:?}: {said}");
        assert!(said.contains(told) && !said.contains("panicked"), "{arguments:?}: {said}");
    }
    let removed = place.run(&["freeze", "rm", &id, "--reason", "sold"]);
    assert_eq!(code(&removed), Some(0), "{}", text(&removed.stderr));
    assert!(text(&removed.stdout).contains("no freeze"), "{}", text(&removed.stdout));
    assert_eq!(code(&place.run(&["verify"])), Some(0));
}

/// Two at once: one holds the lock, the other is told who does, since when, and on what machine.
#[test]
fn the_lock_is_held_by_one_and_given_back_on_a_signal() {
    let place = Place::new(CONFIG);
    let mut holder = place
        .command(&["lock", "--reason", "maintenance", "--ttl", "10m"])
        .env("RELMAN_ACTOR", "ada")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !text(&place.run(&["lock"]).stdout).contains("held by ada") {
        assert!(std::time::Instant::now() < deadline, "the lock was never taken");
        assert!(holder.try_wait().unwrap().is_none(), "it ended early");
    }
    let second = place.run(&["lock", "--reason", "me too", "--ttl", "1s"]);
    assert_eq!(code(&second), Some(5));
    for part in ["held by ada on ", "lock: maintenance", "Since: 2", "--lock-wait"] {
        assert!(text(&second.stderr).contains(part), "{}", text(&second.stderr));
    }
    let pid = rustix::process::Pid::from_child(&holder);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = holder.wait_with_output().unwrap();
    assert_eq!(code(&output), Some(0), "{}", text(&output.stderr));
    assert!(text(&place.run(&["lock"]).stdout).contains("is free"));
}

#[test]
fn a_lock_is_taken_away_by_name() {
    let place = Place::new(CONFIG);
    let mut holder = place
        .command(&["lock", "--reason", "forgotten", "--ttl", "10m"])
        .env("RELMAN_ACTOR", "ada")
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !text(&place.run(&["lock"]).stdout).contains("held by ada") {
        assert!(std::time::Instant::now() < deadline, "the lock was never taken");
    }
    let output = place.run(&["unlock", "--reason", "ada is away"]);
    assert_eq!(code(&output), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("Taken from ada on "), "{}", text(&output.stdout));
    // The one that was fenced out learns it when it renews, or when it is told to stop.
    let pid = rustix::process::Pid::from_child(&holder);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(holder.wait().unwrap().code(), Some(5));
}

/// SIGTERM while the verb waits: here, for whoever reads a pipe.
#[test]
fn a_verb_that_reads_ends_as_interrupted_on_sigterm() {
    let place = Place::new(CONFIG);
    let (reader, mut writer) = std::io::pipe().unwrap();
    rustix::fs::fcntl_setfl(&writer, rustix::fs::OFlags::NONBLOCK).unwrap();
    // Full to the last byte.
    for chunk in [4096, 1] {
        while std::io::Write::write(&mut writer, &vec![b' '; chunk]).is_ok() {}
    }
    rustix::fs::fcntl_setfl(&writer, rustix::fs::OFlags::empty()).unwrap();
    let mut child = place.command(&["completions", "bash"]).stdout(Stdio::from(writer)).spawn().unwrap();
    // It has its handler before it has anything to write.
    let is_heard = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        u64::from_str_radix(caught.trim(), 16).unwrap() & (1 << 14) != 0
    };
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !is_heard() {
        assert!(std::time::Instant::now() < end, "nobody hears SIGTERM");
        std::thread::yield_now();
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    drop(reader);
}

#[test]
fn what_is_recorded_and_cannot_be_told_has_not_failed() {
    let place = Place::new(CONFIG);
    let full = || Stdio::from(std::fs::File::options().write(true).open("/dev/full").unwrap());
    let hold = place.command(&["hold", "--reason", "wait"]).stdout(full()).output().unwrap();
    assert_eq!(code(&hold), Some(0), "{hold:?}");
    let said = text(&hold.stderr);
    assert!(said.contains("stdout cannot be written") && said.contains("do not run it again"), "{said}");
    let verify = text(&place.run(&["verify", "-o", "json"]).stdout);
    assert!(verify.contains("\"entries\": 1") || verify.contains("\"entries\": 2"), "{verify}");
    // What only reads has failed to do what it is there for.
    let read = place.command(&["history"]).stdout(full()).output().unwrap();
    assert_eq!(code(&read), Some(1), "{read:?}");
}

#[test]
fn a_long_value_is_not_said_back_whole() {
    let place = Place::new(CONFIG);
    for arguments in [vec!["hold", "--reason"], vec!["-o", "json", "hold", "--reason"]] {
        let long = "ä".repeat(1_000);
        let output = place.run(&[&arguments[..], &[long.as_str()]].concat());
        let said = text(&output.stderr);
        assert_eq!(code(&output), Some(2));
        assert!(said.len() < 600 && said.contains("(2000 bytes)") && said.contains("at most 1000"), "{said}");
    }
}

#[test]
fn a_profile_that_is_not_there_is_named_with_the_files() {
    let config =
        CONFIG.replace("[ledger]", "[artifacts]\nurl = \"s3://not-there\"\n[ledger]\nurl = \"dynamodb:web\"");
    let place = Place::new(&config);
    let file = place.path().join("config");
    std::fs::write(&file, "[profile other]\nregion = eu-central-1\n").unwrap();
    let mut command = place.command(&["history"]);
    command.env("AWS_PROFILE", "work").env("AWS_CONFIG_FILE", &file).env("AWS_REGION", "eu-central-1");
    let output = command.env("AWS_EC2_METADATA_DISABLED", "true").output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(code(&output), Some(2), "{said}");
    assert!(said.contains("AWS_PROFILE is \"work\"") && said.contains(file.to_str().unwrap()), "{said}");
}

/// Whoever runs a hint as it stands there acts on the environment that was meant, and not on the default.
#[test]
fn hints_name_the_environment_that_is_not_the_default() {
    let staging = CONFIG
        .replace("name = \"web\"\n[image]", "name = \"web\"\ndefault_environment = \"production\"\n[image]")
        + "[environments.staging]\nhosts = [{ name = \"web-2\", address = \"192.0.2.2\" }]\n";
    let place = Place::new(&staging);
    for (arguments, exit, hint) in [
        (vec!["rollback", "--env", "staging", "--reason", "x"], 7, "relman history --env staging"),
        (vec!["rollback", "--env", "production", "--reason", "x"], 7, "relman history: "),
        (vec!["abort", "--env", "staging", "--reason", "x"], 7, "relman rollback --env staging: "),
        (vec!["resume", "staging#4"], 7, "--env staging"),
    ] {
        let output = place.run(&arguments);
        let said = text(&output.stderr);
        assert_eq!(code(&output), Some(exit), "{arguments:?}: {said}");
        assert!(
            said.lines().any(|line| line.starts_with("Hint: ") && line.contains(hint)),
            "{arguments:?}: {said}"
        );
    }
    let output = place.run(&["abort", "--env", "staging", "--reason", "x", "-o", "json"]);
    assert!(text(&output.stderr).contains("relman rollback --env staging"), "{}", text(&output.stderr));
}

/// Whoever opens a red job sees its summary first.
#[test]
fn the_summary_of_a_job_says_why_it_is_red_and_what_to_run() {
    let place = Place::new(
        &(CONFIG.to_owned()
            + "[environments.staging]\nhosts = [{ name = \"web-2\", address = \"192.0.2.2\" }]\n"),
    );
    for (arguments, exit, next) in [
        (vec!["rollback", "--env", "staging", "--reason", "x"], 7, "relman history --env staging"),
        (vec!["release"], 2, "in a clone of"),
    ] {
        let file = place.path().join(format!("summary-{exit}"));
        let output = place.command(&arguments).env("GITHUB_STEP_SUMMARY", &file).output().unwrap();
        assert_eq!(code(&output), Some(exit), "{}", text(&output.stderr));
        let summary = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(summary.contains(&format!("### relman {}\n", arguments[0])), "{summary}");
        assert!(summary.contains(&format!("| code | {exit} |\n| error | ")), "{summary}");
        let line = summary.lines().find(|line| line.starts_with("| next | "));
        assert!(line.is_some_and(|line| line.contains(next)), "{summary}");
    }
}
