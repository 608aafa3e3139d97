use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// A host with this configuration, and helpers that are these scripts.
fn host(config: &str, helpers: &[(&str, &str)]) -> (tempfile::TempDir, Paths) {
    let root = tempfile::tempdir().unwrap();
    let paths = Paths::under(root.path());
    fs::create_dir_all(paths.registry_logins.parent().unwrap()).unwrap();
    fs::write(&paths.registry_logins, config).unwrap();
    fs::create_dir_all(&paths.helpers[0]).unwrap();
    for (name, script) in helpers {
        let file = paths.helpers[0].join(format!("docker-credential-{name}"));
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    (root, paths)
}

fn shown(login: Option<DockerCredentials>) -> String {
    let text = |text: Option<String>| text.unwrap_or_default();
    login.map_or("none".to_owned(), |login| {
        format!("{}/{}/{}", text(login.username), text(login.password), text(login.identitytoken))
    })
}

async fn found(paths: &Paths, repository: &str) -> String {
    shown(login(paths, repository).await.unwrap_or_else(|error| panic!("{error}")).login)
}

#[tokio::test]
async fn the_login_of_a_registry_is_found() {
    let (_root, paths) = host(
        r#"{"auths":{"registry.example":{"auth":"ZGVwbG95OnMzY3I6ZXQ="},"empty.example":{},
            "https://index.docker.io/v1/":{"username":"u","password":"p"}}}"#,
        &[],
    );
    assert_eq!(found(&paths, "registry.example/team/web").await, "deploy/s3cr:et/");
    assert_eq!(found(&paths, "library/python").await, "u/p/");
    assert_eq!(found(&paths, "empty.example/web").await, "none");
    assert_eq!(found(&paths, "other.example/web").await, "none");
    let nowhere = Paths::under(std::path::Path::new("/nowhere"));
    assert_eq!(found(&nowhere, "registry.example/web").await, "none");
    for paths in [&paths, &nowhere] {
        let ecr = login(paths, "1.dkr.ecr.eu-central-1.amazonaws.com/web").await.unwrap();
        assert!(ecr.login.is_none() && ecr.why_not.unwrap().contains("docker_registry_helpers"));
    }
}

/// Says what it was asked, as the login itself.
const ECHO: &str = r#"read server; printf '{"ServerURL":"%s","Username":"%s","Secret":"%s %s"}' "$server" "$1" "$server" "$HOME""#;

#[tokio::test]
async fn a_helper_is_asked_as_its_protocol_says() {
    let (root, paths) = host(
        r#"{"credHelpers":{"1.dkr.ecr.eu-central-1.amazonaws.com":"ecr-login","token.example":"token"},
            "credsStore":"all","auths":{"1.dkr.ecr.eu-central-1.amazonaws.com":{"auth":"b2xkOm9sZA=="},
            "kept.example":{"auth":"dTpw"}}}"#,
        &[
            ("ecr-login", ECHO),
            ("token", r#"printf '{"Username":"<token>","Secret":"t"}'"#),
            (
                "all",
                r#"read server; [ "$server" = https://index.docker.io/v1/ ] && printf '{"Username":"hub","Secret":"s"}' && exit
                   echo 'credentials not found in native keychain'; exit 1"#,
            ),
        ],
    );
    let home = root.path().join("root").display().to_string();
    assert_eq!(
        found(&paths, "1.dkr.ecr.eu-central-1.amazonaws.com/web").await,
        // Before what docker login left there, which has ended.
        format!("get/1.dkr.ecr.eu-central-1.amazonaws.com {home}/")
    );
    assert_eq!(found(&paths, "token.example/web").await, "//t");
    assert_eq!(found(&paths, "team/web").await, "hub/s/");
    // What the store does not have is in the file, or nowhere.
    assert_eq!(found(&paths, "kept.example/web").await, "u/p/");
    assert_eq!(found(&paths, "other.example/web").await, "none");
}

#[tokio::test]
async fn invariant_10_a_helper_that_does_not_work_is_named_with_what_to_do_and_without_what_it_said() {
    let named = r#"{"credHelpers":{"a.example":"broken"},"auths":{"a.example":{"auth":"dTpw"}}}"#;
    let store = r#"{"credsStore":"broken","auths":{"a.example":{}}}"#;
    let endless = "while :; do printf hunter2hunter2hunter2hunter2; done";
    for (script, told) in [
        (None, "is in none of"),
        (Some("echo hunter2; exit 3"), "it failed"),
        (Some("echo hunter2 >&2; exit 1"), "it failed"),
        (Some("echo hunter2"), "not the JSON"),
        (Some(r#"echo '{"Username":"hunter2"}'"#), "not the JSON"),
        (Some(r#"echo '{"Username":"u","Secret":7}'"#), "not the JSON"),
        (Some(endless), "its answer has no end"),
    ] {
        let helpers: Vec<(&str, &str)> = script.iter().map(|script| ("broken", *script)).collect();
        let (_root, paths) = host(named, &helpers);
        let error = login(&paths, "a.example/web").await.err().expect(told);
        let text = format!("{error} {error:?}");
        assert!(text.contains(told) && text.contains("docker-credential-broken"), "{text}");
        assert!(text.contains("a.example") && !text.contains("hunter2"), "{text}");
        // A store is no reason to refuse: the registry may do without. If not, this is said.
        let (_root, paths) = host(store, &helpers);
        let unknown = login(&paths, "a.example/web").await.unwrap();
        assert!(unknown.login.is_none() && unknown.why_not.as_ref().is_some_and(|why| why.contains(told)));
    }
    let (_root, paths) = host(r#"{"credHelpers":{"a.example":"../../bin/sh"}}"#, &[]);
    let error = login(&paths, "a.example/web").await.err().unwrap();
    assert!(error.to_string().contains("whose name is none"), "{error}");
    let (_root, paths) = host(r#"{"auths": hunter2"#, &[]);
    let why = login(&paths, "a.example/web").await.unwrap().why_not.unwrap();
    assert!(why.contains("config.json is no JSON") && !why.contains("hunter2"), "{why}");
}

/// With the clock paused, 30 s are over as soon as nothing else is to do.
#[tokio::test(start_paused = true)]
async fn a_helper_that_hangs_is_ended_with_its_children() {
    let (root, paths) = host(
        r#"{"credHelpers":{"a.example":"slow"}}"#,
        &[("slow", r#"sleep 600 & echo $! > "$HOME/pid"; wait"#)],
    );
    let error = login(&paths, "a.example/web").await.err().unwrap();
    assert!(error.to_string().contains("no answer within 30 s"), "{error}");
    // It may not have come as far as to start one.
    let Ok(pid) = fs::read_to_string(root.path().join("root/pid")) else { return };
    let runs = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        stat.contains(") S") || stat.contains(") R")
    };
    while runs() {
        tokio::task::yield_now().await;
    }
}
