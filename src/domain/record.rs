//! Projections: what the entries amount to, kept beside them so that every read is one look-up or one page. A
//! ledger stores them by key and never looks inside.

use serde::{Deserialize, Serialize};

use super::actor::Actor;
use super::deployment::{Deployment, Hold, Verdict};
use super::event::Times;
use super::id::{CommitSha, DeploymentNumber, Digest, HostName, ServiceName, Stream};
use super::infra::InfraRecord;
use super::release::{Release, ReleaseRef};
use super::time::Timestamp;
use super::version::Version;

/// A group of records that is read page by page.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Partition {
    /// What belongs to a service.
    Service(ServiceName),
    /// What belongs to an environment.
    Environment(Stream),
}

impl Partition {
    /// The storage key of the partition.
    pub fn key(&self) -> String {
        match self {
            Self::Service(service) => format!("SVC#{service}"),
            Self::Environment(stream) => match &stream.environment {
                Some(environment) => format!("ENV#{}#{environment}", stream.service),
                None => format!("ENV#{}#", stream.service),
            },
        }
    }
}

/// Where a record lies: partition and sort key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The partition.
    pub partition: String,
    /// Order within it.
    pub sort: String,
}

/// A list that can be paged, newest or highest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listing {
    /// Deployments of an environment by number.
    Deployments(Stream),
    /// Releases of a service by version.
    Releases(ServiceName),
    /// Versions claimed for commits that begin with these hex digits.
    Commits(ServiceName, String),
    /// Releases of one digest.
    Digests(ServiceName, Digest),
    /// Hosts of an environment by name.
    Hosts(Stream),
    /// Verdicts of an environment by version.
    Verdicts(Stream),
}

impl Listing {
    /// Partition key and sort prefix of the list.
    pub fn prefix(&self) -> Key {
        let (partition, sort) = match self {
            Self::Deployments(stream) => (Partition::Environment(stream.clone()), "DEP#".to_owned()),
            Self::Hosts(stream) => (Partition::Environment(stream.clone()), "HOST#".to_owned()),
            Self::Verdicts(stream) => (Partition::Environment(stream.clone()), "VER#".to_owned()),
            Self::Releases(service) => (Partition::Service(service.clone()), "REL#".to_owned()),
            Self::Commits(service, hex) => (Partition::Service(service.clone()), format!("SHA#{hex}")),
            Self::Digests(service, digest) => (Partition::Service(service.clone()), format!("DIG#{digest}#")),
        };
        Key { partition: partition.key(), sort }
    }
}

impl Key {
    fn service(service: &ServiceName, sort: String) -> Self {
        Self { partition: Partition::Service(service.clone()).key(), sort }
    }

    fn environment(stream: &Stream, sort: String) -> Self {
        Self { partition: Partition::Environment(stream.clone()).key(), sort }
    }

    /// Of [`Record::Service`].
    pub fn of_service(service: &ServiceName) -> Self {
        Self::service(service, "META".to_owned())
    }

    /// Of [`Record::Claim`].
    pub fn of_claim(service: &ServiceName, version: &Version) -> Self {
        Self::service(service, format!("CLM#{}", version.order_key()))
    }

    /// Of [`Record::Release`].
    pub fn of_release(service: &ServiceName, version: &Version) -> Self {
        Self::service(service, format!("REL#{}", version.order_key()))
    }

    /// Of [`Record::Commit`].
    pub fn of_commit(service: &ServiceName, commit: &CommitSha, version: &Version) -> Self {
        Self::service(service, format!("SHA#{commit}#{}", version.order_key()))
    }

    /// Of [`Record::Digest`].
    pub fn of_digest(service: &ServiceName, digest: &Digest, version: &Version) -> Self {
        Self::service(service, format!("DIG#{digest}#{}", version.order_key()))
    }

    /// Of [`Record::Environment`].
    pub fn of_environment(stream: &Stream) -> Self {
        Self::environment(stream, "CURRENT".to_owned())
    }

    /// Of [`Record::Deployment`].
    pub fn of_deployment(stream: &Stream, number: DeploymentNumber) -> Self {
        Self::environment(stream, format!("DEP#{number:010}"))
    }

    /// Of [`Record::Host`].
    pub fn of_host(stream: &Stream, host: &HostName) -> Self {
        Self::environment(stream, format!("HOST#{host}"))
    }

    /// Of [`Record::Infra`].
    pub fn of_infra(stream: &Stream) -> Self {
        Self::environment(stream, "INFRA".to_owned())
    }

