//! What only a real account can show: who we are there, whether table, buckets and document are as the code needs
//! them, and which permission is missing. Nothing is written.
//!
//! Without `--aws` this looks at identity, clock, table and bucket; with it, also at permissions, at what transactions
//! tell, at the state of Terraform and at Systems Manager.

mod judge;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures_util::join;

use self::judge::{bucket, table};
use super::{Check, State, chain};
use crate::aws::survey::{Permission, Survey};
use crate::aws::{Fault, FaultKind};
use crate::clock::Clock;
use crate::domain::id::HostName;
use crate::domain::time::Timestamp;

/// Seconds by which this machine's clock may differ from AWS's; a signature is refused from 300 on.
const SKEW: i64 = 60;

/// Where the state of an environment's infrastructure lies, as `terraform init` recorded it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// The bucket.
    pub bucket: String,
    /// The table of its locks.
    pub table: Option<String>,
    /// Whether it is locked by a file beside it.
    pub lockfile: bool,
}

/// What of the configuration is in AWS.
pub struct Account {
    /// How it is looked at.
    pub survey: Survey,
    /// What this machine takes the time for.
    pub clock: Arc<dyn Clock>,
    /// The table of the ledger.
    pub table: Option<String>,
    /// The bucket of artifacts and heads, and the prefix in it.
    pub bucket: Option<(String, String)>,
    /// The state of the infrastructure.
    pub backend: Option<Backend>,
    /// The document of Systems Manager, and the hosts that are reached by it.
    pub document: Option<(String, Vec<(HostName, String)>)>,
    /// Endpoints that lead elsewhere than to AWS: variable and value.
    pub endpoints: Vec<String>,
    /// Whether `--aws` asked for everything.
    pub all: bool,
}

impl Account {
    /// By how many seconds this machine's clock is ahead of AWS's; none before an answer.
    fn ahead(&self) -> Option<i64> {
        let server = Timestamp::from_millis(self.survey.server_time()?.checked_mul(1000)?)?;
        Some(self.clock.now().seconds_since(server))
    }

    fn is_used(&self) -> bool {
        self.table.is_some() || self.bucket.is_some() || self.document.is_some() || self.backend.is_some()
    }
}

pub(super) async fn account(account: Option<&Account>) -> Vec<Check> {
    let Some(account) = account else { return Vec::new() };
    if !account.is_used() {
        let none = "nothing of this configuration is in AWS; --aws is for ledger.url = \"dynamodb:TABLE\"";
        return if account.all { vec![Check::new("aws", State::NotChecked, none)] } else { Vec::new() };
    }
    let survey = &account.survey;
    let region = match survey.region().await {
        Ok(region) => region,
        Err(fault) => return vec![faulty("aws", &fault)],
    };
    let mut found = vec![match survey.caller().await {
        Ok(caller) => {
            Check::ok("aws", format!("{} in account {}, region {region}", caller.arn, caller.account))
        }
        // An emulator of one service alone knows nobody.
        Err(fault) if fault.kind == FaultKind::Refused && !account.endpoints.is_empty() => {
            Check::new("aws", State::NotChecked, format!("{fault}: the endpoint tells no identity"))
        }
        Err(fault) => return vec![faulty("aws", &fault)],
    }];
    // At once: later it would be late.
    let ahead = account.ahead();
    if !account.endpoints.is_empty() {
        found.push(Check::warning(
            "endpoint",
            format!("{}: what an emulator shows is no proof of what AWS does", account.endpoints.join(", ")),
            "unset it, and run relman doctor --aws against the real account before the first deploy",
        ));
    }
    let (tables, buckets, states, documents) =
        join!(tables(account), buckets(account, &region), states(account, &region), documents(account));
    found.extend(ahead.or_else(|| account.ahead()).map(clock));
    found.extend(tables.into_iter().chain(buckets).chain(states).chain(documents));
    found
}

/// This machine's clock beside AWS's.
fn clock(ahead: i64) -> Check {
    let name = "clock of aws";
    if ahead.abs() <= SKEW {
        return Check::ok(name, format!("within {} s of this machine's", ahead.abs().max(1)));
    }
    let way = if ahead > 0 { "ahead of" } else { "behind" };
    let detail = format!(
        "this machine's clock is {} s {way} AWS's, which refuses signatures from 300 s on",
        ahead.abs()
    );
    let fix = "set this machine's clock (timedatectl set-ntp true)";
    if ahead.abs() < 300 { Check::warning(name, detail, fix) } else { Check::failed(name, detail, fix) }
}

