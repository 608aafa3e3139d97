//! Writing: read at one moment, decide, write on the condition that nothing moved; when something did, again.

use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    CancellationReason, Put, ReturnValuesOnConditionCheckFailure as Return, TransactWriteItem, Update,
};

use super::items::{self, Item};
use super::once::Once;
use super::read::{Snapshot, Store};
use crate::aws::{Fault, FaultKind};
use crate::domain::entry::{Draft, Entry, Sealed};
use crate::domain::id::{Fence, Stream, Token};
use crate::domain::record::Record;
use crate::ledger::rules::{self, Written};
use crate::ledger::{Lease, LeaseView, LedgerError, Take};

/// More records than this do not go into the transaction of their entry: it takes 100 items, and entry, id, head, name and
/// lease are some.
const MANY: usize = 90;
/// How long to go on against writers that were quicker. Each of them made progress, so this is rare.
const PATIENCE: Duration = Duration::from_secs(15);
/// The longest pause before the second try; it doubles up to [`LONGEST`].
const FIRST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_millis(640);

/// What becomes of the lease with an entry.
pub(super) enum Lock {
    /// Nothing.
    Left,
    /// It is taken.
    Taken {
        /// As it will be.
        lease: LeaseView,
        /// On what condition.
        take: Take,
    },
    /// It is given back.
    GivenBack(Fence),
    /// It is as an imported entry says.
    Imported(LeaseView),
}

/// An entry that is in the ledger.
pub(super) struct Appended {
    pub(super) sealed: Sealed,
    /// Whether it was there before this call.
    pub(super) before: bool,
}

/// What became of a draft.
enum Transacted {
    /// It was written.
    Written(Box<Sealed>),
    /// It was there before, with this number.
    Before(u64),
}

/// How a transaction ended.
enum End {
    /// It is written.
    Done,
    /// It is not: something had moved.
    Moved,
    /// It is not, or nobody knows.
    Fault(Fault),
}

/// Whether an entry changes more than one transaction takes. That can only be marks, of a rollback over many releases.
fn is_large(written: &Written) -> bool {
    written.records.len() > MANY
}

/// Why a transaction was cancelled, where every reason passes by itself.
pub(super) fn passing(reasons: &[CancellationReason]) -> Option<FaultKind> {
    let mut kind = None;
    for reason in reasons {
        match reason.code().unwrap_or("None") {
            "None" => {}
            "TransactionConflict" => kind = Some(kind.unwrap_or(FaultKind::Conflict)),
            "ThrottlingError" | "ProvisionedThroughputExceeded" => kind = Some(FaultKind::Throttled),
            _ => return None,
        }
    }
    kind
}

impl Store {
    /// Appends a draft. `decide` says from what was read under which fence, and what becomes of the lease.
    pub(super) async fn write(
        &self,
        stream: &Stream,
        draft: Draft,
        once: Once,
        decide: impl Fn(&Snapshot, Draft) -> Result<(u64, Draft, Lock), LedgerError>,
    ) -> Result<Appended, LedgerError> {
        let decided = |found: &Snapshot| {
            let (fence, sealed, lock) = decide(found, draft.clone())?;
            let written = rules::write(&self.location, stream, &found.head, fence, sealed, &found.records)?;
            Ok((written, lock))
        };
        Ok(match self.transact(stream, &draft, once, decided).await? {
            Transacted::Written(sealed) => Appended { sealed: *sealed, before: false },
            Transacted::Before(seq) => {
                Appended { sealed: self.entry(stream, seq, &draft).await?, before: true }
            }
        })
    }

    /// Writes an entry that was sealed elsewhere.
    pub(super) async fn import(&self, sealed: &Sealed) -> Result<(), LedgerError> {
        let Entry { stream, seq, eid, at, actor, event, .. } = &sealed.entry;
        let before = seq.saturating_sub(1);
        if rules::imported(&self.location, sealed, self.read(stream, before, 1).await?.first())? {
            return Ok(());
        }
        let draft = Draft { eid: eid.clone(), at: *at, actor: actor.clone(), event: event.clone() };
        let decided = |found: &Snapshot| {
            let written = rules::import(&self.location, &found.head, sealed, &found.records)?;
            let lease = rules::imported_lease(sealed, found.lease.clone());
            Ok((written, lease.map_or(Lock::Left, Lock::Imported)))
        };
        match self.transact(stream, &draft, Once::ByReading, decided).await? {
            Transacted::Written(_) => Ok(()),
            Transacted::Before(_) => {
                let there = self.read(stream, before, 1).await?;
                rules::imported(&self.location, sealed, there.first()).map(drop)
            }
        }
    }

