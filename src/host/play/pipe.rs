//! Content that one process may read once, by a path, without ever being on a disk.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};

/// An offer that stands until it is dropped.
pub(super) struct Offer {
    path: PathBuf,
    opened: Receiver<()>,
}

/// Offers the content to whoever opens the path first.
pub(super) fn offer(path: PathBuf, content: Vec<u8>) -> io::Result<Offer> {
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
    let (tell, opened) = channel();
    let writer = OpenOptions::new().write(true).clone();
    let target = path.clone();
    // A thread, since opening waits for a reader, who may never come.
    std::thread::Builder::new().name("offer".to_owned()).spawn(move || {
        let pipe = writer.open(target);
        let _ = tell.send(());
        if let Ok(mut pipe) = pipe {
            // A reader that goes away early has ended, and says itself why.
            let _ = pipe.write_all(&content);
        }
    })?;
    Ok(Offer { path, opened })
}

impl Drop for Offer {
    fn drop(&mut self) {
        if self.opened.try_recv().is_ok() {
            return;
        }
        // Nobody came: being the reader for a moment lets the thread go on, and end.
        let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
        let reader = OpenOptions::new().read(true).custom_flags(nonblocking).open(&self.path);
        if reader.is_ok() {
            let _ = self.opened.recv_timeout(Duration::from_secs(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_whole_and_is_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        let content = vec![b'x'; 300_000];
        let offer = offer(path.clone(), content.clone()).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
        assert_eq!(std::fs::read(&path).unwrap(), content);
        drop(offer);
    }

    #[test]
    fn an_offer_that_nobody_takes_leaves_no_thread_waiting() {
        let directory = tempfile::tempdir().unwrap();
        let offer = offer(directory.path().join("pipe"), vec![b'x'; 300_000]).unwrap();
        let started = std::time::Instant::now();
        drop(offer);
        assert!(started.elapsed() < Duration::from_millis(900), "the thread did not go on");
    }
}
