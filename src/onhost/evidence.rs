//! Why a container was not healthy, on one screen: what it said, cleaned for a terminal and freed of secrets.

use crate::host::wire::redact::Redactor;

/// Lines of a log that are kept.
pub(super) const LOG_LINES: usize = 20;

const LINE: usize = 300;

const ANSWER: usize = 200;

/// One line without control characters, of at most this many characters.
pub(super) fn clean(text: &str, length: usize) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = line.trim();
    if line.chars().count() <= length {
        return line.to_owned();
    }
    line.chars().take(length.saturating_sub(1)).chain(['…']).collect()
}

/// What a service answered to a probe, as it may be shown.
pub(super) fn told(answer: &str, redactor: &Redactor) -> String {
    clean(&redactor.text(answer), ANSWER)
}

/// The last lines of a log.
pub(super) fn lines(log: &str, redactor: &Redactor) -> Vec<String> {
    let log = redactor.text(log);
    let all: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    let first = all.len().saturating_sub(LOG_LINES);
    all.into_iter().skip(first).map(|line| clean(&uncoloured(line), LINE)).collect()
}

/// A line without terminal sequences such as colours.
fn uncoloured(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c != '\u{1b}' {
            out.push(c);
        } else if chars.next() == Some('[') {
            chars.by_ref().find(|c| ('@'..='~').contains(c));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_few_short_and_harmless() {
        let log =
            (0..50).map(|n| format!("line {n}\n\n")).collect::<String>() + "\u{1b}[31mred\u{1b}[0m\u{7}\tx\n";
        let lines = lines(&log, &Redactor::default());
        assert_eq!(lines.len(), LOG_LINES);
        assert_eq!(lines.last().unwrap(), "red  x");
        assert_eq!(lines[0], "line 31");
        assert_eq!(clean(&"x".repeat(500), 10).chars().count(), 10);
    }

    #[test]
    fn invariant_10_a_secret_in_a_log_is_taken_out() {
        let redactor = Redactor::default().and("DB", "hunter22\n");
        assert_eq!(lines("cannot log in with hunter22!", &redactor), ["cannot log in with [secret DB]!"]);
        // Also one at the edge of what fits a line.
        let long = format!("{}hunter22", "x".repeat(LINE - 4));
        assert!(!lines(&long, &redactor)[0].contains("hunt"));
        let answer = format!("503: {}hunter22", "x".repeat(ANSWER - 9));
        assert!(!told(&answer, &redactor).contains("hunt"));
    }
}
