//! Terraform as a process. Its arguments are made by pure functions ([`argv`]), what it says is read by others
//! ([`said`]), and it runs in a process group that ends with relman.
//!
//! A plan lies in a directory that only this user may read, and goes away with it: it holds values of resources.

mod applied;
mod argv;
mod environment;
mod said;
mod shown;
mod source;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::{Changes, InfraError, Infrastructure, Locking, Outputs, SavedPlan};
use crate::child::folder::Folder;
use crate::child::{Printed, Program};
use crate::domain::id::Digest;
use crate::domain::infra::StateId;
use crate::host::wire::redact::Redactor;
use crate::interrupt::Interrupt;

/// The oldest one that will do: the first that locks a state in S3 by itself.
pub const OLDEST: &str = "1.11.0";

const COMMAND: &str = "terraform";
const PLAN: &str = "plan";
const INIT: &str = "terraform init";
/// Most that is kept of what it says, in MiB: a plan as JSON tells everything that it knows of every resource.
const KEPT: u64 = 64;

/// One configuration, in one workspace.
#[derive(Debug, Clone)]
pub struct Root {
    /// The directory.
    pub directory: PathBuf,
    /// The same, as people should type it.
    pub shown: String,
    /// The workspace; none: the default one.
    pub workspace: Option<String>,
    /// Files with variables.
    pub var_files: Vec<PathBuf>,
}

/// Terraform on one configuration.
#[derive(Debug)]
pub struct Terraform {
    inner: Inner,
    did_init: AtomicBool,
}

#[derive(Debug, Clone)]
struct Inner {
    root: Root,
    environment: BTreeMap<OsString, OsString>,
    redactor: Redactor,
    has_variables: bool,
}

impl Terraform {
    /// For this configuration; of `inherited`, it is given what Terraform and its providers need.
    pub fn new(root: Root, inherited: &BTreeMap<OsString, OsString>) -> Self {
        let environment = environment::of(inherited, root.workspace.as_deref());
        let inner = Inner {
            redactor: environment::redactor(&environment),
            has_variables: environment::has_variables(&environment),
            environment,
            root,
        };
        Self { inner, did_init: AtomicBool::new(false) }
    }

    /// Where it keeps providers and modules.
    fn data(&self) -> PathBuf {
        let given = self.inner.environment.get(&OsString::from("TF_DATA_DIR"));
        self.inner.root.directory.join(given.map_or(Path::new(".terraform"), Path::new))
    }

    async fn init(&self) -> Result<(), InfraError> {
        self.did_init.store(true, Ordering::Relaxed);
        let inner = &self.inner;
        let printed = inner.run(argv::init(&inner.root), &Interrupt::default()).await?;
        if printed.rc == 0 { Ok(()) } else { Err(inner.failed(INIT, &printed)) }
    }

    /// Runs it, initialised. That it must be is known beforehand, or it says so; once is enough.
    async fn run(&self, argv: Vec<OsString>, stop: &Interrupt) -> Result<Printed, InfraError> {
        if !self.data().is_dir() && !self.did_init.load(Ordering::Relaxed) {
            self.init().await?;
        }
        let printed = self.inner.run(argv.clone(), stop).await?;
        if !is_done(&printed) && said::needs_init(&printed.stderr) && !self.did_init.load(Ordering::Relaxed) {
            self.init().await?;
            return self.inner.run(argv, stop).await;
        }
        Ok(printed)
    }

    /// The same, for what must succeed.
    async fn good(&self, what: &str, argv: Vec<OsString>) -> Result<String, InfraError> {
        let printed = self.run(argv, &Interrupt::default()).await?;
        if printed.rc != 0 {
            return Err(self.inner.failed(what, &printed));
        }
        match printed.cut {
            true => Err(InfraError::TooMuch { what: what.to_owned(), limit: KEPT }),
            false => Ok(printed.stdout),
        }
    }
}

/// A plan ends with 2 when there is something to apply.
fn is_done(printed: &Printed) -> bool {
    matches!(printed.rc, 0 | 2)
}

