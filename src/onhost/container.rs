//! What the engine is told to make of a candidate: as little power as a web service needs.

use std::collections::HashMap;
use std::path::Path;

use bollard::models::{
    ContainerCreateBody, ContainerUpdateBody, HostConfig, HostConfigLogConfig, Mount as EngineMount,
    MountType, PortBinding, RestartPolicy, RestartPolicyNameEnum,
};

use super::checks::{Mount, SECRETS_DIRECTORY};
use super::state::{Record, Stage, State};
use crate::domain::id::{EnvironmentName, ServiceName};
use crate::domain::release::ReleaseRef;
use crate::host::wire::Slot;

/// The name of a slot's container.
pub(super) fn name(service: &ServiceName, slot: Slot) -> String {
    format!("relman-{service}-{slot}")
}

/// The container of a slot. Secrets come as files of a directory that must be there: a container whose secrets
/// are gone does not start, also not when the engine restarts it.
pub(super) fn body(
    state: &State,
    slot: Slot,
    record: &Record,
    mounts: &[Mount],
    secrets: Option<&Path>,
) -> ContainerCreateBody {
    let run = &record.run;
    let port = format!("{}/tcp", run.port);
    // The version is not baked into the image: the service hears here which release it is.
    let told = [
        ("RELMAN_SERVICE", state.service.to_string()),
        ("RELMAN_ENVIRONMENT", state.environment.to_string()),
        ("RELMAN_VERSION", record.release.version.to_string()),
        ("RELMAN_COMMIT", record.release.commit.to_string()),
        ("RELMAN_DEPLOYMENT", format!("{}#{}", state.environment, record.deployment)),
    ];
    let mut env: Vec<String> = told
        .into_iter()
        .filter(|(name, _)| !run.env.contains_key(*name))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    env.extend(run.env.iter().map(|(name, value)| format!("{name}={value}")));
    env.extend(run.secrets.keys().map(|name| format!("{name}_FILE={SECRETS_DIRECTORY}/{name}")));
    let mut binds: Vec<EngineMount> = mounts
        .iter()
        .map(|mount| bind(&mount.source.display().to_string(), &mount.target, mount.read_only))
        .collect();
    binds.extend(secrets.map(|path| bind(&path.display().to_string(), SECRETS_DIRECTORY, true)));
    let memory = i64::try_from(run.memory_mib << 20).unwrap_or(i64::MAX);
    let log = [("max-size", "10m"), ("max-file", "3")];
    ContainerCreateBody {
        image: Some(record.release.image()),
        env: Some(env),
        labels: Some(labels(state, slot, record)),
        exposed_ports: Some(vec![port.clone()]),
        stop_timeout: Some(i64::from(run.stop_timeout_seconds)),
        host_config: Some(HostConfig {
            // Loopback alone: the proxy is the one way in.
            port_bindings: Some(HashMap::from([(
                port,
                Some(vec![PortBinding {
                    host_ip: Some("127.0.0.1".to_owned()),
                    host_port: Some(record.port.to_string()),
                }]),
            )])),
            init: Some(true),
            readonly_rootfs: Some(true),
            tmpfs: Some(HashMap::from([(
                "/tmp".to_owned(),
                "rw,nosuid,nodev,mode=1777,size=64m".to_owned(),
            )])),
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(vec!["no-new-privileges:true".to_owned()]),
            memory: Some(memory),
            // No swap beyond it: a service that swaps is slow instead of restarted.
            memory_swap: Some(memory),
            pids_limit: Some(i64::from(run.pids)),
            mounts: Some(binds),
            log_config: Some(HostConfigLogConfig {
                typ: Some("json-file".to_owned()),
                config: Some(log.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
            }),
            // A candidate that ends stays as it ended, so that its exit code can be told; see `kept_up`.
            restart_policy: Some(restart(RestartPolicyNameEnum::NO)),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

/// What changes once a candidate was healthy: from then on the engine keeps it up.
pub(super) fn kept_up() -> ContainerUpdateBody {
    ContainerUpdateBody {
        restart_policy: Some(restart(RestartPolicyNameEnum::UNLESS_STOPPED)),
        ..ContainerUpdateBody::default()
    }
}

fn restart(name: RestartPolicyNameEnum) -> RestartPolicy {
    RestartPolicy { name: Some(name), maximum_retry_count: None }
}

fn bind(source: &str, target: &str, read_only: bool) -> EngineMount {
    EngineMount {
        typ: Some(MountType::BIND),
        source: Some(source.to_owned()),
        target: Some(target.to_owned()),
        read_only: Some(read_only),
        ..EngineMount::default()
    }
}

fn labels(state: &State, slot: Slot, record: &Record) -> HashMap<String, String> {
    let fence = state.fence.as_ref().map_or(0, |fence| fence.number);
    [
        ("service", state.service.to_string()),
        ("environment", state.environment.to_string()),
        ("version", record.release.version.to_string()),
        ("commit", record.release.commit.to_string()),
        ("digest", record.release.digest.to_string()),
        ("repository", record.release.repository.clone()),
        ("deployment", record.deployment.to_string()),
        ("slot", slot.to_string()),
        ("fence", fence.to_string()),
        ("ledger", state.ledger.to_string()),
        // So that a host that lost its memory finds it again; references to secrets, never a secret.
        ("run", serde_json::to_string(&record.run).unwrap_or_default()),
        ("port", record.port.to_string()),
    ]
    .into_iter()
    .map(|(key, value)| (format!("relman.{key}"), value))
    .collect()
}

/// The release that a container's labels tell, with its deployment.
pub(super) fn labelled(labels: &HashMap<String, String>) -> Option<(ReleaseRef, u64)> {
    let get = |key: &str| labels.get(&format!("relman.{key}"));
    let release = ReleaseRef {
        version: get("version")?.parse().ok()?,
        commit: get("commit")?.parse().ok()?,
        digest: get("digest")?.parse().ok()?,
        repository: get("repository")?.clone(),
    };
    Some((release, get("deployment")?.parse().ok()?))
}

/// What a container's labels tell of its slot, if it is one of this service and environment.
pub(super) fn remembered(
    labels: &HashMap<String, String>,
    service: &ServiceName,
    environment: &EnvironmentName,
    slot: Slot,
) -> Option<Record> {
    let get = |key: &str| labels.get(&format!("relman.{key}")).map(String::as_str);
    let is_ours = get("service") == Some(service.as_str())
        && get("environment") == Some(environment.as_str())
        && get("slot") == Some(slot.as_str());
    let (release, deployment) = labelled(labels).filter(|_| is_ours)?;
    Some(Record {
        release,
        deployment,
        run: serde_json::from_str(get("run")?).ok()?,
        port: get("port")?.parse().ok()?,
        stage: Stage::Ready,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::run::SecretRef;
    use crate::onhost::properties::sample;

    #[test]
    fn a_container_has_little_power_and_tells_who_it_is() {
        let (state, mut record) = (sample::state(), sample::record(7));
        record.run.secrets.insert("KEY".into(), SecretRef::Env("KEY".into()));
        record.run.env.insert("MODE".into(), "x".into());
        let body = body(&state, Slot::Green, &record, &[], Some(Path::new("/run/relman/web/green/secrets")));
        let host = body.host_config.unwrap();
        assert_eq!(host.cap_drop.unwrap(), ["ALL"]);
        assert_eq!(host.readonly_rootfs, Some(true));
        assert_eq!(host.security_opt.unwrap(), ["no-new-privileges:true"]);
        assert_eq!(
            host.port_bindings.unwrap()["8000/tcp"].as_ref().unwrap()[0].host_ip.as_deref(),
            Some("127.0.0.1")
        );
        let env = body.env.unwrap();
        assert!(env.contains(&format!("RELMAN_VERSION={}", record.release.version)), "{env:?}");
        assert_eq!(env[5..], ["MODE=x", "KEY_FILE=/run/secrets/KEY"]);
        let mount = &host.mounts.unwrap()[0];
        assert_eq!((mount.target.as_deref(), mount.read_only), (Some("/run/secrets"), Some(true)));
        assert_eq!(labelled(&body.labels.unwrap()).unwrap(), (record.release.clone(), 7));
        assert_eq!(body.image.unwrap(), record.release.image());
    }

    #[test]
    fn labels_of_somebody_else_are_not_a_release() {
        assert_eq!(labelled(&HashMap::from([("relman.version".into(), "1.0.0".into())])), None);
    }
}
