use super::*;
use crate::host::play::inventory::Login;

struct Case {
    _home: tempfile::TempDir,
    access: Access,
    config: SshConfig,
}

fn case(config: &str) -> Case {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("config");
    std::fs::write(&file, config).unwrap();
    let config = SshConfig::read(&file, None).unwrap();
    let access = Access {
        user: Some("me".into()),
        home: Some("/home/me".into()),
        agent: Some("/run/agent".into()),
        ..Access::default()
    };
    Case { _home: home, access, config }
}

impl Case {
    fn of(&self, json: &str) -> Result<Target, TargetError> {
        Target::of(&serde_json::from_str(json).unwrap(), &self.access, &self.config)
    }
}

const HOST: &str = r#"{"name":"web-1","address":"web"}"#;

#[test]
fn without_any_word_it_is_what_ssh_does() {
    let target = case("").of(HOST).unwrap();
    assert_eq!((target.address.as_str(), target.port, target.user.as_str()), ("web", 22, "me"));
    assert_eq!(target.identities.files[0], Path::new("/home/me/.ssh/id_ed25519"));
    assert!(!target.identities.only && !target.identities.must_exist);
    assert_eq!(target.identities.agent.as_deref(), Some(Path::new("/run/agent")));
    assert_eq!(target.trust.files[0], Path::new("/home/me/.ssh/known_hosts"));
    assert_eq!((target.trust.name.as_str(), target.through), ("web", None));
}

#[test]
fn what_relman_is_told_wins_over_the_file() {
    let text = "Host web\n HostName %h.internal\n Port 2200\n User other\n IdentityFile %d/.ssh/web\n \
                IdentitiesOnly yes\n IdentityAgent none\n UserKnownHostsFile ~/.ssh/%n\n";
    let mut case = case(text);
    let target = case.of(HOST).unwrap();
    assert_eq!((target.address.as_str(), target.port, target.user.as_str()), ("web.internal", 2200, "other"));
    assert_eq!(target.identities.files, [Path::new("/home/me/.ssh/web")]);
    assert_eq!((target.identities.only, target.identities.agent), (true, None));
    assert_eq!(target.trust.name, "[web.internal]:2200");
    assert_eq!(target.trust.files[0], Path::new("/home/me/.ssh/web"));
    case.access.login = Login {
        user: Some("deploy".into()),
        key: Some("/k".into()),
        known_hosts: Some("/known".into()),
        ..Login::default()
    };
    let target = case.of(r#"{"name":"web-1","address":"web","port":2222}"#).unwrap();
    assert_eq!((target.port, target.user.as_str()), (2222, "deploy"));
    assert_eq!(target.identities.files, [Path::new("/k")]);
    assert!(target.identities.only && target.identities.must_exist);
    assert_eq!(target.trust.files, [Path::new("/known")]);
}

#[test]
fn a_chain_of_jumps_is_followed_with_each_hosts_own_settings() {
    let text =
        "Host web\n ProxyJump ops@inner:2201,[::1]:2202\nHost inner\n HostName 10.0.0.9\n ProxyJump outer\n";
    let target = case(text).of(HOST).unwrap();
    let nearest = target.through.unwrap();
    assert_eq!((nearest.address.as_str(), nearest.port), ("::1", 2202));
    let inner = nearest.through.unwrap();
    assert_eq!((inner.address.as_str(), inner.port, inner.user.as_str()), ("10.0.0.9", 2201, "ops"));
    assert_eq!(inner.through.unwrap().address, "outer");
}

#[test]
fn a_bastion_has_its_own_pins_and_takes_the_place_of_proxy_jump() {
    let mut case = case("Host web\n ProxyJump elsewhere\n");
    let bastion = r#"{"address":"gate","port":2222,"user":"jump","host_keys":["ssh-ed25519 AAAA"]}"#;
    case.access.login.bastion = Some(serde_json::from_str(bastion).unwrap());
    let through = case.of(HOST).unwrap().through.unwrap();
    assert_eq!((through.address.as_str(), through.port, through.user.as_str()), ("gate", 2222, "jump"));
    assert_eq!(through.trust.pins, ["ssh-ed25519 AAAA"]);
    assert_eq!(through.through, None);
}

#[test]
fn what_is_not_understood_is_refused_and_never_guessed() {
    for (text, part) in [
        ("Host web\n ProxyCommand nc %h %p\n", "ProxyCommand"),
        ("Host *\n ProxyJump web\n", "circle"),
        ("Host web\n ProxyJump a:b\n", "\"a:b\""),
        ("Host web\n IdentityFile %C\n", "%C"),
        ("Host web\n IdentityAgent ${X}\n", "${X}"),
    ] {
        let error = case(text).of(HOST).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
    assert_eq!(case("Host web\n ProxyJump none\n ProxyCommand nc\n").of(HOST).unwrap().through, None);
    let mut nobody = case("");
    nobody.access.user = None;
    assert!(matches!(nobody.of(HOST), Err(TargetError::NoUser(_))));
}
