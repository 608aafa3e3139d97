//! The directory of one run. It goes away with its run; where relman was killed, with the next run of this user.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use tempfile::TempDir;

/// The pipe in it that a playbook gets its variables from.
pub(crate) const VARIABLES: &str = "variables";

const PREFIX: &str = "relman-";
/// Locked for as long as its relman lives. It gets this name with the lock on it: who sees it unlocked sees an orphan.
const LOCK: &str = "lock";
/// What a playbook gets that still waits for the variables of a relman that is gone: it is not a mapping, so the
/// playbook ends before its first task.
const NO_VARIABLES: &[u8] = b"[relman ended before it gave the variables]\n";

/// A directory that only this user may read.
pub(crate) struct Folder {
    directory: TempDir,
    _lock: File,
}

impl Folder {
    /// Makes one, and clears away those of this user that nobody holds any more.
    pub(crate) fn make() -> io::Result<Self> {
        let place = tempfile::env::temp_dir();
        sweep(&place);
        Self::make_in(&place)
    }

    fn make_in(place: &Path) -> io::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(place)?;
        let unnamed = directory.path().join("lock.new");
        let lock = File::create_new(&unnamed)?;
        lock.lock()?;
        fs::rename(unnamed, directory.path().join(LOCK))?;
        Ok(Self { directory, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }
}

/// What cannot be looked at or removed stays: the next run tries again.
fn sweep(place: &Path) {
    let me = rustix::process::geteuid().as_raw();
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let path = entry.path();
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry.metadata().is_ok_and(|found| found.is_dir() && found.uid() == me);
        let orphan = ours && File::open(path.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok());
        if orphan {
            refuse(&path.join(VARIABLES));
            let _ = fs::remove_dir_all(path);
        }
    }
}

/// Lets a playbook that waits at the pipe go on, and end. Nobody there: nothing.
fn refuse(pipe: &Path) {
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    if let Ok(mut pipe) = fs::OpenOptions::new().write(true).custom_flags(nonblocking).open(pipe) {
        let _ = pipe.write_all(NO_VARIABLES);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::mem;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn what_a_killed_run_left_goes_and_what_another_holds_stays() {
        let place = tempfile::tempdir().unwrap();
        let held = Folder::make_in(place.path()).unwrap();
        let killed = Folder::make_in(place.path()).unwrap();
        let orphan = killed.directory.keep();
        mem::drop(killed._lock);
        let pipe = orphan.join(VARIABLES);
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap();
        let mut waiting = fs::OpenOptions::new().read(true).custom_flags(nonblocking).open(pipe).unwrap();
        let another = place.path().join("relman-not-of-a-run");
        fs::create_dir(&another).unwrap();
        sweep(place.path());
        assert!(!orphan.exists());
        let mut given = Vec::new();
        waiting.read_to_end(&mut given).unwrap();
        assert_eq!(given, NO_VARIABLES);
        assert!(held.path().join(LOCK).exists());
        assert!(another.exists());
        mem::drop(held);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }
}
