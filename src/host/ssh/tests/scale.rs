//! How the fleet grows: simulated hosts, each an SSH server with 15 ms one way.
//!
//! The first test is a small one that always runs. The table is made by `make bench`, on optimised code. In a build
//! without optimisation the cryptography of both ends is what is measured, and the ratio is not held.

use super::*;
use crate::clock::{Clock as _, SystemClock};

/// Asks so many hosts twice: connections are made, then used again. Milliseconds of each.
async fn rounds(count: usize) -> (Vec<Server>, Site, [u128; 2]) {
    let mut servers = Vec::new();
    let mut hosts = Vec::new();
    for n in 0..count {
        let wire = Wire { travel: Duration::from_millis(15) };
        let server = Server::start(Settings { wire, ..Settings::ready() }).await;
        hosts.push(HostAddress { name: format!("web-{n}").parse().unwrap(), ..server.address() });
        servers.push(server);
    }
    let names: Vec<HostName> = hosts.iter().map(|host| host.name.clone()).collect();
    let site = site(hosts);
    let mut took = [0; 2];
    for round in &mut took {
        let start = SystemClock.elapsed();
        let replies = site.fleet.perform(&names, &Task::bare(Command::Observe {})).await.replies;
        *round = (SystemClock.elapsed() - start).as_millis();
        let failed: Vec<_> = replies.iter().filter(|reply| reply.result.is_err()).collect();
        assert!(failed.is_empty() && replies.len() == count, "{failed:?}");
    }
    (servers, site, took)
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_are_asked_side_by_side_and_each_has_one_connection() {
    let (servers, site, _) = rounds(40).await;
    assert!(servers.iter().all(|server| server.connections() == 1));
    assert_eq!(site.fleet.pool.made(), 40);
}

/// Memory of this process in KiB, servers and all.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: make bench"]
async fn bench_a_thousand_hosts_beside_one() {
    let mut first = None;
    for count in [1, 100, 1_000] {
        let before = resident();
        let (servers, site, took) = rounds(count).await;
        let memory = resident().saturating_sub(before) / count as u64;
        let one = *first.get_or_insert(took[0].max(1));
        let ratio = took[0] as f64 / one as f64;
        let connections: usize = servers.iter().map(Server::connections).sum();
        println!(
            "LINE|Simulated hosts, 30 ms away|{count} asked, each on a new connection|{} ms ({ratio:.1} × one; again {} ms), {connections} connections, {memory} KiB a host, both ends|at most 60 × one|{}",
            took[0],
            took[1],
            ratio <= 60.0
        );
        drop((servers, site));
    }
}
