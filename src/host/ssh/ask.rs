//! One request on one connection: what is run, what is handed in, what comes back.
//!
//! Invariant: from the moment that the command is asked for until a whole answer is there, nobody knows whether the
//! host acted, and the error says so.

use russh::client::Msg;
use russh::{Channel, ChannelMsg, Sig};
use tokio::time::timeout;

use super::link::Timing;
use crate::host::HostResult;
use crate::host::play::outcome;
use crate::host::wire::{HostError, HostErrorCode};

/// What is run: a constant, so that nothing that anybody typed gets into it. The same as the playbook's, through
/// `sh`, since the login shell may be another.
pub(super) const COMMAND: &str = "/bin/sh -c 'if [ ! -x /usr/local/bin/relman-host ]; then exit 127; \
     elif [ \"$(id -u)\" = 0 ]; then exec /usr/local/bin/relman-host perform; \
     else exec sudo -n /usr/local/bin/relman-host perform; fi'";

/// Most that is kept of what comes back.
const KEPT: usize = 4 << 20;

/// Asks on an open channel.
pub(super) async fn ask(channel: Channel<Msg>, request: &[u8], timing: Timing) -> HostResult {
    match said(channel, request, timing).await {
        Ok(said) => said.answer(),
        Err(error) => Err(error),
    }
}

/// What came back.
#[derive(Debug, Default)]
struct Said {
    rc: Option<i32>,
    signal: Option<Sig>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

fn lost(what: &str) -> HostError {
    let message = format!("the connection was lost {what}: whether the host acted is not known");
    HostError::new(HostErrorCode::NoAnswer, message)
}

async fn said(mut channel: Channel<Msg>, request: &[u8], timing: Timing) -> Result<Said, HostError> {
    let hand_over = async {
        channel.exec(true, COMMAND).await?;
        channel.data_bytes(request.to_vec()).await?;
        channel.eof().await
    };
    // It stops where the host takes nothing; without a limit that would be for ever.
    match timeout(timing.silence(), hand_over).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) => return Err(lost("while it was asked")),
        Err(_) => return Err(lost("while it was asked, since it took nothing more")),
    }
    let mut said = Said::default();
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Data { data } => keep(&mut said.stdout, &data),
            ChannelMsg::ExtendedData { data, ext: 1 } => keep(&mut said.stderr, &data),
            ChannelMsg::ExitStatus { exit_status } => said.rc = Some(exit_status.cast_signed()),
            ChannelMsg::ExitSignal { signal_name, .. } => said.signal = Some(signal_name),
            ChannelMsg::Failure => {
                let message = "it lets the login user run no command";
                return Err(HostError::new(HostErrorCode::Unreachable, message));
            }
            ChannelMsg::Close => break,
            _ => {}
        }
    }
    Ok(said)
}

fn keep(kept: &mut Vec<u8>, data: &[u8]) {
    kept.extend_from_slice(&data[..data.len().min(KEPT - kept.len())]);
}

impl Said {
    fn answer(&self) -> HostResult {
        let stdout = String::from_utf8_lossy(&self.stdout);
        let stderr = String::from_utf8_lossy(&self.stderr);
        // A login shell may have printed before: the answer is the last line.
        let line = stdout.lines().map(str::trim).rfind(|line| line.starts_with('{'));
        match (line, self.rc, &self.signal) {
            (Some(line), Some(rc), _) => outcome::answer(rc, line, &stderr),
            // A whole answer is one, also where the end was cut off.
            (Some(line), None, None) => {
                let answer = outcome::answer(0, line, &stderr);
                answer.map_err(|error| match error.code {
                    HostErrorCode::NoAnswer => lost("in the middle of the answer"),
                    _ => error,
                })
            }
            (_, _, Some(signal)) => {
                let message = format!("relman-host was ended by signal {signal:?}");
                Err(HostError::new(HostErrorCode::NoAnswer, message))
            }
            (None, None, None) => Err(lost("before an answer came")),
            (None, Some(rc), None) if stdout.trim().is_empty() => outcome::answer(rc, "", &stderr),
            (None, Some(rc), None) => {
                let message = format!(
                    "instead of an answer came {:?} (exit code {rc}): does the login shell let nobody in, or does the \
                     key run a command of its own?",
                    outcome::last_line(&stdout)
                );
                Err(HostError::new(HostErrorCode::NoAnswer, message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::wire::PROTOCOL;

    fn said(rc: Option<i32>, stdout: &str, stderr: &str) -> HostResult {
        Said { rc, signal: None, stdout: stdout.into(), stderr: stderr.into() }.answer()
    }

    #[test]
    fn the_answer_is_the_last_line_whatever_was_printed_before() {
        let answer = format!(r#"{{"protocol":{PROTOCOL},"result":{{"done":{{"agent":"x","slots":[]}}}}}}"#);
        for before in ["", "Welcome!\n\n", "{not json\n", "$ {\n"] {
            let seen = said(Some(0), &format!("{before}{answer}\n"), "motd");
            assert_eq!(seen.unwrap().agent, "x", "{before}");
        }
        assert_eq!(
            said(None, &format!("{answer}\n"), "").unwrap().agent,
            "x",
            "the end was cut, not the answer"
        );
    }

    #[test]
    fn what_is_no_answer_is_told_by_code() {
        use HostErrorCode::{NoAnswer, NotInstalled};
        let cases = [
            (Some(127), "", "", NotInstalled, "not installed"),
            (Some(127), "", "sh: 1: sudo: not found", NotInstalled, "not installed"),
            (Some(1), "", "sudo: a password is required", NotInstalled, "may not run"),
            (Some(1), "", "sudo: relman-host: command not found", NotInstalled, "not installed"),
            (Some(1), "This account is not available.\n", "", NoAnswer, "This account"),
            (None, "", "", NoAnswer, "lost before"),
            (None, "{\"protocol\":1,\"res", "", NoAnswer, "middle of the answer"),
            (Some(0), "{\"protocol\":1,\"res", "", NoAnswer, "is no answer"),
        ];
        for (rc, stdout, stderr, code, part) in cases {
            let error = said(rc, stdout, stderr).unwrap_err();
            assert_eq!(error.code, code, "{error}");
            assert!(error.message.contains(part), "{part}: {error}");
        }
        let killed = Said { signal: Some(Sig::KILL), ..Said::default() }.answer().unwrap_err();
        assert!(killed.code == NoAnswer && killed.message.contains("KILL"), "{killed}");
    }
}
