//! The roles that bring a host into shape: what they are given, and one digest over all that makes a difference.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::{Map, Value};

use super::play::inventory::Way;
use super::play::outcome::{self, Outcome};
use super::play::{Owner, Play, PlayError, Played, Tool};
use super::wire::redact::Redactor;
use super::wire::{Command, HostAddress, HostError, HostErrorCode};
use super::{Identity, Replies, Reply};
use crate::domain::id::Digest;

/// What of the directory decides how a host looks.
const RELEVANT: [&str; 2] = ["roles", "site.yml"];
/// What of `monitoring/` lies on hosts where the role of that name is on. Its dashboards do not.
const MONITORING: [&str; 2] = ["prometheus", "alertmanager"];

/// The roles with everything that they are given.
#[derive(Debug, Clone)]
pub struct Roles {
    /// The directory with `site.yml` and `perform.yml`.
    pub directory: PathBuf,
    /// The static `relman-host` for the hosts.
    pub binary: PathBuf,
    /// Repositories whose images the hosts may run.
    pub repositories: Vec<String>,
    /// The path of the health check.
    pub health_path: String,
    /// What the user set for the roles; wins over what relman sets.
    pub vars: Map<String, Value>,
    /// Worked out once: it reads every file.
    pub digest: OnceLock<Digest>,
}

impl Roles {
    /// The digest of files, variables and binary. A file that cannot be read makes a digest that no host has, so
    /// that hosts are configured, and [`Roles::configure`] says what is wrong.
    pub fn configuration(&self, identity: &Identity) -> Digest {
        let compute = || {
            let content = self.content(identity);
            content.unwrap_or_else(|error| {
                Digest::of(format!("{}: {error}", self.directory.display()).as_bytes())
            })
        };
        self.digest.get_or_init(compute).clone()
    }

    fn content(&self, identity: &Identity) -> io::Result<Digest> {
        let mut files = Vec::new();
        for name in RELEVANT {
            collect(&self.directory.join(name), &mut files)?;
        }
        if self.vars.get("monitoring_enabled") == Some(&Value::Bool(true)) {
            let directory = self.monitoring();
            for name in MONITORING {
                collect(&directory.join(name), &mut files)?;
            }
        }
        files.sort();
        let mut parts = vec![Value::Object(self.variables(identity)).to_string()];
        for file in files.iter().chain([&self.binary]) {
            let digest = Digest::of(&std::fs::read(file)?);
            let name = file.strip_prefix(&self.directory).unwrap_or(Path::new("relman-host"));
            parts.push(format!("{digest} {}", name.display()));
        }
        Ok(Digest::of(parts.join("\n").as_bytes()))
    }

    /// Where the role `monitoring` takes its files from: what the user says, or what its default says.
    fn monitoring(&self) -> PathBuf {
        let given = self.vars.get("monitoring_files").and_then(Value::as_str);
        given.map_or_else(|| self.directory.join("../monitoring"), PathBuf::from)
    }

    /// What the roles are given, but for what follows from it.
    fn variables(&self, identity: &Identity) -> Map<String, Value> {
        let mut variables = Map::new();
        variables.insert("proxy_service".into(), identity.service.as_str().into());
        variables.insert("proxy_health_path".into(), self.health_path.as_str().into());
        variables.insert("relman_host_repositories".into(), self.repositories.clone().into());
        variables.extend(self.vars.clone());
        variables
    }

    /// Brings hosts into shape, and asks them what is so then.
    pub(super) async fn configure(
        &self,
        identity: &Identity,
        tool: &Tool,
        way: &Way,
        hosts: &[&HostAddress],
    ) -> Replies {
        if !self.binary.is_file() {
            let message = format!("there is no relman-host for the hosts at {}", self.binary.display());
            return all(hosts, &HostError::new(HostErrorCode::Playbook, message));
        }
        let mut variables = self.variables(identity);
        variables.insert("relman_host_binary".into(), self.binary.to_string_lossy().into());
        variables.insert("relman_host_configured".into(), self.configuration(identity).as_str().into());
        variables.insert(REQUEST.into(), encoded(identity, &Command::Observe {}).into());
        let playbook = self.directory.join("site.yml");
        let play = Play { tool, owner: Owner::Relman, playbook: &playbook, hosts, way, variables };
        replies(hosts, play.run().await, Outcome::observation).without(&Redactor::default())
    }
}

