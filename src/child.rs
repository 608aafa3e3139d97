//! A child process with everything that it starts: its own process group, which ends when relman stops waiting for it,
//! and which a relman that is killed takes with it.

pub(crate) mod folder;

use std::fs::File;
use std::future::{Future, pending};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

/// Most that is kept of each stream, unless a program is given more: a playbook gone wild must not fill the memory.
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
    /// Whether there was more on stdout than is kept.
    pub(crate) cut: bool,
}

/// Sets the signal that a child gets when its parent dies; part of util-linux, which every Debian has.
const SETPRIV: &str = "/usr/bin/setpriv";
/// Files that take what a program prints.
const STDOUT: &str = "stdout";
const STDERR: &str = "stderr";
/// What it ends with when there is no such program.
const NOT_THERE: i32 = 127;

/// A command that dies with relman: one that is left alone would hold its locks, or wait for ever.
pub(crate) struct Program {
    /// The command, for arguments, environment and directory.
    pub(crate) command: Command,
    wrapped: bool,
    kept: u64,
    into: Option<PathBuf>,
}

impl Program {
    /// For this program, a name on `PATH` or a path.
    pub(crate) fn new(program: &str) -> Self {
        if !Path::new(SETPRIV).exists() {
            return Self { command: Command::new(program), wrapped: false, kept: KEPT, into: None };
        }
        let mut command = Command::new(SETPRIV);
        command.args(["--pdeathsig", "TERM", "--", program]);
        Self { command, wrapped: true, kept: KEPT, into: None }
    }

    /// The same, with so many bytes kept of each stream.
    pub(crate) fn keeping(self, kept: u64) -> Self {
        Self { kept, ..self }
    }

    /// The same, with what it prints in files of this directory, which is nobody else's: a pipe that nobody reads any
    /// more ends a program at once, and one that is to end in order after relman died must be able to print on.
    pub(crate) fn printing_into(self, directory: &Path) -> Self {
        Self { into: Some(directory.to_owned()), ..self }
    }

    /// Runs it to its end. When `stop` is done it is asked to stop, and still waited for.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] when there is no such program, and what the system says.
    pub(crate) async fn run(self, stop: impl Future<Output = ()>) -> io::Result<Printed> {
        let printed = run_until(self.command, &[], self.kept, self.into.as_deref(), stop).await?;
        if self.wrapped && printed.rc == NOT_THERE {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(printed)
    }
}

/// Runs it with this input to its end.
pub(crate) async fn run(command: Command, input: &[u8]) -> io::Result<Printed> {
    run_until(command, input, KEPT, None, pending()).await
}

async fn run_until(
    mut command: Command,
    input: &[u8],
    kept: u64,
    into: Option<&Path>,
    stop: impl Future<Output = ()>,
) -> io::Result<Printed> {
    command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(directory) = into {
        command.stdout(File::create_new(directory.join(STDOUT))?);
        command.stderr(File::create_new(directory.join(STDERR))?);
    }
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
    let ended = async { tokio::join!(feed, read(stdout, kept), read(stderr, kept), child.wait()) };
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
    let ((), (stdout, cut), (stderr, _), status) = tokio::select! {
        ended = ended => ended,
        () = asked => return Err(io::ErrorKind::Interrupted.into()),
    };
    let status = status?;
    // What a process that was stopped has left behind goes with the group.
    if !stopped.load(Ordering::Relaxed) {
        group.0 = None;
    }
    let (stdout, stderr, cut) = match into {
        None => (stdout, stderr, cut),
        Some(directory) => {
            let open = |name| tokio::fs::File::open(directory.join(name));
            let (stdout, cut) = read(Some(open(STDOUT).await?), kept).await;
            (stdout, read(Some(open(STDERR).await?), kept).await.0, cut)
        }
    };
    let rc = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(128);
    Ok(Printed { rc, stdout, stderr, cut })
}

/// The beginning of a stream, and whether there was more.
async fn read(stream: Option<impl AsyncRead + Unpin>, kept: u64) -> (String, bool) {
    let (mut bytes, mut rest) = (Vec::new(), 0);
    if let Some(mut stream) = stream {
        let _ = (&mut stream).take(kept).read_to_end(&mut bytes).await;
        // The rest is read and dropped, so that nobody waits on a full pipe.
        rest = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.unwrap_or_default();
    }
    (String::from_utf8_lossy(&bytes).into_owned(), rest > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_it_prints_into_files_is_read_as_from_a_pipe() {
        let directory = tempfile::tempdir().unwrap();
        let mut program = Program::new("sh").printing_into(directory.path());
        program.command.args(["-c", "printf out; printf err >&2; exit 3"]);
        let printed = program.run(pending()).await.unwrap();
        assert_eq!((printed.stdout.as_str(), printed.stderr.as_str(), printed.rc), ("out", "err", 3));
        let mut again = Program::new("true").printing_into(directory.path());
        again.command.arg("x");
        assert!(again.run(pending()).await.is_err(), "what is there already is nobody's to write over");
    }

    #[tokio::test]
    async fn what_does_not_fit_is_told() {
        for (kept, text, cut) in [(3, "abc", true), (6, "abcdef", false)] {
            let mut program = Program::new("printf").keeping(kept);
            program.command.arg("abcdef");
            let printed = program.run(pending()).await.unwrap();
            assert_eq!((printed.stdout.as_str(), printed.cut, printed.rc), (text, cut, 0));
        }
    }
}
