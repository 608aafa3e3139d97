//! What can be told from a Dockerfile without building it.

use crate::domain::id::Digest;

/// The digest of the last stage's base image, where the file pins it.
pub(super) fn base_digest(text: &str) -> Option<Digest> {
    let mut stages: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if !words.next().is_some_and(|word| word.eq_ignore_ascii_case("from")) {
            continue;
        }
        let mut words = words.skip_while(|word| word.starts_with("--"));
        let image = words.next()?.to_owned();
        let name = words.next().filter(|word| word.eq_ignore_ascii_case("as")).and_then(|_| words.next());
        stages.push((name.unwrap_or_default().to_ascii_lowercase(), image));
    }
    let (_, mut image) = stages.pop()?;
    // A stage can only stand on one before it.
    while let Some((name, base)) = stages.pop() {
        if name == image.to_ascii_lowercase() {
            image = base;
        }
    }
    image.split_once('@')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pinned_bases_are_found_through_stages() {
        let digest = Digest::of(b"base");
        for (text, pinned) in [
            (format!("FROM python:3@{digest}\nRUN x"), true),
            (format!("ARG A\nfrom --platform=linux/amd64 python@{digest} AS Base\nFROM x\nFROM base"), true),
            (format!("FROM python@{digest} AS build\nFROM alpine"), false),
            ("FROM python:3".to_owned(), false),
            ("FROM $BASE".to_owned(), false),
            (String::new(), false),
            ("FROM".to_owned(), false),
        ] {
            assert_eq!(base_digest(&text), pinned.then(|| digest.clone()), "{text}");
        }
    }
}
