//! Releases from end to end, in memory.

use super::testing::{Bench, REPOSITORY, chain};
use super::*;
use crate::config::{GitTag, OnNoBump};
use crate::domain::event::Event;
use crate::ledger::memory::{Call, Fault, Moment};

fn version(report: &Report) -> String {
    report.version.as_ref().map(Version::to_string).unwrap_or_default()
}

fn digest(report: &Report) -> String {
    report.digest.as_ref().unwrap().to_string()
}

fn prerelease(label: &str) -> Args {
    Args { prerelease: Some(label.into()), ..Args::default() }
}

/// The append after `skip` others fails once.
fn fault(skip: u32) -> Fault {
    Fault { call: Call::Append, skip, times: 1, moment: Moment::Before, transient: true }
}

#[tokio::test]
async fn commits_become_versions_and_a_second_run_does_nothing() {
    let bench = Bench::new();
    let first = bench.release("chore: begin").await;
    assert_eq!((version(&first).as_str(), first.state), ("0.1.0", State::Built));
    assert_eq!(first.tags, [&format!("sha-{}", first.commit), "v0.1.0", "latest", "git:v0.1.0"]);
    for tag in [&format!("sha-{}", first.commit), "v0.1.0", "latest"] {
        assert_eq!(bench.tag(tag), Some(digest(&first)), "{tag}");
    }
    assert_eq!(bench.kinds().await, ["version.claimed", "release.bound", "release.tagged"]);
    let request = bench.builder.built().remove(0);
    let label = |key: &str| request.labels[&format!("org.opencontainers.image.{key}")].clone();
    assert_eq!(label("revision"), first.commit.as_str());
    assert_eq!((label("title").as_str(), label("created").as_str()), ("web", "2023-11-14T22:14:20.000Z"));
    assert_eq!(request.build_args["SOURCE_DATE_EPOCH"], "1700000060");

    bench.registry.requests();
    let again = bench.run(Args::default()).await;
    let requests = bench.registry.requests();
    assert_eq!((again.state, &again.release, &again.tags), (State::Existing, &first.release, &first.tags));
    assert!(requests.len() <= 4 && requests.iter().all(|r| r.starts_with("HEAD")), "{requests:?}");
    assert_eq!(bench.builder.built().len(), 1);
    assert_eq!(bench.kinds().await.len(), 3, "nothing new is recorded");

    for (message, expected) in
        [("feat: a", "0.2.0"), ("fix: b", "0.2.1"), ("docs: c", "0.2.2"), ("feat!: d", "0.3.0")]
    {
        assert_eq!(version(&bench.release(message).await), expected, "{message}");
    }
    assert_eq!(bench.tag("v0.1.0"), Some(digest(&first)));
}

#[tokio::test]
async fn every_interruption_ends_in_one_release_on_the_second_run() {
    // What fails: the claim, the bind, the record of the tags, each as an append.
    for (skip, builds) in [(0, 1), (1, 1), (2, 1)] {
        let bench = Bench::new();
        bench.lab.commit("feat: a");
        bench.ledger.inject(fault(skip));
        let _ = bench.try_run(Args::default()).await;
        bench.ledger.heal();
        let report = bench.run(Args::default()).await;
        assert_eq!(
            (version(&report).as_str(), bench.builder.built().len()),
            ("0.1.0", builds),
            "append {skip}"
        );
        assert!(report.is_complete(), "{report:?}");
        assert_eq!(
            bench.kinds().await,
            ["version.claimed", "release.bound", "release.tagged"],
            "append {skip}"
        );
    }
    // What fails: a tag.
    for tag in ["v0.1.0", "latest"] {
        let bench = Bench::new();
        bench.lab.commit("feat: a");
        bench.registry.fail(tag);
        let first = bench.run(Args::default()).await;
        assert_eq!((first.incomplete.len(), first.release.is_some()), (1, true), "{:?}", first.incomplete);
        let second = bench.run(Args { repair: true, ..Args::default() }).await;
        assert!(second.is_complete(), "{second:?}");
        assert_eq!((bench.tag(tag), bench.builder.built().len()), (Some(digest(&first)), 1));
    }
    // What fails: the build. Its number is kept for the commit.
    let bench = Bench::new();
    bench.lab.commit("feat: a");
    bench.builder.fail("boom");
    let error = bench.try_run(Args::default()).await.unwrap_err();
    assert!(chain(&error).contains("boom") && error.details == ["the last line"], "{error:?}");
    assert_eq!(version(&bench.run(Args::default()).await), "0.1.0");
}

