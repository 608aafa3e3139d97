//! The hosts, and the group that they may be in: each reached, shaped, and serving what it should.

use super::{Check, CommandError, Site, State, failed};
use crate::commands::error::infra::describe;
use crate::commands::provision::Roster;
use crate::host::wire::{Command, HostErrorCode, Observation};
use crate::host::{Reply, Task};
use crate::infra::inventory::InventoryError;

pub(super) async fn hosts(site: Result<&Site, &CommandError>) -> Vec<Check> {
    let site = match site {
        Ok(site) => site,
        Err(error) => return vec![failed("environment", error, "correct [environments] of relman.toml")],
    };
    let mut found: Vec<Check> = site.roster.as_ref().and_then(group).into_iter().collect();
    let names = site.fleet.hosts();
    if names.is_empty() {
        let fix = match &site.infra {
            None => format!("name hosts in [environments.{}] of relman.toml", site.name),
            Some(_) => format!("relman infra apply --env {}: make them", site.name),
        };
        // Where the group has some, it has told how they can be reached.
        if found.iter().all(|check| check.state != State::Failed) {
            found.push(Check::failed("hosts", format!("{} has no host", site.name), fix));
        }
        return found;
    }
    if !site.fleet.sees() {
        let detail = format!("{} goes through a playbook of your own: relman cannot look", site.name);
        found.push(Check::new("hosts", State::NotChecked, detail));
        return found;
    }
    let configured = site.fleet.configuration();
    let replies = site.fleet.perform(&names, &Task::bare(Command::Observe {})).await.replies;
    let (way, configured) = (site.fleet.way(), configured.as_ref().map(|d| d.as_str()));
    let mut each: Vec<Check> = replies.iter().map(|reply| host(reply, configured, way)).collect();
    each.sort_by(|a, b| a.name.cmp(&b.name));
    found.extend(each);
    found
}

/// Who is in the group now, as a deployment would find it: it fails where that cannot be told.
fn group(roster: &Roster) -> Option<Check> {
    let group = roster.listing.group.as_ref()?;
    let name = format!("group {}", group.name);
    if let Some(doubt) = &roster.doubt {
        let fix = format!(
            "relman deploy fails until it can be told; relman rollback goes on with these; {}",
            describe(&group.name)
        );
        return Some(Check::failed(name, doubt, fix));
    }
    if let Some(id) = roster.unreachable.first() {
        let error = InventoryError::NoTemplate { group: group.name.clone(), id: id.clone() };
        return Some(failed(&name, &error.into(), ""));
    }
    Some(Check::ok(name, format!("{} hosts", roster.listing.hosts.len())))
}

/// `way` is the one that the reply came by.
pub(super) fn host(reply: &Reply, configuration: Option<&str>, way: &str) -> Check {
    let name = format!("host {}", reply.host);
    match &reply.result {
        Ok(observation) if unrouted(observation) => Check::failed(
            name,
            "its container runs, and HAProxy sends it no requests",
            "`sudo systemctl restart haproxy` on the host, then relman deploy",
        ),
        Ok(observation) if stopped(observation) => Check::failed(
            name,
            "the container that should serve does not run",
            "`sudo systemctl restart docker` on the host, then relman status",
        ),
        Ok(Observation { offline: Some(mark), .. }) => Check::failed(
            name,
            format!("it obeys no deploy: {}", mark.told()),
            "relman ledger import --from-hosts",
        ),
        Ok(observation) => match (configuration, observation.configured.as_deref()) {
            (Some(wanted), found) if found != Some(wanted) => Check::ok(
                name,
                format!(
                    "relman-host {}; the next deploy brings its configuration up to date",
                    observation.agent
                ),
            ),
            _ => Check::ok(name, format!("relman-host {}, configured", observation.agent)),
        },
        Err(error) if error.code == HostErrorCode::NotInstalled && error.message.contains("may not run") => {
            Check::warning(
                name,
                format!("reached; {}", error.message),
                "let the login user use sudo without a password; if relman-host was never installed, the first deploy needs that too",
            )
        }
        Err(error) if error.code == HostErrorCode::NotInstalled => {
            Check::ok(name, "reached; the first deploy installs Docker, HAProxy and relman-host")
        }
        Err(error) => {
            let fix = match error.code {
                HostErrorCode::Unreachable => unreachable(way),
                HostErrorCode::Protocol => "deploy once: that brings relman-host up to this relman",
                HostErrorCode::Fenced => {
                    "the host has obeyed another ledger, or a newer state of this one: use that one ([ledger] in relman.toml)"
                }
                HostErrorCode::Ahead => "relman ledger import --from-hosts",
                HostErrorCode::Engine => "`sudo systemctl restart docker` on the host",
                HostErrorCode::Proxy => "`sudo systemctl restart haproxy` on the host",
                HostErrorCode::Playbook => "correct what is said there, then relman doctor again",
                HostErrorCode::State => {
                    "look at disk and rights of /var/lib/relman on the host (`df`, `ls -l`)"
                }
                _ => "run relman doctor again; `sudo journalctl -n 50` on the host says more",
            };
            Check::failed(name, format!("{}: {error}", error.code), fix)
        }
    }
}

/// An open shift is on its way, and says nothing yet.
fn unrouted(observation: &Observation) -> bool {
    observation.trial.is_none()
        && observation.serving().is_some_and(|view| view.running && view.weight != 100)
}

fn stopped(observation: &Observation) -> bool {
    observation.committed.is_some() && !observation.serving().is_some_and(|view| view.running)
}

/// What to look at where no host answers by this way.
fn unreachable(way: &str) -> &'static str {
    match way {
        "ssm" => {
            "`aws ssm describe-instance-information` shows whether its agent is online; it needs the instance profile and a way to the endpoints of Systems Manager (infra/modules/ssm-access)"
        }
        "local" => "run relman on that host, or take another `via` in [environments] of relman.toml",
        _ => "try `ssh` to it by hand; its address, user and key are in [environments] of relman.toml",
    }
}