    /// Of [`Record::Verdict`].
    pub fn of_verdict(stream: &Stream, version: &Version) -> Self {
        Self::environment(stream, format!("VER#{}", version.order_key()))
    }
}

impl Record {
    /// The record of a stream itself with the mark of [`EnvironmentRecord::importing`]; none where it has it already, or
    /// is of another kind. No entry says it, so nothing that entries amount to has it.
    pub fn importing(&self) -> Option<Self> {
        match self {
            Self::Service(record) if !record.importing => {
                Some(Self::Service(ServiceRecord { importing: true, ..record.clone() }))
            }
            Self::Environment(record) if !record.importing => {
                Some(Self::Environment(Box::new(EnvironmentRecord {
                    importing: true,
                    ..record.as_ref().clone()
                })))
            }
            _ => None,
        }
    }

    /// Whether it has that mark.
    pub fn is_importing(&self) -> bool {
        match self {
            Self::Service(record) => record.importing,
            Self::Environment(record) => record.importing,
            _ => false,
        }
    }
}

/// Totals of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceRecord {
    /// The highest version number ever claimed, pre-releases left out. A claimed number is never given again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub highest: Option<Version>,
    /// The release bound last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_release: Option<Version>,
    /// The ledger in which the releases go on; none while this one is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<String>,
    /// Whether entries of another ledger came in and that this one goes on was not said yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub importing: bool,
}

/// A version number that belongs to a commit, built or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimRecord {
    /// The number.
    pub version: Version,
    /// Whose.
    pub commit: CommitSha,
    /// When it was taken.
    pub at: Timestamp,
}

/// A release as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseRecord {
    /// What was bound.
    pub release: Release,
    /// Tags known to point to it.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Tags that point elsewhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<String>,
    /// When it was bound.
    pub created_at: Timestamp,
    /// Who bound it.
    pub actor: Actor,
}

/// What an environment amounts to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentRecord {
    /// The highest deployment number given.
    #[serde(default)]
    pub last: DeploymentNumber,
    /// The deployment that made serve what serves; none before the first success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serving: Option<DeploymentNumber>,
    /// The deployment that has no outcome yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<DeploymentNumber>,
    /// A stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// Times of the calendar in which nothing is deployed, besides those of the configuration, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freezes: Vec<FreezeRecord>,
    /// The ledger in which the environment goes on; none while this one is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<String>,
    /// Whether entries of another ledger came in and that this one goes on was not said yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub importing: bool,
}

/// Times of the calendar in which nothing is deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreezeRecord {
    /// The number of the entry that added them.
    pub id: u64,
    /// Which.
    pub times: Times,
    /// Who added them.
    pub actor: Actor,
    /// When.
    pub since: Timestamp,
}

/// What a host confirmed last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostRecord {
    /// The host.
    pub host: HostName,
    /// The deployment that it confirmed.
    pub deployment: DeploymentNumber,
    /// The release.
    pub release: ReleaseRef,
    /// Since when.
    pub since: Timestamp,
}

/// What is thought of a release in an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerdictRecord {
    /// The release.
    pub version: Version,
    /// The verdict.
    pub verdict: Verdict,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// Who said so.
    pub actor: Actor,
}

/// One projection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", content = "body", rename_all = "snake_case")]
pub enum Record {
    /// Totals of a service.
    Service(ServiceRecord),
    /// A claimed version.
    Claim(ClaimRecord),
    /// A release.
    Release(Box<ReleaseRecord>),
    /// commit → version.
    Commit(Version),
    /// digest → version.
    Digest(Version),
    /// What an environment amounts to.
    Environment(Box<EnvironmentRecord>),
    /// A deployment.
    Deployment(Box<Deployment>),
    /// What a host confirmed.
    Host(HostRecord),
    /// A verdict.
    Verdict(VerdictRecord),
    /// What the infrastructure was last brought to.
    Infra(Box<InfraRecord>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_people_expect() {
        let stream: Stream = "web/production".parse().unwrap();
        assert!(Key::of_deployment(&stream, 9) < Key::of_deployment(&stream, 10));
        let service = &stream.service;
        let release = |v: &str| Key::of_release(service, &v.parse().unwrap());
        assert!(release("1.9.0") < release("1.10.0"));
        assert!(release("1.10.0-rc.1") < release("1.10.0"));
        assert_eq!(Key::of_host(&stream, &"web-1".parse().unwrap()).partition, "ENV#web#production");
    }
}
