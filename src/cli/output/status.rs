//! `relman status` as text.

use crate::commands::status::{HostDrift, HostStatus, Report};
use crate::domain::deployment::Phase;
use crate::domain::drift::Drift;

use super::{Cell, Style, Tone, printable};
use crate::secrets::listed;

/// The report for people.
pub fn show(report: &Report, style: &Style) -> String {
    let mut lines = vec![style.paint(Tone::Strong, &headline(report, style))];
    if let Some(to) = &report.moved_to {
        lines.push(style.closed(to));
    }
    if !report.secrets.is_empty() {
        lines.push(format!("Secrets: {}", printable(&listed(&report.secrets))));
    }
    if let Some(freeze) = &report.freeze {
        let words = printable(&freeze.to_string());
        lines.push(format!("Deploys{}", words.strip_prefix("deploys").unwrap_or(&words)));
    }
    if let Some(hold) = &report.hold {
        lines.push(format!(
            "On hold since {} by {}: {}",
            style.ago(hold.since),
            printable(&hold.actor.name),
            printable(&hold.reason)
        ));
    }
    if let Some(flight) = &report.in_flight {
        let state = match (flight.interrupted, flight.committed) {
            (true, false) => {
                "interrupted; `relman resume` goes on with it, `relman abort` takes it back".to_owned()
            }
            (true, true) => {
                "interrupted past the point of return; `relman resume` brings it to its end".to_owned()
            }
            (false, _) if flight.phase == Phase::Waiting => format!(
                "waits for an approval; `relman approve '{}'`, or `relman reject '{}' --reason '…'`",
                flight.id, flight.id
            ),
            (false, _) => format!("{}, begun {}", flight.phase, style.ago(flight.started_at)),
        };
        lines.push(format!(
            "In flight: {} {} of {} by {}: {state}",
            flight.id,
            flight.kind,
            flight.version.tag(),
            printable(&flight.actor)
        ));
    }
    if let Some(lease) = &report.lease {
        lines.push(format!(
            "Lease: {} on {} (pid {}) since {}, doing: {}",
            printable(&lease.actor),
            printable(&lease.machine),
            lease.pid,
            style.ago(lease.since),
            printable(&lease.purpose)
        ));
    }
    lines.push(String::new());
    let headers = ["HOST", "WANTED", "RUNNING", "DIGEST", "SLOT", "WEIGHT", "HEALTH", "SINCE", "DRIFT"];
    let rows = report.hosts.iter().map(|host| row(host, style)).collect();
    lines.push(style.table(&headers, rows).trim_end().to_owned());
    if !report.observable {
        lines.push(
            "What runs on these hosts is not known: a playbook of your own deploys them, and relman cannot look."
                .to_owned(),
        );
    }
    lines.extend(
        report.hosts.iter().filter_map(|host| {
            host.error.as_ref().map(|error| format!("{}: {}", host.name, printable(error)))
        }),
    );
    lines.extend(report.hosts.iter().filter_map(|host| advice(report, host)));
    for host in &report.forgotten {
        lines.push(format!("{host} has a release on record, and relman.toml does not name it any more."));
    }
    for id in &report.unreachable {
        lines.push(format!(
            "{} serves, for all that is known, and relman cannot ask it: relman_config.host_template says how its like is reached.",
            printable(id)
        ));
    }
    if let Some(doubt) = &report.doubt {
        lines.push(format!("Not certain: {}.", printable(doubt)));
    }
    lines.join("\n") + "\n"
}

fn headline(report: &Report, style: &Style) -> String {
    let place = format!("{}/{}", report.service, report.environment);
    match (&report.serving, &report.deployment) {
        (Some(version), Some(deployment)) => {
            let since = report.since.map(|at| format!(", since {}", style.ago(at))).unwrap_or_default();
            let head = format!("{place}: {} serves ({deployment}{since})", version.tag());
            let is_other = |host: &&HostStatus| {
                matches!(host.drift, Some(HostDrift::Drift(Drift::OtherRelease | Drift::NotInLedger)))
            };
            match report.hosts.iter().filter(is_other).count() {
                0 => head,
                others => format!("{head}; {others} host(s) serve something else"),
            }
        }
        _ => format!("{place}: nothing was deployed yet"),
    }
}

/// What to do about a host that does not serve as it should. A deployment in flight has its own next step.
fn advice(report: &Report, host: &HostStatus) -> Option<String> {
    if let Some(ahead) = &host.ahead {
        return Some(format!(
            "{}: {ahead}: relman ledger import --from-hosts --env {}",
            host.name, report.environment
        ));
    }
    let (Some(HostDrift::Drift(drift)), None, Some(wanted)) = (host.drift, &report.in_flight, &host.wanted)
    else {
        return None;
    };
    let (name, tag, place) = (&host.name, wanted.tag(), &report.environment);
    match drift {
        Drift::OtherRelease => {
            Some(format!("{name} was left behind: relman deploy {tag} --hosts {name} --env {place}"))
        }
        Drift::NotRouted => Some(format!(
            "{name} runs {tag}, and its proxy sends it no requests: `sudo systemctl restart haproxy` on {name}, \
             then relman deploy {tag} --env {place}"
        )),
        _ => None,
    }
}

