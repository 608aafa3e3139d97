//! How a deployment ends: on the way back nobody is told that a host is as before because an undo said that it
//! worked; every host is asked.

use super::{Run, Stop};
use crate::domain::deployment::{Outcome, Verdict};
use crate::domain::event::Event;
use crate::host::Reply;
use crate::host::wire::Command;
use crate::saga::perform;

impl Run<'_> {
    pub(super) async fn finish(&mut self, outcome: Outcome, verdict: Option<Verdict>) -> Result<(), Stop> {
        let deployment = self.driver.plan.deployment.number;
        let mut outcome = outcome;
        let mut message = self.driven.state.rolling_back.as_ref().map(|(cause, _)| cause.clone());
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
        let replies = self.guarded(driver.fleet.perform(&driver.plan.hosts, &task)).await?;
        for Reply { host, result } in replies.replies {
            if let Err(why) = perform::returned(driver.plan, &host, &result) {
                self.driven.not_returned.insert(host, why);
            }
        }
        Ok(())
    }
}

/// An entry is small; the whole story is in the artifacts.
fn clip(text: &str) -> String {
    text.chars().take(2_000).collect()
}
