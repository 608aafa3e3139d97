//! Files that outlive a crash, and the two locks of a service.
//!
//! Traffic and preparing have a lock each: whoever sends traffic back never waits behind a pull. A state is only
//! written under the traffic lock, which is held for moments.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use super::state::{SCHEMA, State};
use super::{Host, metrics};
use crate::domain::id::ServiceName;
use crate::host::wire::{Command, HostError, HostErrorCode, Request};

/// A lock, given back when it is dropped, also by a process that is killed.
pub(super) struct Lock {
    _file: File,
}

/// Which of the two locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LockKind {
    /// Routing and state.
    Traffic,
    /// Containers of a slot that takes no traffic.
    Prepare,
}

impl LockKind {
    fn file(self) -> &'static str {
        match self {
            Self::Traffic => "traffic.lock",
            Self::Prepare => "prepare.lock",
        }
    }

    fn patience(self) -> Duration {
        match self {
            Self::Traffic => Duration::from_secs(30),
            Self::Prepare => Duration::from_secs(300),
        }
    }
}

/// A failure with a file of relman's own.
pub(super) fn failed(what: &str, path: &Path, error: &io::Error) -> HostError {
    HostError::new(HostErrorCode::State, format!("{what} {}: {error}", path.display()))
}

/// Replaces a file so that after a crash there is the old content or the new one.
pub(super) fn write_durably(path: &Path, content: &[u8], mode: u32) -> Result<(), HostError> {
    let write = || -> io::Result<()> {
        let temporary = path.with_extension("tmp");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        let parent = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        File::open(parent)?.sync_all()
    };
    write().map_err(|error| failed("cannot write", path, &error))
}

/// The files of one service.
pub(super) struct Store<'a> {
    host: &'a Host<'a>,
    service: ServiceName,
}

impl<'a> Store<'a> {
    /// The files of this service.
    pub(super) fn new(host: &'a Host<'a>, service: &ServiceName) -> Self {
        Self { host, service: service.clone() }
    }

