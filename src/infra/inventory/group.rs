//! A fleet whose machines come and go between two applies: the group that they are in, how a new one is reached, and
//! what the list of hosts is once it is known who is in the group. Pure.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{CONFIG, InfraConfig, InventoryError, InventoryHost, Problems, is_instance, shown};
use crate::domain::id::HostName;
use crate::infra::members::{Member, Standing};

/// Stands for an instance's id.
const ID: &str = "{id}";
/// An id to try a template with.
const EXAMPLE: &str = "i-0123456789abcdef0";

/// The group that hosts are in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// How those are reached that no output names; none: they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
    /// The region that the infrastructure was made in, where it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// One host of the outputs, with `{id}` where the instance's id belongs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Template(Value);

/// The hosts, and the group that some of them are in. It is what the ledger remembers of a fleet: without a group it
/// is a list and nothing else, as it always was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Recorded", into = "Recorded")]
pub struct Listing {
    /// The hosts.
    pub hosts: Vec<InventoryHost>,
    /// The group.
    pub group: Option<Group>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Recorded {
    Hosts(Vec<InventoryHost>),
    Grouped { hosts: Vec<InventoryHost>, group: Group },
}

impl From<Recorded> for Listing {
    fn from(recorded: Recorded) -> Self {
        match recorded {
            Recorded::Hosts(hosts) => Self { hosts, group: None },
            Recorded::Grouped { hosts, group } => Self { hosts, group: Some(group) },
        }
    }
}

impl From<Listing> for Recorded {
    fn from(Listing { hosts, group }: Listing) -> Self {
        match group {
            None => Self::Hosts(hosts),
            Some(group) => Self::Grouped { hosts, group },
        }
    }
}

impl Template {
    /// The host with this id, not checked.
    fn fill(&self, id: &str) -> Value {
        let mut host = self.0.clone();
        for name in ["name", "address", "ssm_id"] {
            if let Some(Value::String(text)) = host.get_mut(name) {
                *text = text.replace(ID, id);
            }
        }
        host
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// The id of the instance that a host of this name is; none where its name is not of this kind.
    fn id_in<'a>(&self, name: &'a str) -> Option<&'a str> {
        let (before, after) = self.text("name")?.split_once(ID)?;
        name.strip_prefix(before)?.strip_suffix(after).filter(|id| is_instance(id))
    }
}

/// What the outputs say of a group, checked as if an instance were in it.
pub(super) fn group(problems: &mut Problems, config: &InfraConfig, private: bool) -> Option<Group> {
    let name = config.autoscaling_group.clone()?;
    problems.ensure(is_group(&name), &format!("{CONFIG}.autoscaling_group"), || {
        format!("{} is no name of a group: 1 to 255 letters, digits and -_./", shown(&name))
    });
    let at = format!("{CONFIG}.host_template");
    let template = config.host_template.clone().map(|mut template| {
        if let (Some(document), Some(host)) = (&config.ssm_document, template.as_object_mut())
            && host.get("ssm_id").is_some_and(Value::is_string)
            && host.get("ssm_document").is_none_or(Value::is_null)
        {
            host.insert("ssm_document".to_owned(), Value::String(document.clone()));
        }
        Template(template)
    });
    if let Some(template) = &template {
        problems.host(&at, &template.fill(EXAMPLE), private);
        for name in ["name", "address"] {
            let places = template.text(name).unwrap_or_default().matches(ID).count();
            problems.ensure(places == 1, &format!("{at}.{name}"), || {
                format!("holds {ID} {places} times, and must once: each host has its own")
            });
        }
        let managed = template.text("ssm_id").is_none_or(|id| id == ID);
        problems.ensure(managed, &format!("{at}.ssm_id"), || format!("is neither {ID} nor null"));
    }
    Some(Group { name, template, region: config.region.clone() })
}

/// What goes into a request, and into a command that people paste.
fn is_group(name: &str) -> bool {
    (1..=255).contains(&name.len())
        && !name.starts_with('-')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b))
}

/// A list of hosts, brought to who is in the group now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Joined {
    /// The hosts that there are.
    pub hosts: Vec<InventoryHost>,
    /// Hosts that were listed and are in the group no more.
    pub gone: Vec<HostName>,
    /// Hosts that are in the group and were not listed.
    pub new: Vec<HostName>,
    /// Hosts to which no requests go at the moment.
    pub aside: BTreeSet<HostName>,
    /// Ids of instances that are in the group, and of which nothing says how they are reached.
    pub unnamed: Vec<String>,
}

/// Brings a list to who is in the group. Hosts that are not of its kind stay as they are.
///
/// # Errors
/// When nobody is left, or who came is no host.
pub fn join(
    hosts: &[InventoryHost],
    group: &Group,
    members: &[Member],
    private: bool,
) -> Result<Joined, InventoryError> {
    let mut joined = Joined::default();
    let mut listed = BTreeSet::new();
    let standing = |id: &str| members.iter().find(|one| one.id == id).map(|one| one.standing);
    for host in hosts {
        let id = match &group.template {
            Some(template) => template.id_in(host.name.as_str()),
            None => host.ssm_id.as_deref().or(Some(host.name.as_str())).filter(|id| is_instance(id)),
        };
        match id.map(|id| (id, standing(id))) {
            Some((_, None | Some(Standing::Leaves))) => {
                joined.gone.push(host.name.clone());
                continue;
            }
            Some((id, Some(standing))) => {
                listed.insert(id.to_owned());
                if standing == Standing::Aside {
                    joined.aside.insert(host.name.clone());
                }
            }
            None => {}
        }
        joined.hosts.push(host.clone());
    }
    let mut unlisted: Vec<&Member> = members
        .iter()
        .filter(|one| one.standing != Standing::Leaves && !listed.contains(one.id.as_str()))
        .collect();
    unlisted.sort_by(|one, other| one.id.cmp(&other.id));
    let mut problems = Problems::default();
    for member in unlisted {
        let at = format!("the Auto Scaling group {}", group.name);
        if !is_instance(&member.id) {
            problems.add(at, format!("{} is no id of an instance", shown(&member.id)));
            continue;
        }
        let Some(template) = &group.template else {
            joined.unnamed.push(member.id.clone());
            continue;
        };
        let at = format!("{at}, {}", member.id);
        if let Some(host) = problems.host(&at, &template.fill(&member.id), private) {
            joined.new.push(host.name.clone());
            if member.standing == Standing::Aside {
                joined.aside.insert(host.name.clone());
            }
            joined.hosts.push(host);
        }
    }
    // The same members are the same list, whatever it was made from.
    joined.hosts.sort_by(|one, other| one.name.cmp(&other.name));
    problems.doubles(joined.hosts.iter().map(|host| (host.name.as_str(), host)));
    match problems.0 {
        problems if !problems.is_empty() => Err(InventoryError::Invalid(problems)),
        _ if joined.hosts.is_empty() && joined.unnamed.is_empty() => {
            Err(InventoryError::NoMembers { group: group.name.clone() })
        }
        _ => Ok(joined),
    }
}

#[cfg(test)]
mod tests;