    /// Writes what `decide` makes of what was read, as soon as nothing moves in between.
    async fn transact(
        &self,
        stream: &Stream,
        draft: &Draft,
        once: Once,
        decide: impl Fn(&Snapshot) -> Result<(Written, Lock), LedgerError>,
    ) -> Result<Transacted, LedgerError> {
        if !self.writable {
            return Err(self.unusable("it was opened for reading alone".to_owned()));
        }
        let start = self.clock.elapsed();
        let (mut longest, mut faults) = (FIRST, 0);
        loop {
            let found = self.snapshot(stream, draft, once).await?;
            if let Some(seq) = found.owed {
                self.settle(stream, seq).await?;
                continue;
            }
            if let Some(seq) = found.written {
                return Ok(Transacted::Before(seq));
            }
            let (written, lock) = decide(&found)?;
            let items = self.transaction(stream, &found, &written, &lock, once)?;
            let fault = match self.commit(items, &written).await {
                End::Done => {
                    if is_large(&written) {
                        self.settle(stream, written.head.seq).await?;
                    }
                    return Ok(Transacted::Written(Box::new(written.sealed)));
                }
                End::Moved => None,
                End::Fault(fault) if fault.is_transient() => Some(fault),
                End::Fault(fault) => return Err(self.failed(fault)),
            };
            faults = if fault.is_some() { faults + 1 } else { 0 };
            let late = self.clock.elapsed().saturating_sub(start) > PATIENCE;
            if late || faults > 1 {
                return Err(match fault {
                    Some(fault) => self.failed(fault),
                    None => LedgerError::Unavailable {
                        location: self.location.clone(),
                        transient: true,
                        source: "other writers of the stream were quicker each time".into(),
                    },
                });
            }
            self.pause(longest).await;
            longest = (longest * 2).min(LONGEST);
        }
    }

    /// Anything from nothing up to `longest`, so that writers do not meet again.
    async fn pause(&self, longest: Duration) {
        let token = self.clock.token();
        let part = u32::from_str_radix(&token.as_str()[..4], 16).unwrap_or(0);
        self.clock.sleep(longest * part / 0xFFFF).await;
    }

    async fn commit(&self, items: Vec<TransactWriteItem>, written: &Written) -> End {
        match self.client.transact_write_items().set_transact_items(Some(items)).send().await {
            Ok(_) => End::Done,
            Err(error) => self.ended(written, error),
        }
    }

