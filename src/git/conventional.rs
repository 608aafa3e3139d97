//! Conventional Commits 1.0.0: how far a commit raises the version. Pure.

use std::collections::HashSet;

use crate::domain::id::CommitSha;
use crate::domain::version::Bump;

/// What one commit message asks for; none for types that raise nothing (`docs:`, `chore:`) and for free text.
pub fn bump(message: &str) -> Option<Bump> {
    let mut lines = message.lines();
    let kind = header(lines.next().unwrap_or_default().trim());
    let breaks = lines.any(|line| {
        ["BREAKING CHANGE:", "BREAKING-CHANGE:", "BREAKING CHANGE #", "BREAKING-CHANGE #"]
            .iter()
            .any(|token| line.strip_prefix(token).is_some_and(|text| !text.trim().is_empty()))
    });
    match kind {
        Some((_, true)) => Some(Bump::Major),
        _ if breaks => Some(Bump::Major),
        Some(("feat", _)) => Some(Bump::Minor),
        Some(("fix" | "perf" | "revert", _)) => Some(Bump::Patch),
        _ => None,
    }
}

/// Type in lower case where it is one that counts, and whether `!` marks a breaking change.
fn header(line: &str) -> Option<(&'static str, bool)> {
    let (head, subject) = line.split_once(':')?;
    if !subject.starts_with(' ') || subject.trim().is_empty() {
        return None;
    }
    let (head, breaking) = match head.strip_suffix('!') {
        Some(head) => (head, true),
        None => (head, false),
    };
    let kind = match head.split_once('(') {
        None => head,
        Some((kind, scope)) => {
            let scope = scope.strip_suffix(')')?;
            if scope.trim().is_empty() || scope.contains(['(', ')']) {
                return None;
            }
            kind
        }
    };
    if kind.is_empty() || !kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
        return None;
    }
    let known = ["feat", "fix", "perf", "revert"];
    let name = known.into_iter().find(|known| kind.eq_ignore_ascii_case(known)).unwrap_or("other");
    Some((name, breaking))
}

/// The commits that a message says it takes back: git's `This reverts commit <sha>` lines.
pub fn reverts(message: &str) -> Vec<CommitSha> {
    message
        .split("This reverts commit ")
        .skip(1)
        .filter_map(|rest| rest.get(..40)?.to_ascii_lowercase().parse().ok())
        .collect()
}

/// The highest bump of a range, given newest first. A commit and its revert that are both in the range cancel
/// out; so do a revert and its own revert.
pub fn highest<'a>(range: impl IntoIterator<Item = (&'a CommitSha, &'a str)>) -> Option<Bump> {
    let range: Vec<_> = range.into_iter().collect();
    let inside: HashSet<&CommitSha> = range.iter().map(|(commit, _)| *commit).collect();
    let mut gone: HashSet<CommitSha> = HashSet::new();
    let mut highest = None;
    for (commit, message) in &range {
        if gone.contains(commit) {
            continue;
        }
        let back = reverts(message);
        let found = if back.is_empty() {
            bump(message)
        } else if back.iter().all(|commit| inside.contains(commit)) {
            None
        } else {
            // What it takes back was released: going back is a fix, unless it says that it breaks.
            Some(bump(message).map_or(Bump::Patch, |b| b.max(Bump::Patch)))
        };
        gone.extend(back);
        highest = highest.max(found);
    }
    highest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_follow_the_table() {
        let (major, minor, patch) = (Some(Bump::Major), Some(Bump::Minor), Some(Bump::Patch));
        for (message, expected) in [
            ("feat: a", minor),
            ("feat(api): a", minor),
            ("Feat: a", minor),
            ("fix: a", patch),
            ("perf(db): a", patch),
            ("revert: a", patch),
            ("feat!: a", major),
            ("refactor(core)!: a", major),
            ("chore!: a", major),
            ("fix: a\n\nBREAKING CHANGE: b", major),
            ("fix: a\n\ntext\n\nBREAKING-CHANGE: b", major),
            ("docs: a\r\n\r\nBREAKING CHANGE: b\r\n", major),
            ("anything\n\nBREAKING CHANGE: b", major),
            ("docs: a", None),
            ("chore(deps): a", None),
            ("fix: a\n\nbreaking change: b", patch),
            ("fix: a\n\nBREAKING CHANGE:", patch),
            ("feat:a", None),
            ("feat: ", None),
            ("feat : a", None),
            ("feat(: a", None),
            ("feat(): a", None),
            ("feat(a)b: c", None),
            ("feature: a", None),
            ("a new feat: b", None),
            ("Merge branch 'feat: x'", None),
            ("Merge pull request #1 from a/b\n\nfeat: in the body", None),
            ("fixup! feat: a", None),
            ("", None),
            ("ünï: a", None),
        ] {
            assert_eq!(bump(message), expected, "{message:?}");
        }
    }

    fn sha(n: u8) -> CommitSha {
        hex::encode([n; 20]).parse().unwrap()
    }

    fn of(range: &[(u8, String)]) -> Option<Bump> {
        let range: Vec<_> = range.iter().map(|(n, message)| (sha(*n), message.as_str())).collect();
        highest(range.iter().map(|(commit, message)| (commit, *message)))
    }

    fn revert(n: u8) -> String {
        format!("Revert \"x\"\n\nThis reverts commit {}.", sha(n))
    }

    #[test]
    fn a_range_takes_its_highest_and_reverts_cancel() {
        assert_eq!(of(&[]), None);
        assert_eq!(
            of(&[(3, "docs: x".into()), (2, "feat: y".into()), (1, "fix: z".into())]),
            Some(Bump::Minor)
        );
        assert_eq!(of(&[(2, revert(1)), (1, "feat: x".into())]), None);
        assert_eq!(of(&[(3, revert(2)), (2, revert(1)), (1, "feat: x".into())]), Some(Bump::Minor));
        assert_eq!(of(&[(2, revert(9)), (1, "docs: x".into())]), Some(Bump::Patch));
        assert_eq!(of(&[(3, revert(2)), (2, "feat!: x".into()), (1, "fix: y".into())]), Some(Bump::Patch));
    }

    #[test]
    fn reverts_are_read_from_gits_own_line() {
        let merge =
            format!("Revert\n\nThis reverts commit {}, reversing\nchanges made to {}.", sha(1), sha(2));
        assert_eq!(reverts(&merge), [sha(1)]);
        assert_eq!(reverts("This reverts commit 0123abc."), []);
        assert_eq!(reverts("This reverts commit ääääääääääääääääääääää"), []);
    }
}
