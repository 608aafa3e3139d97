//! Writing down what was done. A ledger or a store that is away is waited for: what was under way on a host comes to its
//! end and is recorded then, and nothing else begins before.

use std::time::Duration;

use super::{DriveError, End, GRACE, Run, Stop};
use crate::artifact::ArtifactError;
use crate::domain::entry::Draft;
use crate::domain::event::Event;
use crate::domain::id::Digest;
use crate::ledger::LedgerError;

/// How many leases long a ledger or a store that is away is waited for.
const PATIENCE: u32 = 5;
/// Between two questions whether it is back.
const PAUSE: Duration = Duration::from_secs(1);

impl From<ArtifactError> for Stop {
    fn from(error: ArtifactError) -> Self {
        Self::Error(DriveError::Artifact(error))
    }
}

impl Run<'_> {
    pub(super) async fn append(&mut self, event: Event) -> Result<(), Stop> {
        let driver = self.driver;
        let clock = driver.clock;
        let draft = Draft { eid: clock.token(), at: clock.now(), actor: driver.actor.clone(), event };
        // The same draft each time: one that was written and not acknowledged is not written twice.
        let append = || driver.ledger.append(&self.stream, Some(&driver.held.lease.fence), draft.clone());
        let sealed = self.waiting("the ledger", append, LedgerError::is_transient).await?;
        self.driven.state.apply(driver.plan, &sealed.entry.event);
        driver.progress.entry(&sealed.entry);
        Ok(())
    }

    pub(super) async fn store(&self, bytes: &[u8]) -> Result<Digest, Stop> {
        let put = || self.driver.artifacts.put(bytes);
        self.waiting("the artifact store", put, ArtifactError::is_transient).await
    }

    /// Repeats a call until there is an answer: unless somebody else took over, the time is up, the user has no
    /// patience, or it lasts too long.
    async fn waiting<T, E: Into<Stop>, F: Future<Output = Result<T, E>>>(
        &self,
        what: &str,
        call: impl Fn() -> F,
        is_transient: impl Fn(&E) -> bool,
    ) -> Result<T, Stop> {
        let driver = self.driver;
        let clock = driver.clock;
        let patience = driver.held.lease.ttl * PATIENCE;
        let repeated = async {
            let began = clock.elapsed();
            let mut told = false;
            loop {
                let result = call().await;
                let waited = clock.elapsed().saturating_sub(began);
                let is_late =
                    || waited >= patience || driver.deadline.is_some_and(|at| clock.elapsed() >= at);
                match result {
                    Err(error) if is_transient(&error) && !is_late() => {}
                    result => {
                        if told && result.is_ok() {
                            driver
                                .progress
                                .note(&format!("{what} answers again, after {} s", waited.as_secs()));
                        }
                        return result.map_err(Into::into);
                    }
                }
                if !told {
                    driver.progress.note(&format!(
                        "{what} does not answer: hosts stay as they are, and nothing else begins before it does; \
                         waiting up to {} s for it",
                        patience.as_secs()
                    ));
                    told = true;
                }
                clock.sleep(PAUSE).await;
            }
        };
        let interrupted = async {
            driver.interrupt.raised().await;
            clock.sleep(GRACE).await;
        };
        tokio::select! {
            biased;
            result = repeated => result,
            () = driver.held.lost() => Err(Stop::Error(DriveError::LeaseLost(self.stream.clone()))),
            () = interrupted => Err(Stop::End(End::Interrupted)),
        }
    }
}
