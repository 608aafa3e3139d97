//! The one place where a [`CommandError`] becomes text: `Error:`, `Caused by:`, details, `Hint:`; or one JSON
//! object. Both go to stderr.

use std::error::Error as _;
use std::fmt::Write as _;

use serde::Serialize;

use super::exit;
use super::output::{Style, Tone, printable};
use crate::commands::error::{CommandError, ErrorKind};

/// The chain of causes, outermost first. A cause that says the same as what it caused is not repeated.
fn causes(error: &CommandError) -> Vec<String> {
    let mut said = printable(&error.message);
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = printable(&cause.to_string());
        if text != said {
            causes.push(text.clone());
            said = text;
        }
        next = cause.source();
    }
    causes
}

/// For people.
pub fn text(error: &CommandError, style: &Style) -> String {
    let mut out = String::new();
    let label = |tone, label: &str| style.paint(tone, label);
    let _ = writeln!(out, "{} {}", label(Tone::Bad, "Error:"), printable(&error.message));
    let causes = causes(error);
    if !causes.is_empty() {
        let _ = writeln!(out, "{}", label(Tone::Dim, "Caused by:"));
        for cause in causes {
            let _ = writeln!(out, "  {}", cause.replace('\n', "\n  "));
        }
    }
    for line in &error.details {
        let _ = writeln!(out, "  {}", printable(line).replace('\n', "\n  "));
    }
    for hint in &error.hints {
        let _ = writeln!(out, "{} {}", label(Tone::Strong, "Hint:"), printable(hint));
    }
    out
}

#[derive(Serialize)]
struct Outer<'a> {
    error: Inner<'a>,
}

#[derive(Serialize)]
struct Inner<'a> {
    kind: ErrorKind,
    code: u8,
    message: &'a str,
    causes: Vec<String>,
    hints: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    details: &'a [String],
}

/// For programs: one object on one line.
pub fn json(error: &CommandError) -> String {
    let object = Outer {
        error: Inner {
            kind: error.kind,
            code: exit::code(error.kind),
            message: &error.message,
            causes: causes(error),
            hints: &error.hints,
            details: &error.details,
        },
    };
    // Strings and numbers alone: they always serialise.
    serde_json::to_string(&object).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open")]
    struct Cause(#[source] std::io::Error);

    fn error() -> CommandError {
        let io = std::io::Error::new(std::io::ErrorKind::NotFound, "no such file");
        CommandError::new(ErrorKind::Failed, "ledger x is not available")
            .caused_by(Cause(io))
            .detail("one\x1b[2J more")
            .hint("relman doctor")
    }

    #[test]
    fn the_chain_is_printed_once_each() {
        let style = Style { color: false, width: 80, now: Timestamp::from_millis(0).unwrap() };
        assert_eq!(
            text(&error(), &style),
            "Error: ledger x is not available\nCaused by:\n  cannot open\n  no such file\n  one[2J more\nHint: relman doctor\n"
        );
    }

    #[test]
    fn json_is_one_line_with_the_exit_code() {
        let value: serde_json::Value = serde_json::from_str(&json(&error())).unwrap();
        assert_eq!(value["error"]["kind"], "failed");
        assert_eq!(value["error"]["code"], 1);
        assert_eq!(value["error"]["causes"], serde_json::json!(["cannot open", "no such file"]));
        assert_eq!(value["error"]["hints"], serde_json::json!(["relman doctor"]));
        assert_eq!(json(&error()).matches('\n').count(), 1);
    }
}
