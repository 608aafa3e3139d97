//! Places beside the ones in use: where heads of the ledger are kept, and where a ledger moves to.

use std::sync::Arc;

use super::super::place::{ArtifactPlace, LedgerPlace, place};
use super::Wire;
use crate::anchor::Anchors;
use crate::anchor::s3::S3Anchors;
use crate::aws::Bucket;
use crate::commands::Context;
use crate::commands::error::CommandError;
use crate::commands::migrate::Target;
use crate::ledger::Ledger;
use crate::ledger::dynamodb::{self, DynamoLedger};
use crate::ledger::retry::{Budget, RetryLedger};
use crate::ledger::sqlite::{OpenMode, SqliteLedger};

impl Wire {
    /// Where heads are kept; none without a bucket.
    ///
    /// # Errors
    /// As [`Wire::place`].
    pub fn anchors(&self) -> Result<Option<Arc<dyn Anchors>>, CommandError> {
        Ok(match self.place()?.artifacts {
            ArtifactPlace::Bucket(place) => {
                Some(Arc::new(S3Anchors::new(Bucket::new(&place, self.aws.clone()))))
            }
            ArtifactPlace::Folder(_) => None,
        })
    }

    /// Where `ledger migrate` goes: a ledger of the same id, made when it is not there.
    ///
    /// # Errors
    /// When a place is none, would lose the ledger, or cannot be opened.
    pub async fn new_place(
        &self,
        context: &Context,
        ledger: &str,
        artifacts: Option<&str>,
    ) -> Result<Target, CommandError> {
        let mut loaded = self.loaded.clone();
        loaded.config.ledger.url = Some(ledger.to_owned());
        loaded.config.artifacts.url = artifacts.map(str::to_owned);
        let place = place(&loaded, &self.around)?;
        let id = context.ledger.id().await?;
        let ledger: Arc<dyn Ledger> = match place.ledger {
            LedgerPlace::File(path) => Arc::new(SqliteLedger::open(&path, OpenMode::Create { id })?),
            LedgerPlace::Table(table) => {
                let target = dynamodb::Target { table, id: Some(id), mode: dynamodb::OpenMode::Write };
                Arc::new(DynamoLedger::new(target, self.aws.clone(), self.clock.clone()))
            }
        };
        Ok(Target {
            ledger: Arc::new(RetryLedger::new(ledger, self.clock.clone(), Budget::default())),
            artifacts: self.artifacts(place.artifacts),
        })
    }
}
