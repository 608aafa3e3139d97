//! A wire between a socket and a server: with a travel time, and able to freeze.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// The wire.
#[derive(Debug, Clone, Default)]
pub(in crate::host::ssh) struct Wire {
    /// What one way takes.
    pub(in crate::host::ssh) travel: Duration,
}

impl Wire {
    /// What a server sees of a socket at the other end of this wire.
    pub(super) fn between(
        &self,
        socket: TcpStream,
        frozen: watch::Receiver<bool>,
        cut: watch::Receiver<usize>,
    ) -> impl AsyncRead + AsyncWrite + Unpin + Send + 'static {
        let (near, far) = tokio::io::duplex(1 << 16);
        let _ = socket.set_nodelay(true);
        let (socket_in, socket_out) = socket.into_split();
        let (far_in, far_out) = tokio::io::split(far);
        tokio::spawn(until(cut.clone(), carry(socket_in, far_out, self.travel, frozen.clone())));
        tokio::spawn(until(cut, carry(far_in, socket_out, self.travel, frozen)));
        near
    }
}

/// Carries until it is cut; both ends close then.
async fn until(mut cut: watch::Receiver<usize>, carrying: impl Future<Output = ()>) {
    tokio::select! {
        () = carrying => {}
        _ = cut.changed() => {}
    }
}

/// Carries what comes to the other side, later; when frozen, for ever.
async fn carry(
    mut from: impl AsyncRead + Unpin + Send + 'static,
    mut to: impl AsyncWrite + Unpin + Send + 'static,
    travel: Duration,
    mut frozen: watch::Receiver<bool>,
) {
    let (send, mut receive) = mpsc::channel::<(Instant, Vec<u8>)>(1_000);
    let reading = async move {
        let mut buffer = vec![0; 1 << 15];
        while let Ok(read) = from.read(&mut buffer).await {
            if read == 0 || send.send((Instant::now() + travel, buffer[..read].to_vec())).await.is_err() {
                break;
            }
        }
    };
    let writing = async move {
        while let Some((due, bytes)) = receive.recv().await {
            tokio::time::sleep_until(due).await;
            if *frozen.borrow() {
                // Both ends stay open.
                let _ = frozen.wait_for(|frozen| !frozen).await;
                std::future::pending::<()>().await;
            }
            if to.write_all(&bytes).await.is_err() || to.flush().await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(reading, writing);
}
