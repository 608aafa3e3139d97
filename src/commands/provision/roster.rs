//! Which hosts there are, where the infrastructure tells: what its outputs say, or the ledger remembers, and who of a
//! group that scales by itself is there now.
//!
//! Whoever deploys must not miss a host, so it fails where that cannot be told. Everybody else goes on with what was
//! known last and says so: a rollback must work while half of the cloud does not.

use std::collections::BTreeSet;

use crate::commands::error::chain;
use crate::commands::{CommandError, Context, Infra, Site};
use crate::config::Provision;
use crate::domain::deployment::Kind;
use crate::domain::id::{EnvironmentName, HostName, Stream};
use crate::infra::Outputs;
use crate::infra::inventory::{self, Expected, InventoryError, Joined, Listing};
use crate::infra::members::GroupError;
use crate::saga::Roll;

/// Which hosts a verb needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hosts {
    /// Those that there are: whoever deploys must not miss one.
    Fresh,
    /// Those that there are, or, when that cannot be told, those on record.
    Known,
    /// None: the verb asks no host.
    Unread,
}

/// The hosts of an environment, and what is not certain of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roster {
    /// The hosts, and the group that some of them are in.
    pub listing: Listing,
    /// Whether it is of now, as far as the group tells.
    pub(crate) current: bool,
    /// Hosts to which no requests go.
    aside: BTreeSet<HostName>,
    /// Hosts that may still be booting, or be gone.
    uncertain: BTreeSet<HostName>,
    /// Members of the group that serve, for all that is known, and that nobody knows how to reach: their ids.
    pub(crate) unreachable: Vec<String>,
    /// Why it is not of now.
    pub(crate) doubt: Option<String>,
}

impl Roster {
    /// Of a list that nobody was asked about yet.
    pub(super) fn of(listing: Listing) -> Self {
        Self { listing, ..Self::default() }
    }

    /// Why a host that cannot be reached may be left behind, whatever the failure budget says; none: it may not. No
    /// request meets what the host serves; or it is a way back, which must not wait for a machine that boots into what
    /// the ledger wants, or that is gone.
    pub(crate) fn excuse(&self, host: &HostName, kind: Kind) -> Option<&'static str> {
        if self.aside.contains(host) {
            return Some("no requests go to it, by its group");
        }
        (kind == Kind::Rollback && self.is_uncertain(host)).then_some("it may still be booting, or be gone")
    }

    /// Whether a host came after the last apply, or was not seen in the group.
    pub(crate) fn is_uncertain(&self, host: &HostName) -> bool {
        self.uncertain.contains(host)
    }
}

/// Why it is not known who is in the group.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Group(#[from] GroupError),
    #[error(transparent)]
    Listed(#[from] InventoryError),
}

impl From<Trouble> for CommandError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Group(error) => error.into(),
            Trouble::Listed(error) => error.into(),
        }
    }
}

/// The hosts of an environment.
///
/// # Errors
/// When they cannot be told, and for this verb must be; or when there are none.
pub async fn find(
    context: &Context,
    name: &EnvironmentName,
    infra: &Infra,
    which: Hosts,
) -> Result<Roster, CommandError> {
    if which == Hosts::Unread {
        return Ok(Roster::default());
    }
    let stream = context.stream(name);
    let outputs = match infra.port.outputs().await {
        Ok(outputs) => outputs,
        Err(error) if which == Hosts::Known => {
            let Some(listing) = recorded(context, &stream).await? else { return Err(error.into()) };
            let note = format!("{error}; the hosts are those of the last recorded apply or deployment");
            context.progress.note(&note);
            let roster = known(context, infra, &stream, listing).await?;
            return Ok(Roster { doubt: Some(roster.doubt.unwrap_or(note)), ..roster });
        }
        Err(error) => return Err(error.into()),
    };
    // A deploy makes them first.
    let are_made = which == Hosts::Fresh && infra.provision == Provision::Apply;
    let listing = match listed(context, name, infra, &outputs) {
        Err(InventoryError::NeverApplied | InventoryError::NoOutput | InventoryError::NoHosts)
            if are_made =>
        {
            return Ok(Roster::default());
        }
        listing => listing?,
    };
    if which == Hosts::Known {
        return known(context, infra, &stream, listing).await;
    }
    match now(context, infra, listing).await {
        Err(
            Trouble::Group(GroupError::Missing { .. }) | Trouble::Listed(InventoryError::NoMembers { .. }),
        ) if are_made => Ok(Roster::default()),
        roster => Ok(roster?),
    }
}

