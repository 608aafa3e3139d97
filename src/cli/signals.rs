//! SIGINT and SIGTERM ask to stop; a second SIGINT ends relman at once. Verbs that leave nothing half done end at once.

use tokio::signal::unix::{SignalKind, signal};

use super::exit;
use crate::commands::error::ErrorKind;
use crate::interrupt::Interrupt;

/// Ends relman with the exit code of an interruption on SIGTERM, as the shell tells it of SIGINT. From a thread of its own:
/// a verb that reads may wait where nothing is polled, such as on a full pipe. Must be called outside of a runtime.
pub fn end_on_term() {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
    let watching = {
        let _inside = runtime.enter();
        signal(SignalKind::terminate())
    };
    let Ok(mut term) = watching else { return };
    std::thread::spawn(move || {
        if runtime.block_on(term.recv()).is_some() {
            std::process::exit(i32::from(exit::code(ErrorKind::Interrupted)));
        }
    });
}

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
