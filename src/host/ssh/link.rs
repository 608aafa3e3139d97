//! One connection to one host, direct or through another.
//!
//! Invariants: the host key is judged before anything is said; each stage has its time; a connection whose other end
//! went away without a word is given up within [`Timing::silence`].

use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, Handle, Msg};
use russh::keys::{Algorithm, PublicKeyOrCertificate};
use russh::{Channel, Preferred};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::keys::{self, LoginError};
use super::target::Target;
use super::trust::{Trust, TrustError};

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    /// To connect, and for each stage until the login is done.
    pub(super) stage: Duration,
    /// Between two signs of life that are asked for.
    pub(super) keepalive: Duration,
}

impl Timing {
    /// Signs of life that may be missed.
    const MISSED: u32 = 3;

    /// After this time without a word a connection is given up.
    pub(super) fn silence(&self) -> Duration {
        self.keepalive * (Self::MISSED + 2)
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self { stage: Duration::from_secs(10), keepalive: Duration::from_secs(5) }
    }
}

/// Why there is no connection. Nothing was run then.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error("{0}")]
    Trust(#[from] TrustError),
    #[error("{0}")]
    Login(LoginError),
    #[error("it does not answer within {} s ({what})", .limit.as_secs_f32())]
    Silent { what: &'static str, limit: Duration },
    #[error("its name is not known: {0}")]
    NoName(String),
    #[error("{}", connecting(.0.kind()))]
    Connect(#[source] std::io::Error),
    #[error("{0}")]
    Ssh(String),
    #[error("the bastion {shown}: {why}")]
    Bastion { shown: String, why: Box<LinkError> },
    #[error(
        "the bastion {shown} does not let through to {to}: look at AllowTcpForwarding and PermitOpen there, and \
         whether it reaches the host"
    )]
    NotLetThrough { shown: String, to: String },
}

fn connecting(kind: std::io::ErrorKind) -> String {
    use std::io::ErrorKind;
    match kind {
        ErrorKind::ConnectionRefused => "nothing listens there".to_owned(),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => "no route leads there".to_owned(),
        ErrorKind::TimedOut => "it does not answer".to_owned(),
        other => format!("it cannot be connected to: {other}"),
    }
}

impl From<russh::Error> for LinkError {
    fn from(error: russh::Error) -> Self {
        use russh::Error::{Disconnect, HUP, IO, NoCommonAlgo, Version};
        Self::Ssh(match error {
            Disconnect | HUP | IO(_) => "it closed the connection before the login was done".to_owned(),
            Version => "what answers there is no SSH server".to_owned(),
            NoCommonAlgo { kind, theirs, .. } => {
                format!("it offers no {kind:?} algorithm that relman takes, only {}", theirs.join(", "))
            }
            other => format!("the SSH connection failed: {other}"),
        })
    }
}

/// Judges the host key.
pub(super) struct Client {
    trust: Trust,
}

impl client::Handler for Client {
    type Error = LinkError;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, LinkError> {
        match key {
            PublicKeyOrCertificate::PublicKey { key, .. } => {
                self.trust.check(key)?;
                Ok(true)
            }
            // None was asked for.
            PublicKeyOrCertificate::Certificate(_) => Ok(false),
        }
    }
}

/// A connection on which somebody is logged in.
pub(super) struct Link {
    handle: Handle<Client>,
    /// Kept for as long as this one lasts.
    _through: Option<Arc<Link>>,
}

impl Link {
    /// Connects and logs in.
    pub(super) async fn open(
        target: &Target,
        through: Option<Arc<Self>>,
        timing: Timing,
    ) -> Result<Self, LinkError> {
        let handle = match (&through, &target.through) {
            (Some(link), Some(bastion)) => {
                let stream = link.tunnel(target, &bastion.shown, timing).await?;
                Self::greet(target, stream, timing).await?
            }
            _ => {
                let stream = within("connecting", timing.stage, connect(target)).await??;
                // Each message is one of few and waited for.
                let _ = stream.set_nodelay(true);
                Self::greet(target, stream, timing).await?
            }
        };
        Ok(Self { handle, _through: through })
    }

    async fn tunnel(
        &self,
        target: &Target,
        bastion: &str,
        timing: Timing,
    ) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + 'static, LinkError> {
        let to = || format!("{}:{}", target.address, target.port);
        let opening = self.handle.channel_open_direct_tcpip(
            target.address.clone(),
            u32::from(target.port),
            "127.0.0.1",
            0,
        );
        match within("the way through the bastion", timing.stage, opening).await? {
            Ok(channel) => Ok(channel.into_stream()),
            Err(_) => Err(LinkError::NotLetThrough { shown: bastion.to_owned(), to: to() }),
        }
    }

    async fn greet<S>(target: &Target, stream: S, timing: Timing) -> Result<Handle<Client>, LinkError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let config = Arc::new(client::Config {
            preferred: preferred(&target.trust),
            keepalive_interval: Some(timing.keepalive),
            keepalive_max: Timing::MISSED as usize,
            // Also where it cannot even be written to.
            inactivity_timeout: Some(timing.silence()),
            ..client::Config::default()
        });
        let client = Client { trust: target.trust.clone() };
        let greeting = client::connect_stream(config, stream, client);
        let mut handle = within("greeting", timing.stage, greeting).await??;
        let login = keys::log_in(&mut handle, &target.user, &target.identities);
        // The agent may ask somebody, or wait for a touch.
        within("login", timing.stage * 3, login).await?.map_err(|error| match error {
            LoginError::Ssh(error) => LinkError::from(error),
            other => LinkError::Login(other),
        })?;
        Ok(handle)
    }

    /// Whether it has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// A channel on which something can be run.
    pub(super) async fn channel(&self, timing: Timing) -> Result<Channel<Msg>, LinkError> {
        Ok(within("opening a session", timing.silence(), self.handle.channel_open_session()).await??)
    }
}

async fn connect(target: &Target) -> Result<TcpStream, LinkError> {
    let found = tokio::net::lookup_host((target.address.as_str(), target.port)).await;
    let addresses: Vec<_> = found.map_err(|_| LinkError::NoName(target.address.clone()))?.collect();
    TcpStream::connect(&*addresses).await.map_err(LinkError::Connect)
}

/// Keys of the kinds by which the host is known come first; nothing is compressed.
fn preferred(trust: &Trust) -> Preferred {
    let known = trust.algorithms();
    let mut key = Preferred::DEFAULT.key.to_vec();
    let is_known = |algorithm: &Algorithm| {
        let is_rsa = |key: &Algorithm| matches!(key, Algorithm::Rsa { .. });
        known.iter().any(|one| one == algorithm || (is_rsa(one) && is_rsa(algorithm)))
    };
    key.sort_by_key(|algorithm| !is_known(algorithm));
    // RSA with SHA-1 proves nothing any more.
    key.retain(|algorithm| *algorithm != Algorithm::Rsa { hash: None });
    Preferred { key: key.into(), ..Preferred::DEFAULT }
}

async fn within<T>(
    what: &'static str,
    limit: Duration,
    future: impl Future<Output = T>,
) -> Result<T, LinkError> {
    timeout(limit, future).await.map_err(|_| LinkError::Silent { what, limit })
}
