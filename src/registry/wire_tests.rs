//! The client against servers that answer as scripted.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::credentials::{Credentials, Login};
use super::oci::OciRegistry;
use super::{Registry as _, RegistryError};
use crate::clock::Clock;
use crate::domain::id::{Digest, Token};
use crate::domain::time::Timestamp;
use crate::host::wire::Secret;

/// Answers each request with the next text of the script, and keeps what was asked.
struct Server {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

async fn serve(script: Vec<String>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    tokio::spawn(async move {
        for answer in script {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut text = Vec::new();
            while !text.windows(4).any(|w| w == b"\r\n\r\n") {
                let mut buffer = [0; 4096];
                match socket.read(&mut buffer).await.unwrap() {
                    0 => break,
                    n => text.extend_from_slice(&buffer[..n]),
                }
            }
            seen.lock().unwrap().push(String::from_utf8(text).unwrap());
            socket.write_all(answer.as_bytes()).await.unwrap();
            socket.shutdown().await.unwrap();
        }
    });
    Server { address, asked }
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
}

/// A clock on which waiting takes no time and is remembered.
#[derive(Default)]
struct Waits(Mutex<Vec<Duration>>);

#[async_trait::async_trait]
impl Clock for Waits {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(0).unwrap()
    }
    fn elapsed(&self) -> Duration {
        self.0.lock().unwrap().iter().sum()
    }
    async fn sleep(&self, duration: Duration) {
        self.0.lock().unwrap().push(duration);
    }
    fn token(&self) -> Token {
        Token::from_bits([0; 16])
    }
}

fn client(clock: &Arc<Waits>) -> OciRegistry {
    let given = Login::Basic { user: "ada".into(), password: Secret::new("hunter2".into()) };
    OciRegistry::new(Credentials { directory: None, given: Some(given) }, false, clock.clone()).unwrap()
}

#[tokio::test]
async fn a_token_is_fetched_once_used_again_and_renewed_once() {
    let clock = Arc::new(Waits::default());
    let tokens = serve(vec![
        answer("200 OK", "", r#"{"token":"one"}"#),
        answer("200 OK", "", r#"{"access_token":"two"}"#),
        answer("200 OK", "", r#"{"token":"three"}"#),
    ])
    .await;
    let digest = format!("docker-content-digest: {}\r\n", Digest::of(b"x"));
    let refuse = answer(
        "401 Unauthorized",
        &format!("www-authenticate: Bearer realm=\"http://{}/token\",service=\"r\"\r\n", tokens.address),
        "",
    );
    let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{digest}\r\n");
    let server =
        serve(vec![refuse.clone(), head.clone(), head.clone(), refuse.clone(), head, refuse.clone(), refuse])
            .await;
    let registry = client(&clock);
    let repository = format!("{}/team/web", server.address);
    for _ in 0..3 {
        assert_eq!(registry.resolve(&repository, "v1").await.unwrap(), Some(Digest::of(b"x")));
    }
    let error = registry.resolve(&repository, "v1").await.unwrap_err();
    assert!(matches!(error, RegistryError::Denied { .. }), "{error}");
    let asked = server.asked.lock().unwrap().clone();
    let bearer: Vec<_> = asked
        .iter()
        .map(|text| text.lines().find_map(|line| line.strip_prefix("authorization: ")).unwrap_or("-"))
        .collect();
    assert_eq!(
        bearer,
        ["-", "Bearer one", "Bearer one", "Bearer one", "Bearer two", "Bearer two", "Bearer three"]
    );
    let asked = tokens.asked.lock().unwrap().clone();
    assert!(
        asked[0].starts_with("GET /token?scope=repository%3Ateam%2Fweb%3Apull&service=r "),
        "{}",
        asked[0]
    );
    assert!(asked[0].contains("authorization: Basic YWRhOmh1bnRlcjI="), "{}", asked[0]);
}

#[tokio::test]
async fn being_told_to_wait_is_obeyed_within_the_budget() {
    let clock = Arc::new(Waits::default());
    let busy = |after: &str| answer("429 Too Many Requests", &format!("retry-after: {after}\r\n"), "");
    let server = serve(vec![busy("7"), answer("503 x", "", ""), answer("404 Not Found", "", "")]).await;
    let registry = client(&clock);
    assert_eq!(registry.resolve(&format!("{}/web", server.address), "v1").await.unwrap(), None);
    let waits = std::mem::take(&mut *clock.0.lock().unwrap());
    assert!(waits[0] >= Duration::from_secs(7) && waits[1] < Duration::from_secs(2), "{waits:?}");
    let server = serve(vec![busy("3600")]).await;
    let error = registry.resolve(&format!("{}/web", server.address), "v1").await.unwrap_err();
    assert!(matches!(error, RegistryError::Unavailable { .. }), "{error}");
    assert!(clock.0.lock().unwrap().is_empty(), "an hour is not waited for");
}

#[tokio::test]
async fn invariant_10_a_redirect_does_not_carry_the_password_to_another_host() {
    let clock = Arc::new(Waits::default());
    let body = "config";
    let store = serve(vec![answer("200 OK", "", body)]).await;
    let there = answer("307 x", &format!("location: http://{}/blob\r\n", store.address), "");
    let server = serve(vec![answer("401 x", "www-authenticate: Basic realm=\"x\"\r\n", ""), there]).await;
    let registry = client(&clock);
    let blob = registry.blob(&format!("{}/web", server.address), &Digest::of(body.as_bytes())).await.unwrap();
    assert_eq!(blob.unwrap(), body.as_bytes());
    let login = |server: &Server| server.asked.lock().unwrap().last().unwrap().contains("authorization:");
    assert!(login(&server) && !login(&store));
}

#[tokio::test]
async fn other_bytes_than_the_digest_says_are_refused() {
    let clock = Arc::new(Waits::default());
    let lie = answer("200 OK", &format!("docker-content-digest: {}\r\n", Digest::of(b"x")), "y");
    let server = serve(vec![lie.clone(), lie.clone(), lie, answer("500 x", "", "a\u{1b}b")]).await;
    let registry = client(&clock);
    let repository = format!("{}/web", server.address);
    let wrong = |error: RegistryError| assert!(matches!(error, RegistryError::WrongDigest { .. }), "{error}");
    wrong(registry.manifest(&repository, "v1").await.unwrap_err());
    wrong(registry.manifest(&repository, Digest::of(b"x").as_str()).await.unwrap_err());
    wrong(registry.blob(&repository, &Digest::of(b"x")).await.unwrap_err());
    let error = registry.manifest(&repository, "v1").await.unwrap_err().to_string();
    assert!(error.contains("500") && error.ends_with("ab"), "{error:?}");
}
