//! The fleet against servers in this process.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::testing::{Conduct, Server, Settings, Wire, key, line};
use super::*;
use crate::domain::id::Token;
use crate::host::contract::{self, ask};
use crate::host::fake::FakeFleet;
use crate::host::wire::{Bastion, Command, HostErrorCode, Secret};

mod scale;

struct Site {
    fleet: Ssh,
    folder: tempfile::TempDir,
}

fn identity() -> Identity {
    Identity {
        ledger: Token::from_bits([1; 16]),
        service: "web".parse().unwrap(),
        environment: "production".parse().unwrap(),
    }
}

/// A fleet whose user has [`key`] 9 as its only key, and nothing else of this machine.
fn site(hosts: Vec<HostAddress>) -> Site {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, key(9).to_openssh(Default::default()).unwrap().as_bytes()).unwrap();
    let login = Login { key: Some(file), known_hosts: Some(folder.path().join("known")), ..Login::default() };
    let access = Access { login, home: Some(folder.path().into()), ..Access::default() };
    let tool = Tool { command: "ansible-playbook".to_owned(), environment: Default::default() };
    let mut fleet = Ssh::new(identity(), tool, hosts, access, None);
    fleet.timing = Timing { stage: Duration::from_secs(5), keepalive: Duration::from_secs(2) };
    Site { fleet, folder }
}

fn host() -> HostName {
    "web-1".parse().unwrap()
}

async fn observe(site: &Site) -> HostResult {
    let replies = site.fleet.perform(&[host()], &Task::bare(Command::Observe {})).await.replies;
    let [reply] = replies.as_slice() else { panic!("one host was asked: {replies:?}") };
    reply.result.clone()
}

async fn error(site: &Site) -> (HostErrorCode, String) {
    let error = observe(site).await.unwrap_err();
    (error.code, error.message)
}

#[tokio::test]
async fn it_passes_the_suite_on_one_connection() {
    let server = Server::start(Settings::ready()).await;
    let site = site(vec![server.address()]);
    let (one, two) = (contract::release("1.0.0"), contract::release("2.0.0"));
    contract::suite(&site.fleet, &host(), &one, &two).await;
    assert_eq!((server.connections(), site.fleet.pool.made()), (1, 1));
}

#[tokio::test]
async fn it_passes_the_suite_through_a_bastion() {
    let server = Server::start(Settings::ready()).await;
    let gate = Settings { host_keys: vec![key(3)], user: "jump", forwards: true, ..Settings::ready() };
    let gate = Server::start(gate).await;
    let mut site = site(vec![server.address()]);
    site.fleet.access.login.bastion = Some(Bastion {
        address: "127.0.0.1".into(),
        port: gate.port,
        user: Some("jump".into()),
        host_keys: vec![line(&key(3))],
    });
    let (one, two) = (contract::release("1.0.0"), contract::release("2.0.0"));
    contract::suite(&site.fleet, &host(), &one, &two).await;
    assert_eq!((server.connections(), gate.connections()), (1, 1));
}

#[tokio::test]
async fn a_bastion_is_judged_by_its_own_key_and_may_refuse() {
    let server = Server::start(Settings::ready()).await;
    let gate = Server::start(Settings { host_keys: vec![key(3)], ..Settings::ready() }).await;
    let mut site = site(vec![server.address()]);
    let mut bastion = Bastion {
        address: "127.0.0.1".into(),
        port: gate.port,
        user: Some("deploy".into()),
        host_keys: vec![line(&key(1))],
    };
    site.fleet.access.login.bastion = Some(bastion.clone());
    let (code, message) = error(&site).await;
    assert_eq!(code, HostErrorCode::Unreachable);
    assert!(message.contains("the bastion 127.0.0.1: its host key"), "{message}");
    bastion.host_keys = vec![line(&key(3))];
    site.fleet.access.login.bastion = Some(bastion.clone());
    let (code, message) = error(&site).await;
    assert_eq!(code, HostErrorCode::Unreachable);
    assert!(message.contains("does not let through"), "{message}");
    assert_eq!(server.connections(), 0);
    bastion.port = unused_port().await;
    site.fleet.access.login.bastion = Some(bastion);
    let (_, message) = error(&site).await;
    assert!(message.contains("the bastion 127.0.0.1: nothing listens there"), "{message}");
}

