//! What types cannot say about a run configuration, and its limits: in this one place, for the edge and the host.

use std::path::{Component, Path};

use super::RunConfig;

/// Where secrets are in a container.
pub const SECRETS_DIRECTORY: &str = "/run/secrets";

/// What is wrong with one key of a run configuration. It never repeats a text, which may be a misplaced secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunFault {
    /// A number out of its limits.
    #[error("{value} is not within {least} and {most}")]
    Range {
        /// What it is.
        value: u64,
        /// The least that it may be.
        least: u64,
        /// The most that it may be.
        most: u64,
    },
    /// A name that no variable can have.
    #[error("is not a variable name: up to 100 letters, digits and _, not starting with a digit")]
    NotAVariable,
    /// A value that no variable can have.
    #[error("holds a NUL byte")]
    Nul,
    /// A reference that names nothing which can be read.
    #[error("is none of env:NAME, file:PATH, ssm:/PATH[:VERSION] and secretsmanager:NAME[:VERSION]")]
    NotAReference,
    /// `NAME_FILE` in `env`, and a secret `NAME`, which sets it too.
    #[error("is set by the secret of that name without _FILE already")]
    SetTwice,
    /// Not a volume.
    #[error("is not /host/path:/container/path[:ro], both absolute and without ..")]
    NotAVolume,
    /// A volume over the place of the secrets.
    #[error("would hide {SECRETS_DIRECTORY}")]
    HidesSecrets,
    /// A health path that could be taken for a template or a comment where it is written into a configuration.
    #[error("is not a path: up to 1000 letters, digits and / . _ ~ ? = & % + , : @ -, starting with /")]
    NotAPath,
}

/// A fault and the key that it lies in, such as `health.path` or `volumes[1]`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {fault}")]
pub struct RunProblem {
    /// The key below `run`.
    pub key: String,
    /// What is wrong.
    pub fault: RunFault,
}

/// A bind mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Where it is on the host.
    pub source: String,
    /// Where it is in the container.
    pub target: String,
    /// Whether the container may not write.
    pub read_only: bool,
}

impl std::str::FromStr for Volume {
    type Err = RunFault;
    fn from_str(text: &str) -> Result<Self, RunFault> {
        let mut parts = text.split(':');
        let (source, target) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let read_only = match (parts.next(), parts.next()) {
            (None | Some("rw"), None) => false,
            (Some("ro"), None) => true,
            _ => return Err(RunFault::NotAVolume),
        };
        let plain = |path: &str| {
            let mut parts = Path::new(path).components();
            path.len() > 1
                && path.starts_with('/')
                && !path.contains(|c: char| c.is_control() || c == ',' || c == '"')
                && parts.all(|part| matches!(part, Component::RootDir | Component::Normal(_)))
        };
        if !plain(source) || !plain(target) {
            return Err(RunFault::NotAVolume);
        }
        let inside = |inner: &str, outer: &str| Path::new(inner).starts_with(outer);
        if inside(target, SECRETS_DIRECTORY) || inside(SECRETS_DIRECTORY, target) {
            return Err(RunFault::HidesSecrets);
        }
        Ok(Self { source: source.to_owned(), target: target.to_owned(), read_only })
    }
}

