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

    #[test]
    fn a_map_is_read_by_its_key() {
        let text = "0x55f2a8d5b0c0 web-2 blue\n0x55f2a8d5b0d0 web trial-green\n\n";
        assert_eq!(mapped(text, &"web".parse().unwrap()), Some(Route::Trial(Slot::Green)));
        assert_eq!(mapped(text, &"api".parse().unwrap()), None);
        assert_eq!(mapped("Unknown map identifier.", &"map".parse().unwrap()), None);
    }
}
