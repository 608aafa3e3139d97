//! How hosts that the infrastructure names are reached.

use crate::commands::error::{CommandError, ErrorKind};
use crate::config::Via;
use crate::host::wire::{Bastion, HostAddress};
use crate::infra::inventory::InventoryHost;

/// As they are reached by this way. A bastion that the outputs name is taken where none is given.
///
/// # Errors
/// For a host to which this way does not lead.
pub(super) fn addresses(
    hosts: &[InventoryHost],
    via: Via,
    bastion: &mut Option<Bastion>,
) -> Result<Vec<HostAddress>, CommandError> {
    let refused = |host: &InventoryHost, lacks: &str, hint: &str| {
        Err(CommandError::new(ErrorKind::Usage, format!("host {} {lacks}", host.name)).hint(hint))
    };
    let given = bastion.is_some();
    let mut reached = Vec::new();
    for (n, host) in hosts.iter().enumerate() {
        let address = match (via, &host.ssm_id) {
            (Via::Ssm, Some(instance)) => instance,
            (Via::Ssm, None) => {
                return refused(host, "has no ssm_id, which via = \"ssm\" needs", "relman_hosts: ssm_id");
            }
            (_, Some(_)) => {
                return refused(host, "is reached by Systems Manager", "via = \"ssm\"");
            }
            (_, None) => &host.address,
        };
        if !given && via != Via::Ssm {
            let named = host.bastion.as_ref().map(|named| Bastion {
                address: named.address.clone(),
                port: named.port,
                user: named.user.clone(),
                host_keys: named.host_keys.clone(),
            });
            if n == 0 {
                *bastion = named;
            } else if *bastion != named {
                let lacks = "is behind another bastion than the hosts before it";
                return refused(host, lacks, "relman_hosts: one bastion for all hosts of an environment");
            }
        }
        reached.push(HostAddress {
            name: host.name.clone(),
            address: address.clone(),
            port: host.port,
            user: host.user.clone(),
            host_keys: host.host_keys.clone(),
        });
    }
    Ok(reached)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(more: &str) -> InventoryHost {
        serde_json::from_str(&format!(r#"{{"name":"web-1","address":"10.0.0.1"{more}}}"#)).unwrap()
    }

    const SSM: &str = r#","ssm_id":"i-0123456789abcdef0""#;
    const BASTION: &str = r#","bastion":{"address":"b.example","later":1}"#;

    #[test]
    fn a_host_to_which_the_way_does_not_lead_is_refused_by_name() {
        let address = |more, via| addresses(&[host(more)], via, &mut None).map(|all| all[0].address.clone());
        assert_eq!(address("", Via::Ansible).unwrap(), "10.0.0.1");
        assert_eq!(address(SSM, Via::Ssm).unwrap(), "i-0123456789abcdef0");
        for (via, more) in [(Via::Ansible, SSM), (Via::Ssm, "")] {
            let error = address(more, via).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Usage);
            assert!(error.message.starts_with("host web-1 "), "{error}");
        }
    }

    #[test]
    fn the_bastion_of_the_outputs_is_taken_unless_another_is_given() {
        let mut bastion = None;
        addresses(&[host(BASTION), host(BASTION)], Via::Ssh, &mut bastion).unwrap();
        assert_eq!(bastion.as_ref().unwrap().address, "b.example");
        bastion.as_mut().unwrap().address = "other.example".into();
        addresses(&[host(BASTION)], Via::Ssh, &mut bastion).unwrap();
        assert_eq!(bastion.unwrap().address, "other.example");
        let error = addresses(&[host(BASTION), host("")], Via::Ansible, &mut None).unwrap_err();
        assert!(error.message.contains("behind another bastion"), "{error}");
    }
}
