//! A secret is in one place: a file in memory that the container's own user can read.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::support::site::Site;

/// Looks at every argument list of the machine again and again. The lab's hosts are containers on it, so their
/// processes are among them.
struct Watch {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<(usize, BTreeSet<String>)>,
}

impl Watch {
    fn start(canary: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (seen, canary) = (Arc::clone(&stop), canary.as_bytes().to_vec());
        let thread = std::thread::spawn(move || {
            let (mut looked, mut found) = (0, BTreeSet::new());
            while !seen.load(Ordering::Relaxed) {
                for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
                    let Ok(line) = fs::read(process.path().join("cmdline")) else { continue };
                    looked += 1;
                    if contains(&line, &canary) {
                        found.insert(String::from_utf8_lossy(&line).replace('\0', " "));
                    }
                }
                std::thread::sleep(Duration::from_millis(4));
            }
            (looked, found)
        });
        Self { stop, thread }
    }

    fn end(self) -> (usize, BTreeSet<String>) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the watch does not panic")
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Files below a directory that hold the text.
fn holding(directory: &Path, text: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![directory.to_owned()];
    while let Some(directory) = left.pop() {
        for item in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let kind = item.file_type().expect("the file has a type");
            if kind.is_dir() {
                left.push(item.path());
            } else if kind.is_file() && fs::read(item.path()).is_ok_and(|bytes| contains(&bytes, text)) {
                found.push(item.path().display().to_string());
            }
        }
    }
    found
}

#[test]
#[ignore = "needs the lab: make test-lab"]
fn invariant_10_a_secret_is_in_the_container_s_own_memory_and_nowhere_else() {
    let site = Site::shared();
    site.change_harmless("feat: under watch");
    let _ = site.relman(&["unhold", "--reason", "the suite goes on"]);
    let watch = Watch::start(&site.canary);
    let done = site.relman(&["deploy", "--verbose", "--lock-wait", "2m"]).expect(0);
    let history = site.history();
    let id = history["deployments"][0]["id"].as_str().expect("a deployment has an id").to_owned();
    let shown = site.relman(&["show", &id, "--logs", "-o", "json"]).expect(0);
    let (looked, found) = watch.end();

    assert!(looked > 1_000, "the watch saw only {looked} argument lists");
    assert_eq!(found, BTreeSet::new(), "in an argument list");
    for text in [&done.stdout, &done.stderr, &shown.stdout, &history.to_string()] {
        assert!(!text.contains(&site.canary), "printed");
    }
    // The ledger, the artifacts with the logs of all steps, the repository and its remote.
    assert_eq!(holding(&site.root, site.canary.as_bytes()), Vec::<String>::new());
    let (host, registry) = (&site.lab, site.lab.registry_container());
    let archive =
        host.docker(&["exec", &registry, "sh", "-c", &in_files(&site.canary, "/var/lib/docker-registry")]);
    assert_eq!(archive, "", "in the registry");

    let everywhere = in_files(
        &site.canary,
        "/etc /home /opt /root /srv /tmp /usr/local /var/log /var/tmp /var/lib/relman /var/lib/docker/containers",
    );
    assert_eq!(host.on_host(1, &everywhere).trim(), "", "in a file of the host");
    let told = format!(
        "{{ docker ps --all --quiet | xargs docker inspect; docker ps --all --quiet | xargs -n 1 docker logs 2>&1; \
         journalctl --no-pager; }} | grep -c {} || true",
        unlike_itself(&site.canary)
    );
    assert_eq!(host.on_host(1, &told).trim(), "0", "in docker inspect, a container's log or the journal");

    // The other way round: it is where it belongs, so that the search above could have found it.
    let files = host.on_host(1, &in_files(&site.canary, "/run/relman"));
    let files: Vec<_> = files.lines().collect();
    assert_eq!(files.len(), 1, "one file in memory: {files:?}");
    let facts = host.on_host(1, &format!("stat -c '%a %u' {0}; stat -f -c %T {0}", files[0]));
    assert_eq!(facts.split_whitespace().collect::<Vec<_>>(), ["600", "10001", "tmpfs"], "{}", files[0]);
    let container = host.on_host(1, "docker ps --quiet --filter name=relman-web-");
    let read = host.on_host(
        1,
        &format!(
            "docker exec {} sh -c 'cat \"$CANARY_FILE\"; env | grep -c ^CANARY= || true'",
            container.trim()
        ),
    );
    assert_eq!(
        read.trim(),
        format!("{}0", site.canary),
        "the service reads it from a file, not its environment"
    );
}

/// A script that lists the files that hold the text.
fn in_files(text: &str, places: &str) -> String {
    format!("grep -r -l -a --devices=skip {} {places} 2>/dev/null || true", unlike_itself(text))
}

/// A pattern that finds the text and is not the text: sudo writes the search itself into the journal.
fn unlike_itself(text: &str) -> String {
    let (first, rest) = text.split_at(1);
    format!("'[{first}]{rest}'")
}
