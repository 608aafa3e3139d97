//! Which hosts an attempt is about.

use crate::commands::error::ErrorKind;
use crate::commands::{CommandError, Site};
use crate::domain::id::HostName;

/// The hosts that are meant: all, or those that were named.
pub(crate) fn hosts(site: &Site, named: &[HostName]) -> Result<Vec<HostName>, CommandError> {
    let all = site.fleet.hosts();
    let unreachable = site.roster.as_ref().map(|roster| roster.unreachable.as_slice()).unwrap_or_default();
    if all.is_empty() && !unreachable.is_empty() {
        let text =
            format!("{} has members alone that cannot be reached: {}", site.name, unreachable.join(", "));
        return Err(CommandError::new(ErrorKind::Usage, text)
            .hint("relman_config.host_template, in the Terraform configuration: how its like is reached; then relman infra apply"));
    }
    if all.is_empty() {
        let text = format!("{} has no hosts yet", site.name);
        return Err(CommandError::new(ErrorKind::Failed, text).hint("relman infra apply: make them"));
    }
    if named.is_empty() {
        return Ok(all);
    }
    match named.iter().find(|name| !all.contains(name)) {
        None => Ok(all.into_iter().filter(|host| named.contains(host)).collect()),
        Some(unknown) => {
            let known: Vec<&str> = all.iter().map(HostName::as_str).collect();
            Err(CommandError::new(ErrorKind::Usage, format!("{unknown} is not a host of {}", site.name))
                .hint(format!("its hosts: {}", known.join(", "))))
        }
    }
}
