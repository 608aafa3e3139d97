//! SIGINT and SIGTERM ask to stop; a second SIGINT ends relman at once.

use tokio::signal::unix::{SignalKind, signal};

use super::exit;
use crate::commands::error::ErrorKind;
use crate::interrupt::Interrupt;

/// Watches from now on; must be called inside of the runtime. Where signals cannot be watched they end relman as
/// they do by default, and the deployment can be resumed.
pub fn watch(interrupt: &Interrupt) {
    let (Ok(mut int), Ok(mut term)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    let interrupt = interrupt.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = int.recv() => {
                    if interrupt.is_raised() {
                        std::process::exit(i32::from(exit::code(ErrorKind::Interrupted)));
                    }
                }
                _ = term.recv() => {}
            }
            interrupt.raise();
        }
    });
}
