use russh::keys::agent::client::AgentClient;

use super::*;
use crate::host::ssh::config::SshConfig;
use crate::host::ssh::link::{Link, LinkError, Timing};
use crate::host::ssh::target::Target;
use crate::host::ssh::testing::{Server, Settings, key};
use crate::host::ssh::{Access, Login};

struct Case {
    server: Server,
    folder: tempfile::TempDir,
    access: Access,
}

async fn case() -> Case {
    let server = Server::start(Settings::ready()).await;
    let folder = tempfile::tempdir().unwrap();
    let access = Access { home: Some(folder.path().into()), ..Access::default() };
    std::fs::create_dir(folder.path().join(".ssh")).unwrap();
    Case { server, folder, access }
}

impl Case {
    fn write(&self, name: &str, key: &PrivateKey) -> PathBuf {
        let path = self.folder.path().join(".ssh").join(name);
        std::fs::write(&path, key.to_openssh(Default::default()).unwrap().as_bytes()).unwrap();
        path
    }

    /// An agent that has these keys.
    async fn agent(&mut self, keys: &[PrivateKey]) {
        let socket = self.folder.path().join("agent");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let streams = futures_util::stream::unfold(listener, |listener| async {
            let stream = listener.accept().await.map(|(stream, _)| stream);
            Some((stream, listener))
        });
        tokio::spawn(russh::keys::agent::server::serve(Box::pin(streams), ()));
        let mut client = AgentClient::connect_uds(&socket).await.unwrap();
        for key in keys {
            client.add_identity(key, &[]).await.unwrap();
        }
        self.access.agent = Some(socket);
    }

    async fn log_in(&self) -> Result<Link, LinkError> {
        let target = Target::of(&self.server.address(), &self.access, &SshConfig::default()).unwrap();
        Link::open(&target, None, Timing::default()).await
    }

    async fn refusal(&self) -> String {
        self.log_in().await.err().expect("it is refused").to_string()
    }
}

fn locked(key: &PrivateKey) -> PrivateKey {
    key.encrypt(&mut russh::keys::key::safe_rng(), "passphrase").unwrap()
}

#[tokio::test]
async fn the_keys_that_ssh_finds_are_found() {
    let case = case().await;
    assert!(case.refusal().await.contains("no key to log in with"));
    case.write("id_rsa", &key(9));
    case.log_in().await.unwrap();
    case.write("id_ed25519", &key(8));
    case.log_in().await.unwrap();
}

#[tokio::test]
async fn a_key_that_was_named_is_the_only_one() {
    let mut case = case().await;
    case.write("id_ed25519", &key(9));
    let file = case.write("other", &key(8));
    case.access.login = Login { key: Some(file.clone()), ..Login::default() };
    let message = case.refusal().await;
    assert!(message.contains("refused; tried /") && message.contains(".ssh/other:"), "{message}");
    std::fs::write(&file, "nonsense with a hunter22\n").unwrap();
    let message = case.refusal().await;
    assert!(message.contains("is no private key") && !message.contains("hunter22"), "{message}");
    std::fs::remove_file(&file).unwrap();
    assert!(case.refusal().await.contains("it is not there"));
}

#[tokio::test]
async fn a_key_behind_a_passphrase_is_used_through_the_agent_or_not_at_all() {
    let mut case = case().await;
    let file = case.write("locked", &locked(&key(9)));
    case.access.login = Login { key: Some(file.clone()), ..Login::default() };
    let message = case.refusal().await;
    assert!(message.contains(&format!("ssh-add {}", file.display())), "{message}");
    case.agent(&[key(8)]).await;
    assert!(case.refusal().await.contains("no agent has it"), "another key of the agent is not meant");
    std::fs::remove_file(case.access.agent.take().unwrap()).unwrap();
    case.agent(&[key(8), key(9)]).await;
    case.log_in().await.unwrap();
}

#[tokio::test]
async fn the_agents_keys_are_tried_without_any_file() {
    let mut case = case().await;
    case.agent(&[key(7), key(9)]).await;
    case.log_in().await.unwrap();
    case.access.agent = Some(case.folder.path().join("nobody"));
    assert!(case.refusal().await.contains("no key to log in with"));
}

#[tokio::test]
async fn a_public_half_stands_for_the_agents_key() {
    let mut case = case().await;
    let file = case.folder.path().join("hardware.pub");
    std::fs::write(&file, key(9).public_key().to_openssh().unwrap()).unwrap();
    case.access.login = Login { key: Some(file), ..Login::default() };
    assert!(case.refusal().await.contains("no agent has it"));
    case.agent(&[key(9)]).await;
    case.log_in().await.unwrap();
}
