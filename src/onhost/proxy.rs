//! Where HAProxy is switched. The truth is the map file, which survives reload, restart and reboot; then the
//! running process is told, and asked what it has.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::Host;
use super::stat::{self, Server};
use super::state::Route;
use super::store::{failed, write_durably};
use crate::domain::id::ServiceName;
use crate::host::wire::{HostError, HostErrorCode, Slot};

/// For one answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// For its checks to see what our probes see.
const PATIENCE: Duration = Duration::from_secs(10);

/// The proxy of this host, for one service.
pub(super) struct Proxy<'a> {
    host: &'a Host<'a>,
    service: ServiceName,
}

fn proxy_error(message: impl Into<String>) -> HostError {
    HostError::new(HostErrorCode::Proxy, message)
}

impl<'a> Proxy<'a> {
    /// For this service.
    pub(super) fn new(host: &'a Host<'a>, service: &ServiceName) -> Self {
        Self { host, service: service.clone() }
    }

    /// Sends the requests there, now and after any restart. Done already: nothing visible happens.
    pub(super) async fn route(&self, route: Route) -> Result<(), HostError> {
        // A full disk must not keep traffic on a bad release: the process is told in any case.
        let written = self.write(route);
        self.tell(route).await?;
        written
    }

    /// Where the running process sends the requests.
    pub(super) async fn routed(&self) -> Result<Option<Route>, HostError> {
        let text = self.ask(&format!("show map {}", self.map())).await?;
        Ok(stat::mapped(&text, &self.service))
    }

    /// What it says of its servers.
    pub(super) async fn servers(&self) -> Result<Vec<Server>, HostError> {
        let servers = stat::servers(&self.ask("show stat").await?);
        if servers.iter().any(|row| row.backend == format!("{}.blue", self.service)) {
            return Ok(servers);
        }
        Err(proxy_error(format!("the proxy knows no service {}: configure the host", self.service)))
    }

    /// Requests that a slot still works on, also those of processes that a reload left behind.
    pub(super) async fn busy(&self, slot: Slot) -> Result<u64, HostError> {
        let mut busy = stat::busy(&self.servers().await?, &self.service, slot);
        let master = &self.host.paths.proxy_master_socket;
        // Best effort: a proxy may run without a master.
        let Ok(processes) = ask(master, "show proc").await else { return Ok(busy) };
        for pid in stat::old_workers(&processes) {
            if let Ok(text) = ask(master, &format!("@!{pid} show stat")).await {
                busy += stat::busy(&stat::servers(&text), &self.service, slot);
            }
        }
        Ok(busy)
    }