    fn ended(&self, written: &Written, error: SdkError<TransactWriteItemsError>) -> End {
        let kind = match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                let reasons = cancelled.cancellation_reasons();
                // The entry is in the place where it was to be: it was written, and the answer was lost.
                let there = reasons.first().and_then(CancellationReason::item);
                if there.is_some_and(|item| items::get_text(item, "h").as_ref() == Ok(&written.sealed.hash.0))
                {
                    return End::Done;
                }
                let failed = |reason: &CancellationReason| reason.code() == Some("ConditionalCheckFailed");
                match passing(reasons) {
                    Some(kind) => Some(kind),
                    None if reasons.iter().any(failed) => return End::Moved,
                    None => Some(FaultKind::Refused),
                }
            }
            _ => None,
        };
        let mut fault = Fault::of("dynamodb:PutItem", error);
        if let Some(kind) = kind {
            fault.kind = kind;
        }
        End::Fault(fault)
    }

    /// The entry first: what a cancellation says about it is looked at above.
    fn transaction(
        &self,
        stream: &Stream,
        found: &Snapshot,
        written: &Written,
        lock: &Lock,
        once: Once,
    ) -> Result<Vec<TransactWriteItem>, LedgerError> {
        let sealed = &written.sealed;
        if sealed.entry.seq > items::HIGHEST {
            return Err(self.unusable(format!("{stream} is full")));
        }
        let mut all = vec![
            self.put(items::write_entry(stream, sealed), Some("attribute_not_exists(pk)"))?,
            self.head_update(stream, found, written)?,
        ];
        if once == Once::ByItem {
            let id = items::id(stream, &sealed.entry.eid).item([("seq", items::number(sealed.entry.seq))]);
            all.push(self.put(id, Some("attribute_not_exists(pk)"))?);
        }
        if found.head.seq == 0 {
            all.push(self.put(items::name(stream).key(), None)?);
        }
        match lock {
            Lock::Left => {}
            Lock::Taken { lease, take } => all.push(self.lock_put(stream, found, lease, take)?),
            Lock::GivenBack(fence) => all.push(self.lock_release(stream, fence)?),
            // Nobody renews a lease of a stream that is being imported: the fence is all there is to compare.
            Lock::Imported(lease) => all.push(self.lock_put(stream, found, lease, &Take::Preempt)?),
        }
        let large = is_large(written);
        for (key, record) in &written.records {
            // The head owes the marks of a large one, and nothing is appended before they are written.
            if !(large && matches!(record, Record::Verdict(_))) {
                all.push(self.put_record(key, record)?);
            }
        }
        Ok(all)
    }

    pub(super) fn built<T>(
        &self,
        built: Result<T, aws_sdk_dynamodb::error::BuildError>,
    ) -> Result<T, LedgerError> {
        built.map_err(|e| self.unusable(format!("a request cannot be made: {e}")))
    }

    pub(super) fn put(&self, item: Item, condition: Option<&str>) -> Result<TransactWriteItem, LedgerError> {
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .set_condition_expression(condition.map(str::to_owned))
            .set_return_values_on_condition_check_failure(condition.map(|_| Return::AllOld));
        Ok(TransactWriteItem::builder().put(self.built(put.build())?).build())
    }

    fn head_update(
        &self,
        stream: &Stream,
        found: &Snapshot,
        written: &Written,
    ) -> Result<TransactWriteItem, LedgerError> {
        let (before, after) = (&found.head, &written.head);
        let mut update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(items::head(stream).key()))
            .update_expression(match is_large(written) {
                true => "SET seq = :seq, h = :h, fence = :fence, owed = :seq",
                false => "SET seq = :seq, h = :h, fence = :fence",
            })
            .expression_attribute_values(":seq", items::number(after.seq))
            .expression_attribute_values(":h", items::text(&after.hash.0))
            .expression_attribute_values(":fence", items::number(after.fence))
            .return_values_on_condition_check_failure(Return::AllOld);
        update = if before.seq == 0 {
            update.condition_expression("attribute_not_exists(pk)")
        } else {
            update
                .condition_expression("seq = :was AND h = :prev AND fence = :held")
                .expression_attribute_values(":was", items::number(before.seq))
                .expression_attribute_values(":prev", items::text(&before.hash.0))
                .expression_attribute_values(":held", items::number(before.fence))
        };
        Ok(TransactWriteItem::builder().update(self.built(update.build())?).build())
    }

    /// A renewal may come between reading and writing: it saves a lease that is taken for being unchanged, and does not
    /// save one that is preempted.
    fn lock_put(
        &self,
        stream: &Stream,
        found: &Snapshot,
        lease: &LeaseView,
        take: &Take,
    ) -> Result<TransactWriteItem, LedgerError> {
        let item = items::write_lease(stream, lease)
            .map_err(|e| self.unusable(format!("the holder cannot be written: {e}")))?;
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .return_values_on_condition_check_failure(Return::AllOld);
        let put = match (&found.lease, take) {
            (None, _) => put.condition_expression("attribute_not_exists(pk)"),
            (Some(before), Take::IfUnchanged(seen)) if !before.released => put
                .condition_expression("fence = :was AND rvn = :seen AND released = :released")
                .expression_attribute_values(":was", items::number(before.fence))
                .expression_attribute_values(":seen", items::text(seen.as_str()))
                .expression_attribute_values(":released", items::flag(false)),
            (Some(before), Take::Preempt) => put
                .condition_expression("fence = :was")
                .expression_attribute_values(":was", items::number(before.fence)),
            (Some(before), _) => put
                .condition_expression("fence = :was AND released = :released")
                .expression_attribute_values(":was", items::number(before.fence))
                .expression_attribute_values(":released", items::flag(true)),
        };
        Ok(TransactWriteItem::builder().put(self.built(put.build())?).build())
    }

    fn lock_release(&self, stream: &Stream, fence: &Fence) -> Result<TransactWriteItem, LedgerError> {
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(items::lock(stream).key()))
            .update_expression("SET released = :yes")
            .condition_expression("fence = :fence AND nonce = :nonce AND released = :no")
            .expression_attribute_values(":fence", items::number(fence.number))
            .expression_attribute_values(":nonce", items::text(fence.nonce.as_str()))
            .expression_attribute_values(":yes", items::flag(true))
            .expression_attribute_values(":no", items::flag(false))
            .return_values_on_condition_check_failure(Return::AllOld);
        Ok(TransactWriteItem::builder().update(self.built(update.build())?).build())
    }

    /// Conditioned on holder and fence alone: a renewal that is repeated must pass.
    pub(super) async fn renew(&self, lease: &Lease, renewal: &Token) -> Result<(), LedgerError> {
        let (stream, fence) = (&lease.stream, &lease.fence);
        let sent = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(items::lock(stream).key()))
            .update_expression("SET rvn = :rvn")
            .condition_expression("fence = :fence AND nonce = :nonce AND released = :no")
            .expression_attribute_values(":rvn", items::text(renewal.as_str()))
            .expression_attribute_values(":fence", items::number(fence.number))
            .expression_attribute_values(":nonce", items::text(fence.nonce.as_str()))
            .expression_attribute_values(":no", items::flag(false))
            .return_values_on_condition_check_failure(Return::AllOld)
            .send()
            .await;
        let Err(error) = sent else { return Ok(()) };
        if let Some(UpdateItemError::ConditionalCheckFailedException(failed)) = error.as_service_error() {
            let there = match failed.item() {
                Some(item) => self.read_lease(stream, Some(item))?,
                None => self.lease(stream).await?,
            };
            // Ours after all can only be a straggler of ours that came in between.
            return rules::in_force(stream, there.as_ref(), fence);
        }
        Err(self.failed(Fault::of("dynamodb:UpdateItem", error)))
    }
}
