//! The first thing that a new holder does: raise the fence on every host, then look.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::id::{HostName, Token};
use crate::host::wire::{Authority, Command, HostError, Observation};
use crate::host::{Fleet, Task};

/// What hosts say once the lease is ours.
pub type Claimed = BTreeMap<HostName, Result<Observation, HostError>>;

/// Hosts that went back without the ledger, which knows now, and the nonce of what they did.
pub type Marks = BTreeMap<HostName, Token>;

/// Raises the fence on hosts, then hears how they are: from here on no older holder can change them. Those that went
/// back without the ledger are opened with it.
pub async fn claim(fleet: &dyn Fleet, hosts: &[HostName], authority: Authority, marks: &Marks) -> Claimed {
    let (marked, open): (Vec<HostName>, Vec<HostName>) =
        hosts.iter().cloned().partition(|host| marks.contains_key(host));
    let mut claimed = Claimed::new();
    let nonces: BTreeSet<&Token> = marked.iter().filter_map(|host| marks.get(host)).collect();
    for nonce in nonces {
        let hosts: Vec<HostName> =
            marked.iter().filter(|host| marks.get(host) == Some(nonce)).cloned().collect();
        let reopen = Command::Reopen { authority: authority.clone(), nonce: nonce.clone() };
        claimed.append(&mut ask(fleet, &hosts, reopen).await);
    }
    if !open.is_empty() {
        claimed.append(&mut ask(fleet, &open, Command::Claim { authority }).await);
    }
    claimed
}

/// Hears how hosts are, and changes nothing.
pub async fn observe(fleet: &dyn Fleet, hosts: &[HostName]) -> Claimed {
    ask(fleet, hosts, Command::Observe {}).await
}

async fn ask(fleet: &dyn Fleet, hosts: &[HostName], command: Command) -> Claimed {
    let replies = fleet.perform(hosts, &Task::bare(command)).await;
    replies.replies.into_iter().map(|reply| (reply.host, reply.result)).collect()
}
