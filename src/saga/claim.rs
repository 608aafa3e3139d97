//! The first thing that a new holder does: raise the fence on every host, then look.

use std::collections::BTreeMap;

use crate::domain::id::HostName;
use crate::host::wire::{Authority, Command, HostError, Observation};
use crate::host::{Fleet, Task};

/// What hosts say once the lease is ours.
pub type Claimed = BTreeMap<HostName, Result<Observation, HostError>>;

/// Raises the fence on hosts, then hears how they are: from here on no older holder can change them.
pub async fn claim(fleet: &dyn Fleet, hosts: &[HostName], authority: Authority) -> Claimed {
    ask(fleet, hosts, Command::Claim { authority }).await
}

/// Hears how hosts are, and changes nothing.
pub async fn observe(fleet: &dyn Fleet, hosts: &[HostName]) -> Claimed {
    ask(fleet, hosts, Command::Observe {}).await
}

async fn ask(fleet: &dyn Fleet, hosts: &[HostName], command: Command) -> Claimed {
    let replies = fleet.perform(hosts, &Task::bare(command)).await;
    replies.replies.into_iter().map(|reply| (reply.host, reply.result)).collect()
}
