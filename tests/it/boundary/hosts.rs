//! What hosts do, by SSH and by Systems Manager. The SSH servers are in this process; none lets anybody in.

use std::sync::{Arc, OnceLock};

use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::server;

use super::Case;
use super::server::{Plan, Reply};

const DOCTOR: &[&str] = &["doctor", "-o", "json"];
const LEDGER: &str = "[ledger]\nurl = \"sqlite:l.db\"\n";

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

fn line(seed: u8) -> String {
    let public = key(seed).public_key().to_openssh().unwrap();
    public.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

struct Nobody;

impl server::Handler for Nobody {
    type Error = russh::Error;
}

/// An SSH server whose host key is [`key`] 1.
fn ssh() -> u16 {
    static PORT: OnceLock<u16> = OnceLock::new();
    *PORT.get_or_init(|| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let config = server::Config {
                keys: vec![key(1)],
                auth_rejection_time: std::time::Duration::ZERO,
                ..server::Config::default()
            };
            runtime.block_on(serve(listener, Arc::new(config)));
        });
        port
    })
}

async fn serve(listener: std::net::TcpListener, config: Arc<server::Config>) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    while let Ok((socket, _)) = listener.accept().await {
        let config = config.clone();
        tokio::spawn(async move {
            if let Ok(session) = server::run_stream(config, socket, Nobody).await {
                let _ = session.await;
            }
        });
    }
}

/// What listens and never says a word of SSH.
fn web() -> u16 {
    static PORT: OnceLock<u16> = OnceLock::new();
    *PORT.get_or_init(|| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n");
            }
        });
        port
    })
}

/// A fleet of one host, and more of its environment.
fn one(name: &'static str, says: &[&'static str], address: &str, port: u16, keys: &str, more: &str) -> Case {
    let config = format!(
        "{LEDGER}[environments.production]\nvia = \"ssh\"\nhosts = [{{ name = \"web-1\", address = \"{address}\", port = {port}, \
         user = \"deploy\", host_keys = [{keys}] }}]\n[environments.production.access]\nkey = \"id\"\n{more}"
    );
    Case::new(name, DOCTOR, 1, &[&["host web-1"], says].concat())
        .config(config)
        .file("id", key(9).to_openssh(Default::default()).unwrap().to_string())
}

fn bastion(name: &'static str, says: &[&'static str], address: &str, port: u16, seed: u8) -> Case {
    let pinned = line(seed);
    let more = format!(
        "[environments.production.access.bastion]\naddress = \"{address}\"\nport = {port}\nhost_keys = [\"{pinned}\"]\n"
    );
    let host = format!("\"{}\"", line(1));
    one(name, &[&["the bastion"], says].concat(), "10.0.0.9", 22, &host, &more)
}

/// A host behind Systems Manager.
fn managed(name: &'static str, says: &[&'static str], plan: Plan) -> Case {
    let config = format!(
        "{LEDGER}[environments.production]\nvia = \"ssm\"\nhosts = [{{ name = \"web-1\", address = \"i-0123456789abcdef0\" }}]\n"
    );
    Case::new(name, &["doctor", "--aws", "-o", "json"], 1, says).config(config).aws(plan)
}

fn ended(status: &str, details: &str, output: &str) -> Plan {
    let text = format!(
        r#"{{"Status":"{status}","StatusDetails":"{details}","ResponseCode":0,"StandardOutputContent":"{output}","StandardErrorContent":""}}"#
    );
    vec![("GetCommandInvocation", Reply::Json(200, text))]
}