/// The variable that carries a request.
pub(super) const REQUEST: &str = "relman_request";

/// A request in hex: nothing in it can be taken for a template.
pub(super) fn encoded(identity: &Identity, command: &Command) -> String {
    // A request is made of maps with text keys: it always has a form in JSON.
    hex::encode(serde_json::to_vec(&identity.request(command)).unwrap_or_default())
}

/// The same error for each host.
pub(super) fn all(hosts: &[&HostAddress], error: &HostError) -> Replies {
    let reply = |host: &&HostAddress| Reply { host: host.name.clone(), result: Err(error.clone()) };
    Replies { replies: hosts.iter().map(reply).collect(), log: None }
}

/// One reply for each host: from its outcome, or for the whole run when it said nothing.
pub(super) fn replies(
    hosts: &[&HostAddress],
    played: Result<Played, PlayError>,
    read: impl Fn(&Outcome) -> super::HostResult,
) -> Replies {
    let played = match played {
        Ok(played) => played,
        Err(error) => return all(hosts, &HostError::new(HostErrorCode::Playbook, error.to_string())),
    };
    let silent = || {
        let message =
            format!("ansible-playbook said nothing of this host: {}", outcome::last_line(&played.log));
        Err(HostError::new(HostErrorCode::Playbook, message))
    };
    let reply = |host: &&HostAddress| Reply {
        host: host.name.clone(),
        result: played.outcomes.get(&host.name).map_or_else(silent, &read),
    };
    let replies = hosts.iter().map(reply).collect();
    Replies { replies, log: Some(played.log) }
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        // Editors and Python leave things behind that no host gets to see.
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with('.') && !name.ends_with('~') && name != "__pycache__" {
            collect(&entry.path(), files)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::Token;

    fn identity() -> Identity {
        Identity {
            ledger: Token::from_bits([1; 16]),
            service: "web".parse().unwrap(),
            environment: "production".parse().unwrap(),
        }
    }

    fn roles(directory: &Path) -> Roles {
        Roles {
            directory: directory.to_owned(),
            binary: directory.join("relman-host"),
            repositories: vec!["registry.example/web".to_owned()],
            health_path: "/healthz".to_owned(),
            vars: Map::new(),
            digest: OnceLock::new(),
        }
    }

    #[test]
    fn the_digest_follows_what_makes_a_difference_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let write = |name: &str, text: &str| {
            let file = path.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        let digest = || roles(path).configuration(&identity());
        let unreadable = digest();
        write("site.yml", "a");
        write("roles/base/tasks/main.yml", "b");
        write("relman-host", "c");
        let first = digest();
        assert_ne!(first, unreadable);
        write("README.md", "x");
        write("roles/base/tasks/main.yml~", "x");
        write("roles/base/tasks/.main.yml.swp", "x");
        assert_eq!(digest(), first);
        for name in ["site.yml", "roles/base/tasks/main.yml", "relman-host", "roles/base/tasks/more.yml"] {
            let before = digest();
            write(name, "changed");
            assert_ne!(digest(), before, "{name}");
        }
        let mut watched = roles(path);
        watched.vars.insert("monitoring_enabled".into(), true.into());
        watched.vars.insert("monitoring_files".into(), path.join("watch").to_str().into());
        let watching = || Roles { digest: OnceLock::new(), ..watched.clone() }.configuration(&identity());
        write("watch/prometheus/rules/alerts.yml", "d");
        write("watch/alertmanager/alertmanager.yml", "e");
        let first = watching();
        write("watch/grafana/service.json", "no host has it");
        assert_eq!(watching(), first);
        write("watch/prometheus/rules/alerts.yml", "changed");
        assert_ne!(watching(), first, "the rules of alerts are on hosts");
        let mut other = roles(path);
        other.vars.insert("proxy_http_port".into(), 8080.into());
        assert_ne!(other.configuration(&identity()), digest());
    }
}
