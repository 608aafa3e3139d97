//! `relman hold` and `unhold` for people.

use super::{Style, Tone, printable};
use crate::commands::hold::Report;

/// What holds now.
pub fn show(report: &Report, style: &Style) -> String {
    let place = format!("{} in {}", report.service, report.environment);
    let mut text = match &report.hold {
        Some(hold) => {
            let words = format!("{place} is on hold: {}", hold.reason);
            format!(
                "{}\nNo deploy passes until: relman unhold --env {} --reason '…'\n",
                style.paint(Tone::Warn, &words),
                report.environment
            )
        }
        None => format!("{}\n", style.paint(Tone::Good, &format!("{place} takes deploys again"))),
    };
    if let Some(before) = &report.before {
        let what = match &before.withdrawn {
            Some(withdrawn) => format!(
                "the hold after the rollback from {} to {}",
                withdrawn.bad.version.tag(),
                withdrawn.good.version.tag()
            ),
            None => format!("the hold of {}: {}", printable(&before.actor.name), printable(&before.reason)),
        };
        text.push_str(&format!("Before: {what}, set {}\n", style.ago(before.since)));
    }
    text
}
