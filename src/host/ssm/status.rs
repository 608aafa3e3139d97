//! What SSM says of a command, as an answer.

use crate::host::HostResult;
use crate::host::play::outcome;
use crate::host::wire::{HostError, HostErrorCode};

/// What SSM shows of the output; the rest is cut off.
const SHOWN: usize = 24_000;

/// What SSM says.
#[derive(Debug, Clone, Default)]
pub(super) struct Invocation {
    /// `Success`, `InProgress`.
    pub(super) status: String,
    /// More of it: `DeliveryTimedOut`.
    pub(super) details: String,
    pub(super) rc: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// Where a command is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum State {
    /// On its way, or running.
    Open,
    /// Over.
    Ended(Box<HostResult>),
}

impl Invocation {
    /// What that means.
    pub(super) fn state(&self) -> State {
        if matches!(self.status.as_str(), "Pending" | "InProgress" | "Delayed" | "Cancelling") {
            return State::Open;
        }
        State::Ended(Box::new(self.result()))
    }

    fn result(&self) -> HostResult {
        let unreachable = |message: &str| Err(HostError::new(HostErrorCode::Unreachable, message));
        match self.details.as_str() {
            "DeliveryTimedOut" | "Delivery Timed Out" => {
                unreachable("its SSM agent did not fetch the command in time: is it online?")
            }
            "Undeliverable" => {
                unreachable("SSM cannot deliver to it: is the instance there, and its agent online?")
            }
            "AccessDenied" | "Access Denied" => {
                unreachable("SSM may not run the document there: look at the role of the instance")
            }
            _ => match self.status.as_str() {
                "Success" | "Failed" => self.answer(),
                other => {
                    let message =
                        format!("SSM ended the command ({other}): whether the host acted is not known");
                    Err(HostError::new(HostErrorCode::NoAnswer, message))
                }
            },
        }
    }

    fn answer(&self) -> HostResult {
        if self.stdout.chars().count() >= SHOWN {
            let message = format!(
                "the answer is longer than the {SHOWN} characters that SSM shows; relman status looks again"
            );
            return Err(HostError::new(HostErrorCode::NoAnswer, message));
        }
        outcome::answer(self.rc, &self.stdout, &self.stderr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::wire::PROTOCOL;

    fn ended(status: &str, details: &str, rc: i32, stdout: &str) -> HostResult {
        let (status, details, stdout) = (status.to_owned(), details.to_owned(), stdout.to_owned());
        match (Invocation { status, details, rc, stdout, stderr: String::new() }).state() {
            State::Ended(result) => *result,
            State::Open => panic!("it is over"),
        }
    }

    #[test]
    fn only_what_was_never_delivered_never_ran() {
        use HostErrorCode::{NoAnswer, NotInstalled, Unreachable};
        let long = "x".repeat(SHOWN);
        let cases = [
            ("TimedOut", "DeliveryTimedOut", 0, "", Unreachable),
            ("Failed", "Undeliverable", -1, "", Unreachable),
            ("Failed", "AccessDenied", -1, "", Unreachable),
            ("TimedOut", "ExecutionTimedOut", -1, "", NoAnswer),
            ("Cancelled", "Cancelled", -1, "", NoAnswer),
            ("Failed", "Failed", 127, "", NotInstalled),
            ("Failed", "Failed", 137, "", NoAnswer),
            ("Success", "Success", 0, "", NoAnswer),
            ("Success", "Success", 0, long.as_str(), NoAnswer),
        ];
        for (status, details, rc, stdout, code) in cases {
            assert_eq!(ended(status, details, rc, stdout).unwrap_err().code, code, "{status} {details} {rc}");
        }
        for status in ["Pending", "InProgress", "Delayed", "Cancelling"] {
            let invocation = Invocation { status: status.into(), ..Invocation::default() };
            assert_eq!(invocation.state(), State::Open);
        }
    }

    #[test]
    fn an_answer_is_read_whatever_the_exit_code() {
        let good = format!(r#"{{"protocol":{PROTOCOL},"result":{{"done":{{"agent":"x","slots":[]}}}}}}"#);
        assert_eq!(ended("Success", "Success", 0, &good).unwrap().agent, "x");
        let bad =
            format!(r#"{{"protocol":{PROTOCOL},"result":{{"failed":{{"code":"fenced","message":"m"}}}}}}"#);
        assert_eq!(ended("Failed", "Failed", 1, &bad).unwrap_err().code, HostErrorCode::Fenced);
    }
}
