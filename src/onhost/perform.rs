//! One request, one answer: which verb does what.

use super::observe::observe;
use super::store::Store;
use super::{Host, prepare, retire, shift};
use crate::host::wire::{Answer, AnswerResult, Command, HostError, HostErrorCode, PROTOCOL, Request};

/// Does what is asked, then tells how things are. Never a partial answer.
pub async fn perform(host: &Host<'_>, request: &Request) -> Answer {
    let result = match act(host, request).await {
        Ok(()) => observe(host, &request.service).await,
        Err(error) => Err(error),
    };
    Answer {
        protocol: PROTOCOL,
        result: match result {
            Ok(observation) => AnswerResult::Done(Box::new(observation)),
            Err(error) => AnswerResult::Failed(error),
        },
    }
}

async fn act(host: &Host<'_>, request: &Request) -> Result<(), HostError> {
    if request.protocol != PROTOCOL {
        return Err(HostError::new(
            HostErrorCode::Protocol,
            format!("relman-host speaks protocol {PROTOCOL}, the request is of {}", request.protocol),
        ));
    }
    match &request.command {
        Command::Observe {} => known(host, request),
        Command::Claim { .. } => {
            Store::new(host, &request.service).change(request, |_| Ok(())).await.map(drop)
        }
        Command::Prepare { authority, release, run, secrets } => {
            let candidate = prepare::Candidate { authority, release, run, secrets };
            prepare::prepare(host, request, &candidate).await
        }
        Command::Discard { authority } => retire::discard(host, request, authority).await,
        Command::Shift { authority, kind, weight } => {
            shift::shift(host, request, authority, *kind, *weight).await
        }
        Command::Commit { authority } => shift::commit(host, request, authority).await,
        Command::Revert { .. } => shift::revert(host, request).await,
        Command::Retire { drain_seconds, .. } => retire::retire(host, request, *drain_seconds).await,
    }
}

/// A host that belongs to somebody else tells nothing.
fn known(host: &Host<'_>, request: &Request) -> Result<(), HostError> {
    match Store::new(host, &request.service).load()? {
        Some(state) => state.belongs(&request.ledger, &request.environment),
        None => Ok(()),
    }
}
