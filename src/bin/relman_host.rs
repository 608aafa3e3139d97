//! The `relman-host` command: one request on stdin, one answer on stdout, the verdict as exit code.

use std::io::{Read, Write};
use std::process::ExitCode;

use relman::clock::SystemClock;
use relman::host::wire::{Answer, AnswerResult, HostError, HostErrorCode, PROTOCOL, Request};
use relman::onhost::paths::Paths;
use relman::onhost::{Host, VERSION, boot, perform};

/// More than any request has; what is longer is none.
const REQUEST_LIMIT: u64 = 8 << 20;

const USAGE: &str = "usage: relman-host perform   one request on stdin (JSON), one answer on stdout\n\
                     \x20      relman-host boot      after a reboot: bring back what was committed\n\
                     \x20      relman-host version\n";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next();
    if arguments.next().is_some() {
        return usage();
    }
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        say(std::io::stderr(), "relman-host: the system gives no event loop\n");
        return ExitCode::FAILURE;
    };
    let paths = Paths::system();
    let host = Host { paths: &paths, clock: &SystemClock };
    match command.as_deref() {
        Some("perform") => runtime.block_on(answer(&host)),
        Some("boot") => runtime.block_on(start(&host)),
        Some("version") => {
            say(std::io::stdout(), &format!("relman-host {VERSION} protocol {PROTOCOL}\n"));
            ExitCode::SUCCESS
        }
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    say(std::io::stderr(), USAGE);
    ExitCode::from(2)
}

/// Writes without failing: a reader that went away must not turn what was done into a failure.
fn say(mut to: impl Write, text: &str) {
    let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
}

async fn answer(host: &Host<'_>) -> ExitCode {
    let answer = match read() {
        Ok(request) => perform(host, &request).await,
        Err(error) => Answer { protocol: PROTOCOL, result: AnswerResult::Failed(error) },
    };
    let text = serde_json::to_string(&answer).unwrap_or_default();
    say(std::io::stdout(), &format!("{text}\n"));
    match answer.result {
        AnswerResult::Done(_) => ExitCode::SUCCESS,
        AnswerResult::Failed(_) => ExitCode::FAILURE,
    }
}

/// Reads the request. What is wrong with it is told by place alone: it may hold secrets.
fn read() -> Result<Request, HostError> {
    let refused = |message: String| HostError::new(HostErrorCode::Refused, message);
    let mut text = Vec::new();
    std::io::stdin()
        .take(REQUEST_LIMIT)
        .read_to_end(&mut text)
        .map_err(|error| refused(format!("no request on stdin: {error}")))?;
    let protocol = serde_json::from_slice::<serde_json::Value>(&text)
        .ok()
        .and_then(|value| value.get("protocol").and_then(serde_json::Value::as_u64));
    if let Some(other) = protocol.filter(|protocol| *protocol != u64::from(PROTOCOL)) {
        return Err(HostError::new(
            HostErrorCode::Protocol,
            format!(
                "relman-host {VERSION} speaks protocol {PROTOCOL}, the request is of {other}: configure the host"
            ),
        ));
    }
    serde_json::from_slice(&text).map_err(|error| {
        refused(format!(
            "the request on stdin is not valid at line {}, column {}",
            error.line(),
            error.column()
        ))
    })
}

async fn start(host: &Host<'_>) -> ExitCode {
    let booted = match boot::boot(host).await {
        Ok(booted) => booted,
        Err(error) => {
            say(std::io::stderr(), &format!("relman-host: {error}\n"));
            return ExitCode::FAILURE;
        }
    };
    let mut code = ExitCode::SUCCESS;
    for service in booted {
        match service.result {
            Ok(text) => say(std::io::stdout(), &format!("{}: {text}\n", service.service)),
            Err(error) => {
                say(std::io::stderr(), &format!("{}: {error}\n", service.service));
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}
