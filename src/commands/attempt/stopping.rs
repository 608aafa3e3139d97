//! How an attempt ends what must not be cut off.

use std::time::Duration;

use super::Attempt;
use crate::interrupt::Interrupt;

/// Time to give the lease back after an interrupt: with that of the last step it is below what CI systems leave.
pub(super) const PARTING: Duration = Duration::from_secs(2);

impl Attempt<'_> {
    /// Awaits something that can be asked to stop, and asks it when the lease, the time or the user's patience ends:
    /// half of an apply is worse than the end of one.
    pub(crate) async fn stopping<T>(&self, stop: &Interrupt, work: impl Future<Output = T>) -> T {
        let clock = &*self.context.clock;
        let time_is_up = async {
            match self.deadline {
                None => std::future::pending().await,
                Some(deadline) => clock.sleep(deadline.saturating_sub(clock.elapsed())).await,
            }
        };
        let mut work = std::pin::pin!(work);
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = self.held.lost() => {}
            () = self.context.interrupt.raised() => {}
            () = time_is_up => {}
        }
        stop.raise();
        work.await
    }
}
