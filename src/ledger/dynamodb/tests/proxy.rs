//! Something bad between the SDK and an emulator: what networks and AWS do, and emulators never.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bad {
    /// The connection ends before it arrives.
    DroppedBefore,
    /// It is done, and the connection ends before the answer.
    DroppedAfter,
    /// It is never answered, and nothing was done.
    HalfOpen,
    /// It is done, and the answer never comes.
    Silent,
    /// It is done, and the answer comes byte by byte.
    SlowDrip,
    /// AWS fails, and nothing was done.
    Failed,
    /// AWS fails, and it was done.
    FailedAfter,
    /// AWS takes no more.
    Throttled,
    /// Another transaction was at the same items.
    Conflict,
    /// The network delivers it twice.
    Twice,
}

/// Requests of one operation that something happens to.
#[derive(Debug, Clone, Copy)]
struct Plan {
    operation: &'static str,
    bad: Bad,
    /// How many pass first.
    skip: u32,
    times: u32,
    /// From the first one on; nothing: without end.
    lasts: Option<Duration>,
}

#[derive(Default)]
struct State {
    plan: Option<Plan>,
    hits: u32,
    /// When the first one happened.
    since: Option<Instant>,
    /// Asked for and added up, once somebody wants to know.
    capacity: Option<Capacity>,
}

/// A proxy in front of an emulator.
pub(crate) struct Proxy {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

/// What requests came to, in the units that AWS counts and bills.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Capacity {
    pub(crate) requests: u32,
    pub(crate) read: f64,
    pub(crate) write: f64,
}

#[derive(Clone)]
struct Request {
    operation: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Proxy {
    pub(crate) async fn new(upstream: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        let client = crate::tls::test_client();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (state, upstream, client) = (Arc::clone(&shared), upstream.clone(), client.clone());
                tokio::spawn(async move { serve(stream, &state, &client, &upstream).await });
            }
        });
        Self { url, state }
    }

    /// Lets something happen to later requests; `times` of them, after `skip` that pass.
    pub(crate) fn plan(&self, operation: &'static str, bad: Bad, skip: u32, times: u32) {
        self.begin(Plan { operation, bad, skip, times, lasts: None });
    }

    /// After `skip` requests of any kind, nothing but this for a while.
    pub(crate) fn away(&self, bad: Bad, skip: u32, lasts: Duration) {
        self.begin(Plan { operation: "", bad, skip, times: u32::MAX, lasts: Some(lasts) });
    }

    fn begin(&self, plan: Plan) {
        let mut state = self.state.lock().unwrap();
        (state.plan, state.hits, state.since) = (Some(plan), 0, None);
    }

    /// When it happened first.
    pub(crate) fn struck(&self) -> Option<Instant> {
        self.state.lock().unwrap().since
    }

    /// What was used since this was asked last; asked for the first time, it begins to count.
    pub(crate) fn capacity(&self) -> Capacity {
        self.state.lock().unwrap().capacity.replace(Capacity::default()).unwrap_or_default()
    }

    /// From now on all is well. How many requests something happened to.
    pub(crate) fn heal(&self) -> u32 {
        let mut state = self.state.lock().unwrap();
        state.plan = None;
        state.hits
    }
}

impl State {
    fn bad(&mut self, operation: &str) -> Option<Bad> {
        let plan = self.plan.as_mut().filter(|plan| operation.ends_with(plan.operation))?;
        if plan.skip > 0 {
            plan.skip -= 1;
            return None;
        }
        plan.times = plan.times.checked_sub(1)?;
        let since = *self.since.get_or_insert_with(Instant::now);
        if plan.lasts.is_some_and(|lasts| since.elapsed() >= lasts) {
            return None;
        }
        self.hits += 1;
        Some(plan.bad)
    }
}

