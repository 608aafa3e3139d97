//! From a host of the configuration to all that a connection needs: address, user, keys, trust, and the way there.
//!
//! What `relman.toml` says wins over `~/.ssh/config`. Its port 22 counts as not said, since it is what holds where
//! no port is given.

use std::path::{Path, PathBuf};

use super::Access;
use super::config::{Settings, SshConfig};
use super::keys::Identities;
use super::trust::{self, Trust};
use crate::host::wire::{Bastion, HostAddress};

/// Hosts on the way; more is a circle.
const JUMPS: usize = 5;

const PORT: u16 = 22;

/// One end of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Target {
    /// What people call it.
    pub(super) shown: String,
    pub(super) address: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) identities: Identities,
    pub(super) trust: Trust,
    /// The host through which it is reached.
    pub(super) through: Option<Box<Target>>,
}

/// A host that cannot be reached as it is configured.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TargetError {
    #[error(
        "~/.ssh/config has a ProxyCommand for {0}, which via = \"ssh\" does not run; use ProxyJump there, or access.bastion"
    )]
    ProxyCommand(String),
    #[error("~/.ssh/config: ProxyJump leads in a circle at {0}")]
    Circle(String),
    #[error("~/.ssh/config: {what} {value:?} is not understood")]
    Value { what: &'static str, value: String },
    #[error("nothing says which user to log in as at {0}: set access.user")]
    NoUser(String),
}

/// What is asked for, by `relman.toml` or by `ProxyJump`.
#[derive(Default)]
struct Wanted<'a> {
    name: &'a str,
    port: Option<u16>,
    user: Option<&'a str>,
    pins: &'a [String],
    /// Whether `access.key` is for it: the hosts and the bastion of `relman.toml`.
    is_ours: bool,
}

impl Target {
    /// Where a host is.
    pub(super) fn of(host: &HostAddress, access: &Access, config: &SshConfig) -> Result<Self, TargetError> {
        let wanted = Wanted {
            name: &host.address,
            port: Some(host.port).filter(|port| *port != PORT),
            user: host.user.as_deref().or(access.login.user.as_deref()),
            pins: &host.host_keys,
            is_ours: true,
        };
        let through = match &access.login.bastion {
            Some(bastion) => Some(Self::bastion(bastion, access, config)?),
            None => None,
        };
        let mut target = Self::resolve(&wanted, through, access, config, JUMPS)?;
        target.shown = host.name.to_string();
        Ok(target)
    }

    fn bastion(bastion: &Bastion, access: &Access, config: &SshConfig) -> Result<Self, TargetError> {
        let wanted = Wanted {
            name: &bastion.address,
            port: Some(bastion.port).filter(|port| *port != PORT),
            user: bastion.user.as_deref().or(access.login.user.as_deref()),
            pins: &bastion.host_keys,
            is_ours: true,
        };
        Self::resolve(&wanted, None, access, config, JUMPS)
    }

    fn resolve(
        wanted: &Wanted<'_>,
        through: Option<Self>,
        access: &Access,
        config: &SshConfig,
        jumps: usize,
    ) -> Result<Self, TargetError> {
        let settings = config.of(wanted.name);
        let name = wanted.name.to_owned();
        let host = settings.host_name.as_deref().map_or(Ok(name.clone()), |host| {
            expand("HostName", host, &[('h', Some(&name)), ('n', Some(&name))])
        })?;
        let user = wanted.user.or(settings.user.as_deref()).or(access.user.as_deref());
        let user = user.ok_or_else(|| TargetError::NoUser(name.clone()))?.to_owned();
        let port = wanted.port.or(settings.port).unwrap_or(PORT);
        let home = access.home.as_deref();
        let file = |what: &'static str, text: &str| path(what, text, home, &name, &host, &user, access);
        let through = match through {
            Some(through) => Some(through),
            None => jump(&settings, &name, access, config, jumps)?,
        };
        let alias = settings.host_key_alias.clone();
        Ok(Self {
            identities: identities(wanted, &settings, access, &file)?,
            trust: Trust {
                name: alias.map_or_else(|| trust::name(&host, port), |alias| alias.to_lowercase()),
                pins: wanted.pins.to_vec(),
                files: known_hosts(wanted, &settings, access, &file)?,
                record: access.login.record.clone(),
            },
            shown: name.clone(),
            address: host.clone(),
            port,
            user: user.clone(),
            through: through.map(Box::new),
        })
    }
}

