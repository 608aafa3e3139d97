//! SSH servers in this process, with a host of [`FakeFleet`] behind each, and a wire that can be slow, cut or frozen.

mod wire;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{PrivateKey, PublicKey};
use russh::server::{self, Auth, ChannelOpenHandle, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId};
use tokio::net::{TcpListener, TcpStream};

use super::ask::COMMAND;
use crate::host::fake::FakeFleet;
use crate::host::wire::{Answer, AnswerResult, HostAddress, HostErrorCode, PROTOCOL, Request};
use crate::host::{Fleet, Task};
pub(super) use wire::Wire;

/// A key that follows from a number.
pub(super) fn key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

/// The public half as a line of a file.
pub(super) fn line(key: &PrivateKey) -> String {
    PublicKey::from(key.public_key().key_data().clone()).to_openssh().unwrap()
}

/// What a host does with a request that it took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Conduct {
    /// It answers.
    #[default]
    Answer,
    /// The login shell prints this first.
    Prints(String),
    /// The wire is cut after this many bytes of the answer, which comes after it has acted.
    Cut(usize),
    /// The wire freezes once the request is there: open, and nothing goes over it.
    Freeze,
    /// The login shell lets nobody in: this, and exit code 1.
    NoShell(String),
    /// It refuses to run commands.
    NoExec,
}

/// How a server is.
pub(super) struct Settings {
    pub(super) host_keys: Vec<PrivateKey>,
    pub(super) accepts: Vec<PublicKey>,
    pub(super) user: &'static str,
    pub(super) fleet: Arc<FakeFleet>,
    pub(super) name: &'static str,
    pub(super) wire: Wire,
    /// Whether it lets through to others.
    pub(super) forwards: bool,
}

impl Settings {
    /// A configured host that user `deploy` may log in to with [`key`] 9; its host key is [`key`] 1.
    pub(super) fn ready() -> Self {
        Self {
            host_keys: vec![key(1)],
            accepts: vec![key(9).public_key().clone()],
            user: "deploy",
            fleet: Arc::new(FakeFleet::ready(&["web-1"])),
            name: "web-1",
            wire: Wire::default(),
            forwards: false,
        }
    }
}

/// A server on a loopback port; it ends with this value.
pub(super) struct Server {
    pub(super) port: u16,
    pub(super) state: Arc<State>,
    task: tokio::task::JoinHandle<()>,
}

/// What tests look at and change.
pub(super) struct State {
    settings: Settings,
    conduct: Mutex<Conduct>,
    pub(super) connections: AtomicUsize,
    /// Logins that were done.
    pub(super) logins: AtomicUsize,
    pub(super) requests: AtomicUsize,
    /// Ends every connection when it changes.
    cut: tokio::sync::watch::Sender<usize>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

impl Server {
    pub(super) async fn start(settings: Settings) -> Self {
        let config = Arc::new(server::Config {
            keys: settings.host_keys.clone(),
            auth_rejection_time: std::time::Duration::ZERO,
            ..server::Config::default()
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            settings,
            conduct: Mutex::default(),
            connections: AtomicUsize::new(0),
            logins: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            cut: tokio::sync::watch::Sender::new(0),
        });
        let shared = state.clone();
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, config.clone(), shared.clone()));
            }
        });
        Self { port, state, task }
    }

    /// Changes what it does from now on.
    pub(super) fn set(&self, conduct: Conduct) {
        *self.state.conduct.lock().unwrap() = conduct;
    }

    /// Ends every connection.
    pub(super) fn cut(&self) {
        self.state.cut.send_modify(|n| *n += 1);
    }

    /// The host of a configuration that is here.
    pub(super) fn address(&self) -> HostAddress {
        HostAddress {
            name: self.state.settings.name.parse().unwrap(),
            address: "127.0.0.1".to_owned(),
            port: self.port,
            user: Some(self.state.settings.user.to_owned()),
            host_keys: vec![line(&self.state.settings.host_keys[0])],
        }
    }

    pub(super) fn fleet(&self) -> &FakeFleet {
        &self.state.settings.fleet
    }

    pub(super) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::Relaxed)
    }
}

