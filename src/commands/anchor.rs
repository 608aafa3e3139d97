//! Anchors: the heads are kept after each deployment and release, and `verify` compares the chain with them. A late
//! anchor is no reason to fail a deployment that is done; the next run catches up.

use serde::Serialize;

use super::Context;
use crate::anchor::{Anchor, AnchorError, Anchors, Found, SCHEMA};
use crate::domain::entry::{ChainHash, Head};
use crate::domain::id::Stream;
use crate::ledger::LedgerError;
use crate::ledger::verify::Verified;

/// The heads of these streams, those without an entry left out.
///
/// # Errors
/// When the ledger cannot be read.
pub async fn heads(context: &Context, streams: &[Stream]) -> Result<Vec<(Stream, Head)>, LedgerError> {
    let mut found = Vec::new();
    for stream in streams {
        let head = context.ledger.head(stream).await?;
        if head.seq > 0 {
            found.push((stream.clone(), head));
        }
    }
    Ok(found)
}

/// Keeps heads; stops at the first that cannot be kept.
///
/// # Errors
/// When the place cannot be written or has another head.
pub async fn keep(
    context: &Context,
    anchors: &dyn Anchors,
    heads: &[(Stream, Head)],
) -> Result<(), AnchorError> {
    let ledger = context
        .ledger
        .id()
        .await
        .map_err(|error| AnchorError::Unavailable { location: anchors.location(), source: error.into() })?;
    for (stream, head) in heads {
        let anchor = Anchor {
            schema: SCHEMA,
            ledger: ledger.clone(),
            stream: stream.clone(),
            seq: head.seq,
            hash: head.hash.clone(),
            at: context.clock.now(),
        };
        anchors.put(&anchor).await?;
    }
    Ok(())
}

/// What the anchors say of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// Where they are.
    pub location: String,
    /// How many were compared.
    pub anchors: u64,
    /// What does not fit.
    pub faults: Vec<Mismatch>,
    /// What they do not prove, in words.
    pub unproven: Vec<String>,
}

/// An anchor that the chain does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// Where the anchor is.
    pub place: String,
    /// What kind.
    pub class: MismatchClass,
    /// What does not fit.
    pub detail: String,
}

/// Kinds of mismatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MismatchClass {
    /// The chain ends before the anchored entry: its end was lost or cut off.
    BehindAnchor,
    /// The chain has another entry there: it was written anew.
    Rewritten,
    /// Another ledger was anchored here.
    OtherLedger,
    /// The anchor does not read.
    Unreadable,
}

/// Compares every anchor with the ledger.
///
/// # Errors
/// When the ledger cannot be read. Anchors that cannot be read prove nothing, which is said.
pub async fn compare(
    context: &Context,
    anchors: &dyn Anchors,
    chain: &Verified,
) -> Result<Compared, LedgerError> {
    let location = anchors.location();
    let mut compared =
        Compared { location: location.clone(), anchors: 0, faults: Vec::new(), unproven: Vec::new() };
    let found = match anchors.all().await {
        Ok(found) => found,
        Err(error) => {
            compared.unproven.push(format!("anything by anchors: {}", super::error::chain(&error)));
            return Ok(compared);
        }
    };
    let ledger = context.ledger.id().await?;
    let mut newest = std::collections::BTreeMap::<Stream, u64>::new();
    for Found { place, anchor, over } in found {
        compared.anchors += 1;
        if over > 0 {
            let detail = format!(
                "that {place} is the only head of its place: {over} were put over it, and the first counts"
            );
            compared.unproven.push(detail);
        }
        let verdict = match &anchor {
            Err(why) => Some((MismatchClass::Unreadable, why.clone())),
            Ok(anchor) if anchor.ledger != ledger => {
                let detail = format!("it is of ledger {}, and this is {ledger}", anchor.ledger);
                Some((MismatchClass::OtherLedger, detail))
            }
            Ok(anchor) => {
                let last = newest.entry(anchor.stream.clone()).or_default();
                *last = anchor.seq.max(*last);
                differs(context, anchor).await?
            }
        };
        if let Some((class, detail)) = verdict {
            compared.faults.push(Mismatch { place, class, detail });
        }
    }
    for stream in &chain.streams {
        let (name, entries) = (&stream.stream, stream.entries);
        match newest.get(name).copied().unwrap_or(0) {
            0 => compared
                .unproven
                .push(format!("that {name} lost nothing off its end and was not written anew: it has no anchor")),
            last if last < entries => compared.unproven.push(format!(
                "that {name} lost nothing off its end after entry {last}, which is its last anchor of {entries} entries"
            )),
            _ => {}
        }
    }
    Ok(compared)
}

async fn differs(context: &Context, anchor: &Anchor) -> Result<Option<(MismatchClass, String)>, LedgerError> {
    let Anchor { stream, seq, hash, .. } = anchor;
    let before = seq.saturating_sub(1);
    let entry: Option<ChainHash> = match context.ledger.read(stream, before, 1).await {
        Ok(found) => found.into_iter().next().map(|sealed| sealed.hash),
        // The chain's own check has told it.
        Err(LedgerError::Entry { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(match entry {
        Some(found) if found == *hash => None,
        Some(found) => {
            let detail =
                format!("entry {seq} of {stream} is {found}, and {hash} was anchored on {}", anchor.at);
            Some((MismatchClass::Rewritten, detail))
        }
        None => {
            let last = context.ledger.head(stream).await?.seq;
            let detail =
                format!("{stream} ends with entry {last}, and entry {seq} was anchored on {}", anchor.at);
            Some((MismatchClass::BehindAnchor, detail))
        }
    })
}

#[cfg(test)]
mod tests;
