//! What Terraform says when it does not do what it was told.

use serde::Deserialize;

use crate::infra::Lock;

/// Longest message that is taken over from it.
const MESSAGE: usize = 600;

/// Without colours and without the frame that some commands draw around their errors.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            // A colour: up to the letter that ends it.
            '\x1b' => {
                let _ = characters.by_ref().find(char::is_ascii_alphabetic);
            }
            '╷' | '╵' => {}
            c => plain.push(c),
        }
    }
    let unframed = plain.lines().map(|line| {
        let line = line.strip_prefix('│').map_or(line, |line| line.strip_prefix(' ').unwrap_or(line));
        line.trim_end()
    });
    unframed.fold(String::new(), |text, line| text + line + "\n")
}

/// The first error with its explanation, in one line; none where nothing was said.
pub(super) fn first_error(text: &str) -> Option<String> {
    // It comes before the errors that it tells of, and says nothing of its own.
    let is_preamble = |line: &str| line.starts_with("Error: Terraform encountered problems during initiali");
    let is_error = |line: &&str| line.starts_with("Error: ");
    let only_preamble = text.lines().filter(is_error).all(is_preamble);
    let is_first = |line: &str| line.starts_with("Error: ") && (only_preamble || !is_preamble(line));
    let mut lines = text.lines().skip_while(|line| !is_first(line));
    let title = lines.next().and_then(|line| line.strip_prefix("Error: "));
    let words: Vec<&str> = match title {
        Some(title) => std::iter::once(title)
            .chain(lines.take_while(|line| !line.starts_with("Error: ")))
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect(),
        None => text.lines().map(str::trim).filter(|line| !line.is_empty()).collect(),
    };
    let words = words.join(" ");
    (!words.is_empty()).then(|| words.chars().take(MESSAGE).collect())
}

