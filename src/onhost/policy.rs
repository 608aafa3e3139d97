//! `/etc/relman/policy.toml`: what may run on this host, whoever asks. Without it, whoever may deploy is root.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::checks::Mount;
use super::paths::Paths;
use super::store::failed;
use crate::domain::id::ServiceName;
use crate::domain::run::RunConfig;
use crate::host::wire::{HostError, HostErrorCode, Slot};

/// The host's own limits.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Policy {
    /// `registry/repository`, or a prefix that ends with `*`.
    repositories: Vec<String>,
    /// Host directories, with what is below them; `:ro` at the end allows reading alone.
    #[serde(default)]
    mounts: Vec<String>,
    /// Free MiB that must be left where images are kept.
    #[serde(default = "default_free")]
    pub(super) min_free_mib: u64,
    /// Upper limit of a container's memory.
    #[serde(default)]
    max_memory_mib: Option<u64>,
    #[serde(default)]
    services: BTreeMap<ServiceName, Ports>,
}

/// The loopback ports of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ports {
    blue_port: u16,
    green_port: u16,
}

impl Ports {
    /// The port of a slot.
    pub(super) fn of(self, slot: Slot) -> u16 {
        match slot {
            Slot::Blue => self.blue_port,
            Slot::Green => self.green_port,
        }
    }
}

fn default_free() -> u64 {
    512
}

fn refused(message: String) -> HostError {
    HostError::new(HostErrorCode::Refused, message)
}

impl Policy {
    /// Reads it. A host without one runs nothing.
    pub(super) fn load(paths: &Paths) -> Result<Self, HostError> {
        let path = paths.policy();
        match fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text, &path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(refused(format!(
                "{} is not there: nothing may run here until the host is configured",
                path.display()
            ))),
            Err(error) => Err(failed("cannot read", &path, &error)),
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Self, HostError> {
        let policy: Self = toml::from_str(text)
            .map_err(|error| refused(format!("{} is not valid: {}", path.display(), error.message())))?;
        let mut seen = BTreeMap::new();
        for (service, ports) in &policy.services {
            for slot in Slot::ALL {
                let place = format!("{service} {slot}");
                if let Some(other) = seen.insert(ports.of(slot), place.clone()) {
                    return Err(refused(format!(
                        "{}: {other} and {place} have the same port {}",
                        path.display(),
                        ports.of(slot)
                    )));
                }
            }
        }
        Ok(policy)
    }

    /// The ports of a service.
    pub(super) fn ports(&self, service: &ServiceName) -> Result<Ports, HostError> {
        self.services.get(service).copied().ok_or_else(|| {
            refused(format!("the policy of this host names no service {service}: configure the host for it"))
        })
    }

    /// Whether this repository and this way to run it are allowed.
    pub(super) fn allows(
        &self,
        repository: &str,
        run: &RunConfig,
        mounts: &[Mount],
    ) -> Result<(), HostError> {
        if !self.repositories.iter().any(|allowed| matches(allowed, repository)) {
            return Err(refused(format!(
                "the policy of this host does not allow images of {repository:?} (allowed: {})",
                self.repositories.join(", ")
            )));
        }
        if let Some(limit) = self.max_memory_mib.filter(|limit| run.memory_mib > *limit) {
            return Err(refused(format!(
                "{} MiB of memory is more than the {limit} that the policy of this host allows",
                run.memory_mib
            )));
        }
        mounts.iter().try_for_each(|mount| self.allows_mount(mount))
    }

    fn allows_mount(&self, mount: &Mount) -> Result<(), HostError> {
        let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| PathBuf::from(path));
        // A link inside an allowed directory must not lead out of it.
        let source = real(&mount.source);
        if !source.exists() {
            return Err(refused(format!("{} is to be mounted and is not there", mount.source.display())));
        }
        let allowed = self.mounts.iter().any(|entry| match entry.strip_suffix(":ro") {
            Some(path) => mount.read_only && source.starts_with(real(Path::new(path))),
            None => source.starts_with(real(Path::new(entry))),
        });
        if allowed {
            return Ok(());
        }
        Err(refused(format!(
            "the policy of this host does not allow to mount {}{}",
            mount.source.display(),
            if mount.read_only { "" } else { " for writing" }
        )))
    }
}

fn matches(allowed: &str, repository: &str) -> bool {
    match allowed.strip_suffix('*') {
        Some(prefix) => !prefix.is_empty() && repository.starts_with(prefix),
        None => allowed == repository,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onhost::properties::sample;

    fn policy(text: &str) -> Result<Policy, HostError> {
        Policy::parse(text, Path::new("policy.toml"))
    }

    #[test]
    fn a_host_without_a_policy_runs_nothing() {
        let root = tempfile::tempdir().unwrap();
        let error = Policy::load(&Paths::under(root.path())).unwrap_err();
        assert_eq!(error.code, HostErrorCode::Refused);
        assert!(error.message.contains("configured"), "{}", error.message);
    }

    #[test]
    fn repositories_are_exact_or_a_prefix() {
        for (allowed, repository, yes) in [
            ("registry.example/web", "registry.example/web", true),
            ("registry.example/web", "registry.example/web2", false),
            ("registry.example/team/*", "registry.example/team/web", true),
            ("registry.example/team/*", "registry.example/teams/web", false),
            ("*", "anything", false),
        ] {
            assert_eq!(matches(allowed, repository), yes, "{allowed} {repository}");
        }
    }

    #[test]
    fn limits_are_kept() {
        let policy = policy(
            "repositories = [\"registry.example/web\"]\nmax_memory_mib = 100\n[services.web]\nblue_port = 1\ngreen_port = 2\n",
        )
        .unwrap();
        let mut run = sample::run();
        assert!(policy.allows("registry.example/web", &run, &[]).is_err());
        run.memory_mib = 100;
        assert!(policy.allows("registry.example/web", &run, &[]).is_ok());
        assert!(policy.allows("evil.example/web", &run, &[]).is_err());
        assert_eq!(policy.ports(&"web".parse().unwrap()).unwrap().of(Slot::Green), 2);
        assert!(policy.ports(&"api".parse().unwrap()).is_err());
    }

    #[test]
    fn a_policy_with_an_unknown_key_or_a_port_twice_is_refused() {
        for text in [
            "repositories = []\nmount = []\n",
            "repositories = []\n[services.web]\nblue_port = 1\ngreen_port = 1\n",
        ] {
            assert_eq!(policy(text).unwrap_err().code, HostErrorCode::Refused);
        }
    }

    #[test]
    fn a_mount_stays_within_what_is_allowed() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for name in ["data", "read", "database"] {
            fs::create_dir(at(name)).unwrap();
        }
        std::os::unix::fs::symlink(at("database"), at("data/out")).unwrap();
        let text = format!(
            "repositories = [\"r\"]\nmounts = [\"{}\", \"{}:ro\"]\n",
            at("data").display(),
            at("read").display()
        );
        let policy = policy(&text).unwrap();
        for (name, read_only, yes) in [
            ("data", false, true),
            ("data/out", false, false),
            ("read", true, true),
            ("read", false, false),
            ("database", true, false),
            ("data/missing", true, false),
        ] {
            let mount = Mount { source: at(name), target: "/x".to_owned(), read_only };
            assert_eq!(policy.allows_mount(&mount).is_ok(), yes, "{name} {read_only}");
        }
    }
}