/// Whether a variable of an environment may have this name.
pub fn is_variable(name: &str) -> bool {
    (1..=100).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn is_health_path(path: &str) -> bool {
    path.starts_with('/')
        && path.len() <= 1_000
        && path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._~?=&%+,:@-".contains(&b))
}

impl RunConfig {
    /// Everything that types cannot say about it; empty when it can be run. The one place of its limits: the edge
    /// asks it before anything begins, and the host asks it again, since it trusts no request.
    pub fn check(&self) -> Vec<RunProblem> {
        let mut found = Vec::new();
        let mut fault = |key: String, fault| found.push(RunProblem { key, fault });
        for (name, value) in &self.env {
            let key = format!("env.{name}");
            if !is_variable(name) {
                fault(key, RunFault::NotAVariable);
            } else if value.contains('\0') {
                fault(key, RunFault::Nul);
            } else if name.strip_suffix("_FILE").is_some_and(|name| self.secrets.contains_key(name)) {
                fault(key, RunFault::SetTwice);
            }
        }
        for (name, secret) in &self.secrets {
            let key = format!("secrets.{name}");
            if !is_variable(name) {
                fault(key, RunFault::NotAVariable);
            } else if !secret.is_good() {
                fault(key, RunFault::NotAReference);
            }
        }
        for (n, volume) in self.volumes.iter().enumerate() {
            if let Err(reason) = volume.parse::<Volume>() {
                fault(format!("volumes[{n}]"), reason);
            }
        }
        let health = &self.health;
        for (key, value, least, most) in [
            ("port", u64::from(self.port), 1, 65_535),
            ("memory_mib", self.memory_mib, 16, 1 << 20),
            ("pids", u64::from(self.pids), 8, 1_000_000),
            ("stop_timeout_seconds", u64::from(self.stop_timeout_seconds), 1, 600),
            ("health.interval_ms", health.interval_ms, 50, 60_000),
            ("health.timeout_ms", health.timeout_ms, 50, 60_000),
            ("health.start_period_seconds", health.start_period_seconds, 1, 3_600),
            ("health.good_probes", u64::from(health.good_probes), 1, 100),
        ] {
            if !(least..=most).contains(&value) {
                fault(key.to_owned(), RunFault::Range { value, least, most });
            }
        }
        if !is_health_path(&health.path) {
            fault("health.path".to_owned(), RunFault::NotAPath);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::run::SecretRef;

    type Change = fn(&mut RunConfig);

    fn run() -> RunConfig {
        serde_json::from_str(r#"{"port": 8000}"#).unwrap()
    }

    #[test]
    fn each_limit_names_its_key() {
        assert_eq!(run().check(), []);
        let file = |name: &str| SecretRef::File(name.to_owned());
        let cases: [(&str, Change, Change); 8] = [
            ("port", |r| r.port = 0, |r| r.port = 65_535),
            ("memory_mib", |r| r.memory_mib = 15, |r| r.memory_mib = 16),
            ("pids", |r| r.pids = 7, |r| r.pids = 8),
            ("stop_timeout_seconds", |r| r.stop_timeout_seconds = 601, |r| r.stop_timeout_seconds = 600),
            ("health.interval_ms", |r| r.health.interval_ms = 49, |r| r.health.interval_ms = 50),
            ("health.timeout_ms", |r| r.health.timeout_ms = 60_001, |r| r.health.timeout_ms = 60_000),
            (
                "health.start_period_seconds",
                |r| r.health.start_period_seconds = 0,
                |r| r.health.start_period_seconds = 1,
            ),
            ("health.good_probes", |r| r.health.good_probes = 101, |r| r.health.good_probes = 100),
        ];
        for (key, bad, good) in cases {
            let (mut faulty, mut fine) = (run(), run());
            bad(&mut faulty);
            good(&mut fine);
            assert_eq!(faulty.check().iter().map(|p| p.key.as_str()).collect::<Vec<_>>(), [key]);
            assert_eq!(fine.check(), [], "{key}");
        }
        let mut all = run();
        all.env = [("A=B", "x"), ("NUL", "a\0"), ("TOKEN_FILE", "x"), ("GOOD_FILE", "x")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into();
        all.secrets = [("TOKEN", file("/t")), ("../x", file("/t")), ("BAD", SecretRef::Env("a b".into()))]
            .map(|(k, v)| (k.to_owned(), v))
            .into();
        all.volumes = vec!["/a:/b".into(), "x".into(), "/a:/run".into()];
        let found: Vec<_> = all.check().into_iter().map(|p| (p.key, p.fault)).collect();
        assert_eq!(
            found,
            [
                ("env.A=B", RunFault::NotAVariable),
                ("env.NUL", RunFault::Nul),
                ("env.TOKEN_FILE", RunFault::SetTwice),
                ("secrets.../x", RunFault::NotAVariable),
                ("secrets.BAD", RunFault::NotAReference),
                ("volumes[1]", RunFault::NotAVolume),
                ("volumes[2]", RunFault::HidesSecrets),
            ]
            .map(|(key, fault)| (key.to_owned(), fault))
        );
    }

    #[test]
    fn a_health_path_is_nothing_that_a_template_or_a_proxy_reads() {
        for good in ["/", "/healthz", "/a/b-c_d.e~f?x=1&y=%20+a,b:c@d"] {
            assert!(is_health_path(good), "{good}");
        }
        let long = format!("/{}", "a".repeat(1_000));
        for bad in [
            "", "healthz", "/a b", "/{{ x }}", "/{%x%}", "/a#b", "/\"x", "/'x", "/a\\b", "/$x", "/ä", "/a\n",
            &long,
        ] {
            assert!(!is_health_path(bad), "{bad}");
        }
    }

    #[test]
    fn volumes_are_plain_absolute_paths() {
        let volume = |text: &str| text.parse::<Volume>();
        let read_only = Volume { source: "/srv/a".into(), target: "/data".into(), read_only: true };
        assert_eq!(volume("/srv/a:/data:ro"), Ok(read_only));
        assert!(!volume("/srv/a:/data").unwrap().read_only && !volume("/a:/b:rw").unwrap().read_only);
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
            "/a,x:/b",
            "/a:/b\n",
            "/a:/run/secrets",
            "/a:/run",
            "/a:/run/secrets/x",
        ] {
            assert!(volume(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_of_variables() {
        for good in ["A", "_a1"] {
            assert!(is_variable(good), "{good}");
        }
        for bad in ["", "1A", "A-B", "A=B", "A B", "ä", &"a".repeat(101)] {
            assert!(!is_variable(bad), "{bad}");
        }
    }
}