async fn tables(account: &Account) -> Vec<Check> {
    let Some(name) = &account.table else { return Vec::new() };
    let survey = &account.survey;
    let facts = match survey.table(name).await {
        Ok(facts) => Ok(facts),
        // What a deploy does there is asked for below.
        Err(fault) if fault.kind == FaultKind::Denied => Err(unseen(format!("table {name}"), &fault)),
        Err(fault) => return vec![faulty(format!("table {name}"), &fault)],
    };
    let mut found = match &facts {
        Ok(facts) => table::layout(name, facts),
        Err(unseen) => vec![unseen.clone()],
    };
    if !account.all {
        return found;
    }
    let (backups, expiry) = join!(survey.is_backed_up(name), survey.expiry(name));
    found.extend(facts.iter().flat_map(|facts| table::safety(name, facts)));
    found.push(looked(backups, format!("table {name} backups"), |is| table::backups(name, is)));
    found.push(looked(expiry, format!("table {name} expiry"), |attribute| {
        table::expiry(name, attribute.as_deref())
    }));
    match survey.ledger_permissions(name).await {
        Ok((asked, told)) => {
            found.extend(permissions(&format!("table {name}"), asked));
            found.push(table::transactions(name, told));
        }
        Err(fault) => found.push(faulty(format!("table {name} permissions"), &fault)),
    }
    found
}

async fn buckets(account: &Account, region: &str) -> Vec<Check> {
    let Some((name, prefix)) = &account.bucket else { return Vec::new() };
    let survey = &account.survey;
    let place = match survey.place(name).await {
        Ok(place) => bucket::region(name, &place, region),
        Err(fault) if fault.kind == FaultKind::Denied => unseen(format!("bucket {name}"), &fault),
        Err(fault) => return vec![faulty(format!("bucket {name}"), &fault)],
    };
    let mut found = vec![place];
    if found.iter().any(|check| check.state == State::Failed) {
        return found;
    }
    let facts = match survey.bucket(name).await {
        Ok(facts) => facts,
        Err(fault) => return vec![faulty(format!("bucket {name}"), &fault)],
    };
    let of = |what: &str| format!("bucket {name} {what}");
    found.push(looked(facts.versions, of("versions"), |is| {
        bucket::versions(name, is, "an anchor that was written over is lost")
    }));
    if !account.all {
        return found;
    }
    found.push(looked(facts.lock, of("lock"), |lock| bucket::lock(name, lock.as_deref())));
    found.push(looked(facts.encryption, of("encryption"), |kind| bucket::encryption(name, kind.as_deref())));
    found.push(looked(facts.closed, of("access"), |is| bucket::closed(name, is)));
    match survey.bucket_permissions(name, prefix).await {
        Ok(asked) => found.extend(permissions(&format!("bucket {name}"), asked)),
        Err(fault) => found.push(faulty(of("permissions"), &fault)),
    }
    found
}

/// Where Terraform keeps the state.
async fn states(account: &Account, region: &str) -> Vec<Check> {
    let (Some(backend), true) = (&account.backend, account.all) else { return Vec::new() };
    let (name, survey) = (&backend.bucket, &account.survey);
    let mut found = match survey.place(name).await {
        Ok(place) if place == region => {
            vec![Check::ok(format!("state {name}"), format!("the bucket is in {place}"))]
        }
        // Terraform has a region of its own for it.
        Ok(place) => {
            return vec![Check::ok(
                format!("state {name}"),
                format!("the bucket is in {place}; the rest is not looked at from {region}"),
            )];
        }
        Err(fault) => vec![hidden(format!("state {name}"), &fault)],
    };
    match survey.bucket(name).await {
        Ok(facts) => {
            let of = |what: &str| format!("state {name} {what}");
            let lost = "a state that a broken apply wrote cannot be put back";
            found.push(looked(facts.versions, of("versions"), |is| bucket::versions(name, is, lost)));
            found.push(looked(facts.encryption, of("encryption"), |kind| {
                bucket::encryption(name, kind.as_deref())
            }));
            found.push(looked(facts.closed, of("access"), |is| bucket::closed(name, is)));
        }
        Err(fault) => found.push(hidden(format!("state {name}"), &fault)),
    }
    found.push(match (&backend.table, backend.lockfile) {
        (Some(table), _) => match survey.table(table).await {
            Ok(facts) => table::locks(table, &facts),
            Err(fault) => hidden(format!("lock table {table}"), &fault),
        },
        (None, true) => Check::ok("state lock", format!("a file beside the state in {name}")),
        (None, false) => Check::failed(
            "state lock",
            format!("nothing locks the state in {name}: two applies at once destroy it"),
            "use_lockfile = true in the backend, then terraform init -reconfigure",
        ),
    });
    found
}

