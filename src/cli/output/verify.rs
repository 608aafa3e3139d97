//! `relman verify` for people.

use crate::commands::verify::{LinkName, LinkState, Report};

use super::{Cell, Style, Tone, printable};

/// The report for people.
pub fn show(report: &Report, style: &Style) -> String {
    let closed = report.moved_to.as_ref().map_or_else(String::new, |to| format!("{}\n", style.closed(to)));
    let mut text = format!("Ledger {}\n{closed}\n", printable(&report.ledger));
    if report.chain.streams.is_empty() && report.chain.faults.is_empty() {
        text.push_str("It has no entry yet.\n");
    } else {
        text.push_str(&style.table(&["STREAM", "CHAIN", "ENTRIES", "RECORDS", "HEAD"], chain(report)));
    }
    for fault in &report.chain.faults {
        let place = fault.seq.map(|seq| format!(" at entry {seq}")).unwrap_or_default();
        let line = format!("\n{}{place}: {}", fault.stream, fault.detail);
        text.push_str(&style.paint(Tone::Bad, &line));
        text.push('\n');
    }
    if let Some(anchors) = &report.anchors {
        let place = printable(&anchors.location);
        text.push_str(&format!("\n{} anchors in {place} were compared with the chain.\n", anchors.anchors));
        for fault in &anchors.faults {
            let line = format!("{}: {}", printable(&fault.place), printable(&fault.detail));
            text.push_str(&style.paint(Tone::Bad, &line));
            text.push('\n');
        }
    }
    for release in &report.releases {
        let (commit, digest) = (release.commit.short(), release.digest.short());
        text.push_str(&format!("\n{} ({commit}, {digest})\n", release.version.tag()));
        let rows = release
            .links
            .iter()
            .map(|link| {
                let (state, tone) = match link.state {
                    LinkState::Ok => ("ok", Tone::Good),
                    LinkState::Failed => ("FAILED", Tone::Bad),
                    LinkState::NotChecked => ("not checked", Tone::Dim),
                };
                vec![name(link.link).into(), Cell::new(state, tone), link.detail.as_str().into()]
            })
            .collect();
        text.push_str(&style.table(&["  LINK", "STATE", "FOUND"], rows));
    }
    text.push('\n');
    text.push_str(&if report.holds {
        style.paint(Tone::Good, "Nothing that was checked is broken.")
    } else {
        style.paint(Tone::Bad, "It does not verify: deploy nothing more, keep a copy of the ledger, and put back a backup that verifies.")
    });
    text.push_str("\nNot proven by this:\n");
    for unproven in &report.chain.unproven {
        text.push_str(&format!("  - {unproven}\n"));
    }
    for unproven in report.anchors.iter().flat_map(|anchors| &anchors.unproven) {
        text.push_str(&format!("  - {}\n", printable(unproven)));
    }
    text
}

fn chain(report: &Report) -> Vec<Vec<Cell>> {
    let held = report.chain.streams.iter().map(|stream| {
        vec![
            stream.stream.to_string().into(),
            Cell::new("verifies", Tone::Good),
            stream.entries.to_string().into(),
            stream.records.to_string().into(),
            Cell::new(stream.head.to_string(), Tone::Dim),
        ]
    });
    let broken = report.chain.faults.iter().map(|fault| {
        vec![
            fault.stream.to_string().into(),
            Cell::new("BROKEN", Tone::Bad),
            "-".into(),
            "-".into(),
            "-".into(),
        ]
    });
    held.chain(broken).collect()
}

fn name(link: LinkName) -> &'static str {
    match link {
        LinkName::GitTag => "  git tag",
        LinkName::Commit => "  commit",
        LinkName::VersionTag => "  version tag",
        LinkName::Digest => "  digest",
        LinkName::ConfigLabel => "  label in the image",
        LinkName::Running => "  running container",
    }
}
