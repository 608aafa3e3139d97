//! The composition root: the only place that names implementations. Each part is made when a verb asks for it, so
//! that a verb that only reads the ledger opens nothing else.

mod account;
mod fleet;
mod hosts;
mod identity;
mod offline;
mod places;
mod profile;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub use crate::commands::provision::Hosts;
pub use crate::oidc::Purpose;
use fleet::Route;

use super::args::{Global, Way};
use super::place::{LedgerPlace, Place, place};
use super::surroundings::Surroundings;
use crate::aws::{Chain, ENDPOINTS};
use crate::clock::{Clock, SystemClock};
use crate::commands::error::{CommandError, ErrorKind};
use crate::commands::{Context, Infra, Site, Supply, provision};
use crate::config::load::{Loaded, load};
use crate::config::{AddressSource, Config, Environment};
use crate::domain::id::{EnvironmentName, Stream};
use crate::git::Repository;
use crate::host::Identity;
use crate::host::play::Tool;
use crate::host::wire::Secret;
use crate::image::docker::{DockerBuilder, Logins, PushLogin};
use crate::infra::autoscaling::AutoScaling;
use crate::infra::terraform::{Root, Terraform};
use crate::interrupt::Interrupt;
use crate::ledger::Ledger;
use crate::ledger::dynamodb::{self, DynamoLedger};
use crate::ledger::memory::MemoryLedger;
use crate::ledger::retry::{Budget, RetryLedger};
use crate::ledger::sqlite::{OpenMode, SqliteLedger};
use crate::progress::Progress;
use crate::registry::credentials::{Credentials, Login as RegistryLogin};
use crate::registry::oci::OciRegistry;
use crate::secrets::Secrets;
use crate::secrets::aws::AwsStore;

/// What a verb does with the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It only reads: nothing is made that is not there.
    Read,
    /// It appends.
    Write,
}

/// An environment that was named and is not the default, once that is known: commands in what is said then name it too.
pub type Meant = Arc<OnceLock<EnvironmentName>>;

/// Makes the parts.
pub struct Wire {
    /// The configuration.
    pub loaded: Loaded,
    /// What is around.
    pub around: Surroundings,
    /// Who listens.
    pub progress: Arc<dyn Progress>,
    /// Whether to stop.
    pub interrupt: Interrupt,
    env: Option<EnvironmentName>,
    /// Which environment was meant, where it is not the one that is taken without a word.
    meant: Meant,
    clock: Arc<dyn Clock>,
    aws: Arc<Chain>,
}

impl Wire {
    /// Reads the configuration.
    ///
    /// # Errors
    /// When there is none, or it is wrong.
    pub fn new(
        global: &Global,
        around: Surroundings,
        progress: Arc<dyn Progress>,
        interrupt: Interrupt,
        meant: Meant,
    ) -> Result<Self, CommandError> {
        let loaded = load(global.config_file.as_deref(), &around.directory, &around.variables)?;
        let env = global.env.clone();
        if global.verbose {
            progress.note(&format!("configuration {}", loaded.file.display()));
        }
        let is_empty = |name: &&str| around.raw.get(OsStr::new(name)).is_some_and(|value| value.is_empty());
        let no_profile = profile::missing(&around);
        let empty = ENDPOINTS.into_iter().find(is_empty);
        Ok(Self {
            loaded,
            around,
            progress,
            interrupt,
            env,
            meant,
            clock: Arc::new(SystemClock),
            aws: Arc::new(Chain::new(empty, no_profile)),
        })
    }

    fn config(&self) -> &Config {
        &self.loaded.config
    }

    /// How long a lease lasts without a renewal.
    pub fn lease(&self) -> Duration {
        Duration::from_secs(self.config().lease.seconds)
    }

    /// Where ledger and artifacts lie.
    ///
    /// # Errors
    /// When the configuration names no place, or one where the ledger would be lost.
    pub fn place(&self) -> Result<Place, CommandError> {
        place(&self.loaded, &self.around)
    }

    /// The environment that is meant. `named` is what an argument such as `production#142` says.
    ///
    /// # Errors
    /// When there are several and none is named, or the two that are named differ.
    pub fn environment(&self, named: Option<&EnvironmentName>) -> Result<EnvironmentName, CommandError> {
        let config = self.config();
        let usage = |message: String| CommandError::new(ErrorKind::Usage, message);
        match (named, &self.env) {
            (Some(named), Some(env)) if named != env => {
                return Err(usage(format!("--env {env} is not the environment of {named}#…")));
            }
            (Some(name), _) | (None, Some(name)) => {
                if config.service.default_environment.as_ref() != Some(name) {
                    let _ = self.meant.set(name.clone());
                }
                return Ok(name.clone());
            }
            (None, None) => {}
        }
        if let Some(name) = &config.service.default_environment {
            return Ok(name.clone());
        }
        let mut names = config.environments.keys();
        match (names.next(), names.next()) {
            (Some(only), None) => Ok(only.clone()),
            (None, _) => Err(usage(format!("{} has no environment", self.loaded.file.display()))
                .hint("add [environments.production] with its hosts")),
            (Some(one), Some(_)) => Err(usage("which environment?".to_owned())
                .detail(format!("There are {}.", list(config.environments.keys())))
                .hint(format!("--env {one} or another, or service.default_environment in relman.toml"))),
        }
    }

