//! The fleet and the surroundings of an environment, out of the outputs `relman_hosts` and `relman_config`. Pure.
//!
//! Invariant: every text that gets past here is what it should be, as if it stood in `relman.toml`; all that is wrong
//! is told at once.

mod group;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use group::{Group, Joined, Listing, Template, join};

use super::Outputs;
use crate::domain::id::{EnvironmentName, HostName, ServiceName};
use crate::host::wire::address::{is_address, is_document, is_host_key, is_user};

/// The output that names the hosts.
pub const HOSTS: &str = "relman_hosts";
/// The output that says what else relman must know.
pub const CONFIG: &str = "relman_config";

/// One host of the outputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryHost {
    /// Its name.
    pub name: HostName,
    /// Address or DNS name.
    pub address: String,
    /// SSH port.
    #[serde(default = "ssh_port")]
    pub port: u16,
    /// The user to log in as.
    #[serde(default)]
    pub user: Option<String>,
    /// Pinned host keys.
    #[serde(default)]
    pub host_keys: Vec<String>,
    /// The instance, where it is reached through Systems Manager.
    #[serde(default)]
    pub ssm_id: Option<String>,
    /// The document that hands a request to relman-host there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssm_document: Option<String>,
    /// The host that leads to it, where it is reached through one.
    #[serde(default)]
    pub bastion: Option<Bastion>,
}

/// A host that leads to others. Unlike the one of `relman.toml`, it may have fields that relman does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bastion {
    /// Address or DNS name.
    pub address: String,
    /// SSH port.
    #[serde(default = "ssh_port")]
    pub port: u16,
    /// The user to log in as.
    #[serde(default)]
    pub user: Option<String>,
    /// Pinned host keys.
    #[serde(default)]
    pub host_keys: Vec<String>,
}

fn ssh_port() -> u16 {
    22
}

/// What relman may take from the infrastructure. Whatever else is in the output is not relman's business.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InfraConfig {
    /// Whose infrastructure it is.
    #[serde(default)]
    pub service: Option<String>,
    /// Of which environment.
    #[serde(default)]
    pub environment: Option<String>,
    /// The table of the ledger.
    #[serde(default)]
    pub ledger_table: Option<String>,
    /// The bucket of the artifacts.
    #[serde(default)]
    pub artifacts_bucket: Option<String>,
    /// The region.
    #[serde(default)]
    pub region: Option<String>,
    /// The repository of the images.
    #[serde(default)]
    pub repository_url: Option<String>,
    /// The document of Systems Manager, where hosts are reached that way.
    #[serde(default)]
    pub ssm_document: Option<String>,
    /// The Auto Scaling group, where hosts come and go by themselves.
    #[serde(default)]
    pub autoscaling_group: Option<String>,
    /// How a host of the group is reached that came after the last apply.
    #[serde(default)]
    pub host_template: Option<Value>,
}

/// What the outputs come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// The hosts, and the group that they are in; at least one, or a group.
    pub listing: Listing,
    /// The surroundings.
    pub config: InfraConfig,
}

/// What the outputs are held against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected<'a> {
    /// The service of `relman.toml`.
    pub service: &'a ServiceName,
    /// The environment.
    pub environment: &'a EnvironmentName,
    /// Whether no host may have a public address.
    pub private: bool,
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// `relman_hosts[1].address`.
    pub place: String,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.reason)
    }
}

/// Why there is no inventory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InventoryError {
    /// There are no outputs at all: it was never applied.
    #[error("there are no outputs yet: it was never applied")]
    NeverApplied,
    /// The configuration has no such output.
    #[error("there is no output {HOSTS}")]
    NoOutput,
    /// The list of hosts is empty.
    #[error("the output {HOSTS} names no host")]
    NoHosts,
    /// The group that the hosts are in is empty.
    #[error("the Auto Scaling group {group} has no member")]
    NoMembers {
        /// The group.
        group: String,
    },
    /// A host came, and nothing says how it is reached.
    #[error(
        "{id} is in the Auto Scaling group {group}, and neither {HOSTS} nor a host_template in {CONFIG} says how it is reached"
    )]
    NoTemplate {
        /// The group.
        group: String,
        /// The instance.
        id: String,
    },
    /// The outputs are another's.
    #[error("the output {CONFIG} is of {what} {found}, and not of {wanted}")]
    Elsewhere {
        /// Service or environment.
        what: &'static str,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        wanted: String,
    },
    /// Something in it is wrong; never empty.
    #[error("{}", .0.first().map(ToString::to_string).unwrap_or_default())]
    Invalid(Vec<Problem>),
}

