//! The contract over an emulator, which `tests/aws/run` starts and names in `RELMAN_TEST_S3`.

use std::sync::Arc;

use super::*;
use crate::artifact::contract::artifact_contract;
use crate::aws::FaultKind;
use crate::aws::testing::{bucket, fresh_bucket};

fn make() -> (Arc<dyn Artifacts>, ()) {
    (Arc::new(S3Artifacts::new(bucket(&format!("{}/team/web", fresh_bucket())))), ())
}

artifact_contract!(
    #[ignore = "needs tests/aws/run"]
    make()
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/aws/run"]
async fn what_was_changed_is_not_given_out_and_can_be_put_again() {
    let store = S3Artifacts::new(bucket(&fresh_bucket()));
    let digest = Digest::of(b"plan");
    // Whoever was first put something else.
    for content in [&b"Plan"[..], b"pla", b""] {
        store.bucket.replace(&key(&digest), content).await.unwrap();
        let error = store.get(&digest).await.unwrap_err();
        assert!(
            matches!(&error, ArtifactError::Corrupt { found, .. } if *found == Digest::of(content)),
            "{error:?}"
        );
    }
    store.put(b"plan").await.unwrap();
    assert_eq!(store.read(&digest, None).await.unwrap(), b"plan", "the newest is what hosts read");
    // What lies below is still what was put; and to put it again brings it to the top.
    for content in [&b"Plan"[..], b""] {
        store.bucket.replace(&key(&digest), content).await.unwrap();
        assert!(store.read(&digest, None).await.is_err());
        assert_eq!(store.get(&digest).await.unwrap(), b"plan");
        store.put(b"plan").await.unwrap();
        assert_eq!(store.read(&digest, None).await.unwrap(), b"plan");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/aws/run"]
async fn a_bucket_that_is_not_there_is_named() {
    let store = S3Artifacts::new(bucket("not-there/web"));
    let error = store.put(b"plan").await.unwrap_err();
    let ArtifactError::Unavailable { location, source, .. } = &error else { panic!("{error:?}") };
    assert_eq!(location, "s3://not-there/web");
    assert_eq!(source.downcast_ref::<Fault>().unwrap().kind, FaultKind::Missing);
}

/// Whether head and body are there.
fn is_whole(asked: &[u8]) -> bool {
    let Some(head) = asked.windows(4).position(|end| end == b"\r\n\r\n") else { return false };
    let lines = String::from_utf8_lossy(&asked[..head]).to_lowercase();
    let length = lines.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    asked.len() >= head + 4 + length.unwrap_or(0_usize)
}

/// Answers each request by its method, and counts what was written.
async fn answering(get: &'static str) -> (String, Arc<std::sync::atomic::AtomicUsize>) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let written = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = written.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = Vec::new();
            while !is_whole(&asked) {
                let mut part = [0; 4096];
                let length = stream.read(&mut part).await.unwrap_or(0);
                if length == 0 {
                    break;
                }
                asked.extend_from_slice(&part[..length]);
            }
            let asked = String::from_utf8_lossy(&asked).to_lowercase();
            let status = match asked.split(' ').next() {
                Some("put") if asked.contains("if-none-match") => "412 Precondition Failed",
                Some("put") => {
                    count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    "200 OK"
                }
                _ => get,
            };
            let there = "<Error><Code>PreconditionFailed</Code><Message>there</Message></Error>";
            let body = if status.starts_with("412") { there } else { "" };
            let length = body.len();
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (endpoint, written)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/aws/run"]
async fn what_cannot_be_read_is_not_written_over() {
    use std::sync::atomic::Ordering::SeqCst;

    for get in ["403 Forbidden", "500 Internal Server Error", "404 Not Found"] {
        let (endpoint, written) = answering(get).await;
        let store = S3Artifacts::new(Bucket::new("there", Arc::new(crate::aws::Chain::fresh(endpoint))));
        let error = store.put(b"plan").await.unwrap_err();
        let ArtifactError::Unavailable { source, .. } = &error else { panic!("{error:?}") };
        let wanted = match &get[..3] {
            "403" => FaultKind::Denied,
            "404" => FaultKind::Missing,
            _ => FaultKind::Server,
        };
        assert_eq!(source.downcast_ref::<Fault>().unwrap().kind, wanted, "{error:?}");
        assert_eq!(written.load(SeqCst), 0, "{get}");
    }
    // An empty body, which is not what was put.
    let (endpoint, written) = answering("200 OK").await;
    let store = S3Artifacts::new(Bucket::new("there", Arc::new(crate::aws::Chain::fresh(endpoint))));
    store.put(b"plan").await.unwrap();
    assert_eq!(written.load(SeqCst), 1);
}
