//! A state behind HTTP, as Terraform's backend `http` wants it: a lock here outlives the process that took it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

#[derive(Default)]
struct Kept {
    state: Vec<u8>,
    lock: Option<String>,
}

/// The server; it ends with the test's runtime.
pub(super) struct State {
    pub(super) address: SocketAddr,
    kept: Arc<Mutex<Kept>>,
}

impl State {
    pub(super) async fn serve() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let kept = Arc::new(Mutex::new(Kept::default()));
        let shared = kept.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that goes away in the middle is the test's own doing.
                tokio::spawn(answer(stream, shared.clone()));
            }
        });
        Self { address, kept }
    }

    /// Who holds the lock, as Terraform told it.
    pub(super) fn lock(&self) -> Option<String> {
        self.kept.lock().unwrap().lock.clone()
    }
}

async fn answer(stream: TcpStream, kept: Arc<Mutex<Kept>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut first = String::new();
    stream.read_line(&mut first).await?;
    let method = first.split(' ').next().unwrap_or_default().to_owned();
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        match line.trim().to_ascii_lowercase().split_once(':') {
            Some(("content-length", value)) => length = value.trim().parse().unwrap(),
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let (status, text) = decide(&method, body, &mut kept.lock().unwrap());
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", text.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&text).await?;
    stream.shutdown().await
}

fn decide(method: &str, body: Vec<u8>, kept: &mut Kept) -> (&'static str, Vec<u8>) {
    match (method, &kept.lock) {
        ("GET", _) if kept.state.is_empty() => ("404 Not Found", Vec::new()),
        ("GET", _) => ("200 OK", kept.state.clone()),
        ("POST", _) => {
            kept.state = body;
            ("200 OK", Vec::new())
        }
        ("LOCK", Some(lock)) => ("423 Locked", lock.clone().into_bytes()),
        ("LOCK", None) => {
            kept.lock = Some(String::from_utf8(body).unwrap());
            ("200 OK", Vec::new())
        }
        ("UNLOCK", _) => {
            kept.lock = None;
            ("200 OK", Vec::new())
        }
        _ => ("405 Method Not Allowed", Vec::new()),
    }
}
