//! The checks, in the order in which a deployment needs what they look at.

use std::collections::BTreeMap;

use super::{Check, CommandError, Context, Facts, Site, Supply, chain, failed};
use crate::artifact::ArtifactError;
use crate::aws::Fault;
use crate::domain::id::Stream;
use crate::domain::time::Timestamp;
use crate::ledger::LedgerError;
use crate::registry::RegistryError;
use crate::secrets::listed;

/// ansible-core that the roles are written for.
const ANSIBLE: (u32, u32) = (2, 15);
/// Seconds by which two clocks may differ without a word.
const SKEW: i64 = 60;

pub(super) fn config(facts: &Facts) -> Vec<Check> {
    match &facts.config {
        Some(Ok(path)) => vec![Check::ok("configuration", path)],
        Some(Err(why)) => vec![Check::failed("configuration", why, "correct relman.toml")],
        None => vec![Check::failed("configuration", "there is no relman.toml", "relman init")],
    }
}

pub(super) fn git(supply: Result<&Supply, &CommandError>) -> Vec<Check> {
    let supply = match supply {
        Ok(supply) => supply,
        Err(error) => return vec![failed("release", error, "correct [image] of relman.toml")],
    };
    let Some(repository) = &supply.repository else {
        let fix = "run relman in a clone of the service's repository, or deploy releases that exist";
        return vec![Check::warning("git", "this is no git repository: nothing can be released here", fix)];
    };
    let head = match repository.head() {
        Ok(head) => head,
        Err(error) => return vec![Check::failed("git", chain(&error), "git commit")],
    };
    let branch = head.branch.as_deref().unwrap_or("no branch");
    let place = format!("{} on {branch}", head.commit.short());
    vec![match (head.dirty.first(), head.shallow) {
        (Some(path), _) => Check::warning(
            "git",
            format!("{place}, with changes that are not committed: {path} and {} more", head.dirty.len() - 1),
            "git commit or git stash; only what is committed can be released",
        ),
        (None, true) => Check::warning(
            "git",
            format!("{place}, in a clone with cut history"),
            "git fetch --unshallow; in a workflow, fetch-depth: 0",
        ),
        (None, false) => Check::ok("git", format!("{place}, nothing uncommitted")),
    }]
}

pub(super) async fn ledger(
    context: Result<&Context, &CommandError>,
    site: Option<&Site>,
    facts: &Facts,
) -> Vec<Check> {
    let context = match context {
        Ok(context) => context,
        Err(error) => return vec![failed("ledger", error, "correct [ledger] of relman.toml")],
    };
    let location = context.ledger.location();
    let mut streams = vec![Stream::releases(&context.service)];
    streams.extend(site.map(|site| context.stream(&site.name)));
    let mut found = Vec::new();
    match heads(context, &streams).await {
        Ok((entries, latest)) => {
            found.push(Check::ok("ledger", format!("{location}, {entries} entries, the last ones verify")));
            found.push(clock(context.clock.now(), latest));
        }
        Err(error) => {
            let fix = "relman verify shows every bad place; put back a backup of the ledger that verifies";
            found.push(match error {
                LedgerError::Unavailable { ref source, .. } if source.is::<Fault>() => {
                    failed("ledger", &error.into(), fix)
                }
                error => Check::failed("ledger", chain(&error), fix),
            });
        }
    }
    if let Some(Err(why)) = &facts.ledger_writable {
        let fix = "give this user the right to write the ledger's directory";
        found.push(Check::failed("ledger", format!("{location} cannot be written: {why}"), fix));
    }
    found
}

/// Opens the last entry of each stream; how many entries there are, and the youngest time in them.
async fn heads(context: &Context, streams: &[Stream]) -> Result<(u64, Option<Timestamp>), LedgerError> {
    let (mut entries, mut latest) = (0, None);
    for stream in streams {
        let head = context.ledger.head(stream).await?;
        entries += head.seq;
        if head.seq == 0 {
            continue;
        }
        let last = context.ledger.read(stream, head.seq - 1, 1).await?;
        match last.first() {
            Some(sealed) if sealed.hash == head.hash => latest = latest.max(Some(sealed.entry.at)),
            _ => {
                return Err(LedgerError::Unusable {
                    location: context.ledger.location(),
                    reason: format!("the head of {stream} is not its last entry"),
                });
            }
        }
    }
    Ok((entries, latest))
}

/// Order never depends on the clock; what people read does.
pub(super) fn clock(now: Timestamp, latest: Option<Timestamp>) -> Check {
    match latest {
        Some(latest) if latest.seconds_since(now) > SKEW => Check::warning(
            "clock",
            format!("it is {now} here, and the ledger's last entry is from {latest}"),
            "set this machine's clock (timedatectl set-ntp true)",
        ),
        _ => Check::ok("clock", now.to_string()),
    }
}

