//! `relman.toml` as types. Reading the file, unknown keys and `RELMAN_…` overrides are in [`load`].

pub mod check;
pub mod keys;
pub mod load;
pub mod overrides;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::domain::deployment::ApprovalRule;
use crate::domain::freeze::Freeze;
use crate::domain::id::{EnvironmentName, ServiceName};
use crate::domain::run::{RunConfig, SecretRef};
use crate::domain::wave::WaveSize;
use crate::host::wire::{Bastion, HostAddress};

/// The whole file. `root` is the directory that it lies in; every relative path in it is relative to that.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What is deployed.
    pub service: Service,
    /// How its image is made and where it goes.
    pub image: Image,
    /// How versions are given.
    #[serde(default)]
    pub version: VersionSettings,
    /// Where the ledger is.
    #[serde(default)]
    pub ledger: LedgerSettings,
    /// Where artifacts are.
    #[serde(default)]
    pub artifacts: ArtifactSettings,
    /// Who vouches for people, besides AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<IdentitySettings>,
    /// How a release is run.
    pub run: RunConfig,
    /// How Ansible is run.
    #[serde(default)]
    pub ansible: AnsibleSettings,
    /// How the deploy lock behaves.
    #[serde(default)]
    pub lease: LeaseSettings,
    /// Where to deploy to.
    #[serde(default)]
    pub environments: BTreeMap<EnvironmentName, Environment>,
}

/// `[service]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Its name.
    pub name: ServiceName,
    /// The environment that is meant when `--env` is not given; needed only where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_environment: Option<EnvironmentName>,
}

/// `[image]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Registry and repository without tag: `registry.example/team/web`.
    pub repository: String,
    /// Build context, a directory of the repository.
    #[serde(default = "here")]
    pub context: PathBuf,
    /// Dockerfile, relative to the context.
    #[serde(default = "dockerfile")]
    pub dockerfile: PathBuf,
    /// Build arguments. Never a secret: they stay in the image's history.
    #[serde(default)]
    pub build_args: BTreeMap<String, String>,
    /// Whether to talk plain HTTP to the registry; loopback addresses always do.
    #[serde(default)]
    pub insecure: bool,
}

fn here() -> PathBuf {
    ".".into()
}

fn dockerfile() -> PathBuf {
    "Dockerfile".into()
}

/// `[version]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VersionSettings {
    /// What a build gets when no commit since the last release asks for a bump.
    pub on_no_bump: OnNoBump,
    /// Whether `release` puts and pushes the git tag `vX.Y.Z`. Off: the ledger and the registry know the version.
    pub git_tag: GitTag,
}

/// `version.on_no_bump`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnNoBump {
    /// The patch number is raised: every build gets a version.
    #[default]
    Patch,
    /// Only the commit tag; such a build cannot be deployed by version, and is not a release.
    CommitOnly,
}

/// `version.git_tag`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GitTag {
    /// Tag, and push the tag to the remote `origin` where there is one.
    #[default]
    Push,
    /// Tag in this clone only.
    Local,
    /// No git tag.
    Off,
}

/// `[ledger]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LedgerSettings {
    /// The id of the ledger (32 hex digits), written by `relman init`: names the embedded ledger's folder in the state
    /// directory, and any other ledger must have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<crate::domain::id::Token>,
    /// `sqlite:PATH` or `dynamodb:TABLE`; none: the embedded ledger in the user's state directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Take a place where the ledger would be lost, such as the workspace of a CI job.
    pub allow_ephemeral: bool,
}

/// `[artifacts]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ArtifactSettings {
    /// `file:PATH` or `s3://BUCKET[/PREFIX]`; none: beside the embedded ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// `[identity]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IdentitySettings {
    /// GitHub, for people who approve by a workflow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub github: Option<GitHubSettings>,
}

/// `[identity.github]`: whose jobs GitHub names people in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GitHubSettings {
    /// `OWNER/NAME`.
    pub repository: String,
    /// The repository's id, which another of the same name does not have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_id: Option<String>,
    /// The branch whose workflows let somebody approve.
    #[serde(default = "main_branch")]
    pub branch: String,
    /// The workflow by which people approve.
    #[serde(default = "approve_workflow")]
    pub workflow: String,
    /// Who signs the tokens.
    #[serde(default = "github_issuer")]
    pub issuer: String,
}

fn main_branch() -> String {
    "main".into()
}

fn approve_workflow() -> String {
    ".github/workflows/approve.yml".into()
}

fn github_issuer() -> String {
    "https://token.actions.githubusercontent.com".into()
}

impl Config {
    /// GitHub, where it vouches for people.
    pub fn github(&self) -> Option<&GitHubSettings> {
        self.identity.as_ref()?.github.as_ref()
    }
}

