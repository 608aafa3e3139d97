//! The way to an environment's hosts.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use super::super::args::Way;
use super::super::place::known_hosts;
use super::{Wire, hosts};
use crate::aws::Chain;
use crate::clock::Clock;
use crate::commands::error::{CommandError, ErrorKind};
use crate::config::{Environment, UnknownHosts, Via};
use crate::domain::id::HostName;
use crate::host::ansible::Ansible;
use crate::host::local::Local;
use crate::host::play::Tool;
use crate::host::play::inventory::Login;
use crate::host::playbook::OwnPlaybook;
use crate::host::roles::Roles;
use crate::host::ssh::{Access as SshAccess, Ssh};
use crate::host::ssm::Ssm;
use crate::host::wire::HostAddress;
use crate::host::{Fleet, Identity};
use crate::infra::inventory::InventoryHost;

/// The document of Systems Manager where nobody names another.
pub(super) const DOCUMENT: &str = "relman-perform";

/// The way to an environment's hosts, before it is known which there are.
#[derive(Clone)]
pub(super) struct Route {
    /// How they are asked.
    pub(super) via: Via,
    identity: Identity,
    tool: Tool,
    pub(super) login: SshAccess,
    roles: Roles,
    /// Whether hosts may be configured on it.
    configures: bool,
    playbook: PathBuf,
    document: Option<String>,
    local: HostName,
    aws: Arc<Chain>,
    clock: Arc<dyn Clock>,
}

impl Route {
    /// The fleet of these hosts, as the outputs say that they are reached. What `relman.toml` says comes first.
    ///
    /// # Errors
    /// For a host to which this way does not lead.
    pub(super) fn fleet_of(&self, found: &[InventoryHost]) -> Result<Arc<dyn Fleet>, CommandError> {
        let mut route = self.clone();
        let bastion = &mut route.login.login.bastion;
        let hosts = hosts::addresses(found, self.via, bastion)?;
        route.document = route.document.or_else(|| found.iter().find_map(|host| host.ssm_document.clone()));
        Ok(route.fleet(hosts))
    }

    /// The fleet of these hosts.
    pub(super) fn fleet(&self, hosts: Vec<HostAddress>) -> Arc<dyn Fleet> {
        let Self { identity, tool, login, roles, .. } = self.clone();
        match self.via {
            Via::Ansible => Arc::new(Ansible::new(identity, tool, hosts, login.login, roles)),
            Via::Ssh => Arc::new(Ssh::new(identity, tool, hosts, login, self.configures.then_some(roles))),
            Via::Ssm => {
                let document = self.document.clone().unwrap_or_else(|| DOCUMENT.to_owned());
                Arc::new(Ssm::new(identity, hosts, document, self.aws.clone(), self.clock.clone()))
            }
            Via::Local => {
                let name = hosts.into_iter().next().map_or_else(|| self.local.clone(), |host| host.name);
                Arc::new(Local::new(identity, tool, name, roles))
            }
            Via::Playbook => {
                Arc::new(OwnPlaybook::new(identity, tool, hosts, login.login, self.playbook.clone()))
            }
        }
    }
}

impl Wire {
    pub(super) fn route(
        &self,
        identity: Identity,
        settings: &Environment,
        way: Option<Way>,
    ) -> Result<Route, CommandError> {
        let access = &settings.access;
        let record = match access.unknown_hosts {
            UnknownHosts::Refuse => None,
            UnknownHosts::PinOnFirstUse => Some(known_hosts(&self.place()?, &self.around)?),
        };
        let login = Login {
            user: access.user.clone(),
            key: access.key.as_ref().map(|path| self.file(path)),
            known_hosts: access.known_hosts.as_ref().map(|path| self.file(path)),
            record,
            bastion: access.bastion.clone(),
        };
        let via = match (way, settings.via) {
            (None, via) => via,
            (Some(Way::Ssh), Via::Ansible | Via::Ssh) => Via::Ssh,
            (Some(Way::Ansible), Via::Ansible | Via::Ssh) => Via::Ansible,
            (Some(_), Via::Local | Via::Playbook | Via::Ssm) => {
                let text = "--via is for environments whose via is ansible or ssh";
                return Err(CommandError::new(ErrorKind::Usage, text).hint("leave --via out"));
            }
        };
        let local = "local"
            .parse()
            .map_err(|e| CommandError::new(ErrorKind::Bug, "the local host has no name").caused_by(e))?;
        Ok(Route {
            via,
            identity,
            tool: self.ansible(),
            login: self.access(login),
            roles: self.roles()?,
            // Who asks for the quick way does not want hosts to be configured on it.
            configures: way.is_none(),
            playbook: self.loaded.root.join(settings.playbook.clone().unwrap_or_default()),
            document: access.ssm_document.clone(),
            local,
            aws: self.aws.clone(),
            clock: self.clock.clone(),
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
