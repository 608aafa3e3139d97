//! On real repositories.

use std::io::Read as _;
use std::path::Path;

use super::testing::{Lab, bare};
use super::*;
use crate::domain::policy::{Ancestry, Withdrawal};
use crate::domain::version::{Bump, Version};

fn v(text: &str) -> Version {
    text.parse().unwrap()
}

fn base(version: &str, commit: &CommitSha) -> Base {
    Base { version: v(version), commit: commit.clone() }
}

fn all(_: &str, _: bool) -> bool {
    true
}

#[test]
fn head_tells_branch_time_and_what_is_not_committed() {
    let lab = Lab::new();
    let repository = lab.repository();
    assert!(matches!(repository.head(), Err(GitError::NoCommit { .. })));
    lab.write("a", "1");
    lab.write(".gitignore", "ignored\n");
    let commit = lab.commit("feat: a");
    let head = repository.head().unwrap();
    assert_eq!((head.commit, head.branch.as_deref(), head.shallow), (commit.clone(), Some("main"), false));
    assert_eq!(head.committed_at.to_string(), "2023-11-14T22:14:20.000Z");
    assert!(head.dirty.is_empty(), "{:?}", head.dirty);
    lab.write("ignored", "x");
    assert!(repository.head().unwrap().dirty.is_empty());
    lab.write("a", "2");
    lab.write("new", "x");
    assert_eq!(repository.head().unwrap().dirty, ["a", "new"]);
    lab.git.set_head_detached(git2::Oid::from_str(commit.as_str()).unwrap()).unwrap();
    assert_eq!(repository.head().unwrap().branch, None);
}

#[test]
fn a_repository_is_found_from_below_and_none_where_there_is_none() {
    let lab = Lab::new();
    lab.write("sub/dir/file", "x");
    let found = Repository::discover(&lab.dir.path().join("sub/dir")).unwrap().unwrap();
    assert_eq!(found.root.canonicalize().unwrap(), lab.dir.path().canonicalize().unwrap());
    assert_eq!(Repository::discover(tempfile::tempdir().unwrap().path()).unwrap(), None);
}

#[test]
fn commits_resolve_by_prefix_and_nothing_else_does() {
    let lab = Lab::new();
    lab.write("a", "1");
    let commit = lab.commit("x");
    let repository = lab.repository();
    assert_eq!(repository.resolve(commit.short()).unwrap(), Some(commit.clone()));
    assert_eq!(repository.resolve(&commit.as_str().to_uppercase()).unwrap(), Some(commit.clone()));
    let tree = repository.head().unwrap().tree;
    for no in ["", "HEAD", "main", "abcdef0", tree.as_str(), "../../etc"] {
        assert_eq!(repository.resolve(no).unwrap(), None, "{no}");
    }
    assert!(repository.contains(&commit).unwrap());
    assert!(!repository.contains(&tree).unwrap());
}

#[test]
fn the_base_is_the_highest_of_ledger_and_reachable_tags() {
    let lab = Lab::new();
    let repository = lab.repository();
    let one = lab.commit("feat: one");
    let first = repository.since(&one, None).unwrap();
    assert_eq!((first.base, first.bump, first.commits), (None, Some(Bump::Minor), 1));
    lab.light_tag("v0.1.0", &one);
    lab.light_tag("v9.0.0-rc.1", &one);
    lab.light_tag("v1.x", &one);
    let two = lab.commit("docs: two");
    let three = lab.commit("fix: three");
    let since = repository.since(&three, None).unwrap();
    assert_eq!((since.base, since.bump, since.commits), (Some(v("0.1.0")), Some(Bump::Patch), 2));
    // The ledger is ahead of the tags.
    let since = repository.since(&three, Some(&base("0.2.0", &two))).unwrap();
    assert_eq!((since.base, since.commits), (Some(v("0.2.0")), 1));
    // A tag is ahead of the ledger.
    lab.light_tag("v0.3.0", &two);
    let since = repository.since(&three, Some(&base("0.2.0", &one))).unwrap();
    assert_eq!((since.base, since.commits), (Some(v("0.3.0")), 1));
    // A higher tag on another branch does not count; its annotated form neither.
    lab.branch("other", &one);
    let other = lab.commit("feat!: other");
    repository.tag("v5.0.0", &other, "x", "Ada", state::time(0)).unwrap();
    assert_eq!(repository.since(&three, None).unwrap().base, Some(v("0.3.0")));
    assert_eq!(repository.since(&other, None).unwrap().base, Some(v("5.0.0")));
    // The ledger's commit was rewritten away: everything since the fork counts, the number stays.
    let since = repository.since(&three, Some(&base("6.0.0", &other))).unwrap();
    assert_eq!((since.base, since.commits), (Some(v("6.0.0")), 2));
}

