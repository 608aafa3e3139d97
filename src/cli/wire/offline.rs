//! The way to hosts when neither ledger nor cloud can be asked: what the configuration says, what the user says, and
//! what this machine remembers of the last time.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Wire, hosts};
use crate::cli::args::Way;
use crate::cli::args::values::HostAt;
use crate::cli::place::{LedgerPlace, offline_memory};
use crate::commands::error::{CommandError, ErrorKind};
use crate::commands::{Context, Site};
use crate::config::Via;
use crate::domain::id::{EnvironmentName, Token};
use crate::host::Identity;
use crate::host::wire::HostAddress;
use crate::infra::inventory::InventoryHost;
use crate::ledger::Ledger as _;
use crate::ledger::sqlite::{OpenMode, SqliteLedger};

/// What this machine remembers of an environment. It holds nothing that is secret.
#[derive(Debug, Serialize, Deserialize)]
struct Memory {
    ledger: Token,
    hosts: Vec<InventoryHost>,
}

impl Wire {
    /// Remembers hosts that the infrastructure named, for the day when it cannot be asked. It may fail: then they
    /// have to be named by hand that day.
    pub(super) async fn remember(&self, context: &Context, name: &EnvironmentName, hosts: &[InventoryHost]) {
        if hosts.is_empty() {
            return;
        }
        let (Ok(path), Ok(ledger)) = (self.memory(name), context.ledger.id().await) else { return };
        let Ok(text) = serde_json::to_vec_pretty(&Memory { ledger, hosts: hosts.to_vec() }) else { return };
        if std::fs::read(&path).is_ok_and(|old| old == text) {
            return;
        }
        // Of a ledger without a word about this environment the id may be one that was made up to read from: no host
        // obeys it, and what is remembered of the true one must stay.
        if !context.ledger.head(&context.stream(name)).await.is_ok_and(|head| head.seq > 0) {
            return;
        }
        let written = || {
            std::fs::create_dir_all(path.parent()?).ok()?;
            let new = path.with_extension("new");
            std::fs::write(&new, text).ok()?;
            std::fs::rename(new, &path).ok()
        };
        if written().is_none() {
            self.progress.note(&format!(
                "{} was not written: rollback --offline will need --hosts NAME=ADDRESS",
                path.display()
            ));
        }
    }

    fn memory(&self, name: &EnvironmentName) -> Result<PathBuf, CommandError> {
        offline_memory(&self.around, &self.config().service.name, name)
    }

    fn remembered(&self, name: &EnvironmentName) -> Option<Memory> {
        serde_json::from_slice(&std::fs::read(self.memory(name).ok()?).ok()?).ok()
    }

    /// The environment without ledger and cloud. Hosts are asked by SSH, unless there is no other than this machine.
    ///
    /// # Errors
    /// When it is not known which ledger the hosts belong to, or which hosts there are.
    pub async fn offline_site(&self, name: EnvironmentName, named: &[HostAt]) -> Result<Site, CommandError> {
        let mut settings = self.settings(&name)?.clone();
        let memory = self.remembered(&name);
        let ledger = self.ledger_id(memory.as_ref()).await?;
        let identity =
            Identity { ledger, service: self.config().service.name.clone(), environment: name.clone() };
        let way = match settings.via {
            Via::Ssm => {
                settings.via = Via::Ssh;
                Some(Way::Ssh)
            }
            Via::Ansible | Via::Ssh => Some(Way::Ssh),
            Via::Local | Via::Playbook => None,
        };
        let mut route = self.route(identity, &settings, way)?;
        let mut hosts = settings.hosts.clone();
        if let (Some(_), Some(memory)) = (&settings.terraform, memory) {
            // What is reached by Systems Manager is reached by nothing while AWS is away.
            let found: Vec<_> = memory.hosts.into_iter().filter(|host| host.ssm_id.is_none()).collect();
            hosts = hosts::addresses(&found, Via::Ssh, &mut route.login.login.bastion)?;
        }
        for one in named {
            let Some((address, port)) = one.at.clone() else { continue };
            match hosts.iter_mut().find(|host| host.name == one.name) {
                Some(host) => (host.address, host.port) = (address, port),
                None => {
                    let host = HostAddress {
                        name: one.name.clone(),
                        address,
                        port,
                        user: None,
                        host_keys: Vec::new(),
                    };
                    hosts.push(host);
                }
            }
        }
        let fleet = route.fleet(hosts);
        if fleet.hosts().is_empty() {
            let text = format!(
                "it is not known here which hosts {name} has: the infrastructure tells, and is not asked"
            );
            return Err(CommandError::new(ErrorKind::Usage, text)
                .hint("--hosts NAME=ADDRESS,…: where they are")
                .hint("relman status: while all is well, it leaves that knowledge on this machine"));
        }
        Ok(Site {
            fleet,
            name,
            run: self.config().run_in(&settings),
            secrets: self.secrets(),
            lease: self.lease(),
            infra: None,
            roster: None,
            settings,
        })
    }

