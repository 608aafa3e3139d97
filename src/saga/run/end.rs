//! How a deployment ends: on the way back nobody is told that a host is as before because an undo said that it
//! worked; every host is asked.

use std::collections::BTreeMap;

use super::{Run, Stop};
use crate::domain::deployment::{Outcome, Verdict};
use crate::domain::event::Event;
use crate::domain::id::HostName;
use crate::domain::plan::Plan;
use crate::host::Reply;
use crate::host::wire::Command;
use crate::saga::perform;
use crate::saga::state::{Progress, State};

impl Run<'_> {
    pub(super) async fn finish(&mut self, outcome: Outcome, verdict: Option<Verdict>) -> Result<(), Stop> {
        let deployment = self.driver.plan.deployment.number;
        let mut outcome = outcome;
        let mut message = self.driven.state.rolling_back.as_ref().map(|(cause, _)| cause.clone());
        if outcome == Outcome::Succeeded {
            let behind = behind(self.driver.plan, &self.driven.state);
            let lines: Vec<String> = behind.iter().map(|(host, why)| format!("{host}: {why}")).collect();
            message = (!lines.is_empty()).then(|| format!("stayed behind: {}", lines.join("; ")));
        }
        if outcome != Outcome::Succeeded && self.driven.state.touched_hosts(self.driver.plan) {
            self.check_return().await?;
            if !self.driven.not_returned.is_empty() {
                let left: Vec<String> =
                    self.driven.not_returned.iter().map(|(host, why)| format!("{host}: {why}")).collect();
                let cause = message.unwrap_or_default();
                message = Some(format!("{cause}; not as before: {}", left.join("; ")));
                if outcome == Outcome::RolledBack {
                    outcome = Outcome::RollbackFailed;
                }
            }
        }
        let message = message.map(|text| clip(&self.redact.text(&text)));
        self.append(Event::DeploymentFinished { deployment, outcome, message, verdict }).await
    }

    /// Asks every host whether it is as it was before. Nobody is told so because an undo said that it worked.
    async fn check_return(&mut self) -> Result<(), Stop> {
        let driver = self.driver;
        if !driver.fleet.sees() {
            return Ok(());
        }
        let task = perform::about(driver.plan, Command::Observe {});
        let plan = driver.plan;
        let departed = self.driven.state.departed(plan);
        // Nothing was begun on those that could not be asked in the first place, and some are there no more.
        let is_asked = |host: &&HostName| !plan.absent.contains_key(*host) && !departed.contains(*host);
        let hosts: Vec<HostName> = plan.hosts.iter().filter(is_asked).cloned().collect();
        let replies = self.guarded(driver.fleet.perform(&hosts, &task)).await?;
        let departed = self.departed(&hosts, &replies).await?;
        for Reply { host, result } in replies.replies {
            if departed.contains(&host) {
                self.driven.warnings.push(format!("{host} has left its group"));
                continue;
            }
            if let Err(why) = perform::returned(driver.plan, &host, &result) {
                self.driven.not_returned.insert(host, why);
            }
        }
        Ok(())
    }
}

/// The hosts that a deployment leaves behind, and why.
pub fn behind(plan: &Plan, state: &State) -> BTreeMap<HostName, String> {
    let mut behind = plan.absent.clone();
    for (host, index) in state.lagging(plan) {
        let why = match (plan.step(index), state.steps.get(index as usize).map(|at| &at.forward)) {
            (Some(step), Some(Progress::Failed(error))) => {
                format!("{} failed: {}", step.name(), error.message)
            }
            _ => "it was put back".to_owned(),
        };
        behind.insert(host, why);
    }
    behind
}

/// An entry is small; the whole story is in the artifacts.
fn clip(text: &str) -> String {
    text.chars().take(2_000).collect()
}