/// Who holds the lock, if that is what is wrong.
pub(super) fn lock(text: &str) -> Option<Lock> {
    text.contains("Error acquiring the state lock").then_some(())?;
    let mut lock = Lock::default();
    for line in text.lines().skip_while(|line| !line.starts_with("Lock Info:")).skip(1) {
        let Some((name, value)) = line.trim().split_once(':') else { continue };
        let value = value.trim().to_owned();
        match name {
            "ID" => lock.id = value,
            "Path" => lock.path = value,
            "Operation" => lock.operation = value,
            "Who" => lock.who = value,
            "Created" => lock.created = value,
            "Info" => break,
            _ => {}
        }
    }
    // A state behind HTTP tells the holder's id alone; what follows is about the process that asked.
    let message = text.split("Lock Info:").next().unwrap_or_default();
    if let Some((_, told)) = message.split_once("already locked").and_then(|(_, rest)| rest.split_once("ID="))
    {
        lock = Lock {
            id: told.split_whitespace().next().unwrap_or_default().to_owned(),
            who: "somebody".to_owned(),
            created: "a time that its server does not tell".to_owned(),
            ..Lock::default()
        };
    }
    // The id becomes part of a line that people paste.
    lock.id.retain(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    // Without an id nobody holds it: the lock itself could not be reached.
    (!lock.id.is_empty()).then_some(lock)
}

/// Whether `terraform init` is what it asks for.
pub(super) fn needs_init(text: &str) -> bool {
    text.contains("terraform init")
}

/// Whether the plan is older than the state.
pub(super) fn is_stale(text: &str) -> bool {
    text.contains("Saved plan is stale")
}

/// Whether there is nothing in the directory.
pub(super) fn no_configuration(text: &str) -> bool {
    text.contains("No configuration files")
}

/// What `validate -json` has against the configuration: its first error.
pub(super) fn invalid(text: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Report {
        valid: bool,
        diagnostics: Vec<Diagnostic>,
    }
    #[derive(Deserialize)]
    struct Diagnostic {
        severity: String,
        summary: String,
        #[serde(default)]
        detail: String,
    }
    let report: Report = serde_json::from_str(text).ok().filter(|report: &Report| !report.valid)?;
    let error = report.diagnostics.into_iter().find(|found| found.severity == "error");
    let words = error.map_or("it is not valid".to_owned(), |error| {
        format!("{}: {}", error.summary, error.detail.split_whitespace().collect::<Vec<_>>().join(" "))
    });
    Some(words.chars().take(MESSAGE).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCKED: &str = "Error: Error acquiring the state lock\n\nError message: resource temporarily unavailable\n\
        Lock Info:\n  ID:        618e8c67-09be-81cf-8879-a4c717cace01\n  Path:      terraform.tfstate\n  \
        Operation: OperationTypeApply\n  Who:       ada@laptop\n  Version:   1.11.4\n  \
        Created:   2026-11-26 08:02:09.26771234 +0000 UTC\n  Info:      \n\n\nTerraform acquires a state lock to\n";

    fn holder() -> Lock {
        Lock {
            id: "618e8c67-09be-81cf-8879-a4c717cace01".into(),
            who: "ada@laptop".into(),
            operation: "OperationTypeApply".into(),
            created: "2026-11-26 08:02:09.26771234 +0000 UTC".into(),
            path: "terraform.tfstate".into(),
        }
    }

    #[test]
    fn the_holder_of_a_lock_is_read_plain_and_in_its_frame() {
        assert_eq!(lock(&plain(LOCKED)), Some(holder()));
        let framed: String =
            LOCKED.lines().map(|line| format!("\x1b[31m│\x1b[0m \x1b[0m\x1b[1m{line}\x1b[0m\n")).collect();
        let framed = format!("\x1b[31m╷\x1b[0m\n{framed}\x1b[31m╵\x1b[0m\n");
        assert_eq!(lock(&plain(&framed)), Some(holder()));
    }

    #[test]
    fn of_a_state_behind_http_only_the_holders_id_is_known() {
        for between in [" ", "\n"] {
            let told = format!("HTTP remote state already locked:{between}ID=32a3641b");
            let found = lock(&LOCKED.replace("resource temporarily unavailable", &told)).unwrap();
            assert_eq!((found.id.as_str(), found.who.as_str()), ("32a3641b", "somebody"));
        }
    }

    #[test]
    fn a_lock_that_cannot_be_reached_is_held_by_nobody() {
        let text =
            "Error: Error acquiring the state lock\n\nError message: operation error DynamoDB: PutItem\n";
        assert_eq!(lock(text), None);
        assert_eq!(
            first_error(text).unwrap(),
            "Error acquiring the state lock Error message: operation error DynamoDB: PutItem"
        );
    }

    #[test]
    fn the_first_error_is_told_and_warnings_before_it_are_not() {
        let text = "╷\n│ Warning: Unable to open CLI configuration file\n│\n│ it is not there\n╵\n\n\
            Error: local-exec provisioner error\n\n  with terraform_data.x,\n\nexit status 1\n\nError: another\n";
        assert_eq!(
            first_error(&plain(text)).unwrap(),
            "local-exec provisioner error with terraform_data.x, exit status 1"
        );
        let preamble = "Error: Terraform encountered problems during initialisation, including problems\nwith the configuration, described below.\n\n";
        assert_eq!(
            first_error(&format!("{preamble}Error: Unclosed configuration block\n\n  on main.tf line 1"))
                .unwrap(),
            "Unclosed configuration block on main.tf line 1"
        );
        assert!(first_error(preamble).unwrap().starts_with("Terraform encountered problems"));
        assert_eq!(first_error(" \n"), None);
        assert_eq!(
            first_error("No state file was found!\n\nState management").unwrap(),
            "No state file was found! State management"
        );
    }

    #[test]
    fn an_invalid_configuration_says_why() {
        let text = r#"{"valid":false,"diagnostics":[{"severity":"warning","summary":"old"},
            {"severity":"error","summary":"Missing required provider","detail":"run:\n  terraform init"}]}"#;
        let why = invalid(text).unwrap();
        assert_eq!(why, "Missing required provider: run: terraform init");
        assert!(needs_init(&why));
        assert_eq!(invalid(r#"{"valid":true,"diagnostics":[]}"#), None);
        assert_eq!(invalid("no json"), None);
    }
}
