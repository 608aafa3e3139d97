//! Marks that did not fit into the transaction of their entry: a rollback over more than 90 releases. The head says with
//! the entry that they are owed; whoever appends next writes them first. Each part is conditioned on the head still owing
//! them, so a straggler can overwrite nothing that came later.

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError as Error;
use aws_sdk_dynamodb::types::{ConditionCheck, TransactWriteItem, Update};

use super::items;
use super::read::Store;
use super::write::passing;
use crate::aws::Fault;
use crate::domain::id::Stream;
use crate::domain::project::taken_back;
use crate::domain::record::{Key, Record};
use crate::ledger::LedgerError;

/// A transaction has 100 items; one is the condition.
const PART: usize = 99;
const OWES: &str = "owed = :owed";

impl Store {
    /// Writes the marks that entry `seq` owes.
    pub(super) async fn settle(&self, stream: &Stream, seq: u64) -> Result<(), LedgerError> {
        let missing =
            || self.unusable(format!("entry {seq} of {stream} owes marks that do not follow from it"));
        let entry = self.read(stream, seq - 1, 1).await?.pop().ok_or_else(missing)?.entry;
        let number = entry.event.deployment().ok_or_else(missing)?;
        let Some(Record::Deployment(deployment)) = self.get(&Key::of_deployment(stream, number)).await?
        else {
            return Err(missing());
        };
        let marks: Vec<(Key, Record)> = taken_back(&entry, &deployment).into_iter().collect();
        for part in marks.chunks(PART) {
            let check = ConditionCheck::builder()
                .table_name(&self.table)
                .set_key(Some(items::head(stream).key()))
                .condition_expression(OWES)
                .expression_attribute_values(":owed", items::number(seq));
            let check = self.built(check.build())?;
            let mut all = vec![TransactWriteItem::builder().condition_check(check).build()];
            for (key, record) in part {
                all.push(self.put_record(key, record)?);
            }
            if !self.part(all).await? {
                return Ok(());
            }
        }
        let paid = Update::builder()
            .table_name(&self.table)
            .set_key(Some(items::head(stream).key()))
            .update_expression("REMOVE owed")
            .condition_expression(OWES)
            .expression_attribute_values(":owed", items::number(seq));
        let paid = self.built(paid.build())?;
        self.part(vec![TransactWriteItem::builder().update(paid).build()]).await?;
        Ok(())
    }

    pub(super) fn put_record(&self, key: &Key, record: &Record) -> Result<TransactWriteItem, LedgerError> {
        let item = items::write_record(key, record)
            .map_err(|e| self.unusable(format!("record {} cannot be written: {e}", key.sort)))?;
        self.put(item, None)
    }

    /// Whether it is written; not when nothing is owed any more: another writer was quicker.
    async fn part(&self, all: Vec<TransactWriteItem>) -> Result<bool, LedgerError> {
        let sent = self.client.transact_write_items().set_transact_items(Some(all)).send().await;
        let Err(error) = sent else { return Ok(true) };
        let reasons = match error.as_service_error() {
            Some(Error::TransactionCanceledException(cancelled)) => cancelled.cancellation_reasons(),
            _ => &[],
        };
        if reasons.first().is_some_and(|reason| reason.code() == Some("ConditionalCheckFailed")) {
            return Ok(false);
        }
        let kind = passing(reasons);
        let mut fault = Fault::of("dynamodb:PutItem", error);
        if let Some(kind) = kind {
            fault.kind = kind;
        }
        Err(self.failed(fault))
    }
}
