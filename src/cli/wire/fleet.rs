//! The way to an environment's hosts.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use super::super::args::Way;
use super::super::place::known_hosts;
use super::Wire;
use crate::commands::error::{CommandError, ErrorKind};
use crate::config::{Environment, UnknownHosts, Via};
use crate::host::ansible::Ansible;
use crate::host::local::Local;
use crate::host::play::inventory::Login;
use crate::host::playbook::OwnPlaybook;
use crate::host::roles::Roles;
use crate::host::ssh::{Access as SshAccess, Ssh};
use crate::host::ssm::Ssm;
use crate::host::{Fleet, Identity};

impl Wire {
    pub(super) fn fleet(
        &self,
        identity: Identity,
        settings: &Environment,
        way: Option<Way>,
    ) -> Result<Arc<dyn Fleet>, CommandError> {
        let tool = self.ansible();
        let access = &settings.access;
        let record = match access.unknown_hosts {
            UnknownHosts::Refuse => None,
            UnknownHosts::PinOnFirstUse => Some(known_hosts(&self.place()?, &self.around)?),
        };
        let login = || Login {
            user: access.user.clone(),
            key: access.key.as_ref().map(|path| self.file(path)),
            known_hosts: access.known_hosts.as_ref().map(|path| self.file(path)),
            record: record.clone(),
            bastion: access.bastion.clone(),
        };
        let hosts = settings.hosts.clone();
        let via = match (way, settings.via) {
            (None, via) => via,
            (Some(Way::Ssh), Via::Ansible | Via::Ssh) => Via::Ssh,
            (Some(Way::Ansible), Via::Ansible | Via::Ssh) => Via::Ansible,
            (Some(_), Via::Local | Via::Playbook | Via::Ssm) => {
                let text = "--via is for environments whose via is ansible or ssh";
                return Err(CommandError::new(ErrorKind::Usage, text).hint("leave --via out"));
            }
        };
        Ok(match via {
            Via::Ansible => Arc::new(Ansible::new(identity, tool, hosts, login(), self.roles()?)),
            Via::Ssh => {
                // Who asks for the quick way does not want hosts to be configured on it.
                let roles = if way.is_none() { Some(self.roles()?) } else { None };
                Arc::new(Ssh::new(identity, tool, hosts, self.access(login()), roles))
            }
            Via::Ssm => {
                let document = access.ssm_document.clone();
                Arc::new(Ssm::new(identity, hosts, document, self.aws.clone(), self.clock.clone()))
            }
            Via::Local => {
                let name = match hosts.into_iter().next() {
                    Some(host) => host.name,
                    None => "local".parse().map_err(|e| {
                        CommandError::new(ErrorKind::Bug, "the local host has no name").caused_by(e)
                    })?,
                };
                Arc::new(Local::new(identity, tool, name, self.roles()?))
            }
            Via::Playbook => {
                let playbook = settings.playbook.clone().unwrap_or_default();
                Arc::new(OwnPlaybook::new(identity, tool, hosts, login(), self.loaded.root.join(playbook)))
            }
        })
    }

    /// What of this machine matters for logging in by SSH.
    fn access(&self, login: Login) -> SshAccess {
        SshAccess {
            login,
            user: Some(self.around.user.clone()).filter(|user| !user.is_empty()),
            home: self.around.variable("HOME").map(PathBuf::from),
            agent: self.around.variable("SSH_AUTH_SOCK").map(PathBuf::from),
        }
    }

    fn roles(&self) -> Result<Roles, CommandError> {
        let config = self.config();
        let vars = serde_json::to_value(&config.ansible.vars).map_err(|e| {
            CommandError::new(ErrorKind::Usage, "ansible.vars cannot be given to Ansible").caused_by(e)
        })?;
        Ok(Roles {
            directory: self.file(&config.ansible.directory),
            binary: self.host_binary(),
            repositories: vec![config.image.repository.clone()],
            health_path: config.run.health.path.clone(),
            vars: vars.as_object().cloned().unwrap_or_default(),
            digest: OnceLock::new(),
        })
    }
}