pub(super) async fn artifacts(context: Option<&Context>) -> Vec<Check> {
    let Some(context) = context else { return vec![Check::not_checked("artifacts", "the ledger")] };
    let probe = b"relman doctor was here\n";
    let there_and_back = async {
        let digest = context.artifacts.put(probe).await?;
        context.artifacts.get(&digest).await
    };
    vec![match there_and_back.await {
        Ok(_) => Check::ok("artifacts", context.artifacts.location()),
        Err(error) => {
            let fix = "make the place of [artifacts] writable for this user";
            match error {
                // AWS says why, and so what to do.
                ArtifactError::Unavailable { ref source, .. } if source.is::<Fault>() => {
                    failed("artifacts", &error.into(), fix)
                }
                error => Check::failed("artifacts", chain(&error), fix),
            }
        }
    }]
}

pub(super) async fn engine(supply: Option<&Supply>) -> Vec<Check> {
    let Some(supply) = supply else { return vec![Check::not_checked("engine", "the configuration")] };
    vec![match supply.builder.engine().await {
        Ok(engine) => Check::ok("engine", engine),
        Err(error) => Check::failed(
            "engine",
            chain(&error),
            "start Docker, or set DOCKER_HOST; this user must be allowed to use it",
        ),
    }]
}

pub(super) async fn registry(supply: Option<&Supply>) -> Vec<Check> {
    let Some(supply) = supply else { return vec![Check::not_checked("registry", "the configuration")] };
    let repository = &supply.image.repository;
    let login = || format!("docker login {}", repository.split('/').next().unwrap_or_default());
    vec![match supply.registry.resolve(repository, "latest").await {
        Ok(Some(_)) => Check::ok("registry", format!("{repository} can be read")),
        Ok(None) => Check::ok(
            "registry",
            format!("it answers; {repository} has no image yet, and only a push shows whether it takes one"),
        ),
        Err(error @ RegistryError::Denied { .. }) => Check::failed("registry", chain(&error), login()),
        Err(error @ RegistryError::Repository(_)) => {
            Check::failed("registry", chain(&error), "correct image.repository in relman.toml")
        }
        Err(error) => {
            Check::failed("registry", chain(&error), "see whether this machine reaches the registry")
        }
    }]
}

pub(super) fn tools(facts: &Facts) -> Vec<Check> {
    let mut found = Vec::new();
    if let Some(ansible) = &facts.ansible {
        found.push(self::ansible(ansible));
    }
    if let Some(roles) = &facts.roles {
        found.push(match roles {
            Ok(place) => Check::ok("roles", place),
            Err(why) => Check::failed("roles", why, "relman init writes them; ansible.directory names them"),
        });
    }
    if let Some(agent) = &facts.agent {
        found.push(match agent {
            Ok(place) => Check::ok("relman-host", place),
            Err(why) => Check::failed("relman-host", why, "put the relman-host binary beside relman"),
        });
    }
    found
}

fn ansible(version: &Result<String, String>) -> Check {
    let fix = "pip install --user ansible-core";
    let text = match version {
        Ok(text) => text.lines().next().unwrap_or_default(),
        Err(why) => return Check::failed("ansible", why, fix),
    };
    match core_version(text) {
        Some(version) if version < ANSIBLE => {
            Check::failed("ansible", format!("{text} is older than {}.{}", ANSIBLE.0, ANSIBLE.1), fix)
        }
        Some(_) => Check::ok("ansible", text),
        None => Check::warning("ansible", format!("{text:?} tells no version"), fix),
    }
}

/// Major and minor of `ansible-playbook [core 2.19.1]`, or of a bare `2.19.1`.
pub(super) fn core_version(text: &str) -> Option<(u32, u32)> {
    let number = text.split(|c: char| !c.is_ascii_digit() && c != '.').find(|part| part.contains('.'))?;
    let mut parts = number.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

/// Each reference by itself, so that every one that leads nowhere is named. The values are dropped at once.
pub(super) async fn secrets(site: Option<&Site>) -> Vec<Check> {
    let Some(site) = site else { return vec![Check::not_checked("secrets", "the environment")] };
    let (mut failures, mut versions) = (Vec::new(), BTreeMap::new());
    for (name, reference) in &site.run.secrets {
        let one = [(name.clone(), reference.clone())].into();
        match site.secrets.resolve(&one).await {
            Ok(found) => versions.extend(found.versions),
            Err(error) => failures.push(failed(
                "secrets",
                &error.into(),
                "set the variable or write the file on this machine",
            )),
        }
    }
    if !failures.is_empty() {
        return failures;
    }
    let count = site.run.secrets.len();
    vec![Check::ok(
        "secrets",
        match versions.is_empty() {
            true => format!("{count} can be resolved"),
            false => format!("{count} can be resolved; versions of now: {}", listed(&versions)),
        },
    )]
}