fn listed(
    context: &Context,
    name: &EnvironmentName,
    infra: &Infra,
    outputs: &Outputs,
) -> Result<Listing, InventoryError> {
    let expected = Expected { service: &context.service, environment: name, private: infra.private };
    Ok(inventory::read(outputs, &expected)?.listing)
}

/// Those that the outputs name and that are there now.
pub(super) async fn fresh(
    context: &Context,
    name: &EnvironmentName,
    infra: &Infra,
) -> Result<Roster, CommandError> {
    let listing = listed(context, name, infra, &infra.port.outputs().await?)?;
    Ok(now(context, infra, listing).await?)
}

/// Those of a list that are there now, for whoever must not miss one.
pub(super) async fn still(context: &Context, infra: &Infra, before: Roster) -> Result<Roster, CommandError> {
    let Roster { listing, uncertain, .. } = before;
    let mut roster = now(context, infra, listing).await?;
    roster.uncertain.extend(uncertain);
    Ok(roster)
}

/// The same as an artifact would have it: outputs that cannot be used, or a group that cannot be asked, are told where
/// they are needed.
pub(super) async fn to_record(context: &Context, name: &EnvironmentName, infra: &Infra) -> Option<Listing> {
    let outputs = infra.port.outputs().await.ok()?;
    let listing = listed(context, name, infra, &outputs).ok()?;
    match joined(infra, &listing).await {
        Ok(Some(joined)) => Some(Listing { hosts: joined.hosts, ..listing }),
        Ok(None) | Err(_) => Some(listing).filter(|listing| !listing.hosts.is_empty()),
    }
}

/// A list brought to who is in its group; none where there is no group.
async fn joined(infra: &Infra, listing: &Listing) -> Result<Option<Joined>, Trouble> {
    let Some(group) = &listing.group else { return Ok(None) };
    let members = infra.groups.members(&group.name).await.map_err(|error| match (error, &group.region) {
        (GroupError::Missing { group, region }, Some(made_in)) if region != *made_in => {
            GroupError::Elsewhere { group, region, made_in: made_in.clone() }
        }
        (error, _) => error,
    })?;
    Ok(Some(inventory::join(&listing.hosts, group, &members, infra.private)?))
}

async fn now(context: &Context, infra: &Infra, listing: Listing) -> Result<Roster, Trouble> {
    let joined = joined(infra, &listing).await?;
    if let (Some(Joined { unnamed, .. }), Some(group)) = (&joined, &listing.group)
        && let Some(id) = unnamed.first()
    {
        return Err(InventoryError::NoTemplate { group: group.name.clone(), id: id.clone() }.into());
    }
    Ok(roster(context, listing, joined))
}

fn roster(context: &Context, listing: Listing, joined: Option<Joined>) -> Roster {
    let (Some(joined), Some(group)) = (joined, &listing.group) else {
        return Roster { listing, current: true, ..Roster::default() };
    };
    for (names, what) in
        [(&joined.gone, "no longer in it"), (&joined.new, "new in it, since its list was made")]
    {
        if !names.is_empty() {
            let names: Vec<&str> = names.iter().map(HostName::as_str).collect();
            context.progress.note(&format!("{}: {what}: {}", group.name, names.join(", ")));
        }
    }
    Roster {
        listing: Listing { hosts: joined.hosts, group: listing.group },
        current: true,
        aside: joined.aside,
        uncertain: joined.new.into_iter().collect(),
        unreachable: joined.unnamed,
        doubt: None,
    }
}

