//! `relman doctor`: everything that a deployment will need, looked at side by side; every failure at once, each with
//! its fix. It changes nothing, except that a probe of a few bytes is put into the artifact store.

pub mod aws;
mod checks;
mod hosts;
mod infra;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::time::Duration;

use futures_util::join;
use serde::Serialize;

use super::error::{CommandError, chain};
use super::{Context, Infra, Site, Supply};

/// Longest time that one check may take.
const LIMIT: Duration = Duration::from_secs(60);

/// What the command line found out on this machine, since only it may look at files, commands and variables.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The configuration file that was read, or why it was not.
    pub config: Option<Result<String, String>>,
    /// Whether the file of the embedded ledger can be written.
    pub ledger_writable: Option<Result<(), String>>,
    /// What `ansible-playbook --version` says; none where no environment needs it.
    pub ansible: Option<Result<String, String>>,
    /// Where the directory with the roles is; none where no environment needs it.
    pub roles: Option<Result<String, String>>,
    /// Where the `relman-host` binary for the hosts is; none where no environment needs it.
    pub agent: Option<Result<String, String>>,
}

/// What could be set up. A part that could not is a failed check, and what needs it is not checked.
pub struct Parts {
    /// Ledger, artifacts, clock.
    pub context: Result<Context, CommandError>,
    /// The environment.
    pub site: Result<Site, CommandError>,
    /// What the environment's machines are made from, where relman knows.
    pub infra: Option<Infra>,
    /// Registry, engine, repository.
    pub supply: Result<Supply, CommandError>,
    /// What of it is in AWS.
    pub account: Option<aws::Account>,
    /// This machine.
    pub facts: Facts,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// In order.
    Ok,
    /// A deployment will work; it is worth a look.
    Warning,
    /// A deployment will fail.
    Failed,
    /// Not looked at: what it needs is missing.
    NotChecked,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at: `registry`, `host web-1`.
    pub name: String,
    /// How it ended.
    pub state: State,
    /// What was found.
    pub detail: String,
    /// What to do: a command or a sentence.
    pub fix: Option<String>,
}

impl Check {
    fn new(name: impl Into<String>, state: State, detail: impl Into<String>) -> Self {
        Self { name: name.into(), state, detail: detail.into(), fix: None }
    }

    fn ok(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(name, State::Ok, detail)
    }

    fn failed(name: impl Into<String>, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..Self::new(name, State::Failed, detail) }
    }

    fn warning(name: impl Into<String>, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..Self::new(name, State::Warning, detail) }
    }

    fn not_checked(name: impl Into<String>, needs: &str) -> Self {
        Self::new(name, State::NotChecked, format!("needs {needs}"))
    }
}

/// The answer: the JSON output as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Format of this report.
    pub schema: u32,
    /// Every check, in the order of a deployment.
    pub checks: Vec<Check>,
    /// Whether none failed: otherwise the exit code is 1.
    pub healthy: bool,
}

/// Looks at everything. Never fails: what cannot be looked at is a failed check.
pub async fn run(parts: Parts) -> Report {
    let Parts { context, site, infra, supply, account, facts } = &parts;
    let (context, site, supply) = (context.as_ref(), site.as_ref(), supply.as_ref());
    let (ledger, artifacts, engine, registry, each_host, terraform, account, secrets) = join!(
        limited("ledger", checks::ledger(context, site.ok(), facts)),
        limited("artifacts", checks::artifacts(context.ok())),
        limited("engine", checks::engine(supply.ok())),
        limited("registry", checks::registry(supply.ok())),
        limited("hosts", hosts::hosts(site)),
        limited("terraform", infra::terraform(infra.as_ref(), supply.ok(), account.as_ref())),
        limited("aws", aws::account(account.as_ref())),
        limited("secrets", checks::secrets(site.ok())),
    );
    let checks: Vec<Check> = [
        checks::config(facts),
        checks::git(supply),
        account,
        ledger,
        artifacts,
        engine,
        registry,
        checks::tools(facts),
        terraform,
        each_host,
        secrets,
    ]
    .into_iter()
    .flatten()
    .collect();
    let healthy = checks.iter().all(|check| check.state != State::Failed);
    Report { schema: 1, checks, healthy }
}

/// Boxed before it is joined with the others: side by side they would need more than the stack of a thread.
fn limited(name: &'static str, checks: impl Future<Output = Vec<Check>>) -> impl Future<Output = Vec<Check>> {
    let checks = Box::pin(checks);
    async move {
        tokio::time::timeout(LIMIT, checks).await.unwrap_or_else(|_| {
            let detail = format!("no answer within {} s", LIMIT.as_secs());
            vec![Check::failed(name, detail, "look at the network between this machine and it")]
        })
    }
}

fn failed(name: &str, error: &CommandError, fix: &str) -> Check {
    let fix = if error.hints.is_empty() { fix.to_owned() } else { error.hints.join("; ") };
    Check::failed(name, chain(error), fix)
}
