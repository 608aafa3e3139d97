//! What monitoring is told: a file for the textfile collector of node-exporter, one per service, written with each
//! change of state and at boot. It says what this host knows and nothing else: leases and the ledger are not here.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;

use super::Host;
use super::state::{Stage, State};
use super::tally::{Ending, Reason};
use crate::host::wire::Slot;

/// What a slot is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// It is committed.
    Stable,
    /// It was never committed, and may be.
    Candidate,
    /// It was committed before, or is stopped.
    Standby,
    /// Nothing is in it.
    Empty,
}

impl Role {
    const ALL: [Self; 4] = [Self::Stable, Self::Candidate, Self::Standby, Self::Empty];

    fn of(state: &State, slot: Slot) -> Self {
        let Some(record) = state.slots.get(&slot) else { return Self::Empty };
        let is_tried = state.trial.as_ref().is_some_and(|trial| trial.slot == slot);
        match record.stage {
            _ if state.committed == Some(slot) => Self::Stable,
            _ if is_tried => Self::Candidate,
            Stage::Stopped => Self::Standby,
            Stage::Preparing | Stage::Ready if record.deployment > state.newest() => Self::Candidate,
            Stage::Preparing | Stage::Ready => Self::Standby,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Candidate => "candidate",
            Self::Standby => "standby",
            Self::Empty => "empty",
        }
    }
}

/// Tells monitoring, where there is a collector. What cannot be told fails nothing.
pub(super) fn write(host: &Host<'_>, state: &State) {
    let directory = &host.paths.textfiles;
    if !directory.is_dir() {
        return;
    }
    let path = directory.join(format!("relman-{}.prom", state.service));
    // Of another ending: the collector reads what ends with .prom alone.
    let temporary = directory.join(format!("relman-{}.tmp", state.service));
    let replace = || -> io::Result<()> {
        // The directory may be another user's: a link that lies there is never followed.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&temporary)?;
        file.write_all(text(state).as_bytes())?;
        fs::rename(&temporary, &path)
    };
    let _ = replace();
}

/// The metrics of a service in Prometheus' text format. No label needs to be escaped: names, versions, commits and
/// digests have no character that would have to be.
fn text(state: &State) -> String {
    let mut page = Page { state, text: String::new() };
    let roles = Slot::ALL.map(|slot| (slot, Role::of(state, slot)));
    let releases = state.slots.iter().map(|(slot, record)| {
        let release = &record.release;
        let labels = format!(
            "version=\"{}\",commit=\"{}\",digest=\"{}\",slot=\"{slot}\",role=\"{}\"",
            release.version,
            release.commit,
            release.digest,
            Role::of(state, *slot).as_str()
        );
        (labels, 1)
    });
    page.family("relman_release_info", "gauge", "What a slot holds. Always 1.", releases);
    let slots = roles.iter().flat_map(|(slot, role)| {
        Role::ALL
            .map(|other| (format!("slot=\"{slot}\",role=\"{}\"", other.as_str()), u64::from(other == *role)))
    });
    page.family("relman_slot_role", "gauge", "1 for the role that a slot has, 0 for the others.", slots);
    let taking = state.route().slot();
    let weights =
        Slot::ALL.map(|slot| (format!("slot=\"{slot}\""), if taking == Some(slot) { 100 } else { 0 }));
    page.family(
        "relman_slot_weight",
        "gauge",
        "Share of the requests, in percent, that the proxy is to send to a slot.",
        weights,
    );
    let endings = Ending::ALL.map(|(ending, name)| (format!("result=\"{name}\""), state.tally.ended(ending)));
    page.family(
        "relman_deploys_total",
        "counter",
        "Candidates on this host, by what became of them.",
        endings,
    );
    let returns =
        Reason::ALL.map(|(reason, name)| (format!("reason=\"{name}\""), state.tally.went_back(reason)));
    page.family("relman_rollbacks_total", "counter", "How often traffic went back, by reason.", returns);
    let is_deploying = roles.iter().any(|(_, role)| *role == Role::Candidate);
    page.family(
        "relman_deploy_in_progress",
        "gauge",
        "1 while a slot holds a candidate that was neither committed nor removed.",
        [(String::new(), u64::from(is_deploying))],
    );
    page.family(
        "relman_drift",
        "gauge",
        "1 where this host knows that it is not as the ledger has it.",
        [("kind=\"ahead_of_ledger\"".to_owned(), u64::from(state.offline.is_some()))],
    );
    page.text
}

