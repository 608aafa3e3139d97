//! A context over fakes, with releases and deployments on record, for the tests of commands that read.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Context, Site, Supply};
use crate::artifact::Artifacts as _;
use crate::artifact::memory::MemoryArtifacts;
use crate::clock::{Clock, SystemClock};
use crate::config;
use crate::domain::actor::{Actor, ActorSource};
use crate::domain::deployment::{Holder, Kind, Outcome, Verdict};
use crate::domain::event::{Direction, Event, Started, StepRef};
use crate::domain::id::{CommitSha, Digest, Stream, Token};
use crate::domain::release::{Release, ReleaseRef};
use crate::domain::run::RunConfig;
use crate::domain::time::Timestamp;
use crate::git::Repository;
use crate::host::fake::FakeFleet;
use crate::host::wire::{Slot, SlotView};
use crate::image::{BuildRequest, Builder, ImageError};
use crate::ledger::memory::MemoryLedger;
use crate::ledger::{Lease, Take};
use crate::registry::{Manifest, Registry, RegistryError};

/// Everything that a reading command takes, and the fakes behind it.
pub(super) struct World {
    pub(super) context: Context,
    pub(super) site: Site,
    pub(super) supply: Supply,
    pub(super) ledger: Arc<MemoryLedger>,
    pub(super) artifacts: Arc<MemoryArtifacts>,
    pub(super) fleet: Arc<FakeFleet>,
    pub(super) registry: Arc<Shelf>,
}

/// The machine's clock, but that time goes by as tokio's does: where that is paused, only while somebody waits.
#[derive(Default)]
struct TestClock {
    begun: std::sync::OnceLock<tokio::time::Instant>,
}

#[async_trait::async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn elapsed(&self) -> Duration {
        self.begun.get_or_init(tokio::time::Instant::now).elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn token(&self) -> Token {
        SystemClock.token()
    }
}

/// A registry of names and bytes.
#[derive(Default)]
pub(super) struct Shelf {
    pub(super) tags: Mutex<BTreeMap<String, Digest>>,
    pub(super) content: Mutex<BTreeMap<Digest, Vec<u8>>>,
    pub(super) down: Mutex<bool>,
}

impl Shelf {
    pub(super) fn put(&self, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        self.content.lock().unwrap().insert(digest.clone(), bytes.to_owned());
        digest
    }

    fn up(&self) -> Result<(), RegistryError> {
        let gone = || RegistryError::Unavailable { registry: "fake".into(), source: "it is down".into() };
        if *self.down.lock().unwrap() { Err(gone()) } else { Ok(()) }
    }
}

#[async_trait::async_trait]
impl Registry for Shelf {
    async fn resolve(&self, _: &str, reference: &str) -> Result<Option<Digest>, RegistryError> {
        self.up()?;
        if let Ok(digest) = reference.parse::<Digest>() {
            return Ok(self.content.lock().unwrap().contains_key(&digest).then_some(digest));
        }
        Ok(self.tags.lock().unwrap().get(reference).cloned())
    }

    async fn manifest(&self, _: &str, reference: &str) -> Result<Option<Manifest>, RegistryError> {
        self.up()?;
        let digest: Digest = reference.parse().unwrap();
        let found = self.content.lock().unwrap().get(&digest).cloned();
        Ok(found.map(|bytes| Manifest { digest, media_type: "application/json".to_owned(), bytes }))
    }

    async fn blob(&self, _: &str, digest: &Digest) -> Result<Option<Vec<u8>>, RegistryError> {
        self.up()?;
        Ok(self.content.lock().unwrap().get(digest).cloned())
    }

    async fn put_manifest(&self, _: &str, _: &str, _: &Manifest) -> Result<(), RegistryError> {
        panic!("a reading command writes nothing")
    }
}

struct NoBuilder;

#[async_trait::async_trait]
impl Builder for NoBuilder {
    async fn engine(&self) -> Result<String, ImageError> {
        Ok("fake 1".to_owned())
    }

    async fn build(&self, _: BuildRequest, _: &(dyn Fn(&str) + Send + Sync)) -> Result<(), ImageError> {
        panic!("a reading command builds nothing")
    }

    async fn push(&self, _: &str, _: &str, _: &(dyn Fn(&str) + Send + Sync)) -> Result<(), ImageError> {
        panic!("a reading command pushes nothing")
    }
}

