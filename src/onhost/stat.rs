//! Reading what HAProxy says on its runtime socket.

use super::state::Route;
use crate::domain::id::ServiceName;
use crate::host::wire::Slot;

/// One server of one backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) backend: String,
    pub(super) server: String,
    /// `UP`, `DOWN`, `no check`, `UP 1/2`.
    pub(super) status: String,
    /// Result of the last check: `L7OK`.
    pub(super) check: String,
    /// Requests that it works on now.
    pub(super) sessions: u64,
}

/// The lines of `show stat` that are about servers. Columns are found by name: each version adds some.
pub(super) fn servers(text: &str) -> Vec<Server> {
    let mut lines = text.lines();
    let header: Vec<&str> =
        lines.next().unwrap_or_default().trim_start_matches("# ").split(',').map(str::trim).collect();
    let column = |name: &str| header.iter().position(|found| *found == name);
    let (Some(backend), Some(server), Some(status), Some(check), Some(sessions)) =
        (column("pxname"), column("svname"), column("status"), column("check_status"), column("scur"))
    else {
        return Vec::new();
    };
    lines
        .map(fields)
        .filter_map(|row| {
            Some(Server {
                backend: row.get(backend)?.clone(),
                server: row.get(server)?.clone(),
                status: row.get(status)?.clone(),
                check: row.get(check)?.trim_start_matches("* ").to_owned(),
                sessions: row.get(sessions)?.parse().ok()?,
            })
        })
        .filter(|row| row.server != "FRONTEND" && row.server != "BACKEND")
        .collect()
}

/// The processes that a reload left behind, from the master's `show proc`.
pub(super) fn old_workers(text: &str) -> Vec<u32> {
    let old = text.lines().skip_while(|line| line.trim() != "# old workers").skip(1);
    old.take_while(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_whitespace().next()?.parse().ok())
        .collect()
}

/// One line of CSV; a field with a comma is quoted.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            _ => {
                if let Some(last) = fields.last_mut() {
                    last.push(c);
                }
            }
        }
    }
    fields
}

/// What `show map` says of this service: `0x55d0c3 web trial-green`.
pub(super) fn mapped(text: &str, service: &ServiceName) -> Option<Route> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        (words.next() == Some(service.as_str())).then(|| words.next().and_then(Route::of)).flatten()
    })
}

/// Requests that a slot still works on, in whatever backend.
pub(super) fn busy(servers: &[Server], service: &ServiceName, slot: Slot) -> u64 {
    let prefix = format!("{service}.");
    servers
        .iter()
        .filter(|row| row.server == slot.as_str() && row.backend.starts_with(&prefix))
        .map(|row| row.sessions)
        .sum()
}

/// Whether the proxy itself has seen the slot answer, by the checks that run before any request does.
pub(super) fn up(servers: &[Server], service: &ServiceName, slot: Slot) -> bool {
    let backend = format!("{service}.{}", Route::Trial(slot).word());
    servers.iter().any(|row| {
        row.backend == backend && row.server == slot.as_str() && row.status == "UP" && row.check == "L7OK"
    })
}

/// Whether the proxy sends requests to the slot on trial: its breaker may have taken it out, after errors or failed
/// checks, and then the other slot answers.
pub(super) fn accepted(servers: &[Server], service: &ServiceName, slot: Slot) -> bool {
    let backend = format!("{service}.{}", Route::Trial(slot).word());
    // `UP 1/2` is up: one check failed, and the next one decides.
    servers.iter().any(|row| {
        row.backend == backend && row.server == slot.as_str() && row.status.split(' ').next() == Some("UP")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // HAProxy 2.6.12, cut to the first columns and the ones that are read.
    const STAT: &str = "# pxname,svname,qcur,qmax,scur,smax,status,check_status,last_chk,\n\
        web,FRONTEND,,,7,9,OPEN,,,\n\
        web.blue,blue,0,0,3,8,no check,,,\n\
        web.blue,BACKEND,0,0,3,8,UP,,,\n\
        web.trial-green,green,0,0,2,2,UP,L7OK,\"HTTP status check, succeeded\",\n\
        web.trial-green,blue,0,0,1,1,DOWN,* L4CON,Connection refused,\n\
        web.trial-blue,blue,0,0,0,0,UP 1/2,L7OK,,\n\
        web-2.trial-blue,blue,0,0,5,5,UP,L7OK,,\n\n";

    #[test]
    fn servers_are_read_by_the_names_of_columns() {
        let servers = servers(STAT);
        assert_eq!(servers.len(), 5);
        assert_eq!(servers[2].check, "L4CON");
        let web: ServiceName = "web".parse().unwrap();
        assert_eq!(busy(&servers, &web, Slot::Blue), 4);
        assert_eq!(busy(&servers, &web, Slot::Green), 2);
        assert!(up(&servers, &web, Slot::Green));
        assert!(!up(&servers, &web, Slot::Blue));
        assert!(super::servers("Unknown command").is_empty());
    }

    // HAProxy 2.6.12 with a candidate that answered too many requests with 500, and one that fails its check.
    const BROKEN: &str = "# pxname,svname,qcur,qmax,scur,smax,status,check_status,last_chk,\n\
        web.blue,blue,0,0,3,8,no check,,,\n\
        web.trial-green,green,0,0,0,2,DOWN,HANA,L7STS,\n\
        web.trial-green,blue,0,0,1,1,UP,L7OK,,\n\
        web.trial-blue,blue,0,0,0,0,UP 1/2,* L7STS,,\n\
        web.trial-blue,green,0,0,0,0,DOWN 1/2,L7OK,,\n";

    #[test]
    fn a_breaker_that_opened_is_seen_on_the_slot_s_own_trial() {
        let web: ServiceName = "web".parse().unwrap();
        assert!(accepted(&servers(STAT), &web, Slot::Green));
        assert!(!accepted(&servers(BROKEN), &web, Slot::Green));
        assert!(accepted(&servers(BROKEN), &web, Slot::Blue), "one failed check takes nobody out");
        assert!(!accepted(&[], &web, Slot::Blue));
    }

    #[test]
    fn processes_left_behind_are_told_from_the_current_one() {
        let text = "#<PID>          <type>          <reloads>       <uptime>        <version>\n\
            1162            master          2               0d00h02m07s     2.6.12-1+deb12u4\n\
            # workers\n\
            1271            worker          0               0d00h00m05s     2.6.12-1+deb12u4\n\
            # old workers\n\
            1233            worker          1               0d00h00m43s     2.6.12-1+deb12u4\n\
            1201            worker          2               0d00h00m53s     2.6.12-1+deb12u4\n\
            # programs\n\n";
        assert_eq!(old_workers(text), [1233, 1201]);
        assert!(old_workers("").is_empty());
    }

    #[test]
    fn a_map_is_read_by_its_key() {
        let text = "0x55f2a8d5b0c0 web-2 blue\n0x55f2a8d5b0d0 web trial-green\n\n";
        assert_eq!(mapped(text, &"web".parse().unwrap()), Some(Route::Trial(Slot::Green)));
        assert_eq!(mapped(text, &"api".parse().unwrap()), None);
        assert_eq!(mapped("Unknown map identifier.", &"map".parse().unwrap()), None);
    }
}
