//! Holding the lease while the driver works: a heartbeat of its own, and a flag that everybody sees when it is lost.
//!
//! A ledger that does not answer takes no lease away. Whoever takes it over meanwhile raises the fence, in the ledger
//! and on every host, and neither obeys the older holder from then on; only that is a loss.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::domain::deployment::Holder;
use crate::domain::entry::Draft;
use crate::domain::event::Event;
use crate::domain::id::Stream;
use crate::interrupt::Interrupt;
use crate::ledger::{Lease, Ledger, LedgerError, Take};
use crate::progress::Progress;

/// How a lease is asked for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Of which stream.
    pub stream: Stream,
    /// Who asks, and for what.
    pub holder: Holder,
    /// How long it lasts without a renewal.
    pub ttl: Duration,
    /// How long to wait for another holder.
    pub wait: Duration,
    /// Take it from whoever holds it: a rollback does not wait.
    pub preempt: bool,
}

/// A lease with its heartbeat. Give it back with [`Held::give_back`]; dropped, it ends by itself after its time.
pub struct Held {
    /// The lease.
    pub lease: Lease,
    ledger: Arc<dyn Ledger>,
    lost: watch::Receiver<bool>,
    stop: Interrupt,
    heartbeat: JoinHandle<()>,
}

const POLL: Duration = Duration::from_secs(1);

/// Takes the lease, waiting for another holder as long as the wish says. A holder whose lease has not moved for
/// longer than it lasts is dead, whatever the clocks say.
///
/// # Errors
/// [`LedgerError::Held`] when the wait is over, and what the ledger says.
pub async fn take(
    ledger: &Arc<dyn Ledger>,
    clock: &Arc<dyn Clock>,
    progress: &dyn Progress,
    interrupt: &Interrupt,
    wish: Wish,
) -> Result<Held, LedgerError> {
    let began = clock.elapsed();
    let mut watched = None;
    loop {
        let how = match (wish.preempt, &watched) {
            (true, _) => Take::Preempt,
            (false, Some((renewal, since, patience))) if clock.elapsed() - *since > *patience => {
                Take::IfUnchanged(Clone::clone(renewal))
            }
            _ => Take::IfFree,
        };
        let stolen = how != Take::IfFree;
        let draft = Draft {
            eid: clock.token(),
            at: clock.now(),
            actor: wish.holder.actor.clone(),
            event: Event::LeaseAcquired { holder: wish.holder.clone(), stolen },
        };
        let lease = match ledger.acquire(&wish.stream, &how, wish.ttl, draft).await {
            Ok(lease) => {
                tell(&**ledger, progress, &lease).await;
                return Ok(hold(ledger, clock, lease));
            }
            Err(LedgerError::Held { lease, stream }) => {
                if clock.elapsed() - began >= wish.wait || interrupt.is_raised() {
                    return Err(LedgerError::Held { lease, stream });
                }
                lease
            }
            Err(error) => return Err(error),
        };
        match &watched {
            Some((renewal, ..)) if *renewal == lease.renewal => {}
            _ => {
                if watched.is_none() {
                    progress.note(&format!("waiting for {}", lease.holder));
                }
                watched = Some((lease.renewal.clone(), clock.elapsed(), lease.ttl * 5 / 4));
            }
        }
        tokio::select! {
            () = clock.sleep(POLL) => {}
            () = interrupt.raised() => {}
        }
    }
}

/// Shows the entry of a lease that was just taken. It is only shown, so a ledger that does not answer is no error.
async fn tell(ledger: &dyn Ledger, progress: &dyn Progress, lease: &Lease) {
    let Ok(head) = ledger.head(&lease.stream).await else { return };
    let Ok(entries) = ledger.read(&lease.stream, head.seq.saturating_sub(1), 1).await else { return };
    for sealed in entries {
        if sealed.entry.fence == lease.fence.number {
            progress.entry(&sealed.entry);
        }
    }
}

fn hold(ledger: &Arc<dyn Ledger>, clock: &Arc<dyn Clock>, lease: Lease) -> Held {
    let (tell, lost) = watch::channel(false);
    let stop = Interrupt::default();
    let heartbeat = tokio::spawn(beat(ledger.clone(), clock.clone(), lease.clone(), stop.clone(), tell));
    Held { lease, ledger: ledger.clone(), lost, stop, heartbeat }
}

/// Renews six times in the lease's time, also while the ledger does not answer: it may be ours still when it is back.
async fn beat(
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    lease: Lease,
    stop: Interrupt,
    lost: watch::Sender<bool>,
) {
    loop {
        tokio::select! {
            () = clock.sleep(lease.ttl / 6) => {}
            () = stop.raised() => return,
        }
        let answer = tokio::select! {
            answer = ledger.renew(&lease, clock.token()) => answer,
            // A ledger that hangs is as good as none, and is asked anew.
            () = clock.sleep(lease.ttl * 2 / 3) => continue,
        };
        if let Err(LedgerError::Fenced { .. } | LedgerError::Held { .. }) = answer {
            lost.send_replace(true);
            return;
        }
    }
}

impl Held {
    /// Whether somebody else has it.
    pub fn is_lost(&self) -> bool {
        *self.lost.borrow()
    }

    /// Returns when somebody else has it; never otherwise.
    pub async fn lost(&self) {
        let mut lost = self.lost.clone();
        if lost.wait_for(|lost| *lost).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Gives it back. The heartbeat ends first: one that is under way could take what was just given.
    ///
    /// # Errors
    /// What the ledger says; a lease that is somebody else's by now is no error.
    pub async fn give_back(self, draft: Draft) -> Result<(), LedgerError> {
        self.stop.raise();
        let _ = self.heartbeat.await;
        match self.ledger.release(&self.lease, draft).await {
            Err(LedgerError::Fenced { .. } | LedgerError::Held { .. }) | Ok(()) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
