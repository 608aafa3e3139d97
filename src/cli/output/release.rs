//! `relman release` as text.

use super::{Style, Tone};
use crate::commands::release::{Report, State};

/// The result first, then what is missing.
pub fn show(report: &Report, style: &Style) -> String {
    let name = report.version.as_ref().map_or_else(|| report.commit.short().to_owned(), |v| v.tag());
    let what = match report.state {
        State::Planned => "would release",
        State::Existing => "is released",
        State::Built => "built and released",
        State::Adopted => "released from a finished image",
        State::Dev => "built from the work tree: no release",
        State::CommitOnly => "built: no commit asks for a version",
    };
    let mut text = format!("{} {} {what}\n", report.service, style.paint(Tone::Good, &name));
    let mut line =
        |key: &str, value: &str| text.push_str(&format!("  {key:<8} {}\n", style.paint(Tone::Plain, value)));
    line("commit", report.commit.as_str());
    if let Some(image) = &report.image {
        line("image", image);
    }
    if !report.tags.is_empty() {
        line("tags", &report.tags.join(", "));
    }
    for step in &report.plan {
        line("would", step);
    }
    for (key, entries) in [("conflict", &report.conflicts), ("missing", &report.incomplete)] {
        for entry in entries {
            text.push_str(&format!(
                "  {} {}\n",
                style.paint(Tone::Bad, key),
                style.paint(Tone::Plain, entry)
            ));
        }
    }
    if !report.incomplete.is_empty() {
        text.push_str("  the release exists; write what is missing: relman release --repair\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::Digest;
    use crate::domain::time::Timestamp;

    #[test]
    fn a_release_reads_from_top_to_bottom() {
        let digest = Digest::of(b"x");
        let report = Report {
            schema: 1,
            service: "web".parse().unwrap(),
            state: State::Built,
            release: None,
            version: Some("1.4.2".parse().unwrap()),
            commit: "0123456789abcdef0123456789abcdef01234567".parse().unwrap(),
            image: Some(format!("r.example/web@{digest}")),
            digest: Some(digest.clone()),
            tags: vec!["v1.4.2".into(), "latest".into()],
            conflicts: Vec::new(),
            incomplete: vec!["git:v1.4.2: no network".into()],
            plan: Vec::new(),
        };
        let style = Style { color: false, width: 80, now: Timestamp::from_millis(0).unwrap() };
        let expected = format!(
            "web v1.4.2 built and released\n  commit   0123456789abcdef0123456789abcdef01234567\n  \
             image    r.example/web@{digest}\n  tags     v1.4.2, latest\n  missing git:v1.4.2: no network\n  \
             the release exists; write what is missing: relman release --repair\n"
        );
        assert_eq!(show(&report, &style), expected);
    }
}
