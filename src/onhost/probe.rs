//! One HTTP question to a container: does it answer its health check?

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::domain::run::HealthCheck;

/// What a probe saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Probe {
    /// Whether it answered 2xx or 3xx in time.
    pub(super) good: bool,
    /// What it answered, as it came: it may hold secrets, and is shown by [`super::evidence::told`] alone.
    pub(super) answer: String,
}

impl Probe {
    fn bad(answer: impl Into<String>) -> Self {
        Self { good: false, answer: answer.into() }
    }
}

/// Asks once.
pub(super) async fn probe(port: u16, health: &HealthCheck) -> Probe {
    let limit = Duration::from_millis(health.timeout_ms);
    match tokio::time::timeout(limit, ask(port, &health.path)).await {
        Ok(Ok(probe)) => probe,
        Ok(Err(problem)) => Probe::bad(problem),
        Err(_) => Probe::bad(format!("no answer within {} ms", health.timeout_ms)),
    }
}

async fn ask(port: u16, path: &str) -> Result<Probe, String> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        _ => error.to_string(),
    })?;
    // The engine's forwarder accepts before the container listens, so this is how a closed port shows.
    let closed = |_| "connection closed without an answer".to_owned();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(closed)?;
    let connection = tokio::spawn(connection);
    let request = hyper::Request::get(path)
        .header("host", "localhost")
        .header("user-agent", concat!("relman-host/", env!("CARGO_PKG_VERSION")))
        .header("connection", "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(closed)?;
    let status = response.status();
    let good = status.is_success() || status.is_redirection();
    // What an unhealthy service says of itself is the best evidence that there is; a healthy one is not read.
    let body = if good {
        String::new()
    } else {
        let read = Limited::new(response.into_body(), 4_096).collect().await;
        read.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned()).unwrap_or_default()
    };
    connection.abort();
    let answer = if body.trim().is_empty() { status.to_string() } else { format!("{status}: {body}") };
    Ok(Probe { good, answer })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    async fn answer(answer: &'static [u8]) -> Probe {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = [0; 1024];
            let length = stream.read(&mut bytes).await.unwrap();
            stream.write_all(answer).await.unwrap();
            bytes[..length].to_vec()
        });
        let health = HealthCheck { path: "/up".into(), timeout_ms: 5_000, ..HealthCheck::default() };
        let probe = probe(port, &health).await;
        assert!(server.await.unwrap().starts_with(b"GET /up HTTP/1.1\r\n"));
        probe
    }

    #[tokio::test]
    async fn an_answer_is_good_or_told() {
        assert!(answer(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.good);
        assert!(answer(b"HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n").await.good);
        let sick = answer(b"HTTP/1.1 503 Nope\r\ncontent-length: 11\r\n\r\nno database").await;
        assert_eq!(sick, Probe::bad("503 Service Unavailable: no database"));
        assert_eq!(answer(b"").await, Probe::bad("connection closed without an answer"));
    }

    #[tokio::test]
    async fn a_closed_port_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        assert_eq!(probe(port, &HealthCheck::default()).await, Probe::bad("connection refused"));
    }
}
