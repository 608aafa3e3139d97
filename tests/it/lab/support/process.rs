//! A running `relman`: what it tells while it runs, and an end that may be sudden.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Done {
    /// Its exit code; none when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    /// This exit code, or the test fails and shows what was printed.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "exit code\n--- stdout\n{}\n--- stderr\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("not JSON ({e}): {}", self.stdout))
    }
}

/// A line that is an entry of the ledger.
fn entry(line: &str) -> Option<Value> {
    let value: Value = serde_json::from_str(line).ok()?;
    (value.get("kind").is_some() && value.get("seq").is_some()).then_some(value)
}

/// Whether an entry is of this kind and, if it is about a step, about the one of this name on the way forward.
pub(crate) fn is(entry: &Value, kind: &str, step: Option<&str>) -> bool {
    entry["kind"] == kind
        && step.is_none_or(|name| entry["data"]["name"] == name && entry["data"]["direction"] == "forward")
}

/// A process that has not ended.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    readers: Vec<JoinHandle<String>>,
}

impl Running {
    /// Starts it. It cannot ask: its standard input is empty.
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("relman starts");
        let mut stdout = child.stdout.take().expect("it is piped");
        let stderr = child.stderr.take().expect("it is piped");
        let (sender, lines) = channel();
        let readers = vec![
            std::thread::spawn(move || {
                let mut text = String::new();
                let _ = stdout.read_to_string(&mut text);
                text
            }),
            std::thread::spawn(move || {
                let mut text = String::new();
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    text.push_str(&line);
                    text.push('\n');
                    let _ = sender.send(line);
                }
                text
            }),
        ];
        Self { child, lines, readers }
    }

    /// Waits for an entry. An end of the process before it is a failure.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, limit: Duration, wanted: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + limit;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    if let Some(entry) = entry(&line).filter(&wanted) {
                        return entry;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("not within {limit:?}: {what}"),
                Err(RecvTimeoutError::Disconnected) => panic!("relman ended before {what}"),
            }
        }
    }

    /// SIGKILL to this process alone: what it started goes on, as it would.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it is a child");
        // A playbook that it started still holds the pipes; nobody waits for that here.
    }

    /// Waits for the end.
    #[track_caller]
    pub(crate) fn end(mut self, limit: Duration) -> Done {
        let end = Instant::now() + limit;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it is a child") {
                break status;
            }
            if Instant::now() > end {
                let _ = self.child.kill();
                panic!("relman did not end within {limit:?}");
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let mut texts = self.readers.drain(..).map(|reader| reader.join().expect("a reader does not panic"));
        let stdout = texts.next().unwrap_or_default();
        let stderr = texts.next().unwrap_or_default();
        Done { code: status.code(), stdout, stderr }
    }
}
