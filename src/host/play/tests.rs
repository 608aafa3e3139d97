use super::inventory::Login;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::host::wire::{HostErrorCode, PROTOCOL};

fn host(json: &str) -> HostAddress {
    serde_json::from_str(json).unwrap()
}

fn tool(command: &Path) -> Tool {
    let environment = [("PATH".into(), "/usr/bin:/bin".into())].into();
    Tool { command: command.to_string_lossy().into_owned(), environment }
}

#[test]
fn invariant_10_arguments_are_files_alone() {
    let argv = argv(Path::new("/a/perform.yml"), Path::new("/tmp/relman-1"));
    let expected = ["-i", "/tmp/relman-1/inventory.json", "-e", "@/tmp/relman-1/variables", "/a/perform.yml"];
    assert_eq!(argv, expected);
}

#[test]
fn relmans_own_playbooks_see_a_clean_environment() {
    let inherited: BTreeMap<OsString, OsString> = [
        ("PATH", "/bin"),
        ("ANSIBLE_LOG_PATH", "/tmp/log"),
        ("ANSIBLE_DEBUG", "1"),
        ("DATABASE_PASSWORD", "hunter2"),
        ("LANG", "de_DE.ISO-8859-1"),
    ]
    .map(|(name, value)| (name.into(), value.into()))
    .into();
    let of = |owner| environment(&inherited, owner, Path::new("/a/perform.yml"), Path::new("/t"));
    let get = |map: &BTreeMap<OsString, OsString>, name: &str| {
        map.get(&OsString::from(name)).map(|value| value.to_str().unwrap().to_owned())
    };
    let own = of(Owner::Relman);
    assert_eq!(get(&own, "PATH").as_deref(), Some("/bin"));
    assert_eq!(get(&own, "ANSIBLE_CONFIG").as_deref(), Some("/a/ansible.cfg"));
    assert_eq!(get(&own, "ANSIBLE_PIPELINING").as_deref(), Some("1"));
    assert_eq!(get(&own, "RELMAN_RESULTS").as_deref(), Some("/t/results"));
    assert_eq!(get(&own, "LC_ALL").as_deref(), Some("C.UTF-8"));
    for name in ["ANSIBLE_LOG_PATH", "ANSIBLE_DEBUG", "DATABASE_PASSWORD"] {
        assert_eq!(get(&own, name), None, "{name}");
    }
    let team = of(Owner::Team);
    assert_eq!(get(&team, "DATABASE_PASSWORD").as_deref(), Some("hunter2"));
    assert_eq!(get(&team, "ANSIBLE_CONFIG"), None);
}

