//! `relman ledger migrate`: a ledger and its artifacts in another place, with the same bytes and the same hashes.
//!
//! Stream by stream: what is there is copied, the deploy lock is taken, the rest is copied, the old stream ends with
//! an entry that names the new ledger and refuses whatever comes after, and only then does the new one go on. It can
//! be interrupted anywhere and run again: what was copied is recognised, and a stream is open in one place at most.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::error::{CommandError, ErrorKind};
use super::{Context, lock};
use crate::artifact::Artifacts;
use crate::domain::entry::{ChainHash, Sealed};
use crate::domain::event::Event;
use crate::domain::id::Stream;
use crate::domain::project::Illegal;
use crate::domain::record::{Key, Record};
use crate::ledger::verify::verify;
use crate::ledger::{Lease, Ledger, LedgerError, Take};

/// Entries that are read at once.
const PAGE: u32 = 200;
/// What is put into the new artifact store before anything else.
const PROBE: &[u8] = b"relman ledger migrate was here\n";

/// Where to.
#[derive(Clone)]
pub struct Target {
    /// The ledger: empty, or one that an earlier run began to fill.
    pub ledger: Arc<dyn Ledger>,
    /// The artifacts.
    pub artifacts: Arc<dyn Artifacts>,
}

/// A stream in its new place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// Which.
    pub stream: Stream,
    /// How many entries were copied, over all runs.
    pub entries: u64,
    /// The hash of the last of them: the same in both ledgers.
    pub hash: ChainHash,
}

/// The answer: the JSON output as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Format of this report.
    pub schema: u32,
    /// The old ledger.
    pub from: String,
    /// The new one.
    pub to: String,
    /// The streams.
    pub streams: Vec<Moved>,
    /// Where the artifacts are now.
    pub artifacts: String,
    /// How many this run copied.
    pub artifacts_copied: u64,
    /// Artifacts that entries name and the old store does not have.
    pub artifacts_missing: Vec<String>,
}

/// Moves everything, and verifies it where it is then.
///
/// # Errors
/// When the two are no such pair, a deployment has no outcome yet, somebody holds a deploy lock, or either ledger
/// cannot be read or written. It can be run again.
pub async fn run(
    context: &Context,
    target: &Target,
    known: &[Stream],
    ttl: Duration,
) -> Result<Report, CommandError> {
    let mut job = Job {
        context,
        target,
        ttl,
        to: target.ledger.location().to_string(),
        copied: 0,
        missing: Vec::new(),
    };
    job.nothing_is_hidden(known).await?;
    job.check().await?;
    let all = context.ledger.streams().await?;
    // None is open there before each has begun there: one that is not could begin anew, with a history of its own.
    for stream in &all {
        job.copy(stream).await?;
    }
    let mut streams = Vec::new();
    for stream in &all {
        streams.push(job.stream(stream).await?);
    }
    let verified = verify(target.ledger.as_ref()).await?;
    if let Some(fault) = verified.faults.first() {
        return Err(CommandError::new(
            ErrorKind::Unverified,
            format!("what was copied to {} does not verify: {}", job.to, fault.detail),
        )
        .hint("report this with the output of relman verify for both ledgers"));
    }
    Ok(Report {
        schema: 1,
        from: context.ledger.location().to_string(),
        to: job.to,
        streams,
        artifacts: target.artifacts.location(),
        artifacts_copied: job.copied,
        artifacts_missing: job.missing,
    })
}

struct Job<'a> {
    context: &'a Context,
    target: &'a Target,
    ttl: Duration,
    to: String,
    copied: u64,
    missing: Vec<String>,
}