async fn unused_port() -> u16 {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn a_host_with_another_key_is_told_nothing() {
    let server = Server::start(Settings::ready()).await;
    let mut address = server.address();
    address.host_keys = vec![line(&key(2))];
    let (code, message) = error(&site(vec![address])).await;
    assert_eq!(code, HostErrorCode::Unreachable);
    assert!(message.contains("is not among the pinned host_keys"), "{message}");
    assert_eq!(server.state.logins.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn an_unknown_host_is_refused_or_recorded_and_then_held_to_its_key() {
    let server = Server::start(Settings::ready()).await;
    let address = HostAddress { host_keys: Vec::new(), ..server.address() };
    let mut site = site(vec![address.clone()]);
    let (code, message) = error(&site).await;
    assert_eq!(code, HostErrorCode::Unreachable);
    assert!(message.contains("is not known") && message.contains("ssh-keyscan -p"), "{message}");
    let record = site.folder.path().join("state/known_hosts");
    site.fleet.access.login.record = Some(record.clone());
    observe(&site).await.unwrap();
    let text = std::fs::read_to_string(&record).unwrap();
    assert_eq!(text, format!("[127.0.0.1]:{} {}\n", server.port, line(&key(1))));

    let other = Server::start(Settings { host_keys: vec![key(2)], ..Settings::ready() }).await;
    std::fs::write(&record, text.replace(&server.port.to_string(), &other.port.to_string())).unwrap();
    site.fleet.hosts = vec![HostAddress { port: other.port, ..address }];
    let (code, message) = error(&site).await;
    assert_eq!(code, HostErrorCode::Unreachable);
    let command = format!("ssh-keygen -R '[127.0.0.1]:{}' -f {}", other.port, record.display());
    assert!(message.contains("has changed") && message.contains(&command), "{message}");
    assert_eq!(other.state.logins.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_host_with_several_keys_shows_the_one_that_is_known() {
    let mut rng = russh::keys::key::safe_rng();
    let curve = russh::keys::EcdsaCurve::NistP256;
    let other = russh::keys::PrivateKey::random(&mut rng, russh::keys::Algorithm::Ecdsa { curve }).unwrap();
    let server = Server::start(Settings { host_keys: vec![other, key(1)], ..Settings::ready() }).await;
    // The address has the first key; both are right.
    observe(&site(vec![server.address()])).await.unwrap();
    let address = HostAddress { host_keys: vec![line(&key(1))], ..server.address() };
    observe(&site(vec![address])).await.unwrap();
}

#[tokio::test]
async fn a_login_that_is_refused_says_what_was_tried() {
    let server = Server::start(Settings { accepts: Vec::new(), ..Settings::ready() }).await;
    let (code, message) = error(&site(vec![server.address()])).await;
    assert_eq!(code, HostErrorCode::Unreachable);
    assert!(message.contains("the login as deploy is refused; tried /"), "{message}");
}

#[tokio::test]
async fn a_host_that_was_never_configured_is_told_with_the_next_command() {
    let fleet = Arc::new(FakeFleet::bare(&["web-1"]));
    let server = Server::start(Settings { fleet, ..Settings::ready() }).await;
    let (code, message) = error(&site(vec![server.address()])).await;
    assert_eq!(code, HostErrorCode::NotInstalled);
    assert!(message.contains("not installed") && message.contains("`relman deploy`"), "{message}");
}

#[tokio::test]
async fn a_shell_that_prints_is_heard_out() {
    let server = Server::start(Settings::ready()).await;
    let site = site(vec![server.address()]);
    server.set(Conduct::Prints("Welcome to web-1\n{ not an answer\n".into()));
    observe(&site).await.unwrap();
    server.set(Conduct::NoShell("This account is currently not available.\n".into()));
    let (code, message) = error(&site).await;
    assert_eq!(code, HostErrorCode::NoAnswer);
    assert!(message.contains("not available"), "{message}");
    server.set(Conduct::NoExec);
    assert_eq!(error(&site).await.0, HostErrorCode::Unreachable, "it never ran");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_connection_that_is_cut_in_the_answer_says_that_nobody_knows() {
    for after in [0, 40] {
        let server = Server::start(Settings::ready()).await;
        let site = site(vec![server.address()]);
        let who = contract::authority(1, 1);
        server.set(Conduct::Cut(after));
        let claim = Command::Claim { authority: who.clone() };
        assert_eq!(ask(&site.fleet, &host(), claim.clone()).await, Err(HostErrorCode::NoAnswer));
        assert!(server.fleet().edit("web-1", |machine| machine.fence.is_some()), "it acted");
        server.set(Conduct::Answer);
        assert!(
            ask(&site.fleet, &host(), claim).await.is_ok(),
            "the next request gets a connection of its own"
        );
        assert_eq!(server.connections(), 2);
    }
}

#[tokio::test]
async fn a_connection_that_ended_between_two_requests_is_made_anew() {
    let server = Server::start(Settings::ready()).await;
    let site = site(vec![server.address()]);
    for n in 1..=3 {
        observe(&site).await.unwrap();
        assert_eq!(server.connections(), n);
        server.cut();
    }
}

#[tokio::test]
async fn a_half_open_connection_ends_by_itself() {
    let server = Server::start(Settings::ready()).await;
    let mut site = site(vec![server.address()]);
    site.fleet.timing.keepalive = Duration::from_millis(100);
    server.set(Conduct::Freeze);
    let silence = site.fleet.timing.silence();
    let (code, message) = tokio::time::timeout(silence * 10, error(&site)).await.expect("it is bounded");
    assert_eq!(code, HostErrorCode::NoAnswer, "{message}");
    server.set(Conduct::Answer);
    observe(&site).await.unwrap();
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_waited_for_only_so_long() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server::start(Settings::ready()).await;
    let port = listener.local_addr().unwrap().port();
    let mut site = site(vec![HostAddress { port, ..server.address() }]);
    site.fleet.timing.stage = Duration::from_millis(100);
    let (code, message) = error(&site).await;
    assert_eq!(code, HostErrorCode::Unreachable);
    assert!(message.contains("does not answer within 0.1 s (greeting)"), "{message}");
    // A busy machine takes its time to find out that there is no such name.
    site.fleet.timing.stage = Duration::from_secs(20);
    site.fleet.hosts = vec![HostAddress { port: unused_port().await, ..server.address() }];
    assert!(error(&site).await.1.contains("nothing listens there"));
    site.fleet.hosts = vec![HostAddress { address: "no-such-name.invalid".into(), ..server.address() }];
    assert!(error(&site).await.1.contains("name is not known"));
}

#[tokio::test]
async fn a_slow_host_is_waited_for() {
    let wire = Wire { travel: Duration::from_millis(40) };
    let server = Server::start(Settings { wire, ..Settings::ready() }).await;
    let mut site = site(vec![server.address()]);
    site.fleet.timing.keepalive = Duration::from_millis(100);
    observe(&site).await.unwrap();
}

#[tokio::test]
async fn one_host_that_fails_keeps_no_other_back() {
    let server = Server::start(Settings::ready()).await;
    let dead = HostAddress { name: "web-2".parse().unwrap(), port: unused_port().await, ..server.address() };
    let site = site(vec![dead, server.address()]);
    let hosts = ["web-2", "web-1", "web-3"].map(|name| name.parse().unwrap());
    let replies = site.fleet.perform(&hosts, &Task::bare(Command::Observe {})).await.replies;
    let of = |name: &str| &replies.iter().find(|reply| reply.host.as_str() == name).unwrap().result;
    assert_eq!(replies.len(), 3);
    assert!(of("web-1").is_ok());
    assert_eq!(of("web-2").as_ref().unwrap_err().code, HostErrorCode::Unreachable);
    assert!(of("web-3").as_ref().unwrap_err().message.contains("not among"));
}

#[tokio::test]
async fn invariant_10_what_a_host_prints_of_a_secret_is_taken_out() {
    let server = Server::start(Settings::ready()).await;
    let site = site(vec![server.address()]);
    server.set(Conduct::NoShell("hunter22 is not available\n".into()));
    let mut command = contract::prepare(&contract::authority(1, 1), &contract::release("1.0.0"));
    let Command::Prepare { secrets, .. } = &mut command else { unreachable!() };
    secrets.insert("KEY".into(), Secret::new("hunter22".into()));
    let replies = site.fleet.perform(&[host()], &Task::bare(command)).await.replies;
    let message = &replies[0].result.as_ref().unwrap_err().message;
    assert!(message.contains("[secret KEY]") && !message.contains("hunter22"), "{message}");
}

#[tokio::test]
async fn the_users_ssh_configuration_leads_to_the_host() {
    let server = Server::start(Settings::ready()).await;
    let mut site =
        site(vec![HostAddress { address: "web".into(), port: 22, user: None, ..server.address() }]);
    let ssh = site.folder.path().join(".ssh");
    std::fs::create_dir_all(&ssh).unwrap();
    std::fs::rename(site.fleet.access.login.key.take().unwrap(), ssh.join("mine")).unwrap();
    let text = format!(
        "Host web\n HostName 127.0.0.1\n Port {}\n User deploy\n IdentityFile ~/.ssh/mine\n",
        server.port
    );
    std::fs::write(ssh.join("config"), text).unwrap();
    observe(&site).await.unwrap();
    std::fs::write(ssh.join("config"), "Port x\n").unwrap();
    let (code, message) = error(&site).await;
    assert_eq!(code, HostErrorCode::Unreachable);
    assert!(message.contains(".ssh/config:1: the port is no number"), "{message}");
}