    /// What is remembered, if this host has seen the service.
    pub(super) fn load(&self) -> Result<Option<State>, HostError> {
        let path = self.host.paths.service(&self.service).join("state.json");
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("cannot read", &path, &error)),
        };
        let state: State = serde_json::from_slice(&bytes).map_err(|error| {
            HostError::new(HostErrorCode::State, format!("{} is damaged: {error}", path.display()))
        })?;
        if state.schema != SCHEMA || state.service != self.service {
            return Err(HostError::new(
                HostErrorCode::State,
                format!(
                    "{} is of schema {} and service {}, expected {SCHEMA} and {}",
                    path.display(),
                    state.schema,
                    state.service,
                    self.service
                ),
            ));
        }
        Ok(Some(state))
    }

    /// Remembers. The caller holds the traffic lock.
    pub(super) fn save(&self, state: &State) -> Result<(), HostError> {
        let path = self.host.paths.service(&self.service).join("state.json");
        let text = serde_json::to_vec_pretty(state)
            .map_err(|error| HostError::new(HostErrorCode::State, format!("state: {error}")))?;
        write_durably(&path, &text, 0o600)?;
        metrics::write(self.host, state);
        Ok(())
    }

    /// Takes a lock, waiting its turn.
    pub(super) async fn lock(&self, kind: LockKind) -> Result<Lock, HostError> {
        let directory = self.host.paths.service(&self.service);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(|error| failed("cannot make", &directory, &error))?;
        let path = directory.join(kind.file());
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| failed("cannot open", &path, &error))?;
        let since = self.host.clock.elapsed();
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Lock { _file: file }),
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {}
                Err(error) => return Err(failed("cannot lock", &path, &error.into())),
            }
            let waited = self.host.clock.elapsed().saturating_sub(since);
            if waited > kind.patience() {
                return Err(HostError::new(
                    HostErrorCode::State,
                    format!("another relman-host has held {} for {} s", path.display(), waited.as_secs()),
                ));
            }
            self.host.clock.sleep(Duration::from_millis(50)).await;
        }
    }

    /// Changes the state whoever holds the lease: for what only tidies up. A service never seen: nothing.
    pub(super) async fn tidy(&self, change: impl FnOnce(&mut State)) -> Result<(), HostError> {
        let _lock = self.lock(LockKind::Traffic).await?;
        let Some(before) = self.load()? else { return Ok(()) };
        let mut state = before.clone();
        change(&mut state);
        if state == before { Ok(()) } else { self.save(&state) }
    }

    /// Changes the state as the request's holder, who must be the newest: checked and written under the lock, which
    /// is handed back so that what follows from the change happens under it.
    pub(super) async fn change<T>(
        &self,
        request: &Request,
        change: impl FnOnce(&mut State) -> Result<T, HostError>,
    ) -> Result<(T, State, Lock), HostError> {
        let lock = self.lock(LockKind::Traffic).await?;
        let before = self.load()?;
        let mut state = before.clone().unwrap_or_else(|| {
            State::new(request.ledger.clone(), request.service.clone(), request.environment.clone())
        });
        state.belongs(&request.ledger, &request.environment)?;
        let Some(authority) = request.command.authority() else {
            return Err(HostError::new(HostErrorCode::Refused, "a change needs an authority"));
        };
        if !matches!(request.command, Command::Reopen { .. }) {
            state.open()?;
        }
        state.admit(&authority.fence)?;
        let admitted = state.clone();
        let result = change(&mut state);
        // A newer holder is remembered also when what it asked for is refused.
        let keep = if result.is_ok() { &state } else { &admitted };
        if before.as_ref() != Some(keep) {
            self.save(keep)?;
        }
        Ok((result?, state, lock))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::onhost::paths::Paths;
    use crate::onhost::properties::sample;

    #[tokio::test]
    async fn a_state_reads_back_and_a_damaged_one_is_told() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::under(root.path());
        let host = Host { paths: &paths, clock: &SystemClock };
        let request = sample::claim(1, 1);
        let store = Store::new(&host, &request.service);
        assert!(store.load().unwrap().is_none());
        let ((), state, lock) = store.change(&request, |_| Ok(())).await.unwrap();
        drop(lock);
        assert_eq!(store.load().unwrap().unwrap(), state);
        assert_eq!(state.fence.unwrap().number, 1);
        fs::write(paths.service(&request.service).join("state.json"), "{").unwrap();
        let error = store.load().unwrap_err();
        assert_eq!(error.code, HostErrorCode::State);
        assert!(error.message.contains("damaged"), "{}", error.message);
    }

    #[tokio::test]
    async fn invariant_3_an_older_holder_is_refused_and_a_newer_one_remembered_even_when_refused() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::under(root.path());
        let host = Host { paths: &paths, clock: &SystemClock };
        let store = Store::new(&host, &sample::claim(1, 1).service);
        let no = || HostError::new(HostErrorCode::Refused, "no");
        drop(store.change(&sample::claim(2, 1), |_| Ok(())).await.unwrap());
        for (number, holder) in [(1, 1), (2, 2)] {
            let error = store.change(&sample::claim(number, holder), |_| Ok(())).await.err().unwrap();
            assert_eq!(error.code, HostErrorCode::Fenced);
        }
        assert!(store.change(&sample::claim(5, 1), |_| Err::<(), _>(no())).await.is_err());
        assert_eq!(store.load().unwrap().unwrap().fence.unwrap().number, 5);
    }

    #[tokio::test]
    async fn the_two_locks_do_not_wait_for_each_other() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::under(root.path());
        let host = Host { paths: &paths, clock: &SystemClock };
        let store = Store::new(&host, &sample::claim(1, 1).service);
        let prepare = store.lock(LockKind::Prepare).await.unwrap();
        let traffic = tokio::time::timeout(Duration::from_secs(5), store.lock(LockKind::Traffic)).await;
        assert!(traffic.unwrap().is_ok());
        let second = tokio::time::timeout(Duration::from_millis(200), store.lock(LockKind::Prepare)).await;
        assert!(second.is_err());
        drop(prepare);
        assert!(store.lock(LockKind::Prepare).await.is_ok());
    }
}
