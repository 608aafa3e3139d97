//! What stands between the SDK and moto. moto takes a command and says at once that it was a success, with no output:
//! nobody runs anything. So a command goes to moto, and what is asked of it afterwards is asked of moto too; what the
//! agent would have printed is put into that answer, by a host of [`FakeFleet`] that does what was sent.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::host::fake::FakeFleet;
use crate::host::wire::{Answer, AnswerResult, HostErrorCode, PROTOCOL, Request};
use crate::host::{Fleet, Task};

/// What happens to a command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Conduct {
    /// It runs.
    #[default]
    Run,
    /// No agent fetches it.
    Offline,
    /// It is not taken, with this error.
    Refuse(&'static str),
    /// The first is one too many.
    Throttle,
    /// It is taken, and the answer with its id is lost.
    LoseAnswer,
    /// It is taken, and something between answers with a page of its own.
    Page,
    /// It prints more than SSM shows.
    Cut,
}

/// The stub.
pub(super) struct Stub {
    pub(super) endpoint: String,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared {
    moto: String,
    fleet: Arc<FakeFleet>,
    conduct: Mutex<Conduct>,
    sent: AtomicUsize,
    /// What each command printed, by its id.
    printed: Mutex<HashMap<String, Printed>>,
}

#[derive(Clone)]
struct Printed {
    status: &'static str,
    details: &'static str,
    rc: i32,
    stdout: String,
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Stub {
    pub(super) async fn start(moto: String, fleet: Arc<FakeFleet>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (conduct, sent, printed) = Default::default();
        let shared = Arc::new(Shared { moto, fleet, conduct, sent, printed });
        let state = shared.clone();
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, state.clone()));
            }
        });
        Self { endpoint, shared, task }
    }

    pub(super) fn set(&self, conduct: Conduct) {
        *self.shared.conduct.lock().unwrap() = conduct;
    }

    /// Commands that were sent.
    pub(super) fn sent(&self) -> usize {
        self.shared.sent.load(Ordering::Relaxed)
    }

    /// Commands that ran.
    pub(super) fn ran(&self) -> usize {
        self.shared.printed.lock().unwrap().len()
    }
}

/// One request a connection: head, body, answer.
async fn serve(mut socket: TcpStream, shared: Arc<Shared>) {
    let mut bytes = Vec::new();
    let (head, length) = loop {
        let mut buffer = [0; 8192];
        let Ok(read @ 1..) = socket.read(&mut buffer).await else { return };
        bytes.extend_from_slice(&buffer[..read]);
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let length = header(&head, "content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
            bytes.drain(..end + 4);
            break (head, length);
        }
    };
    while bytes.len() < length {
        let mut buffer = [0; 8192];
        let Ok(read @ 1..) = socket.read(&mut buffer).await else { return };
        bytes.extend_from_slice(&buffer[..read]);
    }
    let body: Value = serde_json::from_slice(&bytes).unwrap();
    let target = header(&head, "x-amz-target").unwrap_or_default().to_owned();
    let Some((status, answer)) = shared.answer(&target, &head, &body).await else { return };
    // A text as it is, anything else as JSON.
    let text = answer.as_str().map_or_else(|| answer.to_string(), str::to_owned);
    let reply = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    );
    let _ = socket.write_all(reply.as_bytes()).await;
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let of = |line: &'h str| line.split_once(':').filter(|(key, _)| key.eq_ignore_ascii_case(name));
    head.lines().find_map(|line| of(line).map(|(_, value)| value.trim()))
}

impl Shared {
    /// Status and body; none: the connection breaks.
    async fn answer(&self, target: &str, head: &str, body: &Value) -> Option<(u16, Value)> {
        match target {
            "AmazonSSM.SendCommand" => self.send(head, body).await,
            "AmazonSSM.GetCommandInvocation" => {
                let (status, mut answer) = self.moto(target, head, body).await;
                let id = body["CommandId"].as_str().unwrap();
                let printed = self.printed.lock().unwrap().get(id).cloned();
                if let (200, Some(printed)) = (status, printed) {
                    answer["Status"] = printed.status.into();
                    answer["StatusDetails"] = printed.details.into();
                    answer["ResponseCode"] = printed.rc.into();
                    answer["StandardOutputContent"] =
                        printed.stdout.chars().take(24_000).collect::<String>().into();
                }
                Some((status, answer))
            }
            _ => Some(self.moto(target, head, body).await),
        }
    }

    async fn send(&self, head: &str, body: &Value) -> Option<(u16, Value)> {
        self.sent.fetch_add(1, Ordering::Relaxed);
        let conduct = self.conduct.lock().unwrap().clone();
        let error = |code: &str| Some((400, json!({"__type": code, "message": "injected"})));
        match conduct {
            Conduct::Refuse(code) => return error(code),
            Conduct::Throttle => {
                *self.conduct.lock().unwrap() = Conduct::Run;
                return error("ThrottlingException");
            }
            _ => {}
        }
        let (status, answer) = self.moto("AmazonSSM.SendCommand", head, body).await;
        assert_eq!(status, 200, "{answer}");
        let id = answer["Command"]["CommandId"].as_str().unwrap().to_owned();
        let printed = match conduct {
            Conduct::Offline => {
                Printed { status: "TimedOut", details: "DeliveryTimedOut", rc: -1, stdout: String::new() }
            }
            Conduct::Cut => {
                Printed { status: "Success", details: "Success", rc: 0, stdout: "{".repeat(30_000) }
            }
            _ => self.run(body).await,
        };
        self.printed.lock().unwrap().insert(id, printed);
        match conduct {
            Conduct::LoseAnswer => None,
            Conduct::Page => Some((200, json!("<!DOCTYPE html><title>Log in</title>"))),
            _ => Some((status, answer)),
        }
    }

    /// What the document does with the parameter: from base64, to relman-host.
    async fn run(&self, body: &Value) -> Printed {
        assert_eq!(body["DocumentName"], "relman-perform");
        let text = body["Parameters"]["request"][0].as_str().unwrap();
        let bytes = aws_smithy_types::base64::decode(text).unwrap();
        let request: Request = serde_json::from_slice(&bytes).unwrap();
        let host = ["web-1".parse().unwrap()];
        let replies = self.fleet.perform(&host, &Task::bare(request.command)).await.replies;
        let (result, rc) = match replies.into_iter().next().unwrap().result {
            Ok(seen) => (AnswerResult::Done(Box::new(seen)), 0),
            Err(error) if error.code == HostErrorCode::NotInstalled => {
                return Printed { status: "Failed", details: "Failed", rc: 127, stdout: String::new() };
            }
            Err(error) => (AnswerResult::Failed(error), 1),
        };
        let stdout = serde_json::to_string(&Answer { protocol: PROTOCOL, result }).unwrap() + "\n";
        let status = if rc == 0 { "Success" } else { "Failed" };
        Printed { status, details: status, rc, stdout }
    }

    async fn moto(&self, target: &str, head: &str, body: &Value) -> (u16, Value) {
        let mut request = crate::tls::test_client()
            .post(&self.moto)
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", target)
            .body(body.to_string());
        if let Some(signature) = header(head, "authorization") {
            request = request.header("authorization", signature);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
    }
}
