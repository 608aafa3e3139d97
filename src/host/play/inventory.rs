//! Hosts as an Ansible inventory, and their pinned keys as a known-hosts file.
//!
//! Invariant: every text in it was checked, so that none is an option of ssh, a template, or another line.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::domain::id::HostName;
use crate::host::Reply;
use crate::host::wire::{Bastion, HostAddress, HostError, HostErrorCode};

/// How hosts are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// Over SSH.
    Ssh(Login),
    /// It is this machine.
    Local,
}

/// How to log in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Login {
    /// The user, where a host names none.
    pub user: Option<String>,
    /// Private key file; none: the agent, or the keys that ssh finds.
    pub key: Option<PathBuf>,
    /// Known hosts file, for hosts without pinned keys; none: the user's own.
    pub known_hosts: Option<PathBuf>,
    /// Where the keys of hosts that are met for the first time are written; none: unknown hosts are refused.
    pub record: Option<PathBuf>,
    /// The host through which the others are reached.
    pub bastion: Option<Bastion>,
}

/// Something in a host's address that ssh or Ansible could take for something else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("host {host}: {what} {value:?} is not valid")]
pub struct AddressError {
    host: String,
    what: &'static str,
    value: String,
}

/// The files, as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// `inventory.json`.
    pub inventory: String,
    /// `known_hosts`: the pinned keys.
    pub known_hosts: String,
}

impl Files {
    /// What these hosts come to when the files lie in `directory`.
    ///
    /// # Errors
    /// For the first host with something in it that is not what it should be.
    pub fn of(hosts: &[&HostAddress], way: &Way, directory: &Path) -> Result<Self, AddressError> {
        let mut files = Self::default();
        let mut entries = Map::new();
        if let (Way::Ssh(Login { bastion: Some(bastion), .. }), Some(first)) = (way, hosts.first()) {
            let place = (checked(first, "bastion's address", &bastion.address, is_address)?, bastion.port);
            files.known_hosts = pinned(first, place, &bastion.host_keys)?;
        }
        for host in hosts {
            let entry = match way {
                Way::Local => {
                    json!({"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"})
                }
                Way::Ssh(login) => {
                    let place = (host.address.as_str(), host.port);
                    files.known_hosts.push_str(&pinned(host, place, &host.host_keys)?);
                    Value::Object(remote(host, login, directory)?)
                }
            };
            entries.insert(host.name.to_string(), entry);
        }
        files.inventory = json!({"all": {"hosts": entries}}).to_string();
        Ok(files)
    }
}

/// The addresses of these hosts, and a reply for each that has none.
pub(in crate::host) fn addresses<'a>(
    known: &'a [HostAddress],
    hosts: &[HostName],
) -> (Vec<&'a HostAddress>, Vec<Reply>) {
    let mut unknown = Vec::new();
    let mut found = Vec::new();
    for name in hosts {
        match known.iter().find(|host| host.name == *name) {
            Some(host) => found.push(host),
            None => unknown.push(Reply {
                host: name.clone(),
                result: Err(HostError::new(
                    HostErrorCode::Unreachable,
                    "it is not among the environment's hosts any more",
                )),
            }),
        }
    }
    (found, unknown)
}

fn checked<'a>(
    host: &HostAddress,
    what: &'static str,
    value: &'a str,
    is_allowed: fn(char) -> bool,
) -> Result<&'a str, AddressError> {
    if !value.is_empty() && !value.starts_with('-') && value.len() <= 255 && value.chars().all(is_allowed) {
        return Ok(value);
    }
    Err(AddressError { host: host.name.to_string(), what, value: value.chars().take(60).collect() })
}

/// A path between quotes in an argument list of ssh: no quote, no `%` (ssh expands it), no template, no line end.
fn path<'a>(host: &HostAddress, what: &'static str, path: &'a Path) -> Result<&'a str, AddressError> {
    let text = path.to_str().unwrap_or_default();
    checked(host, what, text, |c| !c.is_control() && !"'\"\\%{}$`".contains(c))
}

fn is_address(c: char) -> bool {
    c.is_ascii_alphanumeric() || ".:-_".contains(c)
}

fn is_user(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._-@".contains(c)
}