/// Those of a list that are there now; where that cannot be told, those that were known last.
async fn known(
    context: &Context,
    infra: &Infra,
    stream: &Stream,
    listing: Listing,
) -> Result<Roster, CommandError> {
    let why = match joined(infra, &listing).await {
        Ok(joined) => {
            let unnamed = joined.as_ref().map(|joined| joined.unnamed.join(", ")).unwrap_or_default();
            if !unnamed.is_empty() {
                let note = format!("no host_template says how {unnamed} can be reached: left as they are");
                context.progress.note(&note);
            }
            let mut roster = roster(context, listing, joined);
            // One that the last deployment went to has booted long ago.
            if !roster.uncertain.is_empty() {
                let last = last(context, stream).await;
                roster.uncertain.retain(|name| last.hosts.iter().all(|host| host.name != *name));
            }
            return Ok(roster);
        }
        Err(Trouble::Listed(error @ InventoryError::NoMembers { .. })) => return Err(error.into()),
        Err(trouble) => chain(&trouble),
    };
    // The last deployment asked the group, and the last apply may be later than it: no host of either is missed.
    let last = last(context, stream).await;
    let name_of = |host: &inventory::InventoryHost| host.name.clone();
    let (one, other): (BTreeSet<_>, BTreeSet<_>) =
        (listing.hosts.iter().map(name_of).collect(), last.hosts.iter().map(name_of).collect());
    let mut hosts = listing.hosts;
    if last.group.as_ref().map(|group| &group.name) == listing.group.as_ref().map(|group| &group.name) {
        hosts.extend(last.hosts.into_iter().filter(|host| !one.contains(&host.name)));
    }
    let doubt = format!("{why}; the hosts are those that were known last, and some of them may be gone");
    context.progress.note(&doubt);
    let uncertain = one.symmetric_difference(&other).cloned().collect();
    let listing = Listing { hosts, group: listing.group };
    Ok(Roster { listing, uncertain, doubt: Some(doubt), ..Roster::default() })
}

/// The hosts of the last deployment; none, and said, where they cannot be read.
async fn last(context: &Context, stream: &Stream) -> Listing {
    match recorded(context, stream).await {
        Ok(last) => last.unwrap_or_default(),
        Err(error) => {
            context.progress.note(&format!("the hosts of the last deployment could not be read: {error}"));
            Listing::default()
        }
    }
}

/// An instance that is terminated while it is deployed to is no host that fails: scaling in is nobody's fault.
#[async_trait::async_trait]
impl Roll for Site {
    async fn departed(&self, hosts: &[HostName]) -> BTreeSet<HostName> {
        let (Some(infra), Some(roster)) = (&self.infra, &self.roster) else { return BTreeSet::new() };
        let is_there = |joined: &Joined, host: &HostName| {
            joined.hosts.iter().any(|one| one.name == *host)
                || joined.unnamed.iter().any(|id| id == host.as_str())
        };
        match joined(infra, &roster.listing).await {
            Ok(Some(joined)) => hosts.iter().filter(|host| !is_there(&joined, host)).cloned().collect(),
            Err(Trouble::Listed(InventoryError::NoMembers { .. })) => hosts.iter().cloned().collect(),
            Ok(None) | Err(_) => BTreeSet::new(),
        }
    }
}

/// The hosts that were there after the last apply that relman made, or at the last deployment: for when the outputs
/// cannot be read.
pub(super) async fn recorded(context: &Context, stream: &Stream) -> Result<Option<Listing>, CommandError> {
    let record = context.infra(stream).await?;
    match record.hosts() {
        Some(digest) => Ok(Some(context.artifact(digest, "list of hosts").await?)),
        None => Ok(None),
    }
}