    /// The ledger that the hosts belong to, by name: of the configuration, of a file that is here, or remembered.
    async fn ledger_id(&self, memory: Option<&Memory>) -> Result<Token, CommandError> {
        if let Some(id) = &self.config().ledger.id {
            return Ok(id.clone());
        }
        if let Ok(place) = self.place()
            && let LedgerPlace::File(path) = place.ledger
            && let Ok(ledger) = SqliteLedger::open(&path, OpenMode::ReadOnly)
            && let Ok(id) = ledger.id().await
        {
            return Ok(id);
        }
        memory.map(|memory| memory.ledger.clone()).ok_or_else(|| {
            CommandError::new(ErrorKind::Usage, "it is not known here which ledger the hosts belong to")
                .hint("[ledger] id in relman.toml: the value of \"ledger\" in /var/lib/relman/SERVICE/state.json on a host")
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::Meant;
    use super::*;
    use crate::cli::args::Cli;
    use crate::cli::args::values::host_at;
    use crate::cli::surroundings::Surroundings;
    use crate::cli::wire::Access;
    use crate::domain::event::Event;
    use crate::interrupt::Interrupt;
    use crate::progress::Silent;
    use clap::Parser as _;

    const CONFIG: &str = "[service]\nname = \"web\"\n[image]\nrepository = \"r.example/web\"\n[run]\nport = 1\n\
        [ledger]\nurl = \"dynamodb:relman-ledger\"\n[artifacts]\nurl = \"s3://artifacts/web\"\n";

    fn wire(root: &std::path::Path, config: &str) -> Wire {
        std::fs::write(root.join("relman.toml"), config).unwrap();
        let state = root.join("state").display().to_string();
        let around = Surroundings {
            variables: [("XDG_STATE_HOME".to_owned(), state)].into(),
            directory: root.to_owned(),
            ..Surroundings::default()
        };
        let cli = Cli::try_parse_from(["relman", "status"]).unwrap();
        Wire::new(&cli.global, around, Arc::new(Silent), Interrupt::default(), Meant::default()).unwrap()
    }

    async fn hosts(wire: &Wire, named: &[&str]) -> Result<Vec<String>, CommandError> {
        let named: Vec<HostAt> = named.iter().map(|text| host_at(text).unwrap()).collect();
        let site = wire.offline_site("production".parse().unwrap(), &named).await?;
        assert_ne!(site.fleet.way(), "ssm");
        Ok(site.fleet.hosts().iter().map(ToString::to_string).collect())
    }

    #[tokio::test]
    async fn hosts_that_the_infrastructure_named_are_remembered_by_this_machine() {
        let root = tempfile::tempdir().unwrap();
        let terraform = "[environments.production.terraform]\ndirectory = \"infra\"\n";
        let with_id =
            CONFIG.replace("url = \"dynamodb", &format!("id = \"{}\"\nurl = \"dynamodb", "ab".repeat(16)));
        let there = wire(root.path(), &format!("{with_id}{terraform}"));
        let error = hosts(&there, &[]).await.unwrap_err();
        assert!(error.message.contains("not known here which hosts"), "{error}");
        assert_eq!(hosts(&there, &["web-1=10.0.0.1"]).await.unwrap(), ["web-1"]);

        let context = Context {
            ledger: Arc::new(crate::ledger::memory::MemoryLedger::new("ab".repeat(16).parse().unwrap())),
            ..there.context(Access::Read).unwrap()
        };
        let found = |text: &str| serde_json::from_str::<InventoryHost>(text).unwrap();
        let bastion = r#"{"name":"web-1","address":"10.0.0.1","bastion":{"address":"b.example"}}"#;
        let reached = [
            found(bastion),
            found(r#"{"name":"web-2","address":"10.0.0.2","ssm_id":"i-0123456789abcdef0"}"#),
        ];
        let production = "production".parse().unwrap();
        there.remember(&context, &production, &reached).await;
        assert!(hosts(&there, &[]).await.is_err(), "a ledger without a word about it may be none");
        let held = context.draft(Event::HoldSet { reason: "a word".into() });
        context.ledger.append(&context.stream(&production), None, held).await.unwrap();
        there.remember(&context, &production, &reached).await;
        // Systems Manager is a part of what is away.
        assert_eq!(hosts(&there, &[]).await.unwrap(), ["web-1"]);
        assert_eq!(hosts(&there, &["web-3=10.0.0.3"]).await.unwrap(), ["web-1", "web-3"]);
        // A ledger that is not there has an id that was made up, which no host obeys.
        let absent = Context {
            ledger: Arc::new(crate::ledger::memory::MemoryLedger::new("cd".repeat(16).parse().unwrap())),
            ..context.clone()
        };
        there.remember(&absent, &production, &reached).await;
        // The id of the ledger is remembered with them.
        let without = wire(root.path(), &format!("{CONFIG}{terraform}"));
        assert_eq!(hosts(&without, &[]).await.unwrap(), ["web-1"]);
        assert_eq!(without.remembered(&production).unwrap().ledger, "ab".repeat(16).parse().unwrap());
    }

    #[tokio::test]
    async fn without_the_id_of_the_ledger_no_host_would_obey() {
        let root = tempfile::tempdir().unwrap();
        let listed = "[environments.production]\nhosts = [{ name = \"web-1\", address = \"10.0.0.1\" }]\n";
        let wire = wire(root.path(), &format!("{CONFIG}{listed}"));
        let error = hosts(&wire, &[]).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Usage);
        assert!(error.hints[0].starts_with("[ledger] id in relman.toml"), "{error:?}");
    }
}