async fn serve(socket: TcpStream, config: Arc<server::Config>, state: Arc<State>) {
    state.connections.fetch_add(1, Ordering::Relaxed);
    let (freeze, frozen) = tokio::sync::watch::channel(false);
    let stream = state.settings.wire.between(socket, frozen, state.cut.subscribe());
    let handler = Connection { state, freeze, requests: HashMap::new() };
    if let Ok(session) = server::run_stream(config, stream, handler).await {
        let _ = session.await;
    }
}

struct Connection {
    state: Arc<State>,
    freeze: tokio::sync::watch::Sender<bool>,
    requests: HashMap<ChannelId, Vec<u8>>,
}

impl server::Handler for Connection {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: server::PublicKeyOffer<'_>,
    ) -> Result<Auth, russh::Error> {
        Ok(self.judge(user, offer.public_key))
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, russh::Error> {
        self.state.logins.fetch_add(1, Ordering::Relaxed);
        Ok(self.judge(user, key.public_key))
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        let place = (host.to_owned(), u16::try_from(port).unwrap());
        if !self.state.settings.forwards {
            return Ok(());
        }
        if let Ok(mut socket) = TcpStream::connect(place).await {
            reply.accept().await;
            tokio::spawn(async move {
                let mut stream = channel.into_stream();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut socket).await;
            });
        }
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        assert_eq!(String::from_utf8_lossy(command), COMMAND, "a constant");
        if *self.state.conduct.lock().unwrap() == Conduct::NoExec {
            return session.channel_failure(channel);
        }
        self.requests.insert(channel, Vec::new());
        session.channel_success(channel)
    }

    async fn data(&mut self, channel: ChannelId, data: &[u8], _: &mut Session) -> Result<(), russh::Error> {
        self.requests.entry(channel).or_default().extend_from_slice(data);
        Ok(())
    }

    async fn channel_eof(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), russh::Error> {
        let Some(request) = self.requests.remove(&channel) else { return Ok(()) };
        self.state.requests.fetch_add(1, Ordering::Relaxed);
        let conduct = self.state.conduct.lock().unwrap().clone();
        if conduct == Conduct::Freeze {
            self.freeze.send_replace(true);
            return Ok(());
        }
        let (mut out, mut rc) = answer(&self.state.settings, &request).await;
        match conduct {
            Conduct::Prints(text) => out = format!("{text}{out}"),
            Conduct::NoShell(text) => (out, rc) = (text, 1),
            Conduct::Cut(after) => {
                session.data(channel, out.as_bytes()[..after.min(out.len())].to_vec())?;
                session.flush()?;
                // What was said goes out first.
                let cut = self.state.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    cut.cut.send_modify(|n| *n += 1);
                });
                return Ok(());
            }
            _ => {}
        }
        session.data(channel, out.into_bytes())?;
        session.exit_status_request(channel, rc)?;
        session.eof(channel)?;
        session.close(channel)
    }
}

impl Connection {
    fn judge(&self, user: &str, key: &PublicKey) -> Auth {
        let settings = &self.state.settings;
        let known = settings.accepts.iter().any(|one| one.key_data() == key.key_data());
        if known && user == settings.user { Auth::Accept } else { Auth::reject() }
    }
}

/// What `relman-host` would print, and its exit code.
async fn answer(settings: &Settings, request: &[u8]) -> (String, u32) {
    let request: Request = serde_json::from_slice(request).expect("the request is one");
    let host = [settings.name.parse().unwrap()];
    let replies = settings.fleet.perform(&host, &Task::bare(request.command)).await.replies;
    let (result, rc) = match replies.into_iter().next().unwrap().result {
        Ok(seen) => (AnswerResult::Done(Box::new(seen)), 0),
        Err(error) if error.code == HostErrorCode::NotInstalled => return (String::new(), 127),
        Err(error) => (AnswerResult::Failed(error), 1),
    };
    (serde_json::to_string(&Answer { protocol: PROTOCOL, result }).unwrap() + "\n", rc)
}