    /// Waits until the proxy's own checks see a slot answer: after a start of either they need a moment.
    pub(super) async fn sees(&self, slot: Slot) -> Result<(), HostError> {
        let begun = self.host.clock.elapsed();
        while !stat::up(&self.servers().await?, &self.service, slot) {
            if self.host.clock.elapsed().saturating_sub(begun) > PATIENCE {
                return Err(proxy_error(format!(
                    "slot {slot} is healthy and the check of the proxy does not pass: do its port and its health \
                     path in the proxy's configuration fit?"
                )));
            }
            self.host.clock.sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Whether requests really reach the slot on trial, by the proxy's own word.
    pub(super) async fn accepts(&self, slot: Slot) -> Result<bool, HostError> {
        Ok(stat::accepted(&self.servers().await?, &self.service, slot))
    }

    /// Where the file says that requests go.
    pub(super) fn recorded(&self) -> Option<Route> {
        let text = fs::read_to_string(self.host.paths.map(&self.service)).ok()?;
        let words: Vec<&str> = text.split_whitespace().collect();
        words.strip_prefix(&[self.service.as_str()]).and_then(|rest| Route::of(rest.first()?))
    }

    /// Cuts what a slot still works on.
    pub(super) async fn cut(&self, slot: Slot) -> Result<(), HostError> {
        let words = [Route::Committed(slot), Route::Trial(slot), Route::Trial(slot.other())].map(Route::word);
        for word in words {
            self.ask(&format!("shutdown sessions server {}.{word}/{slot}", self.service)).await?;
        }
        Ok(())
    }

    fn map(&self) -> String {
        self.host.paths.map(&self.service).display().to_string()
    }

    fn write(&self, route: Route) -> Result<(), HostError> {
        let path = self.host.paths.map(&self.service);
        let line = format!("{} {}\n", self.service, route.word());
        match fs::read_to_string(&path) {
            Ok(found) if found == line => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if let Some(directory) = path.parent() {
                    let made = fs::DirBuilder::new().recursive(true).mode(0o755).create(directory);
                    made.map_err(|error| failed("cannot make", directory, &error))?;
                }
            }
            Err(error) => return Err(failed("cannot read", &path, &error)),
        }
        write_durably(&path, line.as_bytes(), 0o644)
    }

    async fn tell(&self, route: Route) -> Result<(), HostError> {
        let map = self.map();
        let mut said = String::new();
        // A reload that began before the file was written may have taken over in between: told once more then.
        for _ in 0..3 {
            if self.routed().await? == Some(route) {
                return Ok(());
            }
            said = self.ask(&format!("set map {map} {} {}", self.service, route.word())).await?;
            if said.contains("not found") {
                said = self.ask(&format!("add map {map} {} {}", self.service, route.word())).await?;
            }
        }
        if self.routed().await? == Some(route) {
            return Ok(());
        }
        Err(proxy_error(format!(
            "the proxy was told to route {} to {} and does not: {}",
            self.service,
            route.word(),
            said.trim()
        )))
    }

    async fn ask(&self, command: &str) -> Result<String, HostError> {
        ask(&self.host.paths.proxy_socket, command).await
    }
}

/// One command, one answer.
async fn ask(socket: &Path, command: &str) -> Result<String, HostError> {
    let ask = async {
        let mut stream = UnixStream::connect(socket).await?;
        stream.write_all(format!("{command}\n").as_bytes()).await?;
        // The master answers and goes on listening, until it sees that nothing more comes.
        stream.shutdown().await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        Ok::<_, io::Error>(text)
    };
    match tokio::time::timeout(TIMEOUT, ask).await {
        Ok(Ok(text)) => Ok(text),
        Ok(Err(error)) => Err(proxy_error(format!(
            "the proxy at {} does not answer ({error}): `sudo systemctl start haproxy` on the host, then \
             `relman doctor`",
            socket.display()
        ))),
        Err(_) => Err(proxy_error(format!(
            "the proxy at {} did not answer within {} s: `sudo systemctl restart haproxy` on the host, then \
             `relman doctor`",
            socket.display(),
            TIMEOUT.as_secs()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::onhost::fake;

    #[tokio::test]
    async fn the_file_is_written_the_process_told_and_asked() {
        for first in [None, Some("none"), Some("blue")] {
            let (_root, paths) = fake::root();
            let server = fake::proxy(&paths, first);
            let host = Host { paths: &paths, clock: &SystemClock };
            let web = "web".parse().unwrap();
            let proxy = Proxy::new(&host, &web);
            proxy.route(Route::Trial(Slot::Green)).await.unwrap();
            assert_eq!(proxy.routed().await.unwrap(), Some(Route::Trial(Slot::Green)));
            assert_eq!(fs::read_to_string(paths.map(&web)).unwrap(), "web trial-green\n");
            server.abort();
        }
    }

    #[tokio::test]
    async fn a_dead_proxy_is_told_of_and_the_file_is_written_all_the_same() {
        let (_root, paths) = fake::root();
        let host = Host { paths: &paths, clock: &SystemClock };
        let web = "web".parse().unwrap();
        let error = Proxy::new(&host, &web).route(Route::Committed(Slot::Blue)).await.unwrap_err();
        assert_eq!(error.code, HostErrorCode::Proxy);
        assert!(error.message.contains("systemctl start haproxy"), "{}", error.message);
        assert_eq!(fs::read_to_string(paths.map(&web)).unwrap(), "web blue\n");
    }
}
