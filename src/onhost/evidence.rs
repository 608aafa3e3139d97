//! Why a container was not healthy, on one screen: what it said, cleaned for a terminal and freed of secrets.

use std::collections::BTreeMap;

use crate::host::wire::Secret;

/// Lines of a log that are kept.
pub(super) const LOG_LINES: usize = 20;

const LINE: usize = 300;

/// One line without control characters, of at most this many characters.
pub(super) fn clean(text: &str, length: usize) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = line.trim();
    if line.chars().count() <= length {
        return line.to_owned();
    }
    line.chars().take(length.saturating_sub(1)).chain(['…']).collect()
}

/// The last lines of a log.
pub(super) fn lines(log: &str, secrets: &BTreeMap<String, Secret>) -> Vec<String> {
    let log = redact(log, secrets);
    let all: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    let first = all.len().saturating_sub(LOG_LINES);
    all.into_iter().skip(first).map(|line| clean(&uncoloured(line), LINE)).collect()
}

/// The text without the values of secrets.
pub(super) fn redact(text: &str, secrets: &BTreeMap<String, Secret>) -> String {
    let mut text = text.to_owned();
    for (name, secret) in secrets {
        for value in secret.expose().lines().map(str::trim) {
            // Shorter ones stand in too many words, and taking them out would tell them.
            if value.len() >= 4 {
                text = text.replace(value, &format!("[secret {name}]"));
            }
        }
    }
    text
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
        let lines = lines(&log, &BTreeMap::new());
        assert_eq!(lines.len(), LOG_LINES);
        assert_eq!(lines.last().unwrap(), "red  x");
        assert_eq!(lines[0], "line 31");
        assert_eq!(clean(&"x".repeat(500), 10).chars().count(), 10);
    }

    #[test]
    fn invariant_10_a_secret_in_a_log_is_taken_out() {
        let secrets = BTreeMap::from([("DB".to_owned(), Secret::new("hunter22\n".into()))]);
        assert_eq!(lines("cannot log in with hunter22!", &secrets), ["cannot log in with [secret DB]!"]);
    }
}
