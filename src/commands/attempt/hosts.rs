//! Which hosts an attempt is about.

use crate::commands::error::ErrorKind;
use crate::commands::{CommandError, Site};
use crate::domain::id::HostName;

/// The hosts that are meant: all, or those that were named.
pub(crate) fn hosts(site: &Site, named: &[HostName]) -> Result<Vec<HostName>, CommandError> {
    let all = site.fleet.hosts();
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
