//! `.dockerignore`: what does not go into the build context. The engine leaves this to its clients.
//!
//! As in Docker: the last line that matches decides; a match of a directory is one of all below it; `!` brings
//! back; `*` and `?` stay within a name, `**` does not.

/// The lines of a `.dockerignore`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ignore(Vec<(bool, Vec<String>)>);

impl Ignore {
    /// Reads the file.
    pub fn parse(text: &str) -> Self {
        let lines = text.trim_start_matches('\u{feff}').lines().filter_map(|line| {
            if line.starts_with('#') {
                return None;
            }
            let line = line.trim();
            let (back, pattern) = match line.strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, line),
            };
            let mut parts: Vec<String> = Vec::new();
            for part in pattern.split('/') {
                match part {
                    "" | "." => {}
                    ".." => drop(parts.pop()),
                    part => parts.push(part.to_owned()),
                }
            }
            (!parts.is_empty()).then_some((back, parts))
        });
        Self(lines.collect())
    }

    /// Whether the path, relative to the context, stays out.
    pub fn excludes(&self, path: &str) -> bool {
        let names: Vec<&str> = path.split('/').collect();
        let matched = self
            .0
            .iter()
            .rev()
            .find(|(_, pattern)| (1..=names.len()).any(|depth| matches(pattern, &names[..depth])));
        matched.is_some_and(|(back, _)| !back)
    }
}

fn matches(pattern: &[String], names: &[&str]) -> bool {
    match (pattern.split_first(), names.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first == "**" => {
            // At the end it stands for anything below, which is at least one name.
            let least = usize::from(rest.is_empty());
            (least..=names.len()).any(|skip| matches(rest, &names[skip..]))
        }
        (Some((first, pattern)), Some((name, names))) => {
            let (first, name): (Vec<char>, Vec<char>) = (first.chars().collect(), name.chars().collect());
            glob(&first, &name) && matches(pattern, names)
        }
        _ => false,
    }
}

/// One name against one part of a pattern (Go's `filepath.Match`).
fn glob(pattern: &[char], name: &[char]) -> bool {
    match pattern {
        [] => name.is_empty(),
        ['*', rest @ ..] => (0..=name.len()).any(|skip| glob(rest, &name[skip..])),
        ['?', rest @ ..] => !name.is_empty() && glob(rest, &name[1..]),
        ['[', rest @ ..] => class(rest, name),
        ['\\', c, rest @ ..] | [c, rest @ ..] => name.first() == Some(c) && glob(rest, &name[1..]),
    }
}

fn class(pattern: &[char], name: &[char]) -> bool {
    let (Some(end), Some(c)) = (pattern.iter().position(|c| *c == ']'), name.first()) else { return false };
    let (negated, set) = match &pattern[..end] {
        ['^', set @ ..] => (true, set),
        set => (false, set),
    };
    let mut found = false;
    let mut at = 0;
    while at < set.len() {
        match set[at..] {
            [low, '-', high, ..] => {
                found |= (low..=high).contains(c);
                at += 3;
            }
            _ => {
                found |= set[at] == *c;
                at += 1;
            }
        }
    }
    found != negated && glob(&pattern[end + 1..], &name[1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_follow_the_table() {
        for (file, out, within) in [
            ("", vec![], vec!["a", "b/c"]),
            ("# x\n\n.git", vec![".git", ".git/config"], vec!["a", "x"]),
            ("/foo/bar/", vec!["foo/bar", "foo/bar/x"], vec!["foo", "bar"]),
            ("*.md\n!README.md", vec!["a.md"], vec!["README.md", "docs/a.md"]),
            ("**/*.pyc", vec!["a.pyc", "b/c/a.pyc"], vec!["a.py"]),
            ("docs/**", vec!["docs/a", "docs/a/b"], vec!["docs", "doc"]),
            ("*\n!src", vec!["a", "tests/x"], vec!["src", "src/a"]),
            ("temp?", vec!["temp1", "temp1/x"], vec!["temp", "temp12"]),
            ("a[0-9]\nb[^x]", vec!["a7", "by"], vec!["ax", "bx"]),
            ("./a/../b", vec!["b"], vec!["a"]),
            ("a\\*b", vec!["a*b"], vec!["axb"]),
            ("  # no comment", vec!["# no comment"], vec!["no comment"]),
            (".\n/", vec![], vec!["a"]),
            ("node_modules", vec!["node_modules/x"], vec!["web/node_modules"]),
        ] {
            let ignore = Ignore::parse(file);
            for path in out {
                assert!(ignore.excludes(path), "{file:?} keeps {path}");
            }
            for path in within {
                assert!(!ignore.excludes(path), "{file:?} leaves out {path}");
            }
        }
    }
}
