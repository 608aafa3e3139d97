//! A child process with everything that it starts: its own process group, which ends when relman stops waiting for it,
//! and which a relman that is killed takes with it.

pub(crate) mod folder;

use std::future::{Future, pending};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

/// Most that is kept of each stream: a playbook gone wild must not fill the memory.
const KEPT: u64 = 4 * 1024 * 1024;

/// What it has to end after it was asked to.
const GRACE: Duration = Duration::from_secs(3);

/// Ends the group when it is dropped before the process has ended: first asked, since Ansible then ends its
/// workers, which are sessions of their own; then for good.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = kill_process_group(group, Signal::TERM);
            std::thread::spawn(move || {
                std::thread::sleep(GRACE);
                let _ = kill_process_group(group, Signal::KILL);
            });
        }
    }
}

/// What a process printed and how it ended.
pub(crate) struct Printed {
    /// Exit code; 128 and more after a signal.
    pub(crate) rc: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Sets the signal that a child gets when its parent dies; part of util-linux, which every Debian has.
const SETPRIV: &str = "/usr/bin/setpriv";
/// What it ends with when there is no such program.
const NOT_THERE: i32 = 127;

/// A command that dies with relman: one that is left alone would hold its locks, or wait for ever.
pub(crate) struct Program {
    /// The command, for arguments, environment and directory.
    pub(crate) command: Command,
    wrapped: bool,
}

impl Program {
    /// For this program, a name on `PATH` or a path.
    pub(crate) fn new(program: &str) -> Self {
        if !Path::new(SETPRIV).exists() {
            return Self { command: Command::new(program), wrapped: false };
        }
        let mut command = Command::new(SETPRIV);
        command.args(["--pdeathsig", "TERM", "--", program]);
        Self { command, wrapped: true }
    }

    /// Runs it to its end. When `stop` is done it is asked to stop, and still waited for.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] when there is no such program, and what the system says.
    pub(crate) async fn run(self, stop: impl Future<Output = ()>) -> io::Result<Printed> {
        let printed = run_until(self.command, &[], stop).await?;
        if self.wrapped && printed.rc == NOT_THERE {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(printed)
    }
}

/// Runs it with this input to its end.
pub(crate) async fn run(command: Command, input: &[u8]) -> io::Result<Printed> {
    run_until(command, input, pending()).await
}

async fn run_until(
    mut command: Command,
    input: &[u8],
    stop: impl Future<Output = ()>,
) -> io::Result<Printed> {
    command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    let mut group = Group(pid);
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // It may end without reading: what it printed then says why.
            let _ = stdin.write_all(input).await;
        }
    };
    let ended = async { tokio::join!(feed, read(stdout), read(stderr), child.wait()) };
    let stopped = AtomicBool::new(false);
    let asked = async {
        stop.await;
        stopped.store(true, Ordering::Relaxed);
        // The process alone: what it started is its own to stop.
        if let Some(pid) = pid {
            let _ = kill_process(pid, Signal::INT);
        }
        pending::<()>().await;
    };
    let ((), stdout, stderr, status) = tokio::select! {
        ended = ended => ended,
        () = asked => return Err(io::ErrorKind::Interrupted.into()),
    };
    let status = status?;
    // What a process that was stopped has left behind goes with the group.
    if !stopped.load(Ordering::Relaxed) {
        group.0 = None;
    }
    let rc = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(128);
    Ok(Printed { rc, stdout, stderr })
}

async fn read(stream: Option<impl AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        let _ = (&mut stream).take(KEPT).read_to_end(&mut bytes).await;
        // The rest is read and dropped, so that nobody waits on a full pipe.
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
