//! Shows on stderr what a command does: a live line per host on a terminal, a line per entry elsewhere, NDJSON, or
//! nothing.

mod live;
pub mod words;

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;

use super::args::{Global, ProgressMode};
use super::output::{Tone, printable};
use super::surroundings::Surroundings;
use crate::domain::entry::Entry;
use crate::progress::{Progress, Silent};

/// The listener that the options and the terminal ask for.
pub fn progress(global: &Global, around: &Surroundings, color: bool) -> Arc<dyn Progress> {
    let terminal = std::io::stderr().is_terminal();
    // A terminal of a CI system keeps every redrawn line.
    let ci = around.variable("CI").is_some();
    match global.progress {
        _ if global.quiet => Arc::new(Silent),
        ProgressMode::Json => Arc::new(Ndjson),
        ProgressMode::Live => Arc::new(live::Live::new(color, global.verbose)),
        ProgressMode::Auto if terminal && !ci => Arc::new(live::Live::new(color, global.verbose)),
        ProgressMode::Auto | ProgressMode::Lines => Arc::new(Lines { color, verbose: global.verbose }),
    }
}

/// Whether stderr gets colour.
pub fn color(global: &Global, around: &Surroundings, terminal: bool) -> bool {
    terminal
        && !global.no_color
        && around.variable("NO_COLOR").is_none()
        && around.variable("TERM") != Some("dumb")
}

/// Writes a line to stderr; a stderr that has gone away stops nothing.
fn line(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

struct Lines {
    color: bool,
    verbose: bool,
}

impl Progress for Lines {
    fn entry(&self, entry: &Entry) {
        if let Some(said) = words::of(&entry.event, self.verbose) {
            let at = entry.at.utc().format("%H:%M:%S");
            line(&format!("{} {}", paint(self.color, Tone::Dim, &at.to_string()), said.text(self.color)));
        }
    }

    fn note(&self, text: &str) {
        line(&paint(self.color, Tone::Dim, text));
    }

    fn output(&self, text: &str) {
        if self.verbose {
            line(&paint(self.color, Tone::Dim, text));
        }
    }
}

struct Ndjson;

impl Progress for Ndjson {
    fn entry(&self, entry: &Entry) {
        if let Ok(json) = serde_json::to_string(entry) {
            line(&json);
        }
    }

    fn note(&self, text: &str) {
        line(&serde_json::json!({ "note": text }).to_string());
    }

    fn output(&self, text: &str) {
        line(&serde_json::json!({ "output": text }).to_string());
    }
}

fn paint(color: bool, tone: Tone, text: &str) -> String {
    tone.paint(color, &printable(text))
}
