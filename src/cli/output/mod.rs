//! What goes to stdout: tables for people, JSON for programs. Each verb's file turns its report into text and is
//! pure: colour, width and the time come in with [`Style`].

pub mod approve;
pub mod catch_up;
pub mod deploy;
pub mod diff;
pub mod doctor;
pub mod freeze;
pub mod history;
pub mod hold;
pub mod infra;
pub mod init;
pub mod lock;
pub mod mark;
pub mod migrate;
pub mod offline;
pub mod release;
pub mod releases;
pub mod show;
pub mod status;
mod table;
pub mod verify;

pub use table::{Cell, Tone};

use std::io::{ErrorKind, Write as _};

use serde::Serialize;

use crate::domain::time::Timestamp;

/// How to render: pinned by tests, taken from the terminal by `cli`.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// Whether escape sequences for colour may be written.
    pub color: bool,
    /// Columns of the terminal; [`Style::UNBOUNDED`] where the output goes into a file or a pipe.
    pub width: u16,
    /// The moment to which relative times refer.
    pub now: Timestamp,
}

impl Style {
    /// A width at which nothing is ever wrapped.
    pub const UNBOUNDED: u16 = u16::MAX;

    /// That a ledger takes nothing more, and where it goes on.
    fn closed(&self, to: &str) -> String {
        self.paint(Tone::Warn, &format!("This ledger is closed: it goes on in {}", printable(to)))
    }

    /// A table without borders, its last line ended. Cells wrap where the width asks for it. Text for a cell is a
    /// `String`, a `&str`, or a [`Cell`] with a [`Tone`].
    pub fn table<C: Into<Cell>>(&self, headers: &[&str], rows: Vec<Vec<C>>) -> String {
        table::render(self, headers, rows.into_iter().map(|row| row.into_iter().map(Into::into).collect()))
    }

    /// A table of which each row is one line, whatever its last column says.
    pub fn list(&self, headers: &[&str], mut rows: Vec<Vec<Cell>>) -> String {
        let columns = table::one_line(self, headers, &mut rows);
        let headers = headers.get(..columns).unwrap_or(headers);
        table::render(&Style { width: Self::UNBOUNDED, ..*self }, headers, rows.into_iter())
    }

    /// `3m ago`; `in 3m` for a moment to come.
    pub fn ago(&self, at: Timestamp) -> String {
        match self.now.seconds_since(at) {
            -4..=4 => "just now".to_owned(),
            seconds if seconds < 0 => format!("in {}", duration(seconds.unsigned_abs())),
            seconds => format!("{} ago", duration(seconds.unsigned_abs())),
        }
    }

    /// Text in a tone, outside of tables. Control characters are taken out.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        tone.paint(self.color, &printable(text))
    }
}

/// A length of time as people say it, with one or two units: `42s`, `3m 20s`, `2h 5m`, `4d`.
pub fn duration(seconds: u64) -> String {
    let two = |n: u64, unit: &str, rest: u64, small: &str| match rest {
        0 => format!("{n}{unit}"),
        rest => format!("{n}{unit} {rest}{small}"),
    };
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => two(seconds / 60, "m", seconds % 60, "s"),
        3_600..86_400 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "m"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

/// The text without control characters: what others wrote (reasons, commit messages, answers of servers) cannot
/// drive the terminal. Line ends and tabs stay.
pub fn printable(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    text.chars().filter(|c| (!c.is_control() && !turns(*c)) || matches!(c, '\n' | '\t')).collect()
}

/// A report as JSON, ended with a newline.
pub fn json<R: Serialize>(report: &R) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(report).map(|text| text + "\n")
}

/// Writes to stdout. A reader that has gone away (`relman history | head`) is no error.
///
/// # Errors
/// When stdout cannot be written for another reason.
pub fn print(text: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests;