#[test]
fn a_side_branch_older_than_the_base_counts_when_it_is_merged_after() {
    let lab = Lab::new();
    let root = lab.commit("chore: root");
    lab.branch("side", &root);
    let side = lab.commit("feat: side");
    lab.branch("main", &root);
    let released = lab.commit("fix: main");
    lab.light_tag("v1.0.0", &released);
    let merged = lab.merge("Merge branch 'side'", &side);
    let since = lab.repository().since(&merged, None).unwrap();
    assert_eq!((since.base, since.bump, since.commits), (Some(v("1.0.0")), Some(Bump::Minor), 2));
}

#[test]
fn a_shallow_clone_is_fine_when_the_last_release_is_in_it() {
    let lab = Lab::new();
    lab.commit("feat: zero");
    let one = lab.commit("feat: one");
    let two = lab.commit("fix: two");
    lab.cut(&one);
    let repository = lab.repository();
    assert!(repository.head().unwrap().shallow);
    assert_eq!(repository.since(&two, Some(&base("0.2.0", &one))).unwrap().commits, 1);
    let error = repository.since(&two, None).unwrap_err().to_string();
    assert!(error.contains("git fetch --unshallow") && error.contains("fetch-depth: 0"), "{error}");
    let elsewhere = "0123456789abcdef0123456789abcdef01234567".parse().unwrap();
    let error = repository.since(&two, Some(&base("0.2.0", &elsewhere))).unwrap_err();
    assert!(matches!(error, GitError::Shallow { .. }), "{error}");
    assert_eq!(repository.ancestry(&two, &one).unwrap(), Ancestry::Newer);
    assert_eq!(repository.ancestry(&two, &elsewhere).unwrap(), Ancestry::Unknown);
}

#[test]
fn ancestry_has_five_answers() {
    let lab = Lab::new();
    let one = lab.commit("one");
    let two = lab.commit("two");
    lab.branch("other", &one);
    let other = lab.commit("other");
    let repository = lab.repository();
    let ask = |a: &CommitSha, b: &CommitSha| repository.ancestry(a, b).unwrap();
    assert_eq!(ask(&two, &one), Ancestry::Newer);
    assert_eq!(ask(&one, &one), Ancestry::Same);
    assert_eq!(ask(&one, &two), Ancestry::Older);
    assert_eq!(ask(&other, &two), Ancestry::Diverged);
    assert_eq!(ask(&two, &hex::encode([7; 20]).parse().unwrap()), Ancestry::Unknown);
    let list = repository.commits(Some(&one), &two, 10).unwrap();
    assert_eq!((list.len(), list[0].summary.as_str(), list[0].author.as_str()), (1, "two", "Ada"));
    assert_eq!(repository.commits(None, &two, 1).unwrap()[0].commit, two);
}

#[test]
fn withdrawn_commits_stay_until_they_are_reverted() {
    let lab = Lab::new();
    let good = lab.commit("good");
    let bad = lab.commit("feat: bad");
    let next = lab.commit("docs: next");
    let revert = lab.commit(&format!("Revert \"bad\"\n\nThis reverts commit {bad}."));
    let again = lab.commit(&format!("Reapply \"bad\"\n\nThis reverts commit {revert}."));
    let repository = lab.repository();
    let ask = |target: &CommitSha| repository.withdrawal(target, &bad, &good).unwrap();
    assert_eq!(ask(&good), Withdrawal::Absent);
    assert_eq!(ask(&bad), Withdrawal::Present(vec![bad.clone()]));
    assert_eq!(ask(&next), Withdrawal::Present(vec![bad.clone()]));
    assert_eq!(ask(&revert), Withdrawal::Reverted);
    assert_eq!(ask(&again), Withdrawal::Present(vec![bad.clone()]));
    assert_eq!(ask(&hex::encode([7; 20]).parse().unwrap()), Withdrawal::Unknown);
    // Two withdrawn, one of them reverted.
    let both = repository.withdrawal(&revert, &next, &good).unwrap();
    assert_eq!(both, Withdrawal::Present(vec![next]));
}

#[test]
fn reverting_a_merge_reverts_what_it_brought() {
    let lab = Lab::new();
    let good = lab.commit("good");
    lab.branch("side", &good);
    lab.commit("feat: a");
    let side = lab.commit("feat: b");
    lab.branch("main", &good);
    let merge = lab.merge("Merge branch 'side'", &side);
    let repository = lab.repository();
    let held = repository.withdrawal(&merge, &merge, &good).unwrap();
    assert!(matches!(&held, Withdrawal::Present(commits) if commits.len() == 2), "{held:?}");
    let revert = lab.commit(&format!(
        "Revert \"side\"\n\nThis reverts commit {merge}, reversing\nchanges made to {good}."
    ));
    assert_eq!(repository.withdrawal(&revert, &merge, &good).unwrap(), Withdrawal::Reverted);
}

