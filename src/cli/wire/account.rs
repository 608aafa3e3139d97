//! What of the configuration is in AWS, for `relman doctor`.

use serde::Deserialize;

use super::fleet::DOCUMENT;
use super::{Hosts, Wire};
use crate::aws::survey::Survey;
use crate::cli::place::{ArtifactPlace, LedgerPlace};
use crate::commands::doctor::aws::{Account, Backend};
use crate::commands::{Context, provision};
use crate::config::{Environment, Via};
use crate::domain::id::{EnvironmentName, HostName};

/// What `terraform init` writes beside a configuration. Whatever else is in it, credentials among it, is not read.
#[derive(Deserialize)]
struct Initialised {
    backend: Option<Recorded>,
}

#[derive(Deserialize)]
struct Recorded {
    #[serde(rename = "type")]
    kind: String,
    config: Settings,
}

#[derive(Default, Deserialize)]
struct Settings {
    bucket: Option<String>,
    dynamodb_table: Option<String>,
    use_lockfile: Option<bool>,
}

impl Wire {
    /// What of it is in AWS; `all`: whether everything is to be looked at. None where nothing is configured. Hosts of
    /// Terraform's outputs are only known with a `context`.
    pub async fn account(&self, context: Option<&Context>, all: bool) -> Option<Account> {
        let place = self.place().ok();
        let table = place.as_ref().and_then(|place| match &place.ledger {
            LedgerPlace::Table(table) => Some(table.clone()),
            LedgerPlace::File(_) => None,
        });
        let bucket = place.as_ref().and_then(|place| match &place.artifacts {
            ArtifactPlace::Bucket(place) => {
                let (name, prefix) = place.split_once('/').unwrap_or((place, ""));
                Some((name.to_owned(), prefix.to_owned()))
            }
            ArtifactPlace::Folder(_) => None,
        });
        let name = self.environment(None).ok();
        let settings = name.as_ref().and_then(|name| self.settings(name).ok());
        let document = match (&name, settings) {
            (Some(name), Some(settings)) if all && settings.via == Via::Ssm => {
                self.document(context, name, settings).await
            }
            _ => None,
        };
        let backend = settings.and_then(|settings| self.backend(settings));
        if !all && table.is_none() && bucket.is_none() {
            return None;
        }
        let is_endpoint = |name: &String| name.starts_with("AWS_ENDPOINT_URL");
        let endpoints =
            self.around.variables.iter().filter(|(name, value)| is_endpoint(name) && !value.is_empty());
        Some(Account {
            survey: Survey::new(self.aws.clone()),
            clock: self.clock.clone(),
            table,
            bucket,
            backend,
            document,
            endpoints: endpoints.map(|(name, _)| name.clone()).collect(),
            all,
        })
    }

    /// The document, and the instances that it is sent to; none where neither configuration nor outputs tell.
    async fn document(
        &self,
        context: Option<&Context>,
        name: &EnvironmentName,
        settings: &Environment,
    ) -> Option<(String, Vec<(HostName, String)>)> {
        let given = settings.access.ssm_document.clone();
        let Some(infra) = self.infra_of(name).ok().flatten() else {
            let hosts = settings.hosts.iter().map(|host| (host.name.clone(), host.address.clone()));
            return Some((given.unwrap_or_else(|| DOCUMENT.to_owned()), hosts.collect()));
        };
        let found = provision::find(context?, name, &infra, Hosts::Known).await.ok()?.listing.hosts;
        let named = found.iter().find_map(|host| host.ssm_document.clone());
        let hosts = found.into_iter().filter_map(|host| Some((host.name, host.ssm_id?)));
        Some((given.or(named).unwrap_or_else(|| DOCUMENT.to_owned()), hosts.collect()))
    }

    fn backend(&self, settings: &Environment) -> Option<Backend> {
        let directory = self.file(&settings.terraform.as_ref()?.directory);
        let text = std::fs::read(directory.join(".terraform/terraform.tfstate")).ok()?;
        let recorded = serde_json::from_slice::<Initialised>(&text).ok()?.backend?;
        (recorded.kind == "s3").then_some(())?;
        Some(Backend {
            bucket: recorded.config.bucket?,
            table: recorded.config.dynamodb_table,
            lockfile: recorded.config.use_lockfile.unwrap_or_default(),
        })
    }
}