/// Reads and checks the outputs.
///
/// # Errors
/// When they name no host that could be used, or hold anything that is not what it should be.
pub fn read(outputs: &Outputs, expected: &Expected<'_>) -> Result<Inventory, InventoryError> {
    if outputs.is_empty() {
        return Err(InventoryError::NeverApplied);
    }
    let mut problems = Problems::default();
    let config = problems.config(outputs, expected)?;
    let listed = match outputs.get(HOSTS) {
        None | Some(Value::Null) => return Err(InventoryError::NoOutput),
        Some(Value::Array(listed)) => listed.as_slice(),
        Some(_) => {
            problems.add(HOSTS, "is not a list");
            &[]
        }
    };
    let mut hosts = problems.hosts(listed, expected.private);
    if let Some(document) = &config.ssm_document {
        problems.ensure(is_document(document), &format!("{CONFIG}.ssm_document"), || {
            format!("{} is no name of a document", shown(document))
        });
        for host in hosts.iter_mut().filter(|host| host.ssm_id.is_some()) {
            host.ssm_document.get_or_insert_with(|| document.clone());
        }
    }
    let group = group::group(&mut problems, &config, expected.private);
    match problems.0 {
        problems if !problems.is_empty() => Err(InventoryError::Invalid(problems)),
        _ if hosts.is_empty() && group.is_none() => Err(InventoryError::NoHosts),
        _ => Ok(Inventory { listing: Listing { hosts, group }, config }),
    }
}

/// Whether outputs, where there are any, are of this service and environment. Whatever else may be wrong with them is
/// not looked at.
///
/// # Errors
/// When they are another's.
pub fn belong(outputs: &Outputs, expected: &Expected<'_>) -> Result<(), InventoryError> {
    Problems::default().config(outputs, expected).map(|_| ())
}

fn belongs(what: &'static str, found: &Option<String>, wanted: &str) -> Result<(), InventoryError> {
    match found {
        Some(found) if found != wanted => {
            Err(InventoryError::Elsewhere { what, found: found.clone(), wanted: wanted.to_owned() })
        }
        _ => Ok(()),
    }
}

