//! That no test reaches an address outside. The suites run where no route leads out (`tests/lab/lib/no_way_out.sh`);
//! this fails where one does. Asked for by the scripts alone: whoever runs one test by hand is not inside.

use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::time::{Duration, Instant};

/// Longest time that it may take to find out that there is no way.
const AT_ONCE: Duration = Duration::from_secs(1);

#[test]
#[ignore = "needs to be inside: tests/lab/run fast and tests/aws/run ask for it there"]
fn no_way_leads_out() {
    let began = Instant::now();
    // A public resolver, documentation addresses, where instances find their credentials, and IPv6.
    for address in
        ["1.1.1.1:443", "192.0.2.1:80", "169.254.169.254:80", "[2001:db8::1]:443", "10.255.255.1:22"]
    {
        let address: SocketAddr = address.parse().expect("it is an address");
        let reached = TcpStream::connect_timeout(&address, AT_ONCE);
        assert!(
            reached.as_ref().is_err_and(|error| error.kind() != std::io::ErrorKind::TimedOut),
            "{address}: only a missing route fails at once, and this did not: {reached:?}"
        );
        if let SocketAddr::V4(_) = address {
            let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket of no address");
            assert!(socket.send_to(b"x", address).is_err(), "{address}: a datagram left");
        }
    }
    let named = "dynamodb.us-east-1.amazonaws.com:443".to_socket_addrs();
    assert!(named.is_err(), "a name was resolved: {named:?}");
    assert!(began.elapsed() < AT_ONCE, "it took {:?}", began.elapsed());
    // What the tests need is there.
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
    TcpStream::connect(listener.local_addr().expect("it is bound")).expect("loopback answers");
}
