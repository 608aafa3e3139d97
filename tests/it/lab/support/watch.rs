//! The monitoring of a host, asked on the host itself, and the place where its alerts arrive.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::eventually;
use super::lab::{Lab, root};

/// A monitored host, by its number.
pub(crate) struct Watch<'a> {
    lab: &'a Lab,
    number: usize,
}

impl<'a> Watch<'a> {
    /// Before the role runs: the files with the URLs, and somebody who listens there.
    pub(crate) fn prepare(lab: &'a Lab, number: usize) -> Self {
        let receiver = std::fs::read_to_string(root().join("tests/lab/receiver.py")).expect("it is there");
        lab.on_host(
            number,
            &format!(
                "mkdir -p /etc/prometheus/secrets /opt/lab
                 for what in slack webhook watchdog; do
                   printf 'http://127.0.0.1:9099/%s' $what >/etc/prometheus/secrets/${{what}}_url
                 done
                 cat >/opt/lab/receiver.py <<'END'\n{receiver}\nEND\n
                 systemd-run --quiet --unit lab-receiver python3 /opt/lab/receiver.py 9099 /opt/lab/received"
            ),
        );
        Self { lab, number }
    }

    /// What arrived at a path, oldest first.
    pub(crate) fn received(&self, path: &str) -> Vec<Value> {
        self.lab
            .on_host(self.number, "cat /opt/lab/received 2>/dev/null || true")
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"))
            .filter(|message| message["path"] == path)
            .map(|mut message| message["body"].take())
            .collect()
    }

    /// Waits for a message at a path.
    #[track_caller]
    pub(crate) fn wait_for(
        &self,
        path: &str,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut found = None;
        eventually(what, limit, || {
            std::thread::sleep(Duration::from_millis(500));
            found = self.received(path).into_iter().find(&wanted);
            found.is_some()
        });
        found.expect("it was found above")
    }

    /// The values of an instant query, each with its labels.
    pub(crate) fn query(&self, expression: &str) -> Vec<(Value, f64)> {
        let asked = format!(
            "curl -fsS --max-time 10 --get --data-urlencode query='{expression}' http://127.0.0.1:9090/api/v1/query"
        );
        let answer: Value = serde_json::from_str(&self.lab.on_host(self.number, &asked)).expect("JSON");
        let result = answer["data"]["result"].as_array().expect("a vector").clone();
        result
            .into_iter()
            .map(|sample| {
                let value = sample["value"][1].as_str().and_then(|text| text.parse().ok());
                (sample["metric"].clone(), value.expect("a number"))
            })
            .collect()
    }

    /// Waits until a query has a value.
    #[track_caller]
    pub(crate) fn eventually(&self, expression: &str, limit: Duration) {
        eventually(expression, limit, || {
            std::thread::sleep(Duration::from_millis(500));
            !self.query(expression).is_empty()
        });
    }

    /// `tests/monitoring/run live` on this host's Prometheus, through a tunnel; what it says.
    pub(crate) fn dashboards(&self) -> String {
        let port = free_port();
        let _tunnel = Tunnel::open(self.lab, self.number, port);
        let output = Command::new(root().join("tests/monitoring/run"))
            .args(["live", &format!("http://127.0.0.1:{port}")])
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "queries of the dashboards:\n{said}");
        said
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    listener.local_addr().expect("it is bound").port()
}

/// `ssh -L`, as docs/alerts.md has it.
struct Tunnel(Child);

impl Tunnel {
    fn open(lab: &Lab, number: usize, port: u16) -> Self {
        let child = Command::new("ssh")
            .args(["-N", "-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes", "-F"])
            .arg(&lab.ssh_config)
            .args(["-L", &format!("127.0.0.1:{port}:127.0.0.1:9090"), &format!("host{number}")])
            .stdin(Stdio::null())
            .spawn()
            .expect("ssh runs");
        eventually("the tunnel is open", Duration::from_secs(20), || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Self(child)
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