fn json<T: serde::de::DeserializeOwned>(what: &str, text: &str) -> Result<T, InfraError> {
    serde_json::from_str(text).map_err(|source| InfraError::Unreadable { what: what.to_owned(), source })
}

impl Inner {
    async fn run(&self, argv: Vec<OsString>, stop: &Interrupt) -> Result<Printed, InfraError> {
        self.run_printing(argv, None, stop).await
    }

    /// The same, for what must come to an end in order also after relman has died: it prints into this directory.
    async fn run_printing(
        &self,
        argv: Vec<OsString>,
        into: Option<&Path>,
        stop: &Interrupt,
    ) -> Result<Printed, InfraError> {
        if !self.root.directory.is_dir() {
            return Err(InfraError::NoConfiguration { directory: self.root.shown.clone() });
        }
        let mut program = Program::new(COMMAND).keeping(KEPT * 1024 * 1024);
        if let Some(directory) = into {
            program = program.printing_into(directory);
        }
        program.command.args(argv).env_clear().envs(&self.environment).current_dir(&self.root.directory);
        program.run(stop.raised()).await.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => InfraError::Missing { command: COMMAND.to_owned() },
            _ => InfraError::Io { what: format!("running {COMMAND}"), source },
        })
    }

    fn failed(&self, what: &str, printed: &Printed) -> InfraError {
        let text = said::plain(&printed.stderr);
        let directory = self.root.shown.clone();
        if let Some(lock) = said::lock(&text) {
            return InfraError::Locked {
                directory,
                workspace: self.root.workspace.clone(),
                lock: Box::new(lock),
            };
        }
        let said = match said::first_error(&text) {
            Some(said) => self.redactor.text(&said),
            None => format!("it ended with exit status {} and said nothing", printed.rc),
        };
        // What goes to stdout shows values of resources; but init tells there how far it came.
        let before = if what == INIT { said::plain(&printed.stdout) } else { String::new() };
        let log = self.redactor.text(&(before + &text));
        if said::no_configuration(&text) {
            InfraError::NoConfiguration { directory }
        } else if said::is_stale(&text) {
            InfraError::Stale { directory }
        } else if said::needs_init(&text) {
            InfraError::NotInitialised { directory, said, log }
        } else {
            InfraError::Failed { what: format!("{what} in {directory}"), said, log }
        }
    }
}

/// A plan in its file.
struct PlanFile {
    inner: Inner,
    changes: Changes,
    folder: Folder,
    wait: Duration,
}

#[async_trait::async_trait]
impl SavedPlan for PlanFile {
    fn changes(&self) -> &Changes {
        &self.changes
    }

    async fn apply(self: Box<Self>, stop: &Interrupt) -> Result<String, InfraError> {
        let argv = argv::apply(&self.inner.root, &self.folder.path().join(PLAN), self.wait);
        let printed = self.inner.run_printing(argv, Some(self.folder.path()), stop).await?;
        let told = applied::read(&printed.stdout);
        if printed.rc == 0 {
            return Ok(self.inner.redactor.text(&told.log));
        }
        // Its errors are on stdout now; what it did before them belongs to the log.
        let errors = Printed { stderr: told.errors + &printed.stderr, stdout: String::new(), ..printed };
        match self.inner.failed("terraform apply", &errors) {
            InfraError::Failed { .. } if stop.is_raised() => {
                Err(InfraError::Stopped { what: format!("terraform apply in {}", self.inner.root.shown) })
            }
            InfraError::Failed { what, said, .. } => {
                let log = self.inner.redactor.text(&(told.log + &said::plain(&errors.stderr)));
                Err(InfraError::Failed { what, said, log })
            }
            error => Err(error),
        }
    }
}

#[derive(Deserialize)]
struct Version {
    terraform_version: String,
}

#[derive(Deserialize)]
struct Output {
    value: Value,
}