fn remote(host: &HostAddress, login: &Login, directory: &Path) -> Result<Map<String, Value>, AddressError> {
    let mut entry = Map::new();
    entry.insert("ansible_host".into(), checked(host, "address", &host.address, is_address)?.into());
    entry.insert("ansible_port".into(), host.port.into());
    if let Some(user) = host.user.as_ref().or(login.user.as_ref()) {
        entry.insert("ansible_user".into(), checked(host, "user", user, is_user)?.into());
    }
    if let Some(key) = &login.key {
        entry.insert("ansible_ssh_private_key_file".into(), path(host, "key file", key)?.into());
    }
    // A changed key is refused, never asked about and never written down.
    let checking = match &login.record {
        Some(_) if host.host_keys.is_empty() => "accept-new",
        _ => "yes",
    };
    let mut arguments = format!("-o StrictHostKeyChecking={checking} -o UpdateHostKeys=no");
    let pins = directory.join("known_hosts");
    let known = known_hosts(host, &host.host_keys, login, &pins)?;
    if let Some(files) = &known {
        arguments.push_str(&format!(" -o 'UserKnownHostsFile={files}' -o GlobalKnownHostsFile=/dev/null"));
    }
    if let Some(bastion) = &login.bastion {
        arguments.push_str(&format!(" -o 'ProxyCommand={}'", through(host, bastion, login, &pins)?));
    }
    if login.key.is_some() {
        arguments.push_str(" -o IdentitiesOnly=yes");
    }
    entry.insert("ansible_ssh_common_args".into(), arguments.into());
    Ok(entry)
}

/// The known-hosts files to ask, in quotes; none: ssh's own. New keys go into the first.
fn known_hosts(
    host: &HostAddress,
    pinned: &[String],
    login: &Login,
    pins: &Path,
) -> Result<Option<String>, AddressError> {
    let own = || PathBuf::from("~/.ssh/known_hosts");
    let files = match (&login.record, &login.known_hosts) {
        _ if !pinned.is_empty() => vec![pins.to_owned()],
        (Some(record), known) => vec![record.clone(), known.clone().unwrap_or_else(own)],
        (None, Some(known)) => vec![known.clone()],
        (None, None) => return Ok(None),
    };
    let quoted = files.iter().map(|file| Ok(format!("\"{}\"", path(host, "known hosts file", file)?)));
    Ok(Some(quoted.collect::<Result<Vec<_>, _>>()?.join(" ")))
}

/// The command that makes a way through a bastion. `ProxyJump` will not do: it hands no option on, and would ask
/// another known-hosts file.
fn through(
    host: &HostAddress,
    bastion: &Bastion,
    login: &Login,
    pins: &Path,
) -> Result<String, AddressError> {
    let address = checked(host, "bastion's address", &bastion.address, is_address)?;
    let checking = if login.record.is_some() && bastion.host_keys.is_empty() { "accept-new" } else { "yes" };
    let mut command = format!(
        "ssh -W [%h]:%p -p {} -o BatchMode=yes -o StrictHostKeyChecking={checking} -o UpdateHostKeys=no -o ForwardAgent=no",
        bastion.port
    );
    if let Some(user) = bastion.user.as_ref().or(login.user.as_ref()) {
        command.push_str(&format!(" -l {}", checked(host, "bastion's user", user, is_user)?));
    }
    if let Some(key) = &login.key {
        command.push_str(&format!(" -o IdentitiesOnly=yes -i \"{}\"", path(host, "key file", key)?));
    }
    if let Some(files) = known_hosts(host, &bastion.host_keys, login, pins)? {
        // Its quotes are within those of the shell that runs this.
        let files = files.replace('"', "\\\"");
        command.push_str(&format!(" -o \"UserKnownHostsFile={files}\" -o GlobalKnownHostsFile=/dev/null"));
    }
    Ok(format!("{command} {address}"))
}

/// Lines of a known-hosts file.
fn pinned(host: &HostAddress, place: (&str, u16), keys: &[String]) -> Result<String, AddressError> {
    let mut lines = String::new();
    let address = match place {
        (address, 22) => address.to_owned(),
        (address, port) => format!("[{address}]:{port}"),
    };
    for key in keys {
        // A comment may follow, and is dropped.
        let mut words = key.split_whitespace();
        let (kind, bits) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let kind = checked(host, "host key type", kind, |c| c.is_ascii_alphanumeric() || "-@.".contains(c))?;
        let bits = checked(host, "host key", bits, |c| c.is_ascii_alphanumeric() || "+/=".contains(c))?;
        lines.push_str(&format!("{address} {kind} {bits}\n"));
    }
    Ok(lines)
}
