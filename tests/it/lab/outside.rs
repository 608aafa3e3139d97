//! That nothing in the lab reaches an address outside of it: neither a host nor a container on one, nor the tests. The
//! suite runs where no route leads out (`tests/lab/lib/no_way_out.sh`); this fails where one does.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::support::site::Site;
use super::support::{eventually, host};

/// A public resolver, an address of documentation, and where instances find their credentials.
const OUTSIDE: [&str; 3] = ["1.1.1.1:443", "192.0.2.1:80", "169.254.169.254:80"];

#[test]
#[ignore = "needs the lab: make test-lab"]
fn neither_hosts_nor_containers_nor_tests_reach_an_address_outside() {
    let site = Site::shared();
    site.deploy_new();
    let container = host::containers(&site.lab, 1).into_iter().next().expect("what serves runs").0;
    for address in OUTSIDE {
        let socket: SocketAddr = address.parse().expect("it is an address");
        let reached = TcpStream::connect_timeout(&socket, Duration::from_secs(2));
        assert!(
            reached.as_ref().is_err_and(|error| error.kind() != std::io::ErrorKind::TimedOut),
            "{address} from the tests: only a missing route fails at once: {reached:?}"
        );
        let (ip, port) = (socket.ip(), socket.port());
        let python = format!(
            "import socket, sys\ntry:\n socket.create_connection((\"{ip}\", {port}), 5)\nexcept TimeoutError:\n print(\"timed out\")\nexcept OSError as e:\n print(\"refused\", e.errno)\nelse:\n print(\"reached\")"
        );
        for (from, script) in [
            ("a host", format!("python3 -c '{python}'")),
            ("a container", format!("docker exec {container} python -c '{python}'")),
        ] {
            // ENETUNREACH or EHOSTUNREACH: the packet met a router that has no way on. A router says so once a second at
            // most; what was asked in between waits in vain.
            eventually(&format!("{address} from {from}: there is no way"), Duration::from_secs(60), || {
                let told = site.lab.on_host(1, &script);
                assert_ne!(told.trim(), "reached", "{address} from {from}");
                matches!(told.trim(), "refused 101" | "refused 113")
            });
        }
    }
    // What they need is there.
    site.is_settled();
}
