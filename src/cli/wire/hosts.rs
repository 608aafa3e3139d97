//! Which hosts an environment has, where the infrastructure tells: its outputs, or the last ones on record.

use crate::commands::error::{CommandError, ErrorKind};
use crate::commands::{Context, Infra, provision};
use crate::config::Provision;
use crate::domain::id::EnvironmentName;
use crate::host::wire::HostAddress;
use crate::infra::inventory::{self, Expected, InventoryError, InventoryHost};

/// Which hosts a verb needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hosts {
    /// Those that there are: whoever deploys must not miss one.
    Fresh,
    /// Those that there are, or, when that cannot be told, those of the last apply on record: a rollback must work
    /// while the cloud does not.
    Known,
    /// None: the verb asks no host.
    Unread,
}

pub(super) async fn find(
    context: &Context,
    name: &EnvironmentName,
    infra: &Infra,
    which: Hosts,
) -> Result<Vec<InventoryHost>, CommandError> {
    if which == Hosts::Unread {
        return Ok(Vec::new());
    }
    let outputs = match infra.port.outputs().await {
        Ok(outputs) => outputs,
        Err(error) if which == Hosts::Known => {
            return match provision::recorded(context, &context.stream(name)).await? {
                Some(hosts) => {
                    context
                        .progress
                        .note(&format!("{error}; the hosts are those of the last recorded apply"));
                    Ok(hosts)
                }
                None => Err(error.into()),
            };
        }
        Err(error) => return Err(error.into()),
    };
    let expected = Expected { service: &context.service, environment: name, private: infra.private };
    match inventory::read(&outputs, &expected) {
        Ok(found) => Ok(found.hosts),
        // A deploy makes them first.
        Err(InventoryError::NeverApplied | InventoryError::NoOutput | InventoryError::NoHosts)
            if which == Hosts::Fresh && infra.provision == Provision::Apply =>
        {
            Ok(Vec::new())
        }
        Err(error) => Err(error.into()),
    }
}

/// As Ansible reaches them.
///
/// # Errors
/// For a host to which there is no direct way.
pub(super) fn over_ssh(hosts: &[InventoryHost]) -> Result<Vec<HostAddress>, CommandError> {
    let direct = |host: &InventoryHost| {
        let way = match (&host.ssm_id, &host.bastion) {
            (Some(_), _) => "through Systems Manager",
            (None, Some(_)) => "through a bastion",
            (None, None) => {
                return Ok(HostAddress {
                    name: host.name.clone(),
                    address: host.address.clone(),
                    port: host.port,
                    user: host.user.clone(),
                    host_keys: host.host_keys.clone(),
                });
            }
        };
        let text = format!("host {} is reached {way}, which this relman cannot do", host.name);
        Err(CommandError::new(ErrorKind::Usage, text).hint(
            "run relman where it reaches the host directly, with ssm_id and bastion null in relman_hosts",
        ))
    };
    hosts.iter().map(direct).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_without_a_direct_way_is_refused_by_name() {
        let host = |more: &str| -> InventoryHost {
            serde_json::from_str(&format!(r#"{{"name":"web-1","address":"10.0.0.1"{more}}}"#)).unwrap()
        };
        assert_eq!(over_ssh(&[host("")]).unwrap()[0].address, "10.0.0.1");
        for more in [r#","ssm_id":"i-0123456789abcdef0""#, r#","bastion":{"address":"b.example"}"#] {
            let error = over_ssh(&[host(""), host(more)]).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Usage);
            assert!(error.message.starts_with("host web-1 is reached through "), "{error}");
        }
    }
}
