//! A host for tests: an empty root, and a proxy that has one map. There is no engine.

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
    fs::create_dir_all(paths.state.join("maps")).unwrap();
    fs::create_dir_all(paths.proxy_socket.parent().unwrap()).unwrap();
    (root, paths)
}

/// Answers as HAProxy 2.6 does, until it is aborted.
pub(super) fn proxy(paths: &Paths, map: Option<&str>) -> JoinHandle<()> {
    let listener = UnixListener::bind(&paths.proxy_socket).unwrap();
    let mut map = map.map(str::to_owned);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut line = String::new();
            stream.read_to_string(&mut line).await.unwrap();
            let words: Vec<&str> = line.split_whitespace().collect();
            let answer = match words[..] {
                ["show", "map", _] => map.as_ref().map_or("\n".to_owned(), |to| format!("0x1 web {to}\n\n")),
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