/// `[ansible]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AnsibleSettings {
    /// The directory with roles and playbooks, as `relman init` writes it.
    pub directory: PathBuf,
    /// The command.
    pub command: String,
    /// Variables for the roles (`docker_…`, `proxy_…`).
    pub vars: BTreeMap<String, toml::Value>,
}

impl Default for AnsibleSettings {
    fn default() -> Self {
        Self { directory: "ansible".into(), command: "ansible-playbook".into(), vars: BTreeMap::new() }
    }
}

/// `[lease]`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LeaseSettings {
    /// Seconds that a lease lasts without a renewal.
    pub seconds: u64,
}

impl Default for LeaseSettings {
    fn default() -> Self {
        Self { seconds: 60 }
    }
}

/// `[environments.NAME]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// How its hosts are reached.
    #[serde(default)]
    pub via: Via,
    /// Its hosts; none with `via = "local"`, where the one host is this machine.
    #[serde(default)]
    pub hosts: Vec<HostAddress>,
    /// The Terraform configuration whose outputs name the hosts, instead of `hosts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terraform: Option<TerraformSettings>,
    /// What a deploy does about the infrastructure before it looks at hosts.
    #[serde(default)]
    pub provision: Provision,
    /// How to log in.
    #[serde(default)]
    pub access: Access,
    /// With `via = "playbook"`: the team's own playbook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playbook: Option<PathBuf>,
    /// Seconds to watch the release under traffic before the deployment is final.
    #[serde(default)]
    pub bake_seconds: u64,
    /// Hosts that get the traffic shifted at once; none: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wave_size: Option<WaveSize>,
    /// Hosts that may fail without the others going back.
    #[serde(default)]
    pub failure_budget: u32,
    /// Seconds that requests to the old slot may still take after the switch.
    #[serde(default = "drain")]
    pub drain_seconds: u64,
    /// Keys of `[run.env]` that differ here.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Keys of `[run.secrets]` that differ here.
    #[serde(default)]
    pub secrets: BTreeMap<String, SecretRef>,
    /// The environment in which a release must be proven before it gets here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<EnvironmentName>,
    /// Who has to approve before a deploy touches a host here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalRule>,
    /// Times in the calendar in which nothing is deployed here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<Freeze>,
}

fn drain() -> u64 {
    30
}

/// `environments.NAME.via`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// Ansible carries the requests, and configures the hosts.
    #[default]
    Ansible,
    /// relman asks each host by SSH; Ansible only configures the hosts.
    Ssh,
    /// Requests go by the Systems Manager of AWS, and hosts are configured by somebody else.
    Ssm,
    /// relman runs on the host itself.
    Local,
    /// The team's own playbook replaces the container. Health, digest check and automatic return are its own.
    Playbook,
}

/// `environments.NAME.terraform`: where the machines come from.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TerraformSettings {
    /// The directory of the root module.
    pub directory: PathBuf,
    /// The workspace; none: the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// Files with values of variables.
    #[serde(default)]
    pub var_files: Vec<PathBuf>,
    /// Which addresses its hosts may have.
    #[serde(default)]
    pub address_source: AddressSource,
}

/// `environments.NAME.terraform.address_source`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressSource {
    /// Public ones too.
    #[default]
    Any,
    /// Private ones alone: a public one is an error.
    Private,
}

/// `environments.NAME.provision`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Provision {
    /// Nothing: the outputs are read, and that is all.
    #[default]
    Skip,
    /// It is planned, and what differs is told.
    Check,
    /// It is planned and applied.
    Apply,
}

/// `environments.NAME.access`: how to log in to the hosts.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Access {
    /// The user, where a host names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Private key file; none: the agent, or the keys that ssh finds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// Known hosts file, for hosts without pinned keys; none: the user's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_hosts: Option<PathBuf>,
    /// What holds for a host whose key nobody knows.
    pub unknown_hosts: UnknownHosts,
    /// The host through which the others are reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bastion: Option<Bastion>,
    /// With `via = "ssm"`: the document that hands a request to relman-host; none: that of the outputs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssm_document: Option<String>,
}

/// `environments.NAME.access.unknown_hosts`: what holds for a host whose key is neither pinned nor known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownHosts {
    /// It is refused.
    #[default]
    Refuse,
    /// Its key is recorded beside the ledger at the first meeting, and a changed one is refused from then on.
    PinOnFirstUse,
}

impl Config {
    /// The run configuration in an environment: `[run]` with the environment's own variables over it.
    pub fn run_in(&self, environment: &Environment) -> RunConfig {
        let mut run = self.run.clone();
        run.env.extend(environment.env.clone());
        run.secrets.extend(environment.secrets.clone());
        run
    }
}