pub(super) fn refuses(call: &'static str, code: &str) -> Plan {
    vec![(call, Reply::Json(400, format!(r#"{{"__type":"{code}","message":"no"}}"#)))]
}

pub(super) fn cases() -> Vec<Case> {
    let (good, other) = (format!("\"{}\"", line(1)), format!("\"{}\"", line(2)));
    let known = format!("[127.0.0.1]:{} {}\n", ssh(), line(2));
    let by_hand = "try `ssh` to it by hand";
    vec![
        one("a host where nothing listens", &["nothing listens there", by_hand], "127.0.0.1", 1, &good, ""),
        one(
            "a host whose name is not known",
            &["its name is not known: web-1.invalid"],
            "web-1.invalid",
            22,
            &good,
            "",
        ),
        one(
            "a host where something else listens",
            &["closed the connection before the login was done"],
            "127.0.0.1",
            web(),
            &good,
            "",
        ),
        one(
            "a host whose pinned key has changed",
            &["host key has changed or is another's", "correct host_keys"],
            "127.0.0.1",
            ssh(),
            &other,
            "",
        ),
        one(
            "a host whose known key has changed",
            &["host key has changed", "ssh-keygen -R"],
            "127.0.0.1",
            ssh(),
            "",
            "known_hosts = \"known\"\n",
        )
        .file("known", known),
        one(
            "a host whose key is not known",
            &["its host key is not known: ssh-ed25519 SHA256:", "ssh-keyscan -p"],
            "127.0.0.1",
            ssh(),
            "",
            "known_hosts = \"known\"\n",
        ),
        one("a host that lets nobody in", &["deploy"], "127.0.0.1", ssh(), &good, ""),
        one("a key file that is not there", &["id-that-is-not"], "127.0.0.1", ssh(), &good, "")
            .key("id-that-is-not"),
        one("a key file that is none", &["not-a-key"], "127.0.0.1", ssh(), &good, "")
            .key("not-a-key")
            .file("not-a-key", "no key\n"),
        bastion("a bastion where nothing listens", &["nothing listens there"], "127.0.0.1", 1, 1),
        bastion(
            "a bastion whose name is not known",
            &["its name is not known: b.invalid"],
            "b.invalid",
            22,
            1,
        ),
        bastion(
            "a bastion whose key has changed",
            &["host key has changed or is another's"],
            "127.0.0.1",
            ssh(),
            2,
        ),
        bastion("a bastion that lets nobody in", &["127.0.0.1"], "127.0.0.1", ssh(), 1),
        managed(
            "an instance that Systems Manager does not know",
            &[
                "agent of web-1",
                "does not know i-0123456789abcdef0",
                "AmazonSSMManagedInstanceCore",
                "no agent online for i-0123456789abcdef0",
            ],
            [
                refuses("SendCommand", "InvalidInstanceId"),
                vec![(
                    "DescribeInstanceInformation",
                    Reply::Json(200, r#"{"InstanceInformationList":[]}"#.into()),
                )],
            ]
            .concat(),
        ),
        managed(
            "an agent that is offline",
            &["agent of web-1", "ConnectionLost", "amazon-ssm-agent"],
            [
                ended("TimedOut", "DeliveryTimedOut", ""),
                vec![(
                    "DescribeInstanceInformation",
                    Reply::Json(
                        200,
                        r#"{"InstanceInformationList":[{"PingStatus":"ConnectionLost"}]}"#.into(),
                    ),
                )],
            ]
            .concat(),
        ),
        managed(
            "an agent that does not fetch the command",
            &["host web-1", "agent did not fetch the command in time"],
            ended("TimedOut", "DeliveryTimedOut", ""),
        ),
        managed(
            "a command that cannot be delivered",
            &["host web-1", "cannot deliver to it"],
            ended("Failed", "Undeliverable", ""),
        ),
        managed(
            "an instance that may not run the document",
            &["host web-1", "look at the role of the instance"],
            ended("Failed", "AccessDenied", ""),
        ),
        managed(
            "a document that is not there",
            &["host web-1", "no document relman-perform", "document relman-perform", "relman infra apply"],
            [refuses("SendCommand", "InvalidDocument"), refuses("DescribeDocument", "InvalidDocument")]
                .concat(),
        ),
        managed(
            "no permission to send commands",
            &["host web-1", "ssm:SendCommand is not allowed", "give ssm:SendCommand"],
            refuses("SendCommand", "AccessDeniedException"),
        ),
        managed(
            "expired credentials at Systems Manager",
            &["host web-1", "credentials have expired", "aws sso login"],
            refuses("SendCommand", "ExpiredTokenException"),
        ),
        managed(
            "output that is cut off",
            &["host web-1", "longer than the 24000 characters"],
            ended("Success", "Success", &"x".repeat(24_000)),
        ),
        managed(
            "a command that takes too long",
            &["host web-1", "whether the host acted is not known"],
            ended("TimedOut", "ExecutionTimedOut", ""),
        ),
        managed(
            "output that is no answer",
            &["host web-1", "is no answer"],
            ended("Success", "Success", "welcome"),
        ),
        managed("no region at Systems Manager", &["no AWS region is set", "AWS_REGION"], Vec::new())
            .with("AWS_REGION", ""),
        managed(
            "too many commands",
            &["host web-1", "takes no more"],
            refuses("SendCommand", "ThrottlingException"),
        ),
    ]
}

impl Case {
    fn key(mut self, file: &str) -> Self {
        self.config = self.config.replace("key = \"id\"", &format!("key = \"{file}\""));
        self
    }
}