struct Page<'a> {
    state: &'a State,
    text: String,
}

impl Page<'_> {
    fn family(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        samples: impl IntoIterator<Item = (String, u64)>,
    ) {
        let State { service, environment, .. } = self.state;
        let mut lines = format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
        for (labels, value) in samples {
            let comma = if labels.is_empty() { "" } else { "," };
            // Writing to a string does not fail.
            let _ = writeln!(
                lines,
                "{name}{{service=\"{service}\",environment=\"{environment}\"{comma}{labels}}} {value}"
            );
        }
        self.text.push_str(&lines);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::domain::deployment::Kind;
    use crate::onhost::fake;
    use crate::onhost::properties::{on_trial, sample};
    use crate::onhost::store::Store;

    const BASE: &str = "service=\"web\",environment=\"production\"";

    /// The value of one sample; panics where it is not there.
    fn value(state: &State, name: &str, labels: &str) -> u64 {
        let comma = if labels.is_empty() { "" } else { "," };
        let series = format!("{name}{{{BASE}{comma}{labels}}} ");
        let page = text(state);
        let line = page.lines().find_map(|line| line.strip_prefix(&series));
        line.unwrap_or_else(|| panic!("no {series}in\n{page}")).parse().unwrap()
    }

    #[test]
    fn each_slot_has_one_role_and_each_counter_is_there_from_zero() {
        let mut state = on_trial();
        for (slot, role, weight) in [("blue", "stable", 0), ("green", "candidate", 100)] {
            assert_eq!(value(&state, "relman_slot_weight", &format!("slot=\"{slot}\"")), weight);
            for other in Role::ALL.map(Role::as_str) {
                let labels = format!("slot=\"{slot}\",role=\"{other}\"");
                assert_eq!(value(&state, "relman_slot_role", &labels), u64::from(other == role), "{labels}");
            }
        }
        for (_, name) in Reason::ALL {
            assert_eq!(value(&state, "relman_rollbacks_total", &format!("reason=\"{name}\"")), 0);
        }
        for (_, name) in Ending::ALL {
            assert_eq!(value(&state, "relman_deploys_total", &format!("result=\"{name}\"")), 0);
        }
        assert_eq!(value(&state, "relman_deploy_in_progress", ""), 1);
        state.commit(2).unwrap();
        assert_eq!(value(&state, "relman_deploy_in_progress", ""), 0);
        assert!(text(&state).contains("slot=\"green\",role=\"stable\"} 1"));
        assert!(text(&state).contains("slot=\"blue\",role=\"standby\"} 1"));
        assert_eq!(value(&State { slots: [].into(), ..state }, "relman_deploy_in_progress", ""), 0);
    }

    #[test]
    fn what_ends_is_counted_once_whatever_is_done_twice() {
        let mut state = on_trial();
        state.revert();
        state.revert();
        state.discard(2).unwrap();
        state.discard(2).unwrap();
        assert_eq!(value(&state, "relman_deploys_total", "result=\"reverted\""), 1);
        assert_eq!(value(&state, "relman_deploys_total", "result=\"discarded\""), 0);
        assert_eq!(value(&state, "relman_rollbacks_total", "reason=\"reverted\""), 1);
        let mut state = on_trial();
        state.commit(2).unwrap();
        state.commit(2).unwrap();
        assert_eq!(value(&state, "relman_deploys_total", "result=\"committed\""), 1);
        let mut state = on_trial();
        state.boot();
        state.boot();
        assert_eq!(value(&state, "relman_rollbacks_total", "reason=\"restart\""), 1);
        assert_eq!(value(&state, "relman_deploys_total", "result=\"reverted\""), 1);
    }

    #[test]
    fn a_candidate_that_never_took_traffic_is_discarded_and_a_rollback_was_requested() {
        let mut state = on_trial();
        state.commit(2).unwrap();
        state.begin_prepare(&sample::record(3), |_| 18_080).unwrap();
        assert_eq!(value(&state, "relman_deploy_in_progress", ""), 1);
        state.discard(3).unwrap();
        assert_eq!(value(&state, "relman_deploys_total", "result=\"discarded\""), 1);
        state.begin_prepare(&sample::record(4), |_| 18_080).unwrap();
        state.end_prepare(Slot::Blue, 4).unwrap();
        state.shift(4, Kind::Rollback).unwrap();
        state.shift(4, Kind::Rollback).unwrap();
        assert_eq!(value(&state, "relman_rollbacks_total", "reason=\"requested\""), 1);
        assert_eq!(value(&state, "relman_deploy_in_progress", ""), 0);
    }

    #[test]
    fn what_an_offline_rollback_left_is_no_candidate_and_the_host_is_ahead() {
        let mut state = on_trial();
        state.commit(2).unwrap();
        assert_eq!(value(&state, "relman_drift", "kind=\"ahead_of_ledger\""), 0);
        let (offline, to) = (sample::offline(1), sample::record(1).release.digest);
        state.fall_back(&offline, &to).unwrap();
        state.fell_back(Slot::Blue, &to, &offline.nonce).unwrap();
        state.fell_back(Slot::Blue, &to, &offline.nonce).unwrap();
        assert_eq!(value(&state, "relman_drift", "kind=\"ahead_of_ledger\""), 1);
        assert_eq!(value(&state, "relman_rollbacks_total", "reason=\"offline\""), 1);
        assert_eq!(value(&state, "relman_deploy_in_progress", ""), 0);
        assert!(text(&state).contains("slot=\"green\",role=\"standby\"} 1"));
    }

    #[test]
    fn it_is_written_where_there_is_a_collector_follows_no_link_and_fails_nothing() {
        let (root, paths) = fake::root();
        let host = Host { paths: &paths, clock: &SystemClock };
        let state = on_trial();
        fs::create_dir_all(paths.service(&state.service)).unwrap();
        let store = Store::new(&host, &state.service);
        store.save(&state).unwrap();
        assert!(!paths.textfiles.exists());
        fs::create_dir_all(&paths.textfiles).unwrap();
        let victim = root.path().join("victim");
        fs::write(&victim, "untouched").unwrap();
        std::os::unix::fs::symlink(&victim, paths.textfiles.join("relman-web.tmp")).unwrap();
        store.save(&state).unwrap();
        let written = fs::read_to_string(paths.textfiles.join("relman-web.prom")).unwrap();
        assert_eq!(written, text(&state));
        assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
        assert!(!paths.textfiles.join("relman-web.tmp").exists());
        // What is in the way: a directory that cannot be replaced.
        fs::remove_file(paths.textfiles.join("relman-web.prom")).unwrap();
        fs::create_dir(paths.textfiles.join("relman-web.prom")).unwrap();
        store.save(&state).unwrap();
    }

    #[test]
    fn a_state_without_counts_is_read_and_an_empty_count_is_not_written() {
        let state = on_trial();
        let fresh = State { tally: super::super::tally::Tally::default(), ..state };
        let written = serde_json::to_string(&fresh).unwrap();
        assert!(!written.contains("tally"), "{written}");
        assert_eq!(serde_json::from_str::<State>(&written).unwrap(), fresh);
    }
}
