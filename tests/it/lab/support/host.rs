//! What is so on a host, asked of the host itself and never of relman.

use std::time::Duration;

use serde_json::Value;

use super::eventually;
use super::lab::Lab;

/// The version that answers at a host's front door; none when nobody answers with one.
pub(crate) fn answering(lab: &Lab, number: usize) -> Option<String> {
    let output = std::process::Command::new("curl")
        .args(["-fsS", "--max-time", "5", &format!("{}/", lab.url(number))])
        .output()
        .expect("curl is there");
    let answer: Value = serde_json::from_slice(&output.stdout).ok()?;
    answer["version"].as_str().map(str::to_owned)
}

/// Containers on a host as `name state`, those of relman alone.
pub(crate) fn containers(lab: &Lab, number: usize) -> Vec<(String, String)> {
    lab.on_host(number, "docker ps --all --format '{{.Names}} {{.State}}'")
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, state)| (name.to_owned(), state.to_owned()))
        .collect()
}

/// One container runs, the other slot's may be there and stopped, and nothing half done lies about.
#[track_caller]
pub(crate) fn is_clean(lab: &Lab, number: usize) {
    // What a killed relman had started may still be at it for a moment.
    eventually("one container runs", Duration::from_secs(60), || {
        containers(lab, number).iter().filter(|(_, state)| state == "running").count() == 1
    });
    let all = containers(lab, number);
    assert!(all.len() <= 2, "at most the serving and the former container: {all:?}");
    assert!(all.iter().all(|(name, _)| name.starts_with("relman-web-")), "{all:?}");
    let running = all.iter().find(|(_, state)| state == "running").map(|(name, _)| name.clone());
    let running = running.expect("it was counted above");
    let stray = lab.on_host(
        number,
        "find /var/lib/relman /etc/relman /run/relman -name '*.tmp*' -o -name '.*.new' 2>/dev/null; \
         systemctl list-units --all --plain --no-legend 'relman-*' | awk '$3 == \"failed\" { print $1 }'; \
         systemctl list-timers --all --plain --no-legend 'relman-*'",
    );
    assert_eq!(stray.trim(), "", "left over on host{number}");
    let idle = if running.ends_with("blue") { "green" } else { "blue" };
    let secrets = lab.on_host(number, &format!("ls -A /run/relman/web/{idle}/secrets 2>/dev/null || true"));
    assert_eq!(secrets.trim(), "", "secrets of the slot that does not run");
}