#[tokio::test]
async fn a_ledger_that_cannot_be_read_for_latest_stops_no_other_tag() {
    let mut told = 0;
    for skip in 0.. {
        let bench = Bench::new();
        bench.lab.commit("feat: a");
        let fault = Fault { call: Call::Read, skip, times: 1, moment: Moment::Before, transient: true };
        bench.ledger.inject(fault);
        let first = bench.try_run(Args::default()).await;
        bench.ledger.heal();
        if let Ok(report) = &first {
            if report.is_complete() {
                break;
            }
            told += u32::from(report.incomplete.iter().any(|text| text.starts_with("latest: ledger ")));
            assert_eq!(report.incomplete.len(), 1, "{report:?}");
            assert!(report.tags.contains(&"git:v0.1.0".to_owned()), "{report:?}");
            assert_eq!(bench.kinds().await.last(), Some(&"release.tagged"), "read {skip}");
        }
        let second = bench.run(Args::default()).await;
        assert!(
            second.is_complete() && bench.tag("latest") == Some(digest(&second)),
            "read {skip}: {second:?}"
        );
        assert_eq!(bench.builder.built().len(), 1, "read {skip}");
    }
    assert!(told > 0, "no read was one for latest");
}

#[tokio::test]
async fn a_push_is_read_back_by_digest() {
    let bench = Bench::new();
    let report = bench.release("feat: a").await;
    let requests = bench.registry.requests();
    let sha = format!("sha-{}", report.commit);
    assert!(requests.contains(&format!("GET {}", digest(&report))), "{requests:?}");
    assert!(!requests.contains(&format!("GET {sha}")), "{requests:?}");
}

#[tokio::test]
async fn an_image_without_the_right_label_is_not_taken() {
    let bench = Bench::new();
    let commit = bench.lab.commit("feat: a");
    let tag = format!("sha-{commit}");
    for config in [r#"{"config":{"Labels":{"org.opencontainers.image.revision":"other"}}}"#, "{}"] {
        let found = bench.registry.push(REPOSITORY, &tag, config.as_bytes());
        let error = bench.try_run(Args::default()).await.unwrap_err();
        assert!(error.hints[0].contains(found.as_str()), "{error:?}");
    }
    assert!(bench.kinds().await.is_empty(), "no number is burnt");
    let report = bench.run(Args { new_build: true, ..Args::default() }).await;
    assert_eq!((report.state, version(&report).as_str()), (State::Built, "0.1.0"));
}

#[tokio::test]
async fn invariant_9_a_moved_version_tag_is_a_conflict_and_stays() {
    let bench = Bench::new();
    let report = bench.release("feat: a").await;
    let foreign = bench.registry.push(REPOSITORY, "v0.1.0", b"{}").to_string();
    let again = bench.run(Args::default()).await;
    assert_eq!(again.conflicts, [format!("v0.1.0 points to {foreign}")]);
    assert_eq!((bench.tag("v0.1.0"), again.digest), (Some(foreign), report.digest));
    let recorded = |entry: &crate::domain::entry::Entry| matches!(&entry.event, Event::ReleaseTagged { conflicts, .. } if !conflicts.is_empty());
    assert_eq!(bench.entries().await.iter().filter(|e| recorded(e)).count(), 1);
    bench.run(Args::default()).await;
    assert_eq!(bench.entries().await.iter().filter(|e| recorded(e)).count(), 1, "recorded once");
}

#[tokio::test]
async fn a_lost_race_for_a_number_takes_the_next_one() {
    let bench = Bench::new();
    let base = bench.release("chore: begin").await.commit;
    let older = bench.lab.commit("fix: older");
    // Two jobs at once: each has its own clone in CI, here its own HEAD.
    let (context, supply) = (bench.context(), bench.supply());
    let head = in_git(&bench.lab.repository(), |r| r.head()).await.unwrap();
    let args = Args::default();
    let job =
        Job { context: &context, supply: &supply, repository: bench.lab.repository(), head, args: &args };
    let known = job.known().await.unwrap();
    assert_eq!(job.next(&Wanted::Next).await.unwrap().unwrap().to_string(), "0.1.1");
    bench.lab.branch("other", &base);
    let newer = bench.release("fix: other").await;
    assert_eq!(version(&newer), "0.1.1");
    assert_eq!(job.claim(&Wanted::Next, &known).await.unwrap().unwrap().to_string(), "0.1.2");
    let error = job.claim(&Wanted::Exact("0.1.1".parse().unwrap()), &known).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(older.as_str()) && text.contains(newer.commit.as_str()), "{text}");
}

