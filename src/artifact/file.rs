//! Artifacts in a folder: `FOLDER/sha256/AB/CDEF…`, folders 0700, files 0600 and never changed.
//!
//! A file gets its name only when its bytes are on the disk, so what has a name is whole; and it is checked again
//! when it is read.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{ArtifactError, Artifacts, Cause};
use crate::domain::id::Digest;

/// A folder of artifacts. It is made with the first one.
#[derive(Debug, Clone)]
pub struct FileArtifacts {
    root: PathBuf,
}

impl FileArtifacts {
    /// In this folder.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        let (folder, name) = digest.hex().split_at(2);
        self.root.join("sha256").join(folder).join(name)
    }

    fn unavailable(&self, source: impl Into<Cause>) -> ArtifactError {
        ArtifactError::Unavailable { location: self.location(), transient: false, source: source.into() }
    }

    /// Runs what blocks on a thread where it may.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, ArtifactError> {
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(e)) => Err(self.unavailable(e)),
            Err(e) => Err(self.unavailable(e)),
        }
    }
}

/// Writes `bytes` at `path`, whole and durable, or not at all.
fn store(path: &Path, bytes: &[u8]) -> io::Result<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    make_folder(folder)?;
    // What lies there and is right was written by another put, whose folder may not be on the disk yet.
    if std::fs::read(path).is_ok_and(|there| there == bytes) {
        return File::open(folder)?.sync_all();
    }
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let unfinished = folder.join(format!(".{}.{number}", std::process::id()));
    let written = write(&unfinished, bytes).and_then(|()| std::fs::rename(&unfinished, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&unfinished);
    }
    written?;
    File::open(folder)?.sync_all()
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A process of this number that died may have left one: it is nobody's.
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes a folder with all above it, each durable before something is put into it.
fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent().filter(|above| !above.as_os_str().is_empty());
    if let Some(above) = above {
        make_folder(above)?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    File::open(above.unwrap_or(Path::new(".")))?.sync_all()
}

#[async_trait::async_trait]
impl Artifacts for FileArtifacts {
    fn location(&self) -> String {
        format!("file:{}", self.root.display())
    }

    async fn put(&self, bytes: &[u8]) -> Result<Digest, ArtifactError> {
        let digest = Digest::of(bytes);
        let (path, bytes) = (self.path(&digest), bytes.to_owned());
        self.blocking(move || store(&path, &bytes)).await?;
        Ok(digest)
    }

    async fn get(&self, digest: &Digest) -> Result<Vec<u8>, ArtifactError> {
        let path = self.path(digest);
        let read = self
            .blocking(move || match std::fs::read(path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
                read => read.map(Some),
            })
            .await?;
        let (digest, location) = (digest.clone(), self.location());
        let Some(bytes) = read else { return Err(ArtifactError::Missing { digest, location }) };
        let found = Digest::of(&bytes);
        if found == digest { Ok(bytes) } else { Err(ArtifactError::Corrupt { digest, location, found }) }
    }

    async fn exists(&self, digest: &Digest) -> Result<bool, ArtifactError> {
        let path = self.path(digest);
        self.blocking(move || path.try_exists()).await
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Arc;

    use tempfile::TempDir;

    use super::*;
    use crate::artifact::contract::artifact_contract;

    fn make() -> (Arc<dyn Artifacts>, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        (Arc::new(FileArtifacts::new(folder.path().join("state/artifacts"))), folder)
    }

    artifact_contract!(make());

    fn store_in(folder: &TempDir) -> FileArtifacts {
        FileArtifacts::new(folder.path().join("artifacts"))
    }

    #[tokio::test]
    async fn what_was_changed_is_not_given_out_and_can_be_put_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = store_in(&folder);
        let digest = store.put(b"plan").await.unwrap();
        for content in [&b"Plan"[..], b"pla", b""] {
            std::fs::write(store.path(&digest), content).unwrap();
            let error = store.get(&digest).await.unwrap_err();
            assert!(
                matches!(&error, ArtifactError::Corrupt { found, .. } if *found == Digest::of(content)),
                "{error:?}"
            );
            store.put(b"plan").await.unwrap();
            assert_eq!(store.get(&digest).await.unwrap(), b"plan");
        }
    }

    #[tokio::test]
    async fn it_is_private_and_leaves_nothing_unfinished() {
        let folder = tempfile::tempdir().unwrap();
        let store = store_in(&folder);
        let digest = store.put(b"plan").await.unwrap();
        let path = store.path(&digest);
        assert_eq!(
            path,
            folder.path().join("artifacts/sha256").join(&digest.hex()[..2]).join(&digest.hex()[2..])
        );
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        let parent = path.parent().unwrap();
        for dir in [parent, parent.parent().unwrap(), &folder.path().join("artifacts")] {
            assert_eq!(mode(dir), 0o700, "{}", dir.display());
        }
        assert_eq!(std::fs::read_dir(parent).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_place_that_cannot_be_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("artifacts"), "a file").unwrap();
        let error = store_in(&folder).put(b"plan").await.unwrap_err();
        assert!(matches!(error, ArtifactError::Unavailable { .. }), "{error:?}");
        assert!(error.to_string().contains("/artifacts is not available"), "{error}");
    }
}
