//! The fleet against moto, which takes commands and keeps them, and behind it a stub that does what an agent does:
//! it runs what was sent. `tests/aws/run` brings moto up; without it these tests fail.

use std::sync::Mutex;

use super::*;
use crate::aws::testing::variable;
use crate::clock::SystemClock;
use crate::domain::id::Token;
use crate::host::contract;
use crate::host::fake::FakeFleet;
use crate::host::wire::{HostErrorCode, Secret};

mod stub;

use stub::{Conduct, Stub};

const INSTANCE: &str = "i-0123456789abcdef0";

fn host() -> HostName {
    "web-1".parse().unwrap()
}

fn fleet(endpoint: &str) -> Ssm {
    let address = HostAddress {
        name: host(),
        address: INSTANCE.to_owned(),
        port: 22,
        user: None,
        host_keys: Vec::new(),
    };
    let identity = Identity {
        ledger: Token::from_bits([1; 16]),
        service: "web".parse().unwrap(),
        environment: "production".parse().unwrap(),
    };
    let chain = Arc::new(Chain::to(endpoint.to_owned()));
    Ssm::new(identity, vec![address], "relman-perform".to_owned(), chain, Arc::new(SystemClock))
}

/// A host behind SSM, with a fleet that reaches it.
async fn case(behind: FakeFleet) -> (Ssm, Stub) {
    let stub = Stub::start(variable("RELMAN_TEST_SSM"), Arc::new(behind)).await;
    (fleet(&stub.endpoint), stub)
}

async fn observe(fleet: &Ssm) -> HostResult {
    let replies = fleet.perform(&[host()], &Task::bare(Command::Observe {})).await.replies;
    let [reply] = replies.as_slice() else { panic!("one host was asked: {replies:?}") };
    reply.result.clone()
}

#[tokio::test]
#[ignore = "needs moto: tests/aws/run"]
async fn it_passes_the_suite() {
    let (fleet, stub) = case(FakeFleet::ready(&["web-1"])).await;
    let (one, two) = (contract::release("1.0.0"), contract::release("2.0.0"));
    contract::suite(&fleet, &host(), &one, &two).await;
    assert!(stub.ran() > 20, "each request is one command");
}

#[tokio::test]
#[ignore = "needs moto: tests/aws/run"]
async fn what_ssm_says_becomes_what_is_known_of_the_host() {
    use HostErrorCode::{NoAnswer, NotInstalled, Unreachable};
    let (fleet, stub) = case(FakeFleet::ready(&["web-1"])).await;
    let cases = [
        (Conduct::Offline, Unreachable, "agent did not fetch the command"),
        (Conduct::Refuse("AccessDeniedException"), Unreachable, "ssm:SendCommand is not allowed"),
        (Conduct::Refuse("InvalidInstanceId"), Unreachable, "no agent online for i-0123"),
        (Conduct::Refuse("InvalidDocument"), Unreachable, "no document relman-perform"),
        (Conduct::LoseAnswer, NoAnswer, "whether the host acts is not known"),
        (Conduct::Page, NoAnswer, "what answered is not AWS: whether the host acts is not known"),
        (Conduct::Cut, NoAnswer, "longer than the 24000 characters"),
    ];
    for (conduct, code, part) in cases {
        stub.set(conduct.clone());
        let error = observe(&fleet).await.unwrap_err();
        assert_eq!(error.code, code, "{conduct:?}: {error}");
        assert!(error.message.contains(part), "{conduct:?}: {error}");
    }
    stub.set(Conduct::Throttle);
    observe(&fleet).await.unwrap();
    let (fleet, _stub) = case(FakeFleet::bare(&["web-1"])).await;
    assert_eq!(observe(&fleet).await.unwrap_err().code, NotInstalled);
}

#[tokio::test]
#[ignore = "needs moto: tests/aws/run"]
async fn a_command_whose_answer_was_lost_is_not_sent_again() {
    let (fleet, stub) = case(FakeFleet::ready(&["web-1"])).await;
    stub.set(Conduct::LoseAnswer);
    observe(&fleet).await.unwrap_err();
    assert_eq!(stub.sent(), 1);
}

/// Counts what reaches it, and answers nothing.
#[derive(Default)]
struct Nobody(Mutex<usize>);

#[tokio::test]
async fn invariant_10_a_request_with_secrets_is_refused_before_anything_is_sent() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let fleet = fleet(&format!("http://{}", listener.local_addr().unwrap()));
    let nobody = Arc::new(Nobody::default());
    let counted = nobody.clone();
    let counting = tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            *counted.0.lock().unwrap() += 1;
        }
    });
    let mut command = contract::prepare(&contract::authority(1, 1), &contract::release("1.0.0"));
    let Command::Prepare { secrets, .. } = &mut command else { unreachable!() };
    secrets.insert("KEY".into(), Secret::new("hunter22".into()));
    let replies = fleet.perform(&[host()], &Task::bare(command)).await.replies;
    let error = replies[0].result.as_ref().unwrap_err();
    assert_eq!(error.code, HostErrorCode::Refused);
    assert!(error.message.contains("carries none") && !error.message.contains("hunter22"), "{error}");
    assert_eq!(*nobody.0.lock().unwrap(), 0);
    counting.abort();
}

#[test]
fn a_request_that_is_too_long_is_refused() {
    let error = refusal(&Command::Observe {}, &"0".repeat(LONGEST + 1)).unwrap();
    assert!(error.code == HostErrorCode::Refused && error.message.contains("32769"), "{error}");
    assert!(refusal(&Command::Observe {}, "00").is_none());
}
