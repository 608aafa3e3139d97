//! Which hosts an environment has, where the infrastructure tells: its outputs, or the last ones on record.

use crate::commands::error::{CommandError, ErrorKind};
use crate::commands::{Context, Infra, provision};
use crate::config::{Provision, Via};
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

/// As they are reached by this way.
///
/// # Errors
/// For a host to which this way does not lead.
pub(super) fn addresses(hosts: &[InventoryHost], via: Via) -> Result<Vec<HostAddress>, CommandError> {
    let address = |host: &InventoryHost| {
        let (address, lacks) = match (via, &host.ssm_id, &host.bastion) {
            (Via::Ssm, Some(instance), _) => (instance, None),
            (Via::Ssm, None, _) => (&host.address, Some("has no ssm_id, which via = \"ssm\" needs")),
            (_, Some(_), _) => (&host.address, Some("is reached by Systems Manager: via = \"ssm\"")),
            (_, None, Some(_)) => (&host.address, Some("is reached through a bastion")),
            (_, None, None) => (&host.address, None),
        };
        if let Some(lacks) = lacks {
            let text = format!("host {} {lacks}", host.name);
            return Err(CommandError::new(ErrorKind::Usage, text)
                .hint("relman_hosts: ssm_id for via = \"ssm\"; neither ssm_id nor bastion for the other ways, and the bastion as access.bastion in relman.toml"));
        }
        Ok(HostAddress {
            name: host.name.clone(),
            address: address.clone(),
            port: host.port,
            user: host.user.clone(),
            host_keys: host.host_keys.clone(),
        })
    };
    hosts.iter().map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_to_which_the_way_does_not_lead_is_refused_by_name() {
        let host = |more: &str| -> InventoryHost {
            serde_json::from_str(&format!(r#"{{"name":"web-1","address":"10.0.0.1"{more}}}"#)).unwrap()
        };
        let (ssm, bastion) = (r#","ssm_id":"i-0123456789abcdef0""#, r#","bastion":{"address":"b.example"}"#);
        assert_eq!(addresses(&[host("")], Via::Ansible).unwrap()[0].address, "10.0.0.1");
        assert_eq!(addresses(&[host(ssm)], Via::Ssm).unwrap()[0].address, "i-0123456789abcdef0");
        for (via, more) in [(Via::Ansible, ssm), (Via::Ssh, bastion), (Via::Ssm, "")] {
            let error = addresses(&[host(more)], via).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Usage);
            assert!(error.message.starts_with("host web-1 "), "{error}");
        }
    }
}
