//! The three calls of SSM that a command needs.

use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_sdk_ssm::Client;
use aws_sdk_ssm::error::ProvideErrorMetadata;
use tokio::sync::OnceCell;

use super::status::{Invocation, State};
use crate::aws::{Chain, Fault, FaultKind, QUICK};
use crate::clock::Clock;
use crate::host::wire::{HostError, HostErrorCode};

/// Seconds within which an agent must fetch a command: the least that SSM takes.
const DELIVERY: i32 = 30;

/// Attempts to send where SSM took nothing, since there were too many calls.
const ATTEMPTS: u32 = 6;

/// SSM.
pub(super) struct Api {
    document: String,
    chain: Arc<Chain>,
    clients: OnceCell<Clients>,
}

struct Clients {
    /// Tries again by itself: looking changes nothing.
    looking: Client,
    /// Never does.
    sending: Client,
}

impl Api {
    pub(super) fn new(document: String, chain: Arc<Chain>) -> Self {
        Self { document, chain, clients: OnceCell::new() }
    }

    async fn clients(&self) -> Result<&Clients, HostError> {
        let make = || async {
            let config = self.chain.config(QUICK).await?;
            let once = config.to_builder().retry_config(RetryConfig::disabled()).build();
            Ok(Clients { looking: Client::new(&config), sending: Client::new(&once) })
        };
        self.clients.get_or_try_init(make).await.map_err(|fault: Fault| unreachable(&fault))
    }

    /// Sends a command; its id.
    pub(super) async fn send(
        &self,
        instance: &str,
        request: &str,
        clock: &dyn Clock,
    ) -> Result<String, HostError> {
        let client = &self.clients().await?.sending;
        let mut pause = Duration::from_millis(500);
        for attempt in 1.. {
            let sending = client
                .send_command()
                .instance_ids(instance)
                .document_name(&self.document)
                .parameters("request", vec![request.to_owned()])
                .timeout_seconds(DELIVERY)
                .comment("relman");
            let error = match sending.send().await {
                Ok(sent) => {
                    let id = sent.command().and_then(|command| command.command_id()).map(str::to_owned);
                    return id.ok_or_else(|| no_answer("SSM took the command and gave it no id"));
                }
                Err(error) => error,
            };
            let code = error.code().unwrap_or_default().to_owned();
            let fault = Fault::of("ssm:SendCommand", error);
            match (code.as_str(), &fault.kind) {
                ("InvalidInstanceId", _) => {
                    let message = format!("SSM has no agent online for {instance}");
                    return Err(HostError::new(HostErrorCode::Unreachable, message));
                }
                ("InvalidDocument", _) => {
                    let message = format!("SSM has no document {} in this account and region", self.document);
                    return Err(HostError::new(HostErrorCode::Unreachable, message));
                }
                // It took nothing.
                (_, FaultKind::Throttled) if attempt < ATTEMPTS => {
                    clock.sleep(pause).await;
                    pause *= 2;
                }
                // It may have taken it.
                (_, FaultKind::NoAnswer | FaultKind::Server | FaultKind::NotAws) => {
                    return Err(no_answer(&format!("{fault}: whether the host acts is not known")));
                }
                _ => return Err(unreachable(&fault)),
            }
        }
        Err(no_answer("SSM takes no more commands"))
    }

    /// Where a command is.
    pub(super) async fn look(&self, instance: &str, command: &str) -> Result<State, HostError> {
        let client = &self.clients().await?.looking;
        let looked = client.get_command_invocation().command_id(command).instance_id(instance).send().await;
        let seen = match looked {
            Ok(seen) => seen,
            // It takes a moment until a command can be looked at.
            Err(error) if error.code() == Some("InvocationDoesNotExist") => return Ok(State::Open),
            Err(error) => {
                let fault = Fault::of("ssm:GetCommandInvocation", error);
                if fault.is_transient() {
                    return Ok(State::Open);
                }
                return Err(no_answer(&format!("{fault}: whether the host acts is not known")));
            }
        };
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let invocation = Invocation {
            status: text(seen.status().map(|status| status.as_str())),
            details: text(seen.status_details()),
            rc: seen.response_code(),
            stdout: text(seen.standard_output_content()),
            stderr: text(seen.standard_error_content()),
        };
        Ok(invocation.state())
    }

    /// Gives a command up. Whether it was still there is not known either way.
    pub(super) async fn cancel(&self, instance: &str, command: &str) -> Result<(), HostError> {
        let client = &self.clients().await?.looking;
        let asked = client.cancel_command().command_id(command).instance_ids(instance).send().await;
        asked.map(drop).map_err(|error| no_answer(&Fault::of("ssm:CancelCommand", error).to_string()))
    }
}

fn no_answer(message: &str) -> HostError {
    HostError::new(HostErrorCode::NoAnswer, message)
}

/// A fault before anything was sent, with what to do about it.
fn unreachable(fault: &Fault) -> HostError {
    let hint = fault.hints().into_iter().next().map_or_else(String::new, |hint| format!(" ({hint})"));
    HostError::new(HostErrorCode::Unreachable, format!("{fault}{hint}"))
}
