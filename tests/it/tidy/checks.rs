//! The checks: each takes the files and gives every violation of its rule.

use super::Violation;
use super::rules::{DOCUMENTS, FORBIDDEN, IMPLEMENTATIONS, IMPORTS, INVARIANTS, LONGEST, REASON, WORDS};
use super::source::{File, crate_paths};

/// Every check. `exists` tells whether a path of the tree is there.
pub(super) fn all(files: &[File], exists: &dyn Fn(&str) -> bool) -> Vec<Violation> {
    let checks = [imports, words, length, forbidden, invariants, changelog];
    let mut found: Vec<Violation> = checks.iter().flat_map(|check| check(files)).collect();
    found.extend(links(files, exists));
    found
}

/// Who may import whom.
pub(super) fn imports(files: &[File]) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.is_source()) {
        let rule =
            IMPORTS.iter().filter(|(prefix, _)| file.path.starts_with(prefix)).max_by_key(|(p, _)| p.len());
        let Some((_, allowed)) = rule else {
            found.push(format!("{}:1: no rule says what this file may import", file.path));
            continue;
        };
        for (line, path) in crate_paths(file) {
            if !may_import(allowed, &path) {
                found.push(format!("{}:{line}: must not import {path}", file.path));
            }
        }
    }
    found
}

fn may_import(allowed: &[&str], path: &str) -> bool {
    let within = |outer: &str| path == outer || path.starts_with(&format!("{outer}::"));
    match IMPLEMENTATIONS.iter().find(|implementation| within(implementation)) {
        Some(implementation) => allowed.contains(implementation),
        None => allowed.iter().any(|outer| within(outer)),
    }
}

/// Words that belong to certain places.
pub(super) fn words(files: &[File]) -> Vec<Violation> {
    let mut found = Vec::new();
    let starts = |path: &str, prefixes: &[&str]| prefixes.iter().any(|prefix| path.starts_with(prefix));
    for file in files.iter().filter(|file| file.is_source()) {
        for rule in WORDS {
            let looked_at = rule.within.is_empty() || starts(&file.path, rule.within);
            if !looked_at || starts(&file.path, rule.except) {
                continue;
            }
            for (number, line) in file.lines() {
                for word in rule.words.iter().filter(|word| holds(line, word)) {
                    found.push(format!("{}:{number}: {word:?}: {}", file.path, rule.what));
                }
            }
        }
    }
    found
}

/// Whether the word stands in the line and is not the end of a longer one (`println!` holds `print!` not, but
/// `eprint!` ends with it).
fn holds(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !word.starts_with(char::is_alphanumeric) || !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

/// No long file without a reason.
pub(super) fn length(files: &[File]) -> Vec<Violation> {
    let rust = files.iter().filter(|file| file.path.ends_with(".rs"));
    rust.filter(|file| {
        let lines = file.text.lines().count();
        lines > LONGEST && !file.text.lines().take(30).any(|line| line.contains(REASON))
    })
    .map(|file| {
        let lines = file.text.lines().count();
        format!("{}:{lines}: longer than {LONGEST} lines, and its head gives no {REASON:?}", file.path)
    })
    .collect()
}

/// What no file may say.
pub(super) fn forbidden(files: &[File]) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in files {
        for (number, line) in file.text.lines().enumerate() {
            for (one, two) in FORBIDDEN {
                let word = format!("{one}{two}");
                let free =
                    |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-}".contains(c));
                if line.match_indices(&word).any(|(at, _)| free(at)) {
                    found.push(format!("{}:{}: says {word:?}", file.path, number + 1));
                }
            }
        }
    }
    found
}

/// Each invariant of the contract is named by a test.
pub(super) fn invariants(files: &[File]) -> Vec<Violation> {
    let named = |number: u32| {
        let test = format!("fn invariant_{number}_");
        files.iter().any(|file| file.code.contains(&test))
    };
    INVARIANTS
        .filter(|number| !named(*number))
        .map(|n| format!("tests:1: no test is called invariant_{n}_…"))
        .collect()
}

/// The changelog has a place for what comes.
pub(super) fn changelog(files: &[File]) -> Vec<Violation> {
    let there = files
        .iter()
        .any(|file| file.path == "CHANGELOG.md" && file.text.lines().any(|line| line == "## [Unreleased]"));
    if there { Vec::new() } else { vec!["CHANGELOG.md:1: no section \"## [Unreleased]\"".to_owned()] }
}

/// Links of the documents lead to files of the tree.
pub(super) fn links(files: &[File], exists: &dyn Fn(&str) -> bool) -> Vec<Violation> {
    let mut found = Vec::new();
    let documents = files.iter().filter(|file| {
        file.path.ends_with(".md") && DOCUMENTS.iter().any(|document| file.path.starts_with(document))
    });
    for file in documents {
        let directory = file.path.rsplit_once('/').map_or("", |(directory, _)| directory);
        for (number, line) in file.text.lines().enumerate() {
            for target in targets(line) {
                let target = target.split(['#', ' ']).next().unwrap_or_default();
                if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                    continue;
                }
                if !exists(&resolve(directory, target)) {
                    found.push(format!("{}:{}: link to {target}, which is not there", file.path, number + 1));
                }
            }
        }
    }
    found
}

fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("](").filter_map(|(at, open)| {
        let rest = &line[at + open.len()..];
        rest.split_once(')').map(|(target, _)| target)
    })
}

fn resolve(directory: &str, target: &str) -> String {
    let mut path: Vec<&str> = directory.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                path.pop();
            }
            part => path.push(part),
        }
    }
    path.join("/")
}