#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, place: impl Into<String>, reason: impl Into<String>) {
        self.0.push(Problem { place: place.into(), reason: reason.into() });
    }

    fn ensure(&mut self, good: bool, place: &str, reason: impl FnOnce() -> String) {
        if !good {
            self.add(place, reason());
        }
    }

    fn parse<T: serde::de::DeserializeOwned>(&mut self, place: &str, value: &Value) -> Option<T> {
        match T::deserialize(value) {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.add(place, plain(&error.to_string()));
                None
            }
        }
    }

    fn config(&mut self, outputs: &Outputs, expected: &Expected<'_>) -> Result<InfraConfig, InventoryError> {
        let config = match outputs.get(CONFIG) {
            None | Some(Value::Null) => InfraConfig::default(),
            Some(value) => self.parse(CONFIG, value).unwrap_or_default(),
        };
        belongs("service", &config.service, expected.service.as_str())?;
        belongs("environment", &config.environment, expected.environment.as_str())?;
        Ok(config)
    }

    fn hosts(&mut self, listed: &[Value], private: bool) -> Vec<InventoryHost> {
        let mut hosts = Vec::new();
        for (n, value) in listed.iter().enumerate() {
            let at = format!("{HOSTS}[{n}]");
            if let Some(host) = self.host(&at, value, private) {
                hosts.push((at, host));
            }
        }
        self.doubles(hosts.iter().map(|(at, host)| (at.as_str(), host)));
        hosts.into_iter().map(|(_, host)| host).collect()
    }

    /// One host, by itself.
    fn host(&mut self, at: &str, value: &Value, private: bool) -> Option<InventoryHost> {
        let host = self.parse::<InventoryHost>(at, value)?;
        self.reached(at, &host.address, host.port, host.user.as_deref(), &host.host_keys);
        if private && is_address(&host.address) {
            let reason = public(&host.address);
            self.ensure(reason.is_none(), &format!("{at}.address"), || reason.unwrap_or_default());
        }
        if let Some(id) = &host.ssm_id {
            self.ensure(is_instance(id), &format!("{at}.ssm_id"), || {
                format!("{} is no id of an instance, such as i-0123456789abcdef0", shown(id))
            });
        }
        if let Some(bastion) = &host.bastion {
            let at = format!("{at}.bastion");
            self.reached(&at, &bastion.address, bastion.port, bastion.user.as_deref(), &bastion.host_keys);
        }
        Some(host)
    }

    /// No two of them may be one: each with its place.
    fn doubles<'a>(&mut self, hosts: impl Iterator<Item = (&'a str, &'a InventoryHost)>) {
        let mut names = BTreeMap::new();
        let mut ways = BTreeMap::new();
        let mut instances = BTreeMap::new();
        for (at, host) in hosts {
            if let Some(first) = names.insert(&host.name, at) {
                self.add(format!("{at}.name"), format!("{} is {first} already", host.name));
            }
            // Behind different bastions the same private address is another host.
            let behind = host.bastion.as_ref().map(|bastion| &bastion.address);
            if let Some(first) = ways.insert((&host.address, host.port, behind), at) {
                self.add(format!("{at}.address"), format!("{first} has the same address and port"));
            }
            if let Some(id) = &host.ssm_id
                && let Some(first) = instances.insert(id, at)
            {
                self.add(format!("{at}.ssm_id"), format!("{first} is the same instance"));
            }
        }
    }

    fn reached(&mut self, at: &str, address: &str, port: u16, user: Option<&str>, keys: &[String]) {
        self.ensure(is_address(address), &format!("{at}.address"), || {
            format!("{} is neither an IP address nor a DNS name", shown(address))
        });
        self.ensure(port > 0, &format!("{at}.port"), || "is 0".to_owned());
        self.ensure(user.is_none_or(is_user), &format!("{at}.user"), || {
            format!("{} is not a user name", shown(user.unwrap_or_default()))
        });
        for (n, key) in keys.iter().enumerate() {
            self.ensure(is_host_key(key), &format!("{at}.host_keys[{n}]"), || {
                "is not TYPE BASE64 as in an OpenSSH public key file".to_owned()
            });
        }
    }
}

/// A value that was refused, on one line.
fn shown(value: &str) -> String {
    format!("{:?}", value.chars().take(60).collect::<String>())
}

/// What serde says, without the names of our types.
fn plain(said: &str) -> String {
    let said = said.replace("missing field", "has no");
    let Some((found, expected)) = said.rsplit_once(", expected ") else { return said };
    let expected = match expected {
        "struct InventoryHost" | "struct Bastion" | "struct InfraConfig" => "an object",
        "u16" => "a number from 0 to 65535",
        "a sequence" => "a list",
        other => other,
    };
    format!("{found}, expected {expected}")
}

fn is_instance(id: &str) -> bool {
    let hex =
        |digits: &str| (8..=17).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    ["i-", "mi-"].iter().any(|prefix| id.strip_prefix(prefix).is_some_and(hex))
}

/// Why an address is not known to be private. Of a name it cannot be told, except below `internal`, which is never
/// public.
fn public(address: &str) -> Option<String> {
    let private = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => {
            let shared = ip.octets()[0] == 100 && (64..128).contains(&ip.octets()[1]);
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || shared
        }
        Ok(IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
        Err(_) => {
            return (!address.to_ascii_lowercase().ends_with(".internal")).then(|| {
                format!(
                    "{address} is a name, of which it cannot be told whether it is private, which is meant"
                )
            });
        }
    };
    (!private).then(|| format!("{address} is public, and a private address is meant"))
}

#[cfg(test)]
mod tests;
