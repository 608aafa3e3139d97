//! What GitHub Actions reads: step outputs and the step summary. Values are sanitised: none can end its own
//! delimiter, or bring markup into the summary.

use std::fmt::Write as _;
use std::io::Write as _;

use super::surroundings::Surroundings;
use crate::domain::id::Token;

/// Names with values.
pub type Outputs<'a> = [(&'a str, String)];

/// Appends outputs and a summary where the surroundings name files for them; elsewhere nothing. What cannot be
/// written is told, and is no reason to fail a deployment that is done.
pub fn write(around: &Surroundings, title: &str, outputs: &Outputs<'_>, delimiter: &Token) -> Vec<String> {
    let files = [
        ("GITHUB_OUTPUT", step_outputs(outputs, delimiter)),
        ("GITHUB_STEP_SUMMARY", summary(title, outputs)),
    ];
    let mut failures = Vec::new();
    for (variable, text) in files {
        let Some(path) = around.variable(variable) else { continue };
        let done = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .and_then(|mut file| file.write_all(text.as_bytes()));
        if let Err(error) = done {
            failures.push(format!("{variable} cannot be written: {error}"));
        }
    }
    failures
}

/// The multi-line form of GitHub's environment files, with a delimiter that nobody can guess.
fn step_outputs(outputs: &Outputs<'_>, delimiter: &Token) -> String {
    let mut text = String::new();
    for (name, value) in outputs {
        let value = value.replace(delimiter.as_str(), "");
        let _ = writeln!(text, "{name}<<relman-{delimiter}\n{value}\nrelman-{delimiter}");
    }
    text
}

fn summary(title: &str, outputs: &Outputs<'_>) -> String {
    let mut text = format!("### {}\n\n| | |\n|---|---|\n", cell(title));
    for (name, value) in outputs.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(text, "| {} | {} |", cell(name), cell(value));
    }
    text + "\n"
}

/// Text in a cell of a Markdown table: no markup, no line end.
fn cell(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\n' | '\r' => out.push(' '),
            '|' | '`' | '*' | '_' | '[' | ']' | '\\' | '#' | '!' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_a_value() {
        let delimiter = Token::from_bits([1; 16]);
        let evil = format!("1\nrelman-{delimiter}\nother<<x\ny");
        let text = step_outputs(&[("version", evil)], &delimiter);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], format!("version<<relman-{delimiter}"));
        let closes = lines.iter().filter(|line| **line == format!("relman-{delimiter}")).count();
        assert_eq!(closes, 1, "{text}");
    }

    #[test]
    fn the_summary_holds_no_markup_of_others() {
        let text = summary("deploy", &[("reason", "a | b\n<img src=x> [l](u)".to_owned())]);
        assert_eq!(
            text,
            "### deploy\n\n| | |\n|---|---|\n| reason | a \\| b &lt;img src=x&gt; \\[l\\](u) |\n\n"
        );
    }

    #[test]
    fn files_are_appended_to_where_they_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out");
        let mut around = Surroundings::default();
        let outputs = [("version", "1.2.3".to_owned())];
        assert!(write(&around, "x", &outputs, &Token::from_bits([1; 16])).is_empty());
        around.variables.insert("GITHUB_OUTPUT".into(), path.display().to_string());
        for _ in 0..2 {
            assert!(write(&around, "x", &outputs, &Token::from_bits([1; 16])).is_empty());
        }
        assert_eq!(std::fs::read_to_string(path).unwrap().matches("1.2.3").count(), 2);
    }
}