    /// The environment that is meant by a verb that changes something: one of the configuration, since an entry for
    /// a name that was mistyped would stop nobody.
    ///
    /// # Errors
    /// As [`Wire::environment`], and when the configuration does not have it.
    pub fn configured(&self, named: Option<&EnvironmentName>) -> Result<EnvironmentName, CommandError> {
        let name = self.environment(named)?;
        self.settings(&name)?;
        Ok(name)
    }

    /// The environment that is meant by a verb that only reads: one of the configuration, or one that the ledger
    /// remembers.
    ///
    /// # Errors
    /// As [`Wire::environment`], when neither knows it, and when the ledger cannot be read.
    pub async fn known(
        &self,
        context: &Context,
        named: Option<&EnvironmentName>,
    ) -> Result<EnvironmentName, CommandError> {
        let name = self.environment(named)?;
        if let Err(unknown) = self.settings(&name)
            && context.ledger.head(&context.stream(&name)).await?.seq == 0
        {
            return Err(unknown);
        }
        Ok(name)
    }

    /// The streams that the configuration tells of.
    pub fn streams(&self, context: &Context) -> Vec<Stream> {
        let environments = self.config().environments.keys().map(|name| context.stream(name));
        std::iter::once(Stream::releases(&context.service)).chain(environments).collect()
    }

    /// Ansible, as relman would start it.
    pub fn ansible(&self) -> Tool {
        Tool { command: self.config().ansible.command.clone(), environment: self.around.raw.clone() }
    }

    pub(in crate::cli) fn settings(&self, name: &EnvironmentName) -> Result<&Environment, CommandError> {
        self.config().environments.get(name).ok_or_else(|| {
            let file = self.loaded.file.display();
            CommandError::new(ErrorKind::Usage, format!("{file} has no environment {name}"))
                .detail(format!("There are {}.", list(self.config().environments.keys())))
        })
    }

    /// Ledger, artifacts, clock, actor.
    ///
    /// # Errors
    /// When the ledger cannot be opened.
    pub fn context(&self, access: Access) -> Result<Context, CommandError> {
        let Place { ledger, artifacts } = self.place()?;
        let ledger: Arc<dyn Ledger> = match ledger {
            LedgerPlace::File(path) => self.open(&path, access)?,
            LedgerPlace::Table(table) => self.table(table, access),
        };
        let progress = self.progress.clone();
        Ok(Context {
            service: self.config().service.name.clone(),
            ledger: Arc::new(
                RetryLedger::new(ledger, self.clock.clone(), Budget::default())
                    .telling(move |text| progress.note(text)),
            ),
            artifacts: self.artifacts(artifacts),
            clock: self.clock.clone(),
            actor: self.around.actor(),
            machine: self.around.machine.clone(),
            progress: self.progress.clone(),
            interrupt: self.interrupt.clone(),
        })
    }

    fn table(&self, table: String, access: Access) -> Arc<dyn Ledger> {
        let mode = match access {
            Access::Read => dynamodb::OpenMode::Read,
            Access::Write => dynamodb::OpenMode::Write,
        };
        let target = dynamodb::Target { table, id: self.config().ledger.id.clone(), mode };
        Arc::new(DynamoLedger::new(target, self.aws.clone(), self.clock.clone()))
    }

    fn open(&self, path: &Path, access: Access) -> Result<Arc<dyn Ledger>, CommandError> {
        let id = || self.config().ledger.id.clone().unwrap_or_else(|| self.clock.token());
        let exists = path.exists();
        let mode = match (access, exists) {
            (Access::Read, false) => {
                self.progress.note(&format!("there is no ledger yet at {}", path.display()));
                return Ok(Arc::new(MemoryLedger::new(id())));
            }
            (Access::Read, true) => OpenMode::ReadOnly,
            // An id that is given is compared with that of the file.
            (Access::Write, true) if self.config().ledger.id.is_none() => OpenMode::Existing,
            (Access::Write, _) => OpenMode::Create { id: id() },
        };
        Ok(Arc::new(SqliteLedger::open(path, mode)?))
    }

    /// The environment with the way to its hosts, as far as they are known.
    ///
    /// # Errors
    /// When there is no such environment, or the ledger's id cannot be read.
    pub async fn site(&self, context: &Context, name: EnvironmentName) -> Result<Site, CommandError> {
        self.site_with(context, name, Hosts::Known, None).await
    }

