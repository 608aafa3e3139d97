//! A request to stop: raised by `cli` on SIGINT and SIGTERM, asked by whatever works for long.

use std::sync::Arc;

use tokio::sync::watch;

/// Shared by all that must stop together.
#[derive(Debug, Clone)]
pub struct Interrupt(Arc<watch::Sender<bool>>);

impl Default for Interrupt {
    fn default() -> Self {
        Self(Arc::new(watch::channel(false).0))
    }
}

impl Interrupt {
    /// Asks everybody to stop.
    pub fn raise(&self) {
        self.0.send_replace(true);
    }

    /// Whether it was asked.
    pub fn is_raised(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when it is asked; never otherwise.
    pub async fn raised(&self) {
        let mut receiver = self.0.subscribe();
        // The sender lives in `self`, so the channel cannot close meanwhile.
        let _ = receiver.wait_for(|raised| *raised).await;
    }
}
