//! A child process with everything that it starts.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
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
pub(in crate::host) struct Printed {
    /// Exit code; 128 and more after a signal.
    pub(in crate::host) rc: i32,
    pub(in crate::host) stdout: String,
    pub(in crate::host) stderr: String,
}

/// Runs it with this input to its end.
pub(in crate::host) async fn run(mut command: Command, input: &[u8]) -> io::Result<Printed> {
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
    let ((), stdout, stderr, status) = tokio::join!(feed, read(stdout), read(stderr), child.wait());
    let status = status?;
    group.0 = None;
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
