use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;
use crate::domain::deployment::Kind;
use crate::domain::id::Token;
use crate::host::contract;

/// A fleet whose `ansible-playbook` copies its variables to `seen` and reports what `result` holds.
fn fleet(directory: &Path, result: &str) -> OwnPlaybook {
    let command = directory.join("ansible-playbook");
    let script = format!(
        "#!/bin/sh\ncat \"${{4#@}}\" >>{0}/seen; echo >>{0}/seen\ncat >\"$RELMAN_RESULTS\" <<'END'\n{result}\nEND\n",
        directory.display()
    );
    std::fs::write(&command, script).unwrap();
    std::fs::set_permissions(&command, std::fs::Permissions::from_mode(0o755)).unwrap();
    let playbook = directory.join("replace.yml");
    std::fs::write(&playbook, "").unwrap();
    let identity = Identity {
        ledger: Token::from_bits([1; 16]),
        service: "web".parse().unwrap(),
        environment: "production".parse().unwrap(),
    };
    let environment = [("PATH".into(), "/usr/bin:/bin".into())].into();
    let tool = Tool { command: command.to_string_lossy().into_owned(), environment };
    let hosts = vec![serde_json::from_str(r#"{"name":"web-1","address":"a"}"#).unwrap()];
    OwnPlaybook::new(identity, tool, hosts, Login::default(), playbook)
}

fn task(command: Command) -> Task {
    Task {
        command,
        candidate: Some(contract::release("2.0.0")),
        return_point: Some(contract::release("1.0.0")),
    }
}

async fn perform(fleet: &OwnPlaybook, command: Command) -> HostResult {
    let mut replies = fleet.perform(&["web-1".parse().unwrap()], &task(command)).await.replies;
    assert_eq!(replies.len(), 1);
    replies.remove(0).result
}

fn seen(directory: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(directory.join("seen")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn only_shift_and_revert_run_the_playbook() {
    let directory = tempfile::tempdir().unwrap();
    let fleet = fleet(directory.path(), r#"{"host":"web-1","kind":"done"}"#);
    let who = contract::authority(1, 7);
    let authority = || who.clone();
    let quiet = [
        Command::Observe {},
        Command::Claim { authority: authority() },
        contract::prepare(&who, &contract::release("2.0.0")),
        Command::Discard { authority: authority() },
        Command::Commit { authority: authority() },
        Command::Retire { authority: authority(), drain_seconds: 1 },
    ];
    for command in quiet {
        assert!(perform(&fleet, command).await.is_ok());
    }
    assert!(!fleet.sees());
    assert_eq!(seen(directory.path()), [] as [Value; 0]);

    let shifted = perform(&fleet, contract::shift(&who, Kind::Deploy)).await.unwrap();
    assert_eq!(shifted.serving().unwrap().release.version.to_string(), "2.0.0");
    let reverted = perform(&fleet, Command::Revert { authority: authority() }).await.unwrap();
    assert_eq!(reverted.serving().unwrap().release.version.to_string(), "1.0.0");
    let seen = seen(directory.path());
    let image = |version| contract::release(version).image();
    assert_eq!(seen[0]["relman_image"], image("2.0.0"));
    assert_eq!(seen[0]["relman_previous_image"], image("1.0.0"));
    assert_eq!(seen[0]["relman_version"], "2.0.0");
    assert_eq!(seen[0]["relman_service"], "web");
    assert_eq!(seen[0]["relman_environment"], "production");
    assert_eq!(seen[0]["relman_deployment"], 7);
    assert_eq!(seen[1]["relman_image"], image("1.0.0"));
    assert_eq!(seen.len(), 2);
}

#[tokio::test]
async fn a_failed_task_and_silence_are_failures_of_the_playbook() {
    let who = contract::authority(1, 7);
    for (result, words) in [
        (r#"{"host":"web-1","kind":"failed","task":"Wait","message":"no answer"}"#, "no answer"),
        ("", "said nothing"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let fleet = fleet(directory.path(), result);
        let error = perform(&fleet, contract::shift(&who, Kind::Deploy)).await.unwrap_err();
        assert_eq!(error.code, HostErrorCode::Playbook);
        assert!(error.message.contains(words), "{}", error.message);
    }
}
