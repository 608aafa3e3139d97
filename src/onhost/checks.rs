//! What a request may ask for, before anything reaches the engine: everything in it was typed by somebody.

use std::collections::BTreeMap;
use std::path::PathBuf;

pub(super) use crate::domain::run::SECRETS_DIRECTORY;
use crate::domain::run::{RunConfig, RunFault, Volume};
use crate::host::wire::{HostError, HostErrorCode, Secret};

/// A bind mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) source: PathBuf,
    pub(super) target: String,
    pub(super) read_only: bool,
}

fn refused(message: String) -> HostError {
    HostError::new(HostErrorCode::Refused, message)
}

/// Checks a run configuration and the secrets that came with it; its mounts.
pub(super) fn check(run: &RunConfig, secrets: &BTreeMap<String, Secret>) -> Result<Vec<Mount>, HostError> {
    if let Some(problem) = run.check().first() {
        return Err(refused(format!("run configuration: {problem}")));
    }
    if let Some(name) = run.secrets.keys().find(|name| !secrets.contains_key(*name)) {
        return Err(refused(format!("the value of secret {name} did not come with the request")));
    }
    if let Some(name) = secrets.keys().find(|name| !run.secrets.contains_key(*name)) {
        return Err(refused(format!("secret {name:?} came with the request and nothing refers to it")));
    }
    let mounts = run.volumes.iter().map(|text| {
        let Volume { source, target, read_only } = text.parse()?;
        Ok(Mount { source: source.into(), target, read_only })
    });
    mounts.collect::<Result<_, RunFault>>().map_err(|fault| refused(format!("run configuration: {fault}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::run::SecretRef;
    use crate::onhost::properties::sample;

    #[test]
    fn what_cannot_be_run_is_refused_with_its_name() {
        let one = |change: fn(&mut RunConfig)| {
            let mut run = sample::run();
            change(&mut run);
            check(&run, &BTreeMap::new()).unwrap_err().message
        };
        assert!(check(&sample::run(), &BTreeMap::new()).is_ok());
        for (message, word) in [
            (one(|run| run.port = 0), "port"),
            (one(|run| run.memory_mib = 1), "memory_mib"),
            (one(|run| run.health.path = "/{{ x }}".into()), "health.path"),
            (one(|run| run.volumes = vec!["/a:/run".into()]), "volumes[0]"),
            (one(|run| run.health.good_probes = 0), "good_probes"),
            (one(|run| drop(run.env.insert("A=B".into(), String::new()))), "A=B"),
            (one(|run| drop(run.secrets.insert("../x".into(), SecretRef::Env("X".into())))), "../x"),
            (one(|run| drop(run.secrets.insert("KEY".into(), SecretRef::Env("X".into())))), "did not come"),
        ] {
            assert!(message.contains(word), "{message}");
        }
    }

    #[test]
    fn invariant_10_a_secret_that_nothing_refers_to_is_refused_without_its_value() {
        let secrets = BTreeMap::from([("KEY".to_owned(), Secret::new("hunter2".into()))]);
        let message = check(&sample::run(), &secrets).unwrap_err().message;
        assert!(message.contains("KEY") && !message.contains("hunter2"), "{message}");
    }
}
