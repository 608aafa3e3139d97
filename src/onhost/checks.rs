//! What a request may ask for, before anything reaches the engine: everything in it was typed by somebody.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use crate::domain::run::RunConfig;
use crate::host::wire::{HostError, HostErrorCode, Secret};

/// Where secrets are in a container.
pub(super) const SECRETS_DIRECTORY: &str = "/run/secrets";

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
    for (name, value) in &run.env {
        if !is_variable(name) || value.contains('\0') {
            return Err(refused(format!("{name:?} cannot be an environment variable")));
        }
    }
    for name in run.secrets.keys() {
        if !is_variable(name) {
            return Err(refused(format!("{name:?} cannot be the name of a secret: letters, digits and '_'")));
        }
        if !secrets.contains_key(name) {
            return Err(refused(format!("the value of secret {name} did not come with the request")));
        }
        if run.env.contains_key(&format!("{name}_FILE")) {
            return Err(refused(format!("{name}_FILE is set by hand and by secret {name}")));
        }
    }
    if let Some(name) = secrets.keys().find(|name| !run.secrets.contains_key(*name)) {
        return Err(refused(format!("secret {name:?} came with the request and nothing refers to it")));
    }
    let health = &run.health;
    if !health.path.starts_with('/') || !health.path.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(refused(format!("health path {:?} is not a path", health.path)));
    }
    for (what, value, least, most) in [
        ("port", u64::from(run.port), 1, 65_535),
        ("memory_mib", run.memory_mib, 6, 16 << 20),
        ("pids", u64::from(run.pids), 1, 4 << 20),
        ("stop_timeout_seconds", u64::from(run.stop_timeout_seconds), 0, 600),
        ("health.interval_ms", health.interval_ms, 10, 60_000),
        ("health.timeout_ms", health.timeout_ms, 10, 60_000),
        ("health.start_period_seconds", health.start_period_seconds, 1, 3_600),
        ("health.good_probes", u64::from(health.good_probes), 1, 100),
    ] {
        if !(least..=most).contains(&value) {
            return Err(refused(format!("{what} = {value} is not between {least} and {most}")));
        }
    }
    run.volumes.iter().map(|text| mount(text)).collect()
}

fn is_variable(name: &str) -> bool {
    (1..=100).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn mount(text: &str) -> Result<Mount, HostError> {
    let bad = || refused(format!("volume {text:?} is not /host/path:/container/path[:ro]"));
    let mut parts = text.split(':');
    let (source, target) = (parts.next().ok_or_else(bad)?, parts.next().ok_or_else(bad)?);
    let read_only = match (parts.next(), parts.next()) {
        (None, _) | (Some("rw"), None) => false,
        (Some("ro"), None) => true,
        _ => return Err(bad()),
    };
    let plain = |path: &str| {
        path.len() > 1
            && !path.contains(char::is_control)
            && Path::new(path).is_absolute()
            && Path::new(path)
                .components()
                .all(|part| matches!(part, Component::RootDir | Component::Normal(_)))
    };
    if !plain(source) || !plain(target) {
        return Err(bad());
    }
    let inside = |inner: &str, outer: &str| Path::new(inner).starts_with(outer);
    if inside(target, SECRETS_DIRECTORY) || inside(SECRETS_DIRECTORY, target) {
        return Err(refused(format!("volume {text:?} would hide {SECRETS_DIRECTORY}")));
    }
    Ok(Mount { source: source.into(), target: target.to_owned(), read_only })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::run::SecretRef;
    use crate::onhost::properties::sample;

    #[test]
    fn volumes_are_plain_absolute_paths() {
        assert_eq!(
            mount("/srv/a:/data:ro").unwrap(),
            Mount { source: "/srv/a".into(), target: "/data".into(), read_only: true }
        );
        assert!(!mount("/srv/a:/data").unwrap().read_only);
        for bad in [
            "",
            "/a",
            "name:/data",
            "/a:b",
            "/a/../b:/c",
            "/a:/b:rx",
            "/a:/b:ro:z",
            "/:/b",
            "/a:/",
            "/a:/run/secrets",
            "/a:/run",
            "/a:/run/secrets/x",
        ] {
            assert!(mount(bad).is_err(), "{bad}");
        }
    }

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
            (one(|run| run.health.path = "healthz".into()), "health path"),
            (one(|run| run.health.path = "/a b".into()), "health path"),
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
