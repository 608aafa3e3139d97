//! The rules of the house, held by a test: who may import whom, what stays pure, who prints, who asks the time, who
//! starts processes, and that the documents lead somewhere. Rules are data in `rules.rs`; every violation is listed
//! at once as `file:line: what`. Each rule has a test that it catches a planted violation.

mod checks;
mod planted;
mod rules;
mod source;

use std::path::Path;

use source::File;

/// One violation, `file:line: what`.
type Violation = String;

#[test]
fn the_tree_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = source::load(root);
    assert!(files.iter().any(|file| file.path == "src/lib.rs"), "nothing was read under {}", root.display());
    let exists = |path: &str| root.join(path).exists();
    let found = checks::all(&files, &exists);
    assert!(found.is_empty(), "{} violation(s):\n{}", found.len(), found.join("\n"));
}

/// The violations of one check in a planted tree.
fn planted(check: fn(&[File]) -> Vec<Violation>, files: &[(&str, &str)]) -> Vec<Violation> {
    let mut files: Vec<File> = files.iter().map(|(path, text)| File::new(path, text)).collect();
    source::mark_tests(&mut files);
    check(&files)
}