#[test]
fn an_export_is_the_commit_and_always_the_same_bytes() {
    use std::os::unix::fs::PermissionsExt as _;
    let lab = Lab::new();
    lab.write("app/run.sh", "#!/bin/sh\n");
    let run = lab.dir.path().join("app/run.sh");
    std::fs::set_permissions(&run, std::fs::Permissions::from_mode(0o755)).unwrap();
    lab.write("app/lib/a.py", "print(1)\n");
    lab.write("app/big", "version https://git-lfs.github.com/spec/v1\noid sha256:1\n");
    lab.write("outside", "x");
    std::os::unix::fs::symlink("lib/a.py", lab.dir.path().join("app/link")).unwrap();
    let commit = lab.commit("feat: x");
    lab.write("app/lib/a.py", "changed and not committed");
    lab.write("app/untracked", "x");
    let repository = lab.repository();
    let at = repository.head().unwrap().committed_at;
    let keep = |path: &str, _: bool| path != "big";
    let export = repository.export(&commit, Path::new("./app"), at, &all).unwrap();
    assert_eq!(export, repository.export(&commit, Path::new("app/"), at, &all).unwrap());
    assert_eq!(export.pointers, ["big"]);
    assert!(repository.export(&commit, Path::new("app"), at, &keep).unwrap().pointers.is_empty());
    let mut archive = tar::Archive::new(export.tar.as_slice());
    let mut found = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        let header = entry.header();
        assert_eq!(header.mtime().unwrap(), 1_700_000_060);
        let link = entry.link_name().unwrap().map(|l| l.display().to_string()).unwrap_or_default();
        found.push((path, header.mode().unwrap(), if link.is_empty() { content } else { link }));
    }
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:1\n";
    let expected = [
        ("big", 0o644, pointer),
        ("lib/", 0o755, ""),
        ("lib/a.py", 0o644, "print(1)\n"),
        ("link", 0o777, "lib/a.py"),
        ("run.sh", 0o755, "#!/bin/sh\n"),
    ];
    assert_eq!(found, expected.map(|(path, mode, content)| (path.into(), mode, content.into())));
    for no in ["nowhere", "outside", "../x", "/etc"] {
        let error = repository.export(&commit, Path::new(no), at, &all).unwrap_err();
        assert!(matches!(error, GitError::NoDirectory { .. }), "{no}: {error}");
    }
    assert_eq!(repository.file(&commit, Path::new("./outside")).unwrap().unwrap(), b"x");
    let dirty = repository.work_tree().unwrap();
    assert_eq!(repository.file(&dirty, Path::new("app/untracked")).unwrap().unwrap(), b"x");
    assert_eq!(repository.head().unwrap().dirty, ["app/lib/a.py", "app/untracked"], "the index is as it was");
    assert_eq!(repository.file(&commit, Path::new("app/none")).unwrap(), None);
}

#[test]
fn a_tag_is_put_and_pushed_once_and_never_moved() {
    let lab = Lab::new();
    let one = lab.commit("one");
    let two = lab.commit("two");
    let repository = lab.repository();
    let put =
        |commit: &CommitSha| repository.tag("v1.0.0", commit, "digest", "Ada <x>", state::time(60)).unwrap();
    assert_eq!(put(&one), Pushed::New);
    assert_eq!(put(&one), Pushed::Present);
    assert_eq!(put(&two), Pushed::Conflict(one.to_string()));
    let remote = tempfile::tempdir().unwrap();
    let there = bare(remote.path());
    lab.git.remote("origin", &format!("file://{}", remote.path().display())).unwrap();
    let push = |commit: &CommitSha| repository.push_tag("origin", "v1.0.0", commit, None).unwrap();
    assert_eq!(push(&one), Pushed::New);
    let tag = there.find_reference("refs/tags/v1.0.0").unwrap();
    assert_eq!(tag.peel_to_commit().unwrap().id().to_string(), one.as_str());
    assert_eq!(tag.peel_to_tag().unwrap().message().unwrap(), Some("digest"));
    assert_eq!(push(&one), Pushed::Present);
    assert_eq!(push(&two), Pushed::Conflict(one.to_string()));
    assert!(repository.push_tag("nowhere", "v1.0.0", &one, None).is_err());
    lab.git.remote("ssh", "git@example.com:a/b.git").unwrap();
    let error = repository.push_tag("ssh", "v1.0.0", &one, None).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("git push ssh v1.0.0"), "{cause}");
}
