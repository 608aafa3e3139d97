//! Why was it not healthy: on one screen at once, and in the ledger later.

use super::support::site::Site;

/// Lines that fit a screen.
const SCREEN: usize = 50;

/// Deploys a change that cannot get healthy; `shown` must be on the screen and in `show`.
fn scenario(message: &str, file: &str, from: &str, to: &str, shown: &[&str]) {
    let site = Site::shared();
    let before = site.deploy_new();
    site.change(message, file, from, to);
    let failed = site.relman(&["deploy"]).expect(3);
    assert_eq!(site.serving(), before);
    let error_from = failed.stderr.find("Error").or_else(|| failed.stderr.find("error"));
    let screen = &failed.stderr[error_from.unwrap_or(0)..];
    assert!(screen.lines().count() <= SCREEN, "more than a screen:\n{screen}");
    let history = site.history();
    let id = history["deployments"][0]["id"].as_str().expect("a deployment has an id").to_owned();
    let later = site.relman(&["show", &id]).expect(0);
    for text in shown {
        assert!(screen.contains(text), "{text:?} is not on the screen:\n{screen}");
        assert!(later.stdout.contains(text), "{text:?} is not in `show`:\n{}", later.stdout);
    }
    site.git(&["revert", "--no-edit", "HEAD"]);
    site.is_settled();
}

#[test]
#[ignore = "needs the lab: make test-lab"]
fn a_container_that_ends_shows_its_exit_code_and_its_last_words() {
    scenario(
        "feat: ends at once",
        "web/__main__.py",
        "if __name__ == \"__main__\":\n",
        "if __name__ == \"__main__\":\n    print(\"no database at db.internal\", file=sys.stderr)\n    sys.exit(37)\n",
        &["37", "no database at db.internal"],
    );
}

#[test]
#[ignore = "needs the lab: make test-lab"]
fn a_service_that_answers_503_shows_the_answers_of_its_probes() {
    scenario(
        "feat: never healthy",
        "web/health.py",
        "return []",
        "return [\"queue is unreachable\"]",
        &["503", "queue is unreachable"],
    );
}
