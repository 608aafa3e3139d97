//! What the callback plugin tells of each host, and what that means.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::domain::id::HostName;
use crate::host::wire::{Answer, AnswerResult, HostError, HostErrorCode, Observation, PROTOCOL};

/// What came of a host.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Outcome {
    /// relman-host was run, or was not there.
    Answer {
        /// Its exit code; 127 where it is not installed.
        rc: i32,
        /// What it printed.
        stdout: String,
        /// What it, sudo or ssh complained about.
        stderr: String,
    },
    /// The playbook ended well there.
    Done,
    /// ssh failed.
    Unreachable {
        /// What it said.
        message: String,
    },
    /// A task failed.
    Failed {
        /// Which.
        task: String,
        /// What it said.
        message: String,
    },
}

impl Outcome {
    /// An answer says more than the end, and a good end more than a failure on the way, which was rescued then.
    fn rank(&self) -> u8 {
        match self {
            Self::Answer { .. } => 3,
            Self::Done => 2,
            Self::Unreachable { .. } => 1,
            Self::Failed { .. } => 0,
        }
    }

    /// What relman-host observed, or why nobody knows.
    ///
    /// # Errors
    /// Its own error, or that there is no answer.
    pub fn observation(&self) -> Result<Observation, HostError> {
        match self {
            Self::Answer { rc, stdout, stderr } => answer(*rc, stdout, stderr),
            Self::Done => {
                Err(HostError::new(HostErrorCode::NoAnswer, "the playbook did not ask relman-host"))
            }
            Self::Unreachable { message } => Err(unreachable(message)),
            Self::Failed { task, message } => Err(failed(task, message)),
        }
    }
}

#[derive(Deserialize)]
struct Line {
    host: HostName,
    #[serde(flatten)]
    outcome: Outcome,
}

/// The outcome of each host. Lines that are none are skipped: the last one may be cut.
pub fn read(results: &str) -> BTreeMap<HostName, Outcome> {
    let mut outcomes: BTreeMap<HostName, Outcome> = BTreeMap::new();
    for line in results.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok()) {
        let better = outcomes.get(&line.host).is_none_or(|known| line.outcome.rank() >= known.rank());
        if better {
            outcomes.insert(line.host, line.outcome);
        }
    }
    outcomes
}

/// What relman-host printed as an observation.
///
/// # Errors
/// Its own error, another protocol, or what else it was.
pub fn answer(rc: i32, stdout: &str, stderr: &str) -> Result<Observation, HostError> {
    #[derive(Deserialize)]
    struct Spoken {
        protocol: u32,
    }
    let complaint = last_line(stderr);
    if stdout.trim().is_empty() {
        let (code, message) = match rc {
            127 => (HostErrorCode::NotInstalled, "relman-host is not installed on the host".to_owned()),
            _ if complaint.starts_with("sudo:") && complaint.ends_with("command not found") => {
                (HostErrorCode::NotInstalled, "relman-host is not installed on the host".to_owned())
            }
            _ if complaint.starts_with("sudo:") => {
                let message = format!("the login user may not run relman-host: {complaint}");
                (HostErrorCode::NotInstalled, message)
            }
            _ if complaint.is_empty() => {
                (HostErrorCode::NoAnswer, format!("relman-host ended with {rc} and said nothing"))
            }
            _ => (HostErrorCode::NoAnswer, format!("relman-host ended with {rc}: {complaint}")),
        };
        return Err(HostError::new(code, message));
    }
    let no_answer = |error: serde_json::Error| {
        HostError::new(HostErrorCode::NoAnswer, format!("what relman-host printed is no answer: {error}"))
    };
    let spoken: Spoken = serde_json::from_str(stdout).map_err(no_answer)?;
    if spoken.protocol != PROTOCOL {
        let message = format!(
            "relman-host speaks protocol {}, this relman {PROTOCOL}: install the version of one on the other side",
            spoken.protocol
        );
        return Err(HostError::new(HostErrorCode::Protocol, message));
    }
    match serde_json::from_str::<Answer>(stdout).map_err(no_answer)?.result {
        AnswerResult::Done(observation) => Ok(*observation),
        AnswerResult::Failed(error) => Err(error),
    }
}

/// What ssh says when it never got as far as running a command; anything else may have come in the middle of one.
const NEVER_RUN: [(&str, &str); 10] = [
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "its host key has changed: compare it, then correct the pinned key",
    ),
    (
        "Host key verification failed",
        "its host key is not known: pin it (host_keys) or add it to known hosts",
    ),
    ("host key is known", "its host key is not known: pin it (host_keys) or add it to known hosts"),
    ("Permission denied", "the login is refused: check user and key"),
    ("Connection refused", "nothing listens there"),
    ("Could not resolve hostname", "its name is not known"),
    ("No route to host", "no route leads there"),
    ("Network is unreachable", "no route leads there"),
    ("connect to host", "it does not answer"),
    (BANNER, "it does not answer"),
];

/// A new connection never got as far as logging in. After a kept one broke, that says nothing of the one before.
const BANNER: &str = "timed out during banner exchange";

fn unreachable(message: &str) -> HostError {
    let said = last_line(message);
    let broke = message.contains("read from master failed");
    let is_sign = |sign: &str| message.contains(sign) && !(broke && sign == BANNER);
    match NEVER_RUN.iter().find(|(sign, _)| is_sign(sign)) {
        Some((_, meaning)) => HostError::new(HostErrorCode::Unreachable, format!("{meaning} ({said})")),
        None => HostError::new(HostErrorCode::NoAnswer, format!("the connection was lost: {said}")),
    }
}

/// A failed task as an error.
pub fn failed(task: &str, message: &str) -> HostError {
    HostError::new(HostErrorCode::Playbook, format!("task {task:?} failed: {}", last_line(message)))
}

/// The last line that says something, whole: it is cut once secrets are out of it.
pub fn last_line(text: &str) -> String {
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_host_did_nothing_unless_a_connection_was_open() {
        let silent =
            "Connection timed out during banner exchange\r\nConnection to 10.0.0.5 port 22 timed out";
        assert_eq!(unreachable(silent).code, HostErrorCode::Unreachable);
        let broke = format!("mux_client_request_session: read from master failed: Broken pipe\r\n{silent}");
        assert_eq!(unreachable(&broke).code, HostErrorCode::NoAnswer);
    }
}
