//! A host for tests: an empty root, and a proxy that has one map. An engine only
//! where a test says what it answers.

use std::fs;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

use super::paths::Paths;

/// An empty host.
pub(super) fn root() -> (TempDir, Paths) {
    let root = tempfile::tempdir().unwrap();
    let paths = Paths::under(root.path());
    fs::create_dir_all(paths.state.join("_maps")).unwrap();
    fs::create_dir_all(paths.proxy_socket.parent().unwrap()).unwrap();
    fs::create_dir_all(paths.engine_socket.parent().unwrap()).unwrap();
    (root, paths)
}

/// Answers as HAProxy 2.6 does, until it is aborted.
pub(super) fn proxy(paths: &Paths, map: Option<&str>) -> JoinHandle<()> {
    proxy_seeing(paths, map, "DOWN")
}

/// The same, whose trial of green is in this state.
pub(super) fn proxy_seeing(paths: &Paths, map: Option<&str>, green: &'static str) -> JoinHandle<()> {
    let listener = UnixListener::bind(&paths.proxy_socket).unwrap();
    let mut map = map.map(str::to_owned);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut line = String::new();
            stream.read_to_string(&mut line).await.unwrap();
            let words: Vec<&str> = line.split_whitespace().collect();
            let answer = match words[..] {
                ["show", "map", _] => map.as_ref().map_or("\n".to_owned(), |to| format!("0x1 web {to}\n\n")),
                ["show", "stat"] => format!(
                    "# pxname,svname,scur,status,check_status,\nweb.blue,blue,0,no check,,\n\
                     web.trial-green,green,0,{green},L7OK,\nweb.trial-green,blue,0,UP,L7OK,\n\n"
                ),
                ["set", "map", _, "web", _] if map.is_none() => "entry not found.\n\n".to_owned(),
                ["set" | "add", "map", _, "web", to] => {
                    map = Some(to.to_owned());
                    "\n".to_owned()
                }
                _ => "Unknown command\n".to_owned(),
            };
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    })
}

/// An engine that answers what `answer` makes of method and path, until it is aborted. `None`: never.
pub(super) fn engine(
    paths: &Paths,
    answer: impl Fn(&str) -> Option<(u16, String)> + Send + Sync + 'static,
) -> JoinHandle<()> {
    let listener = UnixListener::bind(&paths.engine_socket).unwrap();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            let asked = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
            let (status, body) = match answer(&asked) {
                Some(answer) => answer,
                None if asked.contains("/version") => (200, r#"{"ApiVersion":"1.44"}"#.to_owned()),
                None => {
                    open.push(stream);
                    continue;
                }
            };
            let text = format!(
                "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
                 connection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(text.as_bytes()).await.unwrap();
        }
    })
}
