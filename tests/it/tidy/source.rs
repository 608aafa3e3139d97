//! Files of the tree, and Rust source with comments and texts blanked out, so that a word in a sentence is never
//! taken for code.

use std::path::Path;

/// A text file of the tree.
pub(super) struct File {
    /// Relative to the root, with `/`.
    pub(super) path: String,
    /// As it is.
    pub(super) text: String,
    /// Rust: without comments and the contents of texts, lines kept. Else empty.
    pub(super) code: String,
    /// Whether some file declares it as a module of tests.
    test: bool,
}

impl File {
    pub(super) fn new(path: &str, text: &str) -> Self {
        let code = if path.ends_with(".rs") { blank(text) } else { String::new() };
        Self { path: path.to_owned(), text: text.to_owned(), code, test: false }
    }

    /// Whether it is Rust of the crate itself, tests in files of their own left out.
    pub(super) fn is_source(&self) -> bool {
        self.path.starts_with("src/") && self.path.ends_with(".rs") && !self.test
    }

    /// Paths without `.rs` of the modules that this file declares for tests alone.
    fn test_modules(&self) -> Vec<String> {
        let stem = self.path.trim_end_matches(".rs").trim_end_matches("/mod").trim_end_matches("/lib");
        let declared = self.code.split("#[cfg(test)]").skip(1).filter_map(|rest| {
            let line =
                rest.lines().find(|line| !line.trim().is_empty() && !line.trim_start().starts_with("#["))?;
            let name = line.split_once("mod ")?.1.strip_suffix(';')?;
            Some(format!("{stem}/{name}"))
        });
        declared.collect()
    }

    /// Code before the file's own test module.
    fn tested_code(&self) -> &str {
        let inline = |at: usize| {
            let module = self.code[at..].lines().find(|line| !line.trim_start().starts_with("#["));
            module.is_some_and(|line| line.contains("mod ") && line.trim_end().ends_with('{'))
        };
        let end = self.code.match_indices("\n#[cfg(test)]").map(|(at, _)| at + 1).find(|at| inline(*at));
        &self.code[..end.unwrap_or(self.code.len())]
    }

    /// Its lines with their numbers.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.tested_code().lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// Every text file that belongs to the tree.
pub(super) fn load(root: &Path) -> Vec<File> {
    let mut files = Vec::new();
    walk(root, root, &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    mark_tests(&mut files);
    files
}

/// Files that are declared `#[cfg(test)] mod NAME;` are tests, and so is what lies below them.
pub(super) fn mark_tests(files: &mut [File]) {
    let modules: Vec<String> = files.iter().flat_map(File::test_modules).collect();
    for file in files {
        let within = |module: &String| {
            file.path.strip_prefix(module).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        };
        file.test = modules.iter().any(within);
    }
}

fn walk(root: &Path, directory: &Path, files: &mut Vec<File>) {
    const SKIPPED: [&str; 7] =
        ["target", ".git", ".venv", "__pycache__", ".pytest_cache", ".ruff_cache", "node_modules"];
    // A directory that vanishes meanwhile is no part of the tree.
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_symlink() || SKIPPED.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            walk(root, &path, files);
        } else if let (Ok(text), Ok(relative)) = (std::fs::read_to_string(&path), path.strip_prefix(root)) {
            files.push(File::new(&relative.to_string_lossy(), &text));
        }
    }
}

/// Replaces comments and the contents of text literals by spaces; line breaks stay.
pub(super) fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = token_end(&chars, at);
        let keep = end == at + 1;
        for &c in &chars[at..end] {
            out.push(if keep || c == '\n' { c } else { ' ' });
        }
        at = end;
    }
    out
}