#[tokio::test]
async fn two_runs_for_one_commit_make_one_release() {
    let bench = Bench::new();
    bench.lab.commit("feat: a");
    let (a, b) = tokio::join!(bench.run(Args::default()), bench.run(Args::default()));
    assert_eq!(a.release, b.release);
    assert_eq!(
        bench.tag(&format!("sha-{}", a.commit)),
        Some(digest(&a)),
        "the commit's tag is the bound image"
    );
    assert_eq!(bench.tag("v0.1.0"), Some(digest(&a)));
    let bound = bench.kinds().await.iter().filter(|kind| **kind == "release.bound").count();
    assert_eq!(bound, 1);
}

#[tokio::test]
async fn latest_never_goes_back() {
    let bench = Bench::new();
    bench.release("chore: begin").await;
    let older = bench.lab.commit("fix: older");
    let newer = bench.release("feat: newer").await;
    assert_eq!(version(&newer), "0.2.0");
    bench.lab.branch("back", &older);
    // An older commit that comes late has the higher number, and is an ancestor.
    let late = bench.run(Args::default()).await;
    assert_eq!(version(&late), "0.2.1");
    assert_eq!(bench.tag("latest"), Some(digest(&newer)));
    assert!(!late.tags.contains(&"latest".to_owned()) && late.is_complete(), "{late:?}");
    bench.lab.branch("main", &newer.commit);
    let next = bench.release("fix: next").await;
    // The late release is the base now, so what came after its commit counts again: rather too high than too low.
    assert_eq!((version(&next).as_str(), bench.tag("latest")), ("0.3.0", Some(digest(&next))));
}

#[tokio::test]
async fn a_lost_image_is_built_anew_under_another_version() {
    let bench = Bench::new();
    let first = bench.release("feat: a").await;
    bench.registry.lose(first.digest.as_ref().unwrap());
    let second = bench.run(Args::default()).await;
    assert_eq!((second.state, version(&second).as_str()), (State::Built, "0.1.1"));
    assert_ne!(second.digest, first.digest);
    let third = bench.run(Args::default()).await;
    assert_eq!((third.state, third.release), (State::Existing, second.release));
}

#[tokio::test]
async fn a_lost_commit_tag_comes_back_from_the_kept_manifest() {
    let bench = Bench::new();
    let first = bench.release("feat: a").await;
    let tag = format!("sha-{}", first.commit);
    bench.registry.untag(REPOSITORY, &tag);
    bench.registry.untag(REPOSITORY, "v0.1.0");
    assert!(bench.run(Args::default()).await.is_complete());
    assert_eq!((bench.tag(&tag), bench.tag("v0.1.0")), (Some(digest(&first)), Some(digest(&first))));
    assert_eq!(bench.builder.built().len(), 1);
}

#[tokio::test]
async fn another_build_is_another_version() {
    let bench = Bench::new();
    let first = bench.release("feat: a").await;
    let second = bench.run(Args { new_build: true, ..Args::default() }).await;
    assert_eq!((second.state, version(&second).as_str()), (State::Built, "0.1.1"));
    assert_eq!(bench.tag("v0.1.0"), Some(digest(&first)));
    let error = bench
        .try_run(Args { new_build: true, version: "0.1.0".parse().ok(), ..Args::default() })
        .await
        .unwrap_err();
    assert!(error.to_string().contains("has one build"), "{error}");
}

#[tokio::test]
async fn a_finished_image_is_adopted_if_it_is_this_commits() {
    let bench = Bench::new();
    let commit = bench.lab.commit("feat: a");
    let config = |revision: &str| {
        serde_json::json!({"config": {"Labels": {"org.opencontainers.image.revision": revision}}}).to_string()
    };
    let good = bench.registry.push(REPOSITORY, "ci-7", config(commit.as_str()).as_bytes());
    let bad = bench.registry.push(REPOSITORY, "ci-8", config("f00").as_bytes());
    let image =
        |name: &str, digest: &Digest| Args { image: Some(format!("{name}@{digest}")), ..Args::default() };
    let error = bench.try_run(image(REPOSITORY, &bad)).await.unwrap_err();
    assert!(error.to_string().contains("f00"), "{error}");
    let error = bench.try_run(image("registry.example/ci/web", &good)).await.unwrap_err();
    assert!(error.hints[0].contains("skopeo copy"), "{:?}", error.hints);
    let error = bench.try_run(image(REPOSITORY, &Digest::of(b"no"))).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    let report = bench.run(image(&format!("{REPOSITORY}:ci-7"), &good)).await;
    assert_eq!(
        (report.state, version(&report).as_str(), report.digest.as_ref()),
        (State::Adopted, "0.1.0", Some(&good))
    );
    assert_eq!(bench.tag(&format!("sha-{commit}")), Some(good.to_string()));
    assert!(bench.builder.built().is_empty());
    assert_eq!(bench.run(image(REPOSITORY, &good)).await.state, State::Existing);
    let unlabelled = bench.registry.push(REPOSITORY, "ci-9", b"{}");
    let error = bench.try_run(image(REPOSITORY, &unlabelled)).await.unwrap_err();
    assert!(error.hints[0].contains("--new-build"), "{error:?}");
}