fn row(host: &HostStatus, style: &Style) -> Vec<Cell> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let running = match (&host.running_version, &host.running_digest) {
        (Some(version), _) => Some(version.tag()),
        (None, Some(_)) => Some("not in the ledger".to_owned()),
        (None, None) => None,
    };
    let tone = match host.drift {
        None => Tone::Plain,
        Some(HostDrift::Unobserved) => Tone::Warn,
        Some(HostDrift::Drift(_)) => Tone::Bad,
    };
    let mut cells: Vec<Cell> = vec![
        host.name.to_string(),
        or_dash(host.wanted.as_ref().map(|version| version.tag())),
        or_dash(running),
        or_dash(host.running_digest.as_ref().map(|digest| digest.short().to_owned())),
        or_dash(host.slot.map(|slot| slot.to_string())),
        or_dash(host.weight.map(|weight| format!("{weight} %"))),
        or_dash(host.healthy.map(|healthy| if healthy { "healthy" } else { "unhealthy" }.to_owned())),
        or_dash(host.since.map(|at| style.ago(at))),
    ]
    .into_iter()
    .map(Cell::from)
    .collect();
    cells.push(Cell::new(drift(host), tone));
    cells
}

fn drift(host: &HostStatus) -> &'static str {
    match host.drift {
        None if host.wanted.is_none() => "-",
        None => "none",
        Some(HostDrift::Unobserved) => "not observed",
        Some(HostDrift::Drift(drift)) => match drift {
            Drift::OtherRelease => "other release",
            Drift::NotServing => "serves nothing",
            Drift::NotInLedger => "not in the ledger",
            Drift::NotRouted => "gets no traffic",
            Drift::Unhealthy => "unhealthy",
            Drift::OpenShift => "shift left open",
            Drift::Unreachable => "unreachable",
            Drift::AheadOfLedger => "ahead of the ledger",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_plainly_what_cannot_be_seen() {
        let host = HostStatus {
            name: "web-1".parse().unwrap(),
            wanted: Some("0.2.0".parse().unwrap()),
            wanted_digest: None,
            running_digest: None,
            running_version: None,
            slot: None,
            weight: None,
            healthy: None,
            since: None,
            drift: Some(HostDrift::Unobserved),
            error: None,
            ahead: None,
        };
        let report = Report {
            schema: 1,
            service: "web".parse().unwrap(),
            environment: "production".parse().unwrap(),
            serving: Some("0.2.0".parse().unwrap()),
            deployment: Some("production#2".parse().unwrap()),
            since: None,
            secrets: [("KEY".to_owned(), "7".to_owned())].into(),
            lease: None,
            moved_to: None,
            hold: None,
            freeze: None,
            in_flight: None,
            observable: false,
            hosts: vec![host],
            forgotten: Vec::new(),
            unreachable: Vec::new(),
            doubt: None,
            differs: true,
        };
        let now = crate::domain::time::Timestamp::from_millis(0).unwrap();
        let text = show(&report, &Style { color: false, width: 120, now });
        assert!(text.starts_with("web/production: v0.2.0 serves (production#2)"), "{text}");
        assert!(text.contains("Secrets: KEY 7\n"), "{text}");
        assert!(text.contains("not observed") && text.contains("relman cannot look"), "{text}");
    }

    fn drifting(drift: Drift) -> Report {
        let host = |name: &str, running: &str, drift: Option<Drift>| HostStatus {
            name: name.parse().unwrap(),
            wanted: Some("0.1.0".parse().unwrap()),
            wanted_digest: None,
            running_digest: None,
            running_version: Some(running.parse().unwrap()),
            slot: None,
            weight: None,
            healthy: Some(true),
            since: None,
            drift: drift.map(HostDrift::Drift),
            error: None,
            ahead: None,
        };
        Report {
            schema: 1,
            service: "web".parse().unwrap(),
            environment: "production".parse().unwrap(),
            serving: Some("0.1.0".parse().unwrap()),
            deployment: Some("production#5".parse().unwrap()),
            since: None,
            secrets: [("KEY".to_owned(), "7".to_owned())].into(),
            lease: None,
            moved_to: None,
            hold: None,
            freeze: None,
            in_flight: None,
            observable: true,
            hosts: vec![host("web-1", "0.1.0", None), host("web-2", "0.2.0", Some(drift))],
            forgotten: Vec::new(),
            unreachable: Vec::new(),
            doubt: None,
            differs: true,
        }
    }

    #[test]
    fn the_first_line_is_true_of_every_host_and_the_last_says_what_to_do() {
        let now = crate::domain::time::Timestamp::from_millis(0).unwrap();
        let style = Style { color: false, width: 120, now };
        let text = show(&drifting(Drift::OtherRelease), &style);
        let first = "web/production: v0.1.0 serves (production#5); 1 host(s) serve something else\n";
        assert!(text.starts_with(first), "{text}");
        assert!(text.contains("relman deploy v0.1.0 --hosts web-2 --env production"), "{text}");
        let text = show(&drifting(Drift::NotRouted), &style);
        assert!(text.starts_with("web/production: v0.1.0 serves (production#5)\n"), "{text}");
        assert!(text.contains("gets no traffic") && text.contains("restart haproxy` on web-2"), "{text}");
    }
}