/// Where the comment or literal that begins at `at` ends; `at + 1` where none begins.
fn token_end(chars: &[char], at: usize) -> usize {
    let peek = |ahead: usize| chars.get(at + ahead).copied();
    match chars[at] {
        '/' if peek(1) == Some('/') => until(chars, at, |c, i| c[i] == '\n'),
        '/' if peek(1) == Some('*') => until(chars, at + 2, |c, i| c[i - 1] == '*' && c[i] == '/') + 1,
        '"' => text_end(chars, at + 1),
        'r' if !at.checked_sub(1).is_some_and(|before| is_word(chars[before])) => raw_end(chars, at),
        '\'' if peek(1) == Some('\\') => until(chars, at + 3, |c, i| c[i] == '\'') + 1,
        '\'' if peek(2) == Some('\'') => at + 3,
        _ => at + 1,
    }
    .min(chars.len())
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn until(chars: &[char], from: usize, found: impl Fn(&[char], usize) -> bool) -> usize {
    (from..chars.len()).find(|&index| found(chars, index)).unwrap_or(chars.len())
}

fn text_end(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    at
}

fn raw_end(chars: &[char], at: usize) -> usize {
    let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
    if chars.get(at + 1 + hashes) != Some(&'"') {
        return at + 1;
    }
    let closes = |c: &[char], i: usize| {
        c[i] == '"' && i + hashes < c.len() && c[i + 1..=i + hashes].iter().all(|c| *c == '#')
    };
    until(chars, at + 2 + hashes, closes) + 1 + hashes
}

/// Every path below the crate's root that a line of code names: `ledger::sqlite::Sqlite` from
/// `use crate::ledger::{sqlite::Sqlite, …}` or from the middle of a line. Works on the whole code, since a `use` may
/// span lines.
pub(super) fn crate_paths(file: &File) -> Vec<(usize, String)> {
    let code = file.tested_code();
    let module = module_of(&file.path);
    let mut found = Vec::new();
    for (root, base) in [("crate::", Vec::new()), ("relman::", Vec::new()), ("super::", parent(&module))] {
        for (at, _) in code.match_indices(root) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| is_word(c) || c == ':') {
                continue;
            }
            let line = code[..at].lines().count().max(1);
            let mut base = base.clone();
            let mut rest = &code[at + root.len()..];
            while let Some(further) = rest.strip_prefix("super::") {
                base.pop();
                rest = further;
            }
            for tail in expand(rest) {
                let path: Vec<String> = base.iter().cloned().chain(tail).collect();
                found.push((line, path.join("::")));
            }
        }
    }
    found.sort();
    found
}

/// `src/ledger/sqlite.rs` is `ledger::sqlite`.
fn module_of(path: &str) -> Vec<String> {
    let inner = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    inner.split('/').filter(|part| !matches!(*part, "lib" | "main")).map(str::to_owned).collect()
}

fn parent(module: &[String]) -> Vec<String> {
    module[..module.len().saturating_sub(1)].to_vec()
}

/// The paths of a use tree, or of a path in an expression.
fn expand(text: &str) -> Vec<Vec<String>> {
    let mut path = Vec::new();
    let mut rest = text;
    loop {
        if let Some(inner) = rest.strip_prefix('{') {
            return branches(inner)
                .into_iter()
                .flat_map(|branch| expand(branch.trim()))
                .map(|tail| path.iter().cloned().chain(tail).collect())
                .collect();
        }
        let word: String = rest.chars().take_while(|c| is_word(*c)).collect();
        rest = &rest[word.len()..];
        if !word.is_empty() {
            path.push(word);
        }
        match rest.strip_prefix("::") {
            Some(further) => rest = further,
            None => return vec![path],
        }
    }
}

/// The parts of `a::b, c::{d, e}}…` between the commas of this level.
fn branches(text: &str) -> Vec<&str> {
    let (mut depth, mut from, mut parts) = (0, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                parts.push(&text[from..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.retain(|part| !part.trim().is_empty());
    parts
}

#[test]
fn comments_and_texts_are_blanked_and_lines_stay() {
    let text = "let a = \"tokio \\\" x\"; // std::fs\n/* std::env\n */ let c = '\"'; let l: &'a str = r#\"a\"b\"#; b";
    let code = blank(text);
    assert_eq!(code.lines().count(), text.lines().count());
    for word in ["tokio", "std::fs", "std::env"] {
        assert!(!code.contains(word), "{code}");
    }
    for word in ["let a =", "let c =", "let l: &'a str =", "; b"] {
        assert!(code.contains(word), "{code}");
    }
}

#[test]
fn use_trees_are_taken_apart() {
    let text = "use crate::{a::b, c::{d, e::F}};\nuse super::wire;\nuse super::super::clock::Clock;\nfn f() { crate::g::h(1) }";
    let paths: Vec<String> =
        crate_paths(&File::new("src/host/ansible.rs", text)).into_iter().map(|(_, path)| path).collect();
    assert_eq!(paths, ["a::b", "c::d", "c::e::F", "host::wire", "clock::Clock", "g::h"]);
}
