//! `relman init` for people.

use std::collections::BTreeMap;

use crate::commands::init::Report;

use super::{Style, Tone};

/// The report for people.
pub fn show(report: &Report, style: &Style) -> String {
    let mut text = String::new();
    for (title, paths) in [("Written", &report.created), ("Kept as they are", &report.kept)] {
        if !paths.is_empty() {
            text.push_str(&format!("{title}:\n"));
        }
        for line in folded(paths) {
            text.push_str(&style.paint(Tone::Plain, &format!("  {line}")));
            text.push('\n');
        }
    }
    for note in &report.notes {
        text.push_str(&style.paint(Tone::Warn, &format!("Look at: {note}")));
        text.push('\n');
    }
    text.push_str("Next:\n");
    for (number, step) in report.next.iter().enumerate() {
        text.push_str(&format!("  {}. {step}\n", number + 1));
    }
    text
}

/// Directories with more than a few files as one line: nobody reads forty paths of roles.
fn folded(paths: &[String]) -> Vec<String> {
    let mut groups: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
    for path in paths {
        groups.entry(path.split_once('/').map_or(path.as_str(), |(top, _)| top)).or_default().push(path);
    }
    groups
        .into_iter()
        .flat_map(|(top, paths)| match paths.len() {
            1..=4 => paths.into_iter().cloned().collect(),
            n => vec![format!("{top}/ ({n} files)")],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_files_are_one_line() {
        let paths: Vec<String> =
            (0..9).map(|n| format!("ansible/{n}.yml")).chain(["relman.toml".into()]).collect();
        assert_eq!(folded(&paths), ["ansible/ (9 files)", "relman.toml"]);
    }
}
