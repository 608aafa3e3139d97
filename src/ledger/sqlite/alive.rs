//! The proof of life of a lease's holder: an OS lock on `LEDGER.SERVICE.ENVIRONMENT.FENCE.lock`. The kernel drops it
//! when the process ends, however it ends. One file per fence, since whoever preempts a living holder needs a lock of
//! its own. Process ids prove nothing: they are used again, and differ between containers.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::domain::id::Stream;

/// Held as long as the lease is ours.
pub(super) struct Alive {
    fence: u64,
    path: PathBuf,
    _file: File,
}

/// Names hold no dots, so no two streams share a file.
fn lock_path(ledger: &Path, stream: &Stream, fence: u64) -> PathBuf {
    let mut name = ledger.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.{fence}.lock", stream.to_string().replace('/', ".")));
    ledger.with_file_name(name)
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(there) => Ok((ours.dev(), ours.ino()) == (there.dev(), there.ino())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

impl Alive {
    pub(super) fn hold(ledger: &Path, stream: &Stream, fence: u64) -> io::Result<Self> {
        let path = lock_path(ledger, stream, fence);
        // Whoever asks whether we live holds a shared lock for a moment; whoever failed to commit this fence may
        // just be removing the file.
        for _ in 0..50 {
            let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path)?;
            match file.try_lock() {
                Ok(()) if is_at(&file, &path)? => {
                    // The holder before us is dead, gave it back, or was preempted: its file says nothing any more.
                    if let Some(before) = fence.checked_sub(1) {
                        let _ = std::fs::remove_file(lock_path(ledger, stream, before));
                    }
                    return Ok(Self { fence, path, _file: file });
                }
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(2)),
                Err(TryLockError::Error(e)) => return Err(e),
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    pub(super) fn fence(&self) -> u64 {
        self.fence
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Whether nobody alive holds this fence. What cannot be found out counts as alive.
pub(super) fn is_dead(ledger: &Path, stream: &Stream, fence: u64) -> bool {
    match File::open(lock_path(ledger, stream, fence)) {
        Ok(file) => file.try_lock_shared().is_ok(),
        Err(e) => e.kind() == io::ErrorKind::NotFound,
    }
}
