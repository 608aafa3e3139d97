//! Everything that a release needs, in memory; the git repository is a real one.

use std::sync::Arc;

use super::{Args, Report, run};
use crate::artifact::memory::MemoryArtifacts;
use crate::clock::SystemClock;
use crate::commands::error::CommandError;
use crate::commands::{Context, Supply};
use crate::config::{Image, VersionSettings};
use crate::domain::actor::{Actor, ActorSource};
use crate::domain::entry::Entry;
use crate::domain::id::{Stream, Token};
use crate::git::testing::Lab;
use crate::image::fake::FakeBuilder;
use crate::interrupt::Interrupt;
use crate::ledger::Ledger as _;
use crate::ledger::memory::MemoryLedger;
use crate::progress::Silent;
use crate::registry::fake::FakeRegistry;

pub(super) const REPOSITORY: &str = "registry.example/web";

pub(super) struct Bench {
    pub(super) lab: Lab,
    pub(super) ledger: Arc<MemoryLedger>,
    pub(super) registry: Arc<FakeRegistry>,
    pub(super) builder: Arc<FakeBuilder>,
    pub(super) artifacts: Arc<MemoryArtifacts>,
    pub(super) settings: VersionSettings,
}

impl Bench {
    pub(super) fn new() -> Self {
        let lab = Lab::new();
        lab.write("Dockerfile", "FROM scratch\n");
        let registry = Arc::new(FakeRegistry::default());
        let sink = Arc::clone(&registry);
        let builder = FakeBuilder::new(Box::new(move |repository, tag, config| {
            sink.push(repository, tag, config);
        }));
        Self {
            lab,
            ledger: Arc::new(MemoryLedger::new(Token::from_bits([1; 16]))),
            registry,
            builder: Arc::new(builder),
            artifacts: Arc::new(MemoryArtifacts::default()),
            settings: VersionSettings::default(),
        }
    }

    pub(super) fn context(&self) -> Context {
        Context {
            service: "web".parse().unwrap(),
            ledger: self.ledger.clone(),
            artifacts: self.artifacts.clone(),
            clock: Arc::new(SystemClock),
            actor: Actor { name: "ada".to_owned(), source: ActorSource::Os, run_url: None },
            machine: "test".to_owned(),
            progress: Arc::new(Silent),
            interrupt: Interrupt::default(),
        }
    }

    pub(super) fn supply(&self) -> Supply {
        Supply {
            image: Image {
                repository: REPOSITORY.to_owned(),
                context: ".".into(),
                dockerfile: "Dockerfile".into(),
                build_args: Default::default(),
                insecure: false,
            },
            version: self.settings.clone(),
            repository: Some(self.lab.repository()),
            registry: self.registry.clone(),
            builder: self.builder.clone(),
        }
    }

    pub(super) async fn try_run(&self, args: Args) -> Result<Report, CommandError> {
        run(&self.context(), &self.supply(), args).await
    }

    pub(super) async fn run(&self, args: Args) -> Report {
        match self.try_run(args).await {
            Ok(report) => report,
            Err(error) => panic!("{}: {:?}", chain(&error), error.hints),
        }
    }

    /// A commit, released.
    pub(super) async fn release(&self, message: &str) -> Report {
        self.lab.commit(message);
        self.run(Args::default()).await
    }

    pub(super) fn tag(&self, tag: &str) -> Option<String> {
        self.registry.tag(REPOSITORY, tag).map(|digest| digest.to_string())
    }

    pub(super) async fn entries(&self) -> Vec<Entry> {
        let stream: Stream = "web".parse().unwrap();
        let sealed = self.ledger.read(&stream, 0, 1000).await.unwrap();
        sealed.into_iter().map(|sealed| sealed.entry).collect()
    }

    pub(super) async fn kinds(&self) -> Vec<&'static str> {
        self.entries().await.iter().map(|entry| entry.event.kind()).collect()
    }
}

pub(super) fn chain(error: &CommandError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