    /// The environment with the way to its hosts; with `way` another one than the configuration's, for once.
    ///
    /// # Errors
    /// As [`Wire::site`], and when the hosts cannot be asked by that way.
    pub async fn site_with(
        &self,
        context: &Context,
        name: EnvironmentName,
        which: Hosts,
        way: Option<Way>,
    ) -> Result<Site, CommandError> {
        let settings = self.settings(&name)?.clone();
        let ledger = context.ledger.id().await?;
        let identity = Identity { ledger, service: context.service.clone(), environment: name.clone() };
        let run = self.config().run_in(&settings);
        let route = self.route(identity, &settings, way)?;
        let infra = self.infra(&settings, &route);
        let (fleet, roster) = match &infra {
            None => (route.fleet(settings.hosts.clone()), None),
            Some(infra) => {
                let roster = provision::find(context, &name, infra, which).await?;
                self.remember(context, &name, &roster.listing.hosts).await;
                ((infra.fleet)(&roster.listing.hosts)?, Some(roster))
            }
        };
        Ok(Site { fleet, name, run, secrets: self.secrets(), lease: self.lease(), infra, roster, settings })
    }

    fn infra(&self, settings: &Environment, route: &Route) -> Option<Infra> {
        let terraform = settings.terraform.as_ref()?;
        let directory = self.file(&terraform.directory);
        let root = Root {
            shown: directory.strip_prefix(&self.around.directory).unwrap_or(&directory).display().to_string(),
            directory,
            workspace: terraform.workspace.clone(),
            var_files: terraform.var_files.iter().map(|file| self.file(file)).collect(),
        };
        let route = route.clone();
        Some(Infra {
            port: Arc::new(Terraform::new(root, &self.around.raw)),
            provision: settings.provision,
            private: terraform.address_source == AddressSource::Private,
            fleet: Arc::new(move |found| route.fleet_of(found)),
            groups: Arc::new(AutoScaling::new(self.aws.clone())),
        })
    }

    /// What the machines of an environment are made from, if relman knows. Nothing is asked of it or of any host.
    ///
    /// # Errors
    /// When there is no such environment, or what is said of the way to its hosts cannot be.
    pub fn infra_of(&self, name: &EnvironmentName) -> Result<Option<Infra>, CommandError> {
        let settings = self.settings(name)?;
        // Of no ledger: nobody is reached in its name.
        let (ledger, service) = (self.clock.token(), self.config().service.name.clone());
        let identity = Identity { ledger, service, environment: name.clone() };
        Ok(self.infra(settings, &self.route(identity, settings, None)?))
    }

    /// Where references to secrets lead from here.
    fn secrets(&self) -> Arc<Secrets> {
        let variables = self.around.variables.iter();
        Arc::new(Secrets {
            variables: variables.map(|(name, value)| (name.clone(), Secret::new(value.clone()))).collect(),
            root: self.loaded.root.clone(),
            store: Some(Arc::new(AwsStore::new(self.aws.clone()))),
        })
    }

    /// The relman-host that hosts get: beside relman itself, unless a variable names another.
    pub fn host_binary(&self) -> PathBuf {
        match self.around.variable("RELMAN_HOST_BINARY") {
            Some(path) => self.around.directory.join(path),
            None => self.around.executable.clone().unwrap_or_default().with_file_name("relman-host"),
        }
    }

    /// A path of the configuration; `~/` is the user's home.
    fn file(&self, path: &Path) -> PathBuf {
        match (path.strip_prefix("~"), self.around.variable("HOME")) {
            (Ok(rest), Some(home)) => PathBuf::from(home).join(rest),
            _ => self.loaded.root.join(path),
        }
    }

    /// Repository, registry, engine.
    ///
    /// # Errors
    /// When the git repository cannot be opened, or TLS cannot be set up.
    pub fn supply(&self) -> Result<Supply, CommandError> {
        let config = self.config();
        let directory = match self.around.variable("DOCKER_CONFIG") {
            Some(directory) => Some(PathBuf::from(directory)),
            None => self.around.variable("HOME").map(|home| PathBuf::from(home).join(".docker")),
        };
        let credentials = Credentials { directory, given: None };
        let address = self.around.variable("DOCKER_HOST").map(str::to_owned);
        let repository = Repository::discover(&self.loaded.root).map_err(|error| {
            CommandError::new(ErrorKind::Usage, "the git repository cannot be used").caused_by(error)
        })?;
        Ok(Supply {
            image: config.image.clone(),
            version: config.version.clone(),
            repository,
            registry: Arc::new(OciRegistry::new(
                credentials.clone(),
                config.image.insecure,
                self.clock.clone(),
            )?),
            builder: Arc::new(DockerBuilder::new(address, logins(credentials))),
        })
    }
}

fn list<'a>(names: impl Iterator<Item = &'a EnvironmentName>) -> String {
    names.map(EnvironmentName::as_str).collect::<Vec<_>>().join(", ")
}

/// The logins of the registry client, for the engine's pushes.
fn logins(credentials: Credentials) -> Logins {
    Box::new(move |registry| {
        let credentials = credentials.clone();
        Box::pin(async move {
            let login = credentials.find(&registry).await?;
            Ok(login.map(|login| match login {
                RegistryLogin::Basic { user, password } => PushLogin::Basic { user, password },
                RegistryLogin::Identity(token) => PushLogin::Identity(token),
            }))
        })
    })
}