#[async_trait::async_trait]
impl Infrastructure for Terraform {
    fn location(&self) -> String {
        let root = &self.inner.root;
        match &root.workspace {
            Some(workspace) => format!("{}, workspace {workspace}", root.shown),
            None => root.shown.clone(),
        }
    }

    async fn version(&self) -> Result<String, InfraError> {
        let printed = self.inner.run(argv::version(), &Interrupt::default()).await?;
        if printed.rc != 0 {
            return Err(self.inner.failed("terraform version", &printed));
        }
        let found = json::<Version>("terraform version", &printed.stdout)?.terraform_version;
        let number = |text: &str| semver::Version::parse(text).ok();
        match number(&found) < number(OLDEST) {
            true => Err(InfraError::TooOld { command: COMMAND.to_owned(), found, wanted: OLDEST }),
            false => Ok(found),
        }
    }

    async fn validate(&self) -> Result<(), InfraError> {
        let printed = self.inner.run(argv::validate(&self.inner.root), &Interrupt::default()).await?;
        match said::invalid(&printed.stdout) {
            None if printed.rc == 0 => Ok(()),
            None => Err(self.inner.failed("terraform validate", &printed)),
            Some(why) => {
                let said = self.inner.redactor.text(&why);
                let directory = self.inner.root.shown.clone();
                Err(match said::needs_init(&why) {
                    true => InfraError::NotInitialised { directory, said, log: String::new() },
                    false => {
                        let what = format!("terraform validate in {directory}");
                        InfraError::Failed { what, said, log: String::new() }
                    }
                })
            }
        }
    }

    async fn configuration(&self) -> Result<Option<Digest>, InfraError> {
        // A value of a variable may be a secret, of which not even a hash may be kept.
        if self.inner.has_variables {
            return Ok(None);
        }
        let root = &self.inner.root;
        let hash = source::hash(&root.directory, &self.data(), &root.var_files);
        hash.map(Some)
            .map_err(|source| InfraError::Io { what: format!("reading the files of {}", root.shown), source })
    }

    async fn state(&self) -> Result<Option<StateId>, InfraError> {
        #[derive(Deserialize)]
        struct State {
            lineage: String,
            serial: u64,
        }
        let text = self.good("terraform state pull", argv::state_pull(&self.inner.root)).await?;
        if text.trim().is_empty() {
            return Ok(None);
        }
        let State { lineage, serial } = json("terraform state pull", &text)?;
        Ok((!lineage.is_empty()).then_some(StateId { lineage, serial }))
    }

    async fn outputs(&self) -> Result<Outputs, InfraError> {
        let text = self.good("terraform output", argv::output(&self.inner.root)).await?;
        let outputs: BTreeMap<String, Output> = json("terraform output", &text)?;
        Ok(outputs.into_iter().map(|(name, output)| (name, output.value)).collect())
    }

    async fn plan(&self, lock: Locking, stop: &Interrupt) -> Result<Box<dyn SavedPlan>, InfraError> {
        let making = |source| InfraError::Io { what: "making a temporary directory".to_owned(), source };
        let folder = Folder::make().map_err(making)?;
        let file = folder.path().join(PLAN);
        let printed = self.run(argv::plan(&self.inner.root, &file, lock), stop).await?;
        if !is_done(&printed) {
            return Err(match self.inner.failed("terraform plan", &printed) {
                InfraError::Failed { .. } if stop.is_raised() => {
                    InfraError::Stopped { what: format!("terraform plan in {}", self.inner.root.shown) }
                }
                error => error,
            });
        }
        let text = self.good("terraform show", argv::show(&self.inner.root, &file)).await?;
        let changes = shown::changes(&text, printed.rc == 2)
            .map_err(|source| InfraError::Unreadable { what: "terraform show".to_owned(), source })?;
        let wait = match lock {
            Locking::Wait(wait) => wait,
            Locking::Leave => Duration::ZERO,
        };
        Ok(Box::new(PlanFile { inner: self.inner.clone(), changes, folder, wait }))
    }
}