async fn documents(account: &Account) -> Vec<Check> {
    let (Some((document, hosts)), true) = (&account.document, account.all) else { return Vec::new() };
    let survey = &account.survey;
    let name = format!("document {document}");
    let mut found = vec![match survey.document(document).await {
        Ok(status) if status == "Active" => Check::ok(name, "there and active"),
        Ok(status) => Check::failed(
            name,
            format!("its state is {status}"),
            "wait until it is Active; aws ssm describe-document",
        ),
        Err(fault) if may_not_look(&fault) => unseen(name, &fault),
        Err(fault) => Check::failed(
            name,
            format!("{}: Systems Manager has no such document in this account and region", chain(&fault)),
            "the Terraform of the environment makes it (relman infra apply), and its outputs name it, unless access.ssm_document in relman.toml names another",
        ),
    }];
    for (host, instance) in hosts {
        let name = format!("agent of {host}");
        found.push(looked(survey.agent(instance).await, name.clone(), |ping| match ping.as_deref() {
            Some("Online") => Check::ok(name, format!("{instance} is online")),
            Some(other) => Check::failed(
                name,
                format!("{instance} is {other}"),
                "start the instance, or on it: sudo systemctl restart amazon-ssm-agent",
            ),
            None => Check::failed(
                name,
                format!("Systems Manager does not know {instance}"),
                "give the instance its agent, a way to the endpoints, and a role as infra/modules/host-role makes it: what the agent needs, and this service's parameters alone (AmazonSSMManagedInstanceCore opens all of them)",
            ),
        }));
    }
    found
}

/// One check for all that are allowed, and one for each that is not.
fn permissions(of: &str, asked: Vec<Permission>) -> Vec<Check> {
    let (mut allowed, mut found) = (Vec::new(), Vec::new());
    for Permission { action, result } in asked {
        match result {
            Ok(()) => allowed.push(action),
            Err(fault) => found.push(faulty(format!("{of} permissions"), &fault)),
        }
    }
    if !allowed.is_empty() {
        found.insert(0, Check::ok(format!("{of} permissions"), format!("allowed: {}", allowed.join(", "))));
    }
    found
}

/// Whether it is only the look that is not possible: not allowed, or no emulator does it.
fn may_not_look(fault: &Fault) -> bool {
    matches!(fault.kind, FaultKind::Denied | FaultKind::NotAws) || fault.is_not_implemented()
}

fn unseen(name: impl Into<String>, fault: &Fault) -> Check {
    let detail = match fault.kind {
        FaultKind::Denied => {
            format!("the permission {} is missing; a deploy does without", fault.permission())
        }
        _ => format!("{} is not answered at this endpoint", fault.action),
    };
    Check::new(name, State::NotChecked, detail)
}

/// What could not be looked at, and what is not there.
fn hidden(name: impl Into<String>, fault: &Fault) -> Check {
    if may_not_look(fault) { unseen(name, fault) } else { faulty(name, fault) }
}

fn looked<T>(said: Result<T, Fault>, name: impl Into<String>, judge: impl FnOnce(T) -> Check) -> Check {
    match said {
        Ok(said) => judge(said),
        Err(fault) => hidden(name, &fault),
    }
}

fn faulty(name: impl Into<String>, fault: &Fault) -> Check {
    Check::failed(name, chain(fault), fault.hints().join("; "))
}