#[test]
fn an_inventory_pins_keys_and_refuses_the_unknown() {
    let pinned = host(
        r#"{"name":"web-1","address":"10.0.0.5","port":2222,"user":"deploy","host_keys":["ssh-ed25519 AAAA+/= me@here"]}"#,
    );
    let known = host(r#"{"name":"web-2","address":"web-2.example"}"#);
    let login = Login {
        user: Some("ops".into()),
        key: Some("/home/me/my key".into()),
        known_hosts: Some("/etc/known".into()),
        ..Login::default()
    };
    let files = Files::of(&[&pinned, &known], &Way::Ssh(login), Path::new("/t")).unwrap();
    assert_eq!(files.known_hosts, "[10.0.0.5]:2222 ssh-ed25519 AAAA+/=\n");
    let inventory: Value = serde_json::from_str(&files.inventory).unwrap();
    let hosts = &inventory["all"]["hosts"];
    assert_eq!(hosts["web-1"]["ansible_port"], 2222);
    assert_eq!(hosts["web-1"]["ansible_user"], "deploy");
    assert_eq!(hosts["web-2"]["ansible_user"], "ops");
    assert_eq!(hosts["web-2"]["ansible_ssh_private_key_file"], "/home/me/my key");
    let arguments = |name: &str| hosts[name]["ansible_ssh_common_args"].as_str().unwrap().to_owned();
    for name in ["web-1", "web-2"] {
        assert!(arguments(name).contains("StrictHostKeyChecking=yes"));
        assert!(arguments(name).contains("GlobalKnownHostsFile=/dev/null"));
    }
    assert!(arguments("web-1").contains("/t/known_hosts"));
    assert!(arguments("web-2").contains("/etc/known"));
}

#[test]
fn a_bastion_is_gone_through_by_a_command_with_its_own_known_keys() {
    let login = Login {
        user: Some("deploy".into()),
        key: Some("/keys/a".into()),
        record: Some("/state/known_hosts".into()),
        bastion: Some(
            serde_json::from_str(r#"{"address":"gate","port":2222,"host_keys":["ssh-ed25519 AAAA x"]}"#)
                .unwrap(),
        ),
        ..Login::default()
    };
    let host = host(r#"{"name":"web-1","address":"10.0.0.5"}"#);
    let files = Files::of(&[&host], &Way::Ssh(login), Path::new("/t")).unwrap();
    assert_eq!(files.known_hosts, "[gate]:2222 ssh-ed25519 AAAA\n");
    let inventory: Value = serde_json::from_str(&files.inventory).unwrap();
    let arguments = &inventory["all"]["hosts"]["web-1"]["ansible_ssh_common_args"];
    assert_eq!(
        arguments.as_str().unwrap(),
        "-o StrictHostKeyChecking=accept-new -o UpdateHostKeys=no \
         -o 'UserKnownHostsFile=\"/state/known_hosts\" \"~/.ssh/known_hosts\"' -o GlobalKnownHostsFile=/dev/null \
         -o 'ProxyCommand=ssh -W [%h]:%p -p 2222 -o BatchMode=yes -o StrictHostKeyChecking=yes -o UpdateHostKeys=no \
         -o ForwardAgent=no -l deploy -o IdentitiesOnly=yes -i \"/keys/a\" \
         -o \"UserKnownHostsFile=\\\"/t/known_hosts\\\"\" -o GlobalKnownHostsFile=/dev/null gate' -o IdentitiesOnly=yes"
    );
}

#[test]
fn an_inventory_holds_nothing_that_could_be_an_option_or_a_template() {
    let bad = [
        r#"{"name":"a","address":"-oProxyCommand=id"}"#,
        r#"{"name":"a","address":"{{ lookup('pipe', 'id') }}"}"#,
        r#"{"name":"a","address":"a b"}"#,
        r#"{"name":"a","address":""}"#,
        r#"{"name":"a","address":"a","user":"-l"}"#,
        r#"{"name":"a","address":"a","user":"x y"}"#,
        r#"{"name":"a","address":"a","host_keys":["ssh-ed25519"]}"#,
        r#"{"name":"a","address":"a","host_keys":["@cert-authority\n* x y"]}"#,
    ];
    for json in bad {
        let result = Files::of(&[&host(json)], &Way::Ssh(Login::default()), Path::new("/t"));
        assert!(result.is_err() || !result.unwrap().known_hosts.contains('*'), "{json}");
    }
    for key in ["/a'b", "/a\"b", "/a%b", "/{{ x }}", "/a\nb", ""] {
        let login = Login { key: Some(key.into()), ..Login::default() };
        let host = host(r#"{"name":"a","address":"a"}"#);
        assert!(Files::of(&[&host], &Way::Ssh(login), Path::new("/t")).is_err(), "{key:?}");
    }
}

#[test]
fn a_rescued_failure_is_none_and_a_cut_line_is_skipped() {
    let results = concat!(
        r#"{"host":"a","kind":"failed","task":"t","message":"m"}"#,
        "\n",
        r#"{"host":"b","kind":"failed","task":"t","message":"m"}"#,
        "\n",
        r#"{"host":"a","kind":"done"}"#,
        "\n",
        r#"{"host":"c","kind":"answer","rc":0,"stdout":"x","stderr":""}"#,
        "\n",
        r#"{"host":"c","kind":"done"}"#,
        "\n",
        r#"{"host":"d","kind":"do"#,
    );
    let outcomes = outcome::read(results);
    let of = |name: &str| outcomes.get(&name.parse().unwrap());
    assert_eq!(of("a"), Some(&Outcome::Done));
    assert!(matches!(of("b"), Some(Outcome::Failed { .. })));
    assert!(matches!(of("c"), Some(Outcome::Answer { .. })));
    assert_eq!(of("d"), None);
}

#[test]
fn what_came_back_is_told_by_code() {
    use HostErrorCode::{Fenced, NoAnswer, NotInstalled, Protocol};
    let good = format!(r#"{{"protocol":{PROTOCOL},"result":{{"done":{{"agent":"x","slots":[]}}}}}}"#);
    assert_eq!(outcome::answer(0, &good, "").unwrap().agent, "x");
    let fenced =
        format!(r#"{{"protocol":{PROTOCOL},"result":{{"failed":{{"code":"fenced","message":"m"}}}}}}"#);
    let cases = [
        (1, fenced.as_str(), "", Fenced),
        (127, "", "", NotInstalled),
        (1, "", "sudo: a password is required\n", NotInstalled),
        (137, "", "", NoAnswer),
        (0, "hello", "", NoAnswer),
        (0, r#"{"protocol":99,"something":"new"}"#, "", Protocol),
    ];
    for (rc, stdout, stderr, code) in cases {
        assert_eq!(outcome::answer(rc, stdout, stderr).unwrap_err().code, code, "{stdout}{stderr}");
    }
}

#[test]
fn only_who_never_got_there_is_unreachable() {
    let code = |message: &str| {
        let error = Outcome::Unreachable { message: message.into() }.observation().unwrap_err();
        assert!(!error.message.contains('\n') && error.message.len() < 500, "{}", error.message);
        error.code
    };
    let never = [
        "Failed to connect to the host via ssh: ssh: connect to host 10.0.0.5 port 22: Connection refused",
        "Failed to connect to the host via ssh: deploy@10.0.0.5: Permission denied (publickey).",
        "No ED25519 host key is known for 10.0.0.5 and you have requested strict checking.\nHost key verification failed.",
        "ssh: Could not resolve hostname nowhere: Name or service not known",
        "ssh: connect to host 10.0.0.5 port 22: Connection timed out",
    ];
    for message in never {
        assert_eq!(code(message), HostErrorCode::Unreachable, "{message}");
    }
    for message in
        ["client_loop: send disconnect: Broken pipe", "Connection to 10.0.0.5 closed by remote host."]
    {
        assert_eq!(code(message), HostErrorCode::NoAnswer, "{message}");
    }
}

/// A stand-in for `ansible-playbook`: a shell script that is called in its way.
fn stand_in(directory: &Path, script: &str) -> PathBuf {
    let path = directory.join("ansible-playbook");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

async fn run(directory: &Path, command: &Path) -> Result<Played, PlayError> {
    let playbook = directory.join("perform.yml");
    std::fs::write(&playbook, "").unwrap();
    let host = host(r#"{"name":"web-1","address":"a"}"#);
    let variables = [("secret".to_owned(), Value::from("canary"))].into_iter().collect();
    let (tool, way) = (tool(command), Way::Ssh(Login::default()));
    let hosts = [&host];
    Play { tool: &tool, owner: Owner::Relman, playbook: &playbook, hosts: &hosts, way: &way, variables }
        .run()
        .await
}

#[tokio::test]
async fn variables_come_through_the_pipe_and_everything_goes_away() {
    let directory = tempfile::tempdir().unwrap();
    let script = concat!(
        r#"cat "${4#@}"; echo "argv: $*"; stat -c 'mode %a' "${4#@}" "$(dirname "$2")"; dirname "$2" >"$(dirname "$5")/place"; "#,
        r#"echo '{"host":"web-1","kind":"done"}' >"$RELMAN_RESULTS"; echo oops >&2"#
    );
    let played = run(directory.path(), &stand_in(directory.path(), script)).await.unwrap();
    assert_eq!(played.outcomes.values().collect::<Vec<_>>(), [&Outcome::Done]);
    assert!(played.log.starts_with(r#"{"secret":"canary"}"#), "{}", played.log);
    assert_eq!(played.log.matches("canary").count(), 1, "{}", played.log);
    assert!(played.log.contains("mode 600\nmode 700\n") && played.log.ends_with("oops\n"), "{}", played.log);
    let place = std::fs::read_to_string(directory.path().join("place")).unwrap();
    assert!(!Path::new(place.trim()).exists(), "{place}");
}

#[tokio::test]
async fn one_that_never_reads_its_variables_holds_nobody_up() {
    let directory = tempfile::tempdir().unwrap();
    let played = run(directory.path(), &stand_in(directory.path(), "echo no; exit 2")).await.unwrap();
    assert_eq!((played.outcomes.len(), played.log.as_str()), (0, "no\n"));
}

#[tokio::test]
async fn a_missing_ansible_says_how_to_get_it() {
    let directory = tempfile::tempdir().unwrap();
    let error = run(directory.path(), Path::new("/nowhere/ansible-playbook")).await.unwrap_err().to_string();
    assert!(error.contains("pip install -r") && error.contains("requirements.txt"), "{error}");
}

#[tokio::test]
async fn dropping_it_ends_what_it_started() {
    let directory = tempfile::tempdir().unwrap();
    let pids = directory.path().join("pids");
    let script = format!(
        "cat \"${{4#@}}\" >/dev/null; sleep 1000 & echo $$ $! >{0}.new; mv {0}.new {0}; wait",
        pids.display()
    );
    let command = stand_in(directory.path(), &script);
    tokio::select! {
        _ = run(directory.path(), &command) => panic!("it does not end by itself"),
        () = until(|| pids.exists()) => {}
    }
    let pids = std::fs::read_to_string(pids).unwrap();
    let is_gone = |pid: &str| {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
    };
    until(|| pids.split_whitespace().all(is_gone)).await;
}

async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_tool_says_its_version_or_why_not() {
    let directory = tempfile::tempdir().unwrap();
    let script = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Tool { command: path.display().to_string(), environment: std::env::vars_os().collect() }
    };
    let good = script("good", "test \"$1\" = --version && echo 'ansible-playbook [core 2.19.1]'");
    assert_eq!(good.version().await.unwrap(), "ansible-playbook [core 2.19.1]\n");
    let bad = script("bad", "echo 'no python' >&2; exit 3").version().await.unwrap_err().to_string();
    assert!(bad.contains("exit code 3: no python"), "{bad}");
    let gone = Tool { command: "/nonexistent/ansible-playbook".to_owned(), ..good };
    let gone = gone.version().await.unwrap_err().to_string();
    assert!(gone.contains("/nonexistent/ansible-playbook") && gone.contains("not found"), "{gone}");
}
