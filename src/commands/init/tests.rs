//! From nothing to a configuration that loads; nothing is overwritten.

use std::collections::BTreeMap;

use super::*;
use crate::clock::SystemClock;
use crate::config::load::load;

fn repository(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    directory
}

fn init(root: &Path) -> Report {
    run(&SystemClock, &Args { root: root.to_owned(), ledger: None, artifacts: None }).unwrap()
}

const DOCKERFILE: &str =
    "FROM scratch\nEXPOSE 8080/tcp\nHEALTHCHECK CMD wget http://localhost:8080/ready || exit 1\n";

#[test]
fn what_it_writes_loads_as_a_configuration() {
    let directory = repository(&[("Dockerfile", DOCKERFILE)]);
    let report = init(directory.path());
    assert!(report.created.contains(&"relman.toml".to_owned()), "{report:?}");
    assert!(report.created.contains(&"ansible/perform.yml".to_owned()), "{report:?}");
    assert!(report.created.contains(&".github/workflows/deploy.yml".to_owned()));
    let loaded = load(None, directory.path(), &BTreeMap::new()).unwrap();
    let config = loaded.config;
    assert_eq!((config.run.port, config.run.health.path.as_str()), (8080, "/ready"));
    assert!(config.ledger.id.is_some());
    assert_eq!(config.environments.len(), 1);
    let workflow = std::fs::read_to_string(directory.path().join(".github/workflows/deploy.yml")).unwrap();
    assert!(workflow.contains("branches: [main]") && !workflow.contains("@branch@"), "{workflow}");
}

#[test]
fn a_second_run_changes_nothing_and_gives_no_second_ledger() {
    let directory = repository(&[("Dockerfile", DOCKERFILE)]);
    let first = init(directory.path());
    let config = std::fs::read_to_string(directory.path().join("relman.toml")).unwrap();
    let second = init(directory.path());
    assert_eq!(second.created, Vec::<String>::new());
    assert_eq!(second.kept, first.created);
    assert_eq!(std::fs::read_to_string(directory.path().join("relman.toml")).unwrap(), config);
}

#[test]
fn files_of_a_team_stay_and_do_not_mix_with_the_roles() {
    let directory = repository(&[
        ("Dockerfile", ""),
        ("ansible/site.yml", "theirs"),
        (".github/workflows/deploy.yml", "theirs"),
    ]);
    let report = init(directory.path());
    assert_eq!(report.kept, [".github/workflows/deploy.yml"]);
    let read = |path: &str| std::fs::read_to_string(directory.path().join(path)).unwrap();
    assert_eq!(read("ansible/site.yml"), "theirs");
    assert_eq!(read(".github/workflows/deploy.yml"), "theirs");
    assert!(!directory.path().join("ansible/perform.yml").exists());
    assert!(directory.path().join("relman-ansible/perform.yml").exists());
    let config = load(None, directory.path(), &BTreeMap::new()).unwrap().config;
    assert_eq!(config.ansible.directory, Path::new("relman-ansible"));
    assert!(init(directory.path()).created.is_empty(), "the second run finds the same place");
}

#[test]
fn a_dockerfile_below_is_the_context_and_none_is_an_error() {
    let directory = repository(&[("app/Dockerfile", DOCKERFILE)]);
    init(directory.path());
    let config = load(None, directory.path(), &BTreeMap::new()).unwrap().config;
    assert_eq!(config.image.context, Path::new("app"));
    for files in [&[][..], &[("a/Dockerfile", ""), ("b/Dockerfile", "")]] {
        let directory = repository(files);
        let args = Args { root: directory.path().to_owned(), ledger: None, artifacts: None };
        assert_eq!(run(&SystemClock, &args).unwrap_err().kind, ErrorKind::Usage);
        assert!(!directory.path().join("relman.toml").exists());
    }
}

#[test]
fn a_named_ledger_is_written_and_another_kind_is_refused() {
    let directory = repository(&[("Dockerfile", DOCKERFILE)]);
    let args =
        |url: &str| Args { root: directory.path().to_owned(), ledger: Some(url.to_owned()), artifacts: None };
    assert_eq!(run(&SystemClock, &args("postgres:x")).unwrap_err().kind, ErrorKind::Usage);
    run(&SystemClock, &args("sqlite:/var/lib/relman/l.db")).unwrap();
    let config = load(None, directory.path(), &BTreeMap::new()).unwrap().config;
    assert_eq!(config.ledger.url.as_deref(), Some("sqlite:/var/lib/relman/l.db"));
}

#[test]
fn a_ledger_in_dynamodb_comes_with_its_artifacts_and_without_an_id_of_its_own() {
    let directory = repository(&[("Dockerfile", DOCKERFILE)]);
    let args = |artifacts: Option<&str>| Args {
        root: directory.path().to_owned(),
        ledger: Some("dynamodb:relman-ledger".to_owned()),
        artifacts: artifacts.map(str::to_owned),
    };
    for missing in [None, Some("s3:acme"), Some("ftp://acme")] {
        assert_eq!(run(&SystemClock, &args(missing)).unwrap_err().kind, ErrorKind::Usage);
    }
    run(&SystemClock, &args(Some("s3://acme-artifacts/web"))).unwrap();
    let config = load(None, directory.path(), &BTreeMap::new()).unwrap().config;
    assert_eq!(config.ledger.url.as_deref(), Some("dynamodb:relman-ledger"));
    assert_eq!(config.artifacts.url.as_deref(), Some("s3://acme-artifacts/web"));
    assert_eq!(config.ledger.id, None);
}

#[test]
fn guesses_follow_the_table() {
    assert_eq!(guess::port("FROM x\nexpose 80\nEXPOSE 9000 9001\n"), Some(9000));
    assert_eq!(guess::port("EXPOSE $PORT"), None);
    assert_eq!(guess::health("HEALTHCHECK CMD curl -f http://127.0.0.1:8000/up?x"), Some("/up".to_owned()));
    assert_eq!(guess::health("FROM x"), None);
    for (directory, name) in [("My App_2", "my-app-2"), ("---", "service"), ("", "service"), ("web", "web")] {
        assert_eq!(guess::name(directory).unwrap().as_str(), name);
    }
    for (origin, image) in [
        ("https://github.com/Acme/Web.git", Some("ghcr.io/acme/web")),
        ("git@github.com:acme/web.git", Some("ghcr.io/acme/web")),
        ("https://gitlab.com/a/b/c", Some("registry.gitlab.com/a/b/c")),
        ("https://git.example.com/a/b", None),
        ("https://github.com/$(x)/y", None),
    ] {
        assert_eq!(guess::image(origin).as_deref(), image, "{origin}");
    }
}
