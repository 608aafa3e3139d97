//! A commit's tree as a tar archive: the build context. Two exports of one commit are the same bytes.

use std::path::{Component, Path, PathBuf};

use git2::{ErrorCode, FileMode, Repository as Git, Tree};

use super::{GitError, Repository};
use crate::domain::id::CommitSha;
use crate::domain::time::Timestamp;

/// An exported tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Export {
    /// The archive.
    pub tar: Vec<u8>,
    /// Submodules: their files are not in the commit.
    pub submodules: Vec<String>,
    /// Git LFS pointers, which went in instead of the files that they stand for.
    pub pointers: Vec<String>,
}

struct Writer<'a> {
    git: &'a Git,
    tar: tar::Builder<Vec<u8>>,
    mtime: u64,
    keep: &'a dyn Fn(&str, bool) -> bool,
    out: Export,
}

impl Repository {
    /// The files of a directory of a commit (or a tree) as a tar archive, with executable bits and links, all
    /// times `at`. `keep` is asked for each path (relative to the directory, and whether it is a directory).
    ///
    /// # Errors
    /// When the commit or the directory is not there, or an object cannot be read.
    pub fn export(
        &self,
        from: &CommitSha,
        directory: &Path,
        at: Timestamp,
        keep: &dyn Fn(&str, bool) -> bool,
    ) -> Result<Export, GitError> {
        let git = self.open()?;
        let tree = self.subtree(&git, from, directory)?;
        let mut writer = Writer {
            git: &git,
            tar: tar::Builder::new(Vec::new()),
            mtime: u64::try_from(at.utc().timestamp()).unwrap_or(0),
            keep,
            out: Export::default(),
        };
        let failed = |e| self.error("the commit's files cannot be exported", e);
        writer.tree(&tree, "").map_err(failed)?;
        let Writer { tar, mut out, .. } = writer;
        out.tar = tar.into_inner().map_err(|e| failed(io(e)))?;
        Ok(out)
    }

    /// A file of a commit (or a tree); none when it is not there.
    ///
    /// # Errors
    /// When the commit is not there or an object cannot be read.
    pub fn file(&self, from: &CommitSha, path: &Path) -> Result<Option<Vec<u8>>, GitError> {
        let git = self.open()?;
        let tree = self.root_tree(&git, from)?;
        let Some(path) = clean(path).filter(|path| !path.as_os_str().is_empty()) else { return Ok(None) };
        let read = || match tree.get_path(&path) {
            Ok(entry) => entry.to_object(&git)?.peel_to_blob().map(|blob| Some(blob.content().to_vec())),
            Err(e) if e.code() == ErrorCode::NotFound => Ok(None),
            Err(e) => Err(e),
        };
        read().map_err(|e| self.error("a file of the commit cannot be read", e))
    }

    /// The work tree as it is, with what is neither tracked nor ignored, as a tree. Writes objects that nothing
    /// refers to, and neither the index nor a file.
    ///
    /// # Errors
    /// When a file cannot be read or an object not be written.
    pub fn work_tree(&self) -> Result<CommitSha, GitError> {
        let git = self.open()?;
        let write = || {
            let mut index = git.index()?;
            index.add_all(["*"], git2::IndexAddOption::DEFAULT, None)?;
            index.update_all(["*"], None)?;
            index.write_tree_to(&git)
        };
        self.sha(write().map_err(|e| self.error("the work tree cannot be read", e))?)
    }

    fn root_tree<'g>(&self, git: &'g Git, from: &CommitSha) -> Result<Tree<'g>, GitError> {
        match git.find_object(self.oid(from)?, None) {
            Ok(object) => object.peel_to_tree().map_err(|e| self.error("a tree cannot be read", e)),
            Err(e) if e.code() == ErrorCode::NotFound => {
                Err(GitError::Missing { commit: from.clone(), path: self.root.clone() })
            }
            Err(e) => Err(self.error("a tree cannot be read", e)),
        }
    }

    fn subtree<'g>(&self, git: &'g Git, from: &CommitSha, directory: &Path) -> Result<Tree<'g>, GitError> {
        let no = || GitError::NoDirectory { directory: directory.to_owned(), commit: from.clone() };
        let tree = self.root_tree(git, from)?;
        let path = clean(directory).ok_or_else(no)?;
        if path.as_os_str().is_empty() {
            return Ok(tree);
        }
        let entry = tree.get_path(&path).map_err(|_| no())?;
        let object = entry.to_object(git).map_err(|e| self.error("a tree cannot be read", e))?;
        object.into_tree().map_err(|_| no())
    }
}

/// The path without `.`; none when it leaves the repository.
fn clean(path: &Path) -> Option<PathBuf> {
    path.components()
        .filter(|part| *part != Component::CurDir)
        .map(|part| match part {
            Component::Normal(name) => Some(name),
            _ => None,
        })
        .collect()
}

fn io(error: std::io::Error) -> git2::Error {
    git2::Error::from_str(&error.to_string())
}

impl Writer<'_> {
    fn tree(&mut self, tree: &Tree<'_>, prefix: &str) -> Result<(), git2::Error> {
        for entry in tree {
            let path = format!("{prefix}{}", entry.name()?);
            let mode = entry.filemode();
            if mode == i32::from(FileMode::Tree) {
                let below = entry.to_object(self.git)?.peel_to_tree()?;
                if (self.keep)(&path, true) {
                    self.file(&format!("{path}/"), tar::EntryType::Directory, 0o755, &[]).map_err(io)?;
                }
                self.tree(&below, &format!("{path}/"))?;
                continue;
            }
            if !(self.keep)(&path, false) {
                continue;
            }
            if mode == i32::from(FileMode::Commit) {
                self.out.submodules.push(path);
                continue;
            }
            let blob = entry.to_object(self.git)?.peel_to_blob()?;
            if mode == i32::from(FileMode::Link) {
                self.link(&path, blob.content()).map_err(io)?;
                continue;
            }
            if blob.size() < 1024 && blob.content().starts_with(LFS) {
                self.out.pointers.push(path.clone());
            }
            let mode = if mode == i32::from(FileMode::BlobExecutable) { 0o755 } else { 0o644 };
            self.file(&path, tar::EntryType::Regular, mode, blob.content()).map_err(io)?;
        }
        Ok(())
    }

    fn header(&self, kind: tar::EntryType, mode: u32, size: usize) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_mtime(self.mtime);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(size as u64);
        header
    }

    fn file(&mut self, path: &str, kind: tar::EntryType, mode: u32, content: &[u8]) -> std::io::Result<()> {
        let mut header = self.header(kind, mode, content.len());
        self.tar.append_data(&mut header, path, content)
    }

    fn link(&mut self, path: &str, target: &[u8]) -> std::io::Result<()> {
        use std::os::unix::ffi::OsStrExt as _;
        let mut header = self.header(tar::EntryType::Symlink, 0o777, 0);
        self.tar.append_link(&mut header, path, Path::new(std::ffi::OsStr::from_bytes(target)))
    }
}

/// How a Git LFS pointer begins (Git LFS specification, "The Pointer").
const LFS: &[u8] = b"version https://git-lfs.github.com/spec/";