impl Job<'_> {
    /// A stream that the list has lost would stay behind.
    async fn nothing_is_hidden(&self, known: &[Stream]) -> Result<(), CommandError> {
        let listed = self.context.ledger.streams().await?;
        for stream in known {
            if !listed.contains(stream) && self.context.ledger.head(stream).await?.seq > 0 {
                let text = format!("{stream} has entries, and the list of streams does not have it");
                return Err(
                    CommandError::new(ErrorKind::Unverified, text).hint("relman verify: what still holds")
                );
            }
        }
        Ok(())
    }

    /// All that would make it stop half-way is looked for before anything is written.
    async fn check(&self) -> Result<(), CommandError> {
        let (source, target) = (&self.context.ledger, &self.target.ledger);
        let from = source.location();
        if from.to_string() == self.to {
            return Err(CommandError::new(ErrorKind::Usage, format!("the ledger is at {from} already")));
        }
        let old = source.id().await?;
        let elsewhere = |error: CommandError| {
            let error = error.hint("name a place where no ledger is yet");
            match self.to.starts_with("dynamodb:") {
                true => error.hint(format!(
                    "infra/bootstrap makes a table for this very ledger with -var ledger_id={old}, where it made none yet"
                )),
                false => error,
            }
        };
        let new = target.id().await.map_err(|error| match error {
            LedgerError::Unusable { .. } => elsewhere(CommandError::new(ErrorKind::Usage, error.to_string())),
            error => error.into(),
        })?;
        if old != new {
            return Err(elsewhere(CommandError::new(
                ErrorKind::Usage,
                format!(
                    "{} is ledger {new}, and {from} is ledger {old}: every chain begins with that id",
                    self.to
                ),
            )));
        }
        for stream in source.streams().await? {
            if stream.service != self.context.service {
                let text = format!(
                    "{from} has {stream}, of another service, whose artifacts lie elsewhere and would stay behind"
                );
                return Err(
                    CommandError::new(ErrorKind::Usage, text).hint("give each service a ledger of its own")
                );
            }
        }
        // Also where nothing is to be copied: a store that is not there would be found when the old ledger is closed.
        self.target.artifacts.put(PROBE).await?;
        for stream in source.streams().await? {
            if let Some(Record::Environment(found)) = source.get(&Key::of_environment(&stream)).await?
                && let Some(active) = found.active
            {
                return Err(Illegal::Active(active).into());
            }
            let moved = self.moved_to(&stream).await?;
            if let Some(elsewhere) = moved.filter(|to| *to != self.to) {
                return Err(Illegal::Moved { stream, to: elsewhere }.into());
            }
            self.begun(&self.end(&stream).await?).await?;
        }
        Ok(())
    }

    async fn moved_to(&self, stream: &Stream) -> Result<Option<String>, CommandError> {
        let key = match stream.environment {
            Some(_) => Key::of_environment(stream),
            None => Key::of_service(&stream.service),
        };
        Ok(match self.context.ledger.get(&key).await? {
            Some(Record::Environment(found)) => found.moved_to,
            Some(Record::Service(found)) => found.moved_to,
            _ => None,
        })
    }

    async fn stream(&mut self, stream: &Stream) -> Result<Moved, CommandError> {
        self.copy(stream).await?;
        let mut lease = None;
        if self.moved_to(stream).await?.is_none() {
            // The long part is done; nobody else is kept from deploying for longer than the rest takes.
            if stream.environment.is_some() {
                let purpose = self.purpose();
                lease = Some(lock::take(self.context, stream, &Take::IfFree, self.ttl, purpose).await?);
            }
            self.close(stream, lease.as_ref()).await?;
        }
        let moved = self.copy(stream).await?;
        self.open(stream, &moved, lease).await?;
        Ok(moved)
    }

    /// Ends the old stream.
    async fn close(&self, stream: &Stream, lease: Option<&Lease>) -> Result<(), CommandError> {
        let event = Event::LedgerMoved { to: self.to.clone() };
        let fence = lease.map(|lease| &lease.fence);
        self.context.ledger.append(stream, fence, self.context.draft(event)).await?;
        Ok(())
    }

    /// Lets the new stream go on, once.
    async fn open(&self, stream: &Stream, moved: &Moved, lease: Option<Lease>) -> Result<(), CommandError> {
        let ledger = &self.target.ledger;
        if ledger.head(stream).await?.seq > moved.entries {
            return self.free(stream).await;
        }
        let event = Event::LedgerImported { from: self.context.ledger.location().to_string() };
        ledger.append(stream, None, self.context.draft(event)).await?;
        if let Some(lease) = lease {
            ledger.release(&lease, self.context.draft(Event::LeaseReleased {})).await?;
        }
        self.free(stream).await
    }

    /// The lock that an earlier run took for this move is in the new ledger too, and nobody is left to give it back.
    async fn free(&self, stream: &Stream) -> Result<(), CommandError> {
        let purpose = self.purpose();
        let ledger = self.target.ledger.clone();
        let left = ledger
            .lease(stream)
            .await?
            .is_some_and(|lease| !lease.released && lease.holder.purpose == purpose);
        if left {
            let context = Context { ledger: ledger.clone(), ..self.context.clone() };
            let lease = lock::take(&context, stream, &Take::Preempt, self.ttl, purpose).await?;
            ledger.release(&lease, self.context.draft(Event::LeaseReleased {})).await?;
        }
        Ok(())
    }

    fn purpose(&self) -> String {
        format!("move the ledger to {}", self.to)
    }

    /// The end of the old stream, without the entry that says where it goes on.
    async fn end(&self, stream: &Stream) -> Result<Moved, CommandError> {
        let source = &self.context.ledger;
        let head = source.head(stream).await?;
        let mut end = Moved { stream: stream.clone(), entries: head.seq, hash: head.hash };
        let last = at(&**source, stream, head.seq).await?;
        if let Some(last) = last.filter(|last| matches!(last.entry.event, Event::LedgerMoved { .. })) {
            end.entries -= 1;
            end.hash = last.entry.prev;
        }
        Ok(end)
    }

    /// How many entries the new stream has already; they are the old one's.
    async fn begun(&self, end: &Moved) -> Result<u64, CommandError> {
        let (source, target) = (&self.context.ledger, &self.target.ledger);
        let stream = &end.stream;
        let done = target.head(stream).await?.seq;
        let common = done.min(end.entries);
        let (old, new) = (at(&**source, stream, common).await?, at(&**target, stream, common).await?);
        if old.map(|entry| entry.hash) != new.map(|entry| entry.hash) {
            return Err(CommandError::new(
                ErrorKind::Usage,
                format!(
                    "{stream} in {} has a history of its own: its entry {common} is another one",
                    self.to
                ),
            )
            .hint("name a place where no ledger is yet"));
        }
        Ok(done)
    }

    /// Copies what the new stream does not have, and says how far the two are the same.
    async fn copy(&mut self, stream: &Stream) -> Result<Moved, CommandError> {
        let (source, target) = (self.context.ledger.clone(), self.target.ledger.clone());
        let end = self.end(stream).await?;
        let mut done = self.begun(&end).await?;
        while done < end.entries {
            if self.context.interrupt.is_raised() {
                return Err(CommandError::new(
                    ErrorKind::Interrupted,
                    format!("interrupted at entry {done} of {stream}"),
                )
                .hint("relman ledger migrate, as before: it goes on from there"));
            }
            let page = source.read(stream, done, PAGE).await?;
            for entry in page.iter().take_while(|entry| entry.entry.seq <= end.entries) {
                self.copy_artifacts(&entry.entry.event).await?;
                target.import(entry).await?;
                done = entry.entry.seq;
            }
            self.context.progress.note(&format!("{stream}: {done} of {} entries", end.entries));
        }
        Ok(end)
    }

    async fn copy_artifacts(&mut self, event: &Event) -> Result<(), CommandError> {
        use crate::artifact::ArtifactError;
        for digest in event.artifacts() {
            if self.target.artifacts.exists(digest).await? {
                continue;
            }
            match self.context.artifacts.get(digest).await {
                Ok(bytes) => {
                    self.target.artifacts.put(&bytes).await?;
                    self.copied += 1;
                }
                // A lost log must not keep the ledger where it is; that it was lost is in the report.
                Err(ArtifactError::Missing { digest, .. }) => {
                    let digest = digest.to_string();
                    if !self.missing.contains(&digest) {
                        self.missing.push(digest);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

async fn at(ledger: &dyn Ledger, stream: &Stream, seq: u64) -> Result<Option<Sealed>, CommandError> {
    let Some(before) = seq.checked_sub(1) else { return Ok(None) };
    Ok(ledger.read(stream, before, 1).await?.into_iter().next())
}
