//! `relman lock` and `unlock` for people.

use super::{Style, Tone, duration, printable};
use crate::commands::lock::{HeldBy, Report};

/// Who holds the lock, whom it was taken from, and what is left to do.
pub fn show(report: &Report, style: &Style) -> String {
    let place = format!("{} in {}", report.service, report.environment);
    let mut text = String::new();
    if let Some(from) = &report.taken_from {
        let words = format!("Taken from {}", holder(from, style));
        text.push_str(&format!("{}\n", style.paint(Tone::Warn, &words)));
    }
    if let Some(seconds) = report.held_seconds {
        text.push_str(&format!("Held for {}, and given back\n", duration(seconds)));
    }
    match &report.lease {
        Some(lease) => {
            text.push_str(&format!("The deploy lock of {place} is held by {}\n", holder(lease, style)))
        }
        None => text.push_str(&format!("The deploy lock of {place} is free\n")),
    }
    if let (None, Some(id)) = (&report.lease, &report.in_flight) {
        let words = format!("{id} has not ended and nobody works on it: relman resume, or relman abort");
        text.push_str(&format!("{}\n", style.paint(Tone::Warn, &words)));
    }
    text
}

fn holder(lease: &HeldBy, style: &Style) -> String {
    let url = lease.run_url.as_ref().map(|url| format!(", {}", printable(url))).unwrap_or_default();
    format!(
        "{} on {} (process {}), who took it {}, doing: {}{url} [fence {}]",
        printable(&lease.actor),
        printable(&lease.machine),
        lease.pid,
        style.ago(lease.since),
        printable(&lease.purpose),
        lease.fence
    )
}
