//! 200 requests a second, half of them over kept connections, while something happens.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::lab::root;

/// A load that runs; dropped without a result it is ended.
pub(crate) struct Load {
    child: Child,
    output: PathBuf,
}

impl Load {
    /// Starts it.
    pub(crate) fn on(url: &str, directory: &std::path::Path) -> Self {
        let output = directory.join("load.json");
        let _ = std::fs::remove_file(&output);
        let child = Command::new("python3")
            .arg(root().join("tests/lab/load.py"))
            .args([
                &format!("{url}/"),
                "--rate",
                "200",
                "--keep-alive",
                "0.5",
                "--seconds",
                "1200",
                "--output",
            ])
            .arg(&output)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3 is there");
        Self { child, output }
    }

    /// Ends it; its result.
    pub(crate) fn end(mut self) -> Value {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("the load runs");
        super::eventually("the load ends", Duration::from_secs(30), || {
            self.child.try_wait().expect("it is a child").is_some()
        });
        let text = std::fs::read_to_string(&self.output).expect("the load writes its result");
        serde_json::from_str(&text).expect("its result is JSON")
    }

    /// Ends it; not one request may have failed.
    #[track_caller]
    pub(crate) fn end_without_a_failure(self) -> Value {
        let result = self.end();
        assert!(result["requests"].as_u64() > Some(400), "too few requests to prove anything: {result:#}");
        assert_eq!((&result["failed"], &result["skipped"]), (&0.into(), &0.into()), "{result:#}");
        result
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
