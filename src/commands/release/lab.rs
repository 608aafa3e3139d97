//! Releases on a real engine and a real registry. Part of the lab suite, which sets `LAB_REGISTRY` and
//! `DOCKER_HOST`; there `RELMAN_LAB=1` makes their absence a failure.

use std::sync::Arc;

use super::testing::Bench;
use super::*;
use crate::clock::SystemClock;
use crate::image::docker::DockerBuilder;
use crate::registry::credentials::Credentials;
use crate::registry::oci::OciRegistry;
use crate::registry::{Registry as _, contract};

#[tokio::test]
async fn lab_release_builds_pushes_and_keeps_the_registry_contract() {
    let (Ok(host), Ok(engine)) = (std::env::var("LAB_REGISTRY"), std::env::var("DOCKER_HOST")) else {
        assert!(std::env::var("RELMAN_LAB").is_err(), "the lab suite sets LAB_REGISTRY and DOCKER_HOST");
        return;
    };
    let bench = Bench::new();
    bench
        .lab
        .write("Dockerfile", "FROM relman-lab/python:3.11\nCOPY file /file\nCMD [\"sleep\", \"1000\"]\n");
    bench.lab.write("file", &host);
    let registry = Arc::new(OciRegistry::new(Credentials::default(), false, Arc::new(SystemClock)).unwrap());
    let builder = DockerBuilder::new(Some(engine), Box::new(|_| Box::pin(async { Ok(None) })));
    let mut supply = bench.supply();
    supply.image.repository = format!("{host}/release-{}", std::process::id());
    supply.registry = registry.clone();
    supply.builder = Arc::new(builder);
    bench.lab.commit("feat: a");
    let run = |supply: &Supply, args: Args| {
        let (context, supply) = (bench.context(), supply.clone());
        async move { run(&context, &supply, args).await }
    };
    let first = run(&supply, Args::default()).await.unwrap_or_else(|e| panic!("{e:?}"));
    assert_eq!((first.state, first.is_complete()), (State::Built, true), "{first:?}");
    let repository = supply.image.repository.clone();
    for tag in ["v0.1.0", "latest", &format!("sha-{}", first.commit)] {
        assert_eq!(registry.resolve(&repository, tag).await.unwrap(), first.digest, "{tag}");
    }
    let start = std::time::Instant::now();
    let again = run(&supply, Args::default()).await.unwrap_or_else(|e| panic!("{e:?}"));
    println!("a no-op release took {:?}", start.elapsed());
    assert_eq!((again.state, again.release), (State::Existing, first.release));
    contract::check(registry.as_ref(), &repository, "v0.1.0").await;

    bench.lab.write("Dockerfile", "FROM relman-lab/python:3.11\nRUN echo before; echo wrong >&2; exit 3\n");
    bench.lab.commit("fix: broken");
    let error = run(&supply, Args::default()).await.unwrap_err();
    assert!(error.details.iter().any(|line| line.contains("wrong")), "{error:?}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("returned a non-zero code: 3"), "{cause}");
}
