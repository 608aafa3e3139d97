//! Patterns as OpenSSH writes them: `*`, `?`, and `!` before one that excludes.

/// Whether a pattern fits a text, whatever the case.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.to_lowercase().chars().collect();
    let text: Vec<char> = text.to_lowercase().chars().collect();
    // Where to go back to: the last star, and how much of the text it has taken.
    let (mut p, mut t, mut back) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                back = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match back {
                Some((star, taken)) => {
                    back = Some((star, taken + 1));
                    (p, t) = (star + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Whether a list of patterns fits: one must, and none with `!` may.
pub(super) fn any_fits<'a>(patterns: impl IntoIterator<Item = &'a str>, text: &str) -> bool {
    let mut found = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(excluded) if fits(excluded, text) => return false,
            Some(_) => {}
            None => found |= fits(pattern, text),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_fit_what_they_fit_in_ssh() {
        let good =
            [("*", ""), ("*", "a"), ("web-?", "web-1"), ("*.example", "a.b.Example"), ("a*c*e", "abcde")];
        let bad = [("?", ""), ("web-?", "web-10"), ("*.example", "example"), ("a*c", "ab"), ("", "a")];
        assert!(good.iter().all(|(pattern, text)| fits(pattern, text)));
        assert!(!bad.iter().any(|(pattern, text)| fits(pattern, text)));
        assert!(any_fits(["10.0.*", "!10.0.0.9"], "10.0.0.1"));
        assert!(!any_fits(["10.0.*", "!10.0.0.9"], "10.0.0.9"));
        assert!(!any_fits(["!10.0.0.9"], "10.0.0.1"), "an exclusion alone takes nobody in");
    }
}