#[tokio::test]
async fn a_candidate_is_promoted_with_its_digest() {
    let bench = Bench::new();
    bench.release("chore: begin").await;
    bench.lab.commit("feat: a");
    let candidate = bench.run(prerelease("rc")).await;
    assert_eq!(version(&candidate), "0.2.0-rc.1");
    assert_ne!(bench.tag("latest"), Some(digest(&candidate)));
    assert_eq!(bench.run(prerelease("rc")).await.state, State::Existing);
    let release = bench.run(Args::default()).await;
    assert_eq!((version(&release).as_str(), &release.digest), ("0.2.0", &candidate.digest));
    assert_eq!(bench.tag("latest"), Some(digest(&release)));
    assert_eq!(bench.builder.built().len(), 2);
}

#[tokio::test]
async fn branches_count_their_own_builds_and_never_are_latest() {
    let bench = Bench::new();
    let base = bench.release("chore: begin").await;
    bench.lab.branch("feature/new_ui", &base.commit);
    for n in 1..=5 {
        let report = bench.release("feat: ui").await;
        assert_eq!(version(&report), format!("0.2.0-new-ui.{n}"));
        assert_eq!(report.tags.len(), 2, "{:?}", report.tags);
    }
    assert_eq!(bench.tag("latest"), Some(digest(&base)));
}

#[tokio::test]
async fn a_dirty_tree_is_refused_or_a_dev_build() {
    let bench = Bench::new();
    bench.lab.commit("feat: a");
    bench.lab.write("new", "x");
    let error = bench.try_run(Args::default()).await.unwrap_err();
    assert_eq!(error.details, ["new"]);
    let report = bench.run(Args { allow_dirty: true, ..Args::default() }).await;
    assert_eq!((report.state, &report.release, &report.version), (State::Dev, &None, &None));
    assert!(report.tags[0].starts_with("dev-"), "{:?}", report.tags);
    assert!(bench.kinds().await.is_empty());
}

#[tokio::test]
async fn a_dry_run_has_no_effect() {
    let bench = Bench::new();
    bench.lab.commit("feat: a");
    let report = bench.run(Args { dry_run: true, ..Args::default() }).await;
    assert_eq!((report.state, version(&report).as_str(), report.release), (State::Planned, "0.1.0", None));
    assert!(bench.kinds().await.is_empty() && bench.builder.built().is_empty());
    assert!(bench.registry.requests().iter().all(|request| request.starts_with("HEAD")));
}

#[tokio::test]
async fn settings_decide_on_versions_and_git_tags() {
    let mut bench = Bench::new();
    bench.settings.on_no_bump = OnNoBump::CommitOnly;
    bench.settings.git_tag = GitTag::Off;
    let first = bench.release("docs: begin").await;
    assert_eq!((version(&first).as_str(), first.tags.len()), ("0.1.0", 3));
    let second = bench.release("docs: more").await;
    assert_eq!((second.state, &second.release), (State::CommitOnly, &None));
    assert_eq!(bench.tag(&format!("sha-{}", second.commit)), Some(digest(&second)));
    assert_eq!(bench.kinds().await.len(), 3);
}

#[tokio::test]
async fn only_what_is_not_ignored_goes_into_the_context() {
    let bench = Bench::new();
    bench.lab.write(".dockerignore", "*.md\nDockerfile\n.dockerignore\n");
    bench.lab.write("a.md", "x");
    bench.lab.write("a.py", "x");
    bench.release("feat: a").await;
    let context = bench.builder.built().remove(0).context;
    let mut archive = tar::Archive::new(context.as_slice());
    let names: Vec<_> =
        archive.entries().unwrap().map(|e| e.unwrap().path().unwrap().display().to_string()).collect();
    assert_eq!(names, [".dockerignore", "Dockerfile", "a.py"]);
}