/// A run configuration that listens on this port.
pub(super) fn run_config(port: u16) -> RunConfig {
    serde_json::from_value(serde_json::json!({ "port": port })).unwrap()
}

impl World {
    pub(super) fn new(hosts: &[&str], repository: Option<Repository>) -> Self {
        let ledger = Arc::new(MemoryLedger::default());
        let artifacts = Arc::new(MemoryArtifacts::default());
        let fleet = Arc::new(FakeFleet::ready(hosts));
        let registry = Arc::new(Shelf::default());
        let context = Context {
            service: "web".parse().unwrap(),
            ledger: ledger.clone(),
            artifacts: artifacts.clone(),
            clock: Arc::new(TestClock::default()),
            actor: Actor { name: "ada".to_owned(), source: ActorSource::Given, run_url: None },
            machine: "laptop".to_owned(),
            progress: Arc::new(crate::progress::Silent),
            interrupt: crate::interrupt::Interrupt::default(),
        };
        let site = Site {
            name: "production".parse().unwrap(),
            settings: toml::from_str("").unwrap(),
            run: run_config(8000),
            fleet: fleet.clone(),
            secrets: Arc::default(),
            lease: Duration::from_secs(60),
            infra: None,
            roster: None,
        };
        let supply = Supply {
            image: toml::from_str("repository = \"registry.example/web\"").unwrap(),
            version: config::VersionSettings::default(),
            repository,
            registry: registry.clone(),
            builder: Arc::new(NoBuilder),
        };
        Self { context, site, supply, ledger, artifacts, fleet, registry }
    }

    pub(super) fn stream(&self) -> Stream {
        self.context.stream(&self.site.name)
    }

    async fn append(&self, stream: &Stream, lease: Option<&Lease>, event: Event) {
        let draft = self.context.draft(event);
        self.context.ledger.append(stream, lease.map(|lease| &lease.fence), draft).await.unwrap();
    }

    /// A release on record, its image in the registry with the commit in its label.
    pub(super) async fn release(&self, version: &str, commit: &CommitSha) -> ReleaseRef {
        let config = serde_json::json!({
            "config": { "Labels": { "org.opencontainers.image.revision": commit } }, "version": version
        });
        let config = self.registry.put(config.to_string().as_bytes());
        let manifest = serde_json::json!({ "config": { "digest": config } }).to_string();
        let digest = self.registry.put(manifest.as_bytes());
        self.artifacts.put(manifest.as_bytes()).await.unwrap();
        let release = ReleaseRef {
            version: version.parse().unwrap(),
            commit: commit.clone(),
            digest: digest.clone(),
            repository: "registry.example/web".to_owned(),
        };
        self.registry.tags.lock().unwrap().insert(release.version.tag(), digest);
        self.bind(&release).await;
        release
    }

    /// Another version of the image of a release.
    pub(super) async fn name(&self, version: &str, release: &ReleaseRef) -> ReleaseRef {
        let release = ReleaseRef { version: version.parse().unwrap(), ..release.clone() };
        self.bind(&release).await;
        release
    }

    async fn bind(&self, release: &ReleaseRef) {
        let stream = Stream::releases(&self.context.service);
        let claimed =
            Event::VersionClaimed { version: release.version.clone(), commit: release.commit.clone() };
        self.append(&stream, None, claimed).await;
        let bound = Release {
            identity: release.clone(),
            tree: None,
            committed_at: None,
            manifest: release.digest.clone(),
            media_type: "application/json".to_owned(),
            base_digest: None,
            adopted: false,
            tools: "test".to_owned(),
        };
        self.append(&stream, None, Event::ReleaseBound(Box::new(bound))).await;
    }

