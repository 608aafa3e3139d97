//! Where everything lies on a host. Tests use another root.

use std::path::{Path, PathBuf};

use crate::domain::id::ServiceName;
use crate::host::wire::Slot;

/// Files and sockets.
#[derive(Debug, Clone)]
pub struct Paths {
    /// What lasts: `/var/lib/relman`.
    pub state: PathBuf,
    /// What a reboot takes away, in memory only: `/run/relman`.
    pub run: PathBuf,
    /// What the administrator decides: `/etc/relman`.
    pub etc: PathBuf,
    /// The proxy's admin socket.
    pub proxy_socket: PathBuf,
    /// The socket of the proxy's master process, which knows the processes that a reload left behind.
    pub proxy_master_socket: PathBuf,
    /// The container engine's socket.
    pub engine_socket: PathBuf,
    /// Registry logins, as `docker login` leaves them.
    pub registry_logins: PathBuf,
    /// Where the credential helpers of that file are looked for.
    pub helpers: [PathBuf; 2],
    /// Where node-exporter looks for metrics of others; where it is not there, nobody wants them.
    pub textfiles: PathBuf,
}

impl Paths {
    /// Those of a real host.
    pub fn system() -> Self {
        Self::under(Path::new("/"))
    }

    /// The same below another root.
    pub fn under(root: &Path) -> Self {
        Self {
            state: root.join("var/lib/relman"),
            run: root.join("run/relman"),
            etc: root.join("etc/relman"),
            proxy_socket: root.join("run/haproxy/relman.sock"),
            proxy_master_socket: root.join("run/haproxy-master.sock"),
            engine_socket: root.join("var/run/docker.sock"),
            registry_logins: root.join("root/.docker/config.json"),
            helpers: [root.join("usr/local/bin"), root.join("usr/bin")],
            textfiles: root.join("var/lib/prometheus/node-exporter"),
        }
    }

    /// Root's home: that of the registry logins.
    pub(super) fn home(&self) -> &Path {
        self.registry_logins.ancestors().nth(2).unwrap_or(&self.state)
    }

    /// State and locks of a service.
    pub fn service(&self, service: &ServiceName) -> PathBuf {
        self.state.join(service.as_str())
    }

    /// The map that says where the proxy sends a service's requests: the truth of routing.
    pub fn map(&self, service: &ServiceName) -> PathBuf {
        // No service has such a name: there is no underscore in names.
        self.state.join("_maps").join(format!("{service}.map"))
    }

    /// Secrets of a slot.
    pub fn secrets(&self, service: &ServiceName, slot: Slot) -> PathBuf {
        self.run.join(service.as_str()).join(slot.as_str()).join("secrets")
    }

    /// What this host allows.
    pub fn policy(&self) -> PathBuf {
        self.etc.join("policy.toml")
    }

    /// The hash that whoever configured the host left.
    pub fn configured(&self) -> PathBuf {
        self.etc.join("configured")
    }
}