/// The way that `ProxyJump` tells: the last host of its list is the nearest to the target.
fn jump(
    settings: &Settings,
    name: &str,
    access: &Access,
    config: &SshConfig,
    jumps: usize,
) -> Result<Option<Target>, TargetError> {
    let is_none = |text: &str| text.eq_ignore_ascii_case("none");
    let Some(list) = settings.proxy_jump.as_deref() else {
        return match settings.proxy_command.as_deref() {
            Some(command) if !is_none(command) => Err(TargetError::ProxyCommand(name.to_owned())),
            _ => Ok(None),
        };
    };
    if is_none(list) {
        return Ok(None);
    }
    let Some(left) = jumps.checked_sub(1) else { return Err(TargetError::Circle(name.to_owned())) };
    let mut through = None;
    for hop in list.split(',').map(str::trim) {
        let unclear = || TargetError::Value { what: "ProxyJump", value: hop.to_owned() };
        let rest = hop.strip_prefix("ssh://").unwrap_or(hop);
        let (user, rest) = rest.rsplit_once('@').map_or((None, rest), |(user, rest)| (Some(user), rest));
        let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None if rest.matches(':').count() > 1 => (rest, None),
            None => rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
        };
        let port = port.map(|port| port.parse().map_err(|_| unclear())).transpose()?;
        if host.is_empty() {
            return Err(unclear());
        }
        let wanted = Wanted { name: host, port, user, ..Wanted::default() };
        through = Some(Target::resolve(&wanted, through, access, config, left)?);
    }
    Ok(through)
}

fn identities(
    wanted: &Wanted<'_>,
    settings: &Settings,
    access: &Access,
    file: &dyn Fn(&'static str, &str) -> Result<PathBuf, TargetError>,
) -> Result<Identities, TargetError> {
    let agent = match settings.identity_agent.as_deref() {
        Some(text) if text.eq_ignore_ascii_case("none") => None,
        Some("SSH_AUTH_SOCK") | None => access.agent.clone(),
        Some(text) => Some(file("IdentityAgent", text)?),
    };
    if let Some(key) = access.login.key.as_ref().filter(|_| wanted.is_ours) {
        return Ok(Identities { files: vec![key.clone()], must_exist: true, only: true, agent });
    }
    let only = settings.identities_only.unwrap_or(false);
    let named = settings.identity_files.iter().filter(|text| !text.eq_ignore_ascii_case("none"));
    let mut files = named.map(|text| file("IdentityFile", text)).collect::<Result<Vec<_>, _>>()?;
    if let (true, Some(home)) = (settings.identity_files.is_empty(), &access.home) {
        files = ["id_ed25519", "id_ecdsa", "id_rsa"].map(|name| home.join(".ssh").join(name)).to_vec();
    }
    Ok(Identities { files, must_exist: false, only, agent })
}

fn known_hosts(
    wanted: &Wanted<'_>,
    settings: &Settings,
    access: &Access,
    file: &dyn Fn(&'static str, &str) -> Result<PathBuf, TargetError>,
) -> Result<Vec<PathBuf>, TargetError> {
    if let Some(known) = access.login.known_hosts.as_ref().filter(|_| wanted.is_ours) {
        return Ok(vec![known.clone()]);
    }
    let mut files: Vec<PathBuf> = match &settings.known_hosts {
        Some(named) => named.iter().map(|text| file("UserKnownHostsFile", text)).collect::<Result<_, _>>()?,
        None => match &access.home {
            Some(home) => ["known_hosts", "known_hosts2"].map(|name| home.join(".ssh").join(name)).to_vec(),
            None => Vec::new(),
        },
    };
    files.push("/etc/ssh/ssh_known_hosts".into());
    Ok(files)
}

/// A path of `~/.ssh/config`.
fn path(
    what: &'static str,
    text: &str,
    home: Option<&Path>,
    name: &str,
    host: &str,
    user: &str,
    access: &Access,
) -> Result<PathBuf, TargetError> {
    let home_text = home.map(|home| home.to_string_lossy().into_owned());
    let tokens = [
        ('d', home_text.as_deref()),
        ('h', Some(host)),
        ('n', Some(name)),
        ('r', Some(user)),
        ('u', access.user.as_deref()),
    ];
    let text = expand(what, text, &tokens)?;
    Ok(match (text.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => text.into(),
    })
}

/// Puts in what `%` tokens stand for.
fn expand(what: &'static str, text: &str, tokens: &[(char, Option<&str>)]) -> Result<String, TargetError> {
    let unclear = || TargetError::Value { what, value: text.to_owned() };
    if text.contains("${") {
        return Err(unclear());
    }
    let mut expanded = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '%' => match rest.next() {
                Some('%') => expanded.push('%'),
                Some(token) => {
                    let value =
                        tokens.iter().find(|(known, _)| *known == token).and_then(|(_, value)| *value);
                    expanded.push_str(value.ok_or_else(unclear)?);
                }
                None => return Err(unclear()),
            },
            c => expanded.push(c),
        }
    }
    Ok(expanded)
}

#[cfg(test)]
mod tests;
