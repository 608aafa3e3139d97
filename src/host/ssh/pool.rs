//! Connections that are kept from one request to the next, one for each host, and one for each bastion.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Mutex as Turn;

use super::link::{Link, LinkError, Timing};
use super::target::Target;

/// Files that the rest of relman may need: each connection that is kept is an open file as well.
const SPARE: u64 = 256;

/// Most connections that are kept. Beyond it, one is made for each request.
fn limit() -> usize {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    files.map_or(usize::MAX, |files| usize::try_from(files.saturating_sub(SPARE)).unwrap_or(usize::MAX))
}

type Place = Arc<Turn<Option<Arc<Link>>>>;

/// The connections.
#[derive(Default)]
pub(super) struct Pool {
    places: Mutex<HashMap<Target, Place>>,
    /// How many connections were made.
    made: AtomicUsize,
}

impl Pool {
    /// The connection to a target, made if there is none, and whether it was there already.
    pub(super) async fn link(&self, target: &Target, timing: Timing) -> Result<(Arc<Link>, bool), LinkError> {
        let place = self.place(target);
        // Who comes second waits for the first one's connection.
        let mut kept = place.lock().await;
        if let Some(link) = kept.as_ref().filter(|link| !link.is_closed()) {
            return Ok((link.clone(), true));
        }
        let through = match &target.through {
            Some(bastion) => {
                let link = Box::pin(self.link(bastion, timing)).await;
                let shown = || bastion.shown.clone();
                Some(link.map_err(|why| LinkError::Bastion { shown: shown(), why: Box::new(why) })?.0)
            }
            None => None,
        };
        let link = Arc::new(Link::open(target, through, timing).await?);
        self.made.fetch_add(1, Ordering::Relaxed);
        *kept = (self.count() <= limit()).then(|| link.clone());
        Ok((link, false))
    }

    /// Forgets the connection to a target.
    pub(super) async fn forget(&self, target: &Target) {
        *self.place(target).lock().await = None;
    }

    /// How many connections were made so far.
    #[cfg(test)]
    pub(super) fn made(&self) -> usize {
        self.made.load(Ordering::Relaxed)
    }

    fn place(&self, target: &Target) -> Place {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.entry(target.clone()).or_default().clone()
    }

    fn count(&self) -> usize {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
