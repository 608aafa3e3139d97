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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::domain::deployment::Kind;
    use crate::domain::id::Token;
    use crate::onhost::fake;
    use crate::onhost::properties::{on_trial, sample};
    use std::collections::BTreeMap;
    use std::fs;

    #[tokio::test]
    async fn what_is_refused_changes_nothing() {
        let (_root, paths) = fake::root();
        let host = Host { paths: &paths, clock: &SystemClock };
        let authority = sample::authority(2);
        let state = on_trial();
        let store = Store::new(&host, &state.service);
        fs::create_dir_all(paths.service(&state.service)).unwrap();
        store.save(&state).unwrap();
        let foreign = |request: Request| Request { ledger: Token::from_bits([7; 16]), ..request };
        let prepare = Command::Prepare {
            authority: authority.clone(),
            release: sample::record(2).release,
            run: Box::new(sample::run()),
            secrets: BTreeMap::new(),
        };
        let shift = Command::Shift { authority: authority.clone(), kind: Kind::Deploy, weight: 10 };
        for (request, code) in [
            (Request { protocol: 2, ..sample::claim(1, 1) }, HostErrorCode::Protocol),
            (foreign(sample::request(Command::Observe {})), HostErrorCode::Fenced),
            (foreign(sample::request(Command::Revert { authority })), HostErrorCode::Fenced),
            (sample::request(prepare), HostErrorCode::Refused),
            (sample::request(shift), HostErrorCode::Refused),
        ] {
            let verb = request.command.verb();
            match perform(&host, &request).await.result {
                AnswerResult::Failed(error) => assert_eq!(error.code, code, "{verb}: {error}"),
                AnswerResult::Done(_) => panic!("{verb} was done"),
            }
            assert_eq!(store.load().unwrap().unwrap(), state, "{verb}");
        }
    }
}
