//! Places beside the ones in use: where heads of the ledger are kept, and where a ledger moves to.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use super::super::place::{ArtifactPlace, LedgerPlace, place};
use super::Wire;
use crate::anchor::Anchors;
use crate::anchor::s3::S3Anchors;
use crate::artifact::Artifacts;
use crate::artifact::file::FileArtifacts;
use crate::artifact::s3::S3Artifacts;
use crate::aws::Bucket;
use crate::commands::Context;
use crate::commands::error::{CommandError, ErrorKind};
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

    pub(super) fn artifacts(&self, place: ArtifactPlace) -> Arc<dyn Artifacts> {
        match place {
            ArtifactPlace::Folder(path) => Arc::new(FileArtifacts::new(path)),
            ArtifactPlace::Bucket(place) => Arc::new(S3Artifacts::new(Bucket::new(&place, self.aws.clone()))),
        }
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
        if ledger.starts_with("dynamodb:") && artifacts.is_none() {
            return Err(CommandError::new(ErrorKind::Usage, "--artifacts is missing")
                .hint("a ledger in DynamoDB has its artifacts in S3: --artifacts s3://BUCKET/PREFIX"));
        }
        let place = place(&loaded, &self.around)?;
        if let (LedgerPlace::File(from), LedgerPlace::File(to)) = (&self.place()?.ledger, &place.ledger)
            && same_file(from, to)
        {
            let text =
                format!("{} is the file that the ledger is in already, {}", to.display(), from.display());
            return Err(CommandError::new(ErrorKind::Usage, text).hint("name a place where no ledger is yet"));
        }
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

/// Whether two paths lead to one file: by another spelling, through a link, or as a second name of it. To close a ledger
/// in favour of itself would end it for good.
fn same_file(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| std::fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
    identity(one).is_some_and(|found| identity(other) == Some(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_again_by_every_spelling() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::create_dir(at("led")).unwrap();
        std::fs::write(at("led/l.db"), "").unwrap();
        std::fs::write(at("led/m.db"), "").unwrap();
        std::fs::hard_link(at("led/l.db"), at("hard.db")).unwrap();
        std::os::unix::fs::symlink(at("led"), at("linked")).unwrap();
        for spelling in ["led/l.db", "led/../led/l.db", "led/./l.db", "linked/l.db", "hard.db"] {
            assert!(same_file(&at("led/l.db"), &at(spelling)), "{spelling}");
        }
        for other in ["led/m.db", "led/none.db", "none/l.db"] {
            assert!(!same_file(&at("led/l.db"), &at(other)), "{other}");
        }
        assert!(!same_file(&at("none.db"), &at("none.db")), "what is not there yet is a new place");
    }
}