    /// A deployment that succeeded on all hosts.
    pub(super) async fn deploy(&self, number: u64, release: &ReleaseRef, run: &RunConfig) {
        let hosts = self.fleet_hosts();
        self.deploy_on(number, release, run, &hosts.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }

    /// A deployment that succeeded on these hosts.
    pub(super) async fn deploy_on(&self, number: u64, release: &ReleaseRef, run: &RunConfig, hosts: &[&str]) {
        let lease = self.begin_on(number, release, run, hosts).await;
        let stream = self.stream();
        self.append(&stream, Some(&lease), Event::Committed { deployment: number }).await;
        for &host in hosts {
            let step = self.step(number, "confirm", host);
            self.append(&stream, Some(&lease), Event::StepStarted { step: step.clone(), exposes: false })
                .await;
            self.append(&stream, Some(&lease), Event::StepSucceeded { step, log: None }).await;
            self.serve(host, number, release);
        }
        let finished = Event::DeploymentFinished {
            deployment: number,
            outcome: Outcome::Succeeded,
            message: None,
            verdict: Some(Verdict::Proven),
        };
        self.append(&stream, Some(&lease), finished).await;
        self.context.ledger.release(&lease, self.context.draft(Event::LeaseReleased {})).await.unwrap();
    }

    /// A deployment whose traffic has been shifted, and no more.
    pub(super) async fn begin(&self, number: u64, release: &ReleaseRef, run: &RunConfig) -> Lease {
        let hosts = self.fleet_hosts();
        self.begin_on(number, release, run, &hosts.iter().map(String::as_str).collect::<Vec<_>>()).await
    }

    async fn begin_on(&self, number: u64, release: &ReleaseRef, run: &RunConfig, on: &[&str]) -> Lease {
        let stream = self.stream();
        let holder = Holder {
            nonce: self.context.clock.token(),
            actor: self.context.actor.clone(),
            machine: "laptop".to_owned(),
            pid: 1,
            purpose: format!("deploy {}", release.version.tag()),
            since: self.context.clock.now(),
        };
        let draft = self.context.draft(Event::LeaseAcquired { holder, stolen: false });
        let ttl = Duration::from_secs(60);
        let lease = self.context.ledger.acquire(&stream, &Take::IfFree, ttl, draft).await.unwrap();
        let run = self.artifacts.put(serde_json::to_string(run).unwrap().as_bytes()).await.unwrap();
        let hosts: Vec<_> = on.iter().map(|host| host.parse().unwrap()).collect();
        let started = Started {
            deployment: number,
            kind: Kind::Deploy,
            release: release.clone(),
            run,
            hosts,
            reason: None,
            rollback_of: None,
            withdrawn: None,
            sets_hold: false,
            keeps_hold: false,
            offline: None,
            overrides: Vec::new(),
        };
        self.append(&stream, Some(&lease), Event::DeploymentStarted(Box::new(started))).await;
        let plan = self.artifacts.put(b"plan").await.unwrap();
        let planned = Event::DeploymentPlanned { deployment: number, plan, return_point: None };
        self.append(&stream, Some(&lease), planned).await;
        for &host in on {
            let step = self.step(number, "shift", host);
            self.append(&stream, Some(&lease), Event::StepStarted { step, exposes: true }).await;
        }
        lease
    }

    fn fleet_hosts(&self) -> Vec<String> {
        self.site.fleet.hosts().iter().map(ToString::to_string).collect()
    }

    fn step(&self, deployment: u64, name: &str, host: &str) -> StepRef {
        StepRef {
            deployment,
            index: 0,
            name: name.to_owned(),
            host: Some(host.parse().unwrap()),
            direction: Direction::Forward,
        }
    }

    /// Lets a host serve a release.
    pub(super) fn serve(&self, host: &str, deployment: u64, release: &ReleaseRef) {
        let view = SlotView {
            slot: Slot::Blue,
            release: release.clone(),
            deployment,
            running_digest: Some(release.digest.clone()),
            running: true,
            healthy: true,
            restarts: 0,
            weight: 100,
            since: None,
        };
        self.fleet.edit(host, |machine| {
            machine.slots = vec![view];
            machine.committed = Some(Slot::Blue);
        });
    }
}

/// A commit of this digit, forty times.
pub(super) fn commit(digit: char) -> CommitSha {
    digit.to_string().repeat(40).parse().unwrap()
}

/// Two hours later by the wall clock.
pub(super) struct Later(pub(super) Arc<dyn Clock>);

#[async_trait::async_trait]
impl Clock for Later {
    fn now(&self) -> Timestamp {
        Timestamp::new(self.0.now().utc() + chrono::Duration::hours(2))
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        self.0.sleep(duration).await;
    }

    fn token(&self) -> Token {
        self.0.token()
    }
}
