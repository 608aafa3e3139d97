//! Small repositories for tests.

use std::path::Path;

use git2::{Repository as Git, Signature, Time};

use super::Repository;
use crate::domain::id::CommitSha;

/// A repository in a directory of its own, whose clock ticks a minute per commit.
pub(crate) struct Lab {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) git: Git,
    ticks: std::cell::Cell<i64>,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut options = git2::RepositoryInitOptions::new();
        options.initial_head("main");
        let git = Git::init_opts(dir.path(), &options).unwrap();
        Self { dir, git, ticks: std::cell::Cell::new(0) }
    }

    pub(crate) fn repository(&self) -> Repository {
        Repository::discover(self.dir.path()).unwrap().unwrap()
    }

    pub(crate) fn write(&self, path: &str, content: &str) {
        let path = self.dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Commits the whole work tree on HEAD.
    pub(crate) fn commit(&self, message: &str) -> CommitSha {
        let parents: Vec<_> = self.git.head().ok().map(|h| h.target().unwrap()).into_iter().collect();
        self.commit_on(message, &parents)
    }

    pub(crate) fn merge(&self, message: &str, other: &CommitSha) -> CommitSha {
        let head = self.git.head().unwrap().target().unwrap();
        self.commit_on(message, &[head, git2::Oid::from_str(other.as_str()).unwrap()])
    }

    fn commit_on(&self, message: &str, parents: &[git2::Oid]) -> CommitSha {
        let mut index = self.git.index().unwrap();
        index.add_all(["*"], git2::IndexAddOption::DEFAULT, None).unwrap();
        index.update_all(["*"], None).unwrap();
        index.write().unwrap();
        let tree = self.git.find_tree(index.write_tree().unwrap()).unwrap();
        self.ticks.set(self.ticks.get() + 1);
        let time = Time::new(1_700_000_000 + self.ticks.get() * 60, 0);
        let who = Signature::new("Ada", "ada@example.com", &time).unwrap();
        let parents: Vec<_> = parents.iter().map(|oid| self.git.find_commit(*oid).unwrap()).collect();
        let parents: Vec<_> = parents.iter().collect();
        let oid = self.git.commit(Some("HEAD"), &who, &who, message, &tree, &parents).unwrap();
        oid.to_string().parse().unwrap()
    }

    /// Goes to a commit on a branch, made anew there.
    pub(crate) fn branch(&self, name: &str, at: &CommitSha) {
        let oid = git2::Oid::from_str(at.as_str()).unwrap();
        self.git.reference(&format!("refs/heads/{name}"), oid, true, "test").unwrap();
        self.git.set_head(&format!("refs/heads/{name}")).unwrap();
        self.git.reset(self.git.find_commit(oid).unwrap().as_object(), git2::ResetType::Hard, None).unwrap();
    }

    pub(crate) fn light_tag(&self, name: &str, at: &CommitSha) {
        let oid = git2::Oid::from_str(at.as_str()).unwrap();
        self.git.reference(&format!("refs/tags/{name}"), oid, true, "test").unwrap();
    }

    /// Cuts the history below a commit, as a shallow clone does.
    pub(crate) fn cut(&self, at: &CommitSha) {
        std::fs::write(self.git.path().join("shallow"), format!("{at}\n")).unwrap();
    }
}

pub(crate) fn bare(path: &Path) -> Git {
    Git::init_bare(path).unwrap()
}