async fn serve(mut stream: TcpStream, state: &Mutex<State>, client: &reqwest::Client, upstream: &str) {
    while let Some(request) = receive(&mut stream).await {
        let (bad, counts) = {
            let mut state = state.lock().unwrap();
            (state.bad(&request.operation), state.capacity.is_some())
        };
        if counts {
            let answer = forward(client, upstream, &asking_for_capacity(request.clone())).await;
            if let Some(total) = &mut state.lock().unwrap().capacity {
                total.add(&request.operation, &answer.1);
            }
            if send(&mut stream, &answer, false).await.is_err() {
                return;
            }
            continue;
        }
        let answer = match bad {
            Some(Bad::DroppedBefore) => return,
            Some(Bad::HalfOpen) => return wait_for_end(&mut stream).await,
            Some(Bad::Failed) => error(500, "InternalServerError", ""),
            Some(Bad::Throttled) => error(400, "ProvisionedThroughputExceededException", ""),
            Some(Bad::Conflict) if request.operation.contains("Transact") => {
                let reasons = r#","CancellationReasons":[{"Code":"None"},{"Code":"TransactionConflict"},{"Code":"None"}]"#;
                error(400, "TransactionCanceledException", reasons)
            }
            Some(Bad::Conflict) => error(400, "TransactionConflictException", ""),
            Some(Bad::DroppedAfter) => {
                forward(client, upstream, &request).await;
                return;
            }
            Some(Bad::Silent) => {
                forward(client, upstream, &request).await;
                return wait_for_end(&mut stream).await;
            }
            Some(Bad::FailedAfter) => {
                forward(client, upstream, &request).await;
                error(500, "InternalServerError", "")
            }
            Some(Bad::Twice) => {
                let first = forward(client, upstream, &request).await;
                forward(client, upstream, &request).await;
                first
            }
            Some(Bad::SlowDrip) | None => forward(client, upstream, &request).await,
        };
        let slow = bad == Some(Bad::SlowDrip);
        if send(&mut stream, &answer, slow).await.is_err() {
            return;
        }
    }
}

fn asking_for_capacity(mut request: Request) -> Request {
    let mut body: Value = serde_json::from_slice(&request.body).unwrap();
    body["ReturnConsumedCapacity"] = "TOTAL".into();
    request.body = serde_json::to_vec(&body).unwrap();
    request
}

impl Capacity {
    fn add(&mut self, operation: &str, answer: &[u8]) {
        let answer: Value = serde_json::from_slice(answer).unwrap();
        let used = match &answer["ConsumedCapacity"] {
            Value::Array(tables) => tables.iter().map(|table| table["CapacityUnits"].as_f64().unwrap()).sum(),
            table => table["CapacityUnits"].as_f64().unwrap_or_default(),
        };
        self.requests += 1;
        if operation.contains("Get") || operation.contains("Query") {
            self.read += used;
        } else {
            self.write += used;
        }
    }
}

/// As long as the other side holds the connection, so do we.
async fn wait_for_end(stream: &mut TcpStream) {
    let mut rest = [0; 64];
    while matches!(stream.read(&mut rest).await, Ok(1..)) {}
}

async fn receive(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).unwrap();
    let headers: Vec<(String, String)> = text
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let header = |name: &str| headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone());
    let length: usize = header("content-length").map_or(0, |length| length.parse().unwrap());
    while bytes.len() < head + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let operation = header("x-amz-target").unwrap_or_default();
    Some(Request { operation, body: bytes.split_off(head), headers })
}

type Answer = (u16, Vec<u8>);

fn error(status: u16, code: &str, more: &str) -> Answer {
    let body = format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"made up"{more}}}"#);
    (status, body.into_bytes())
}

async fn forward(client: &reqwest::Client, upstream: &str, request: &Request) -> Answer {
    let mut sent = client.post(upstream).body(request.body.clone());
    for (name, value) in &request.headers {
        if !matches!(name.as_str(), "host" | "content-length" | "connection") {
            sent = sent.header(name, value);
        }
    }
    let answer = sent.send().await.unwrap();
    (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec())
}

async fn send(stream: &mut TcpStream, (status, body): &Answer, slow: bool) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    if !slow {
        return stream.write_all(body).await;
    }
    for byte in body {
        stream.write_all(std::slice::from_ref(byte)).await?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
