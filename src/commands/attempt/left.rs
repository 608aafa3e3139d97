//! What somebody left behind: whether it can be gone on with, how far it was, and how it makes way for another.

use super::Attempt;
use crate::commands::CommandError;
use crate::commands::outcome;
use crate::domain::deployment::{Deployment, Outcome};
use crate::domain::event::Event;
use crate::domain::id::DeploymentId;
use crate::domain::plan::Plan;
use crate::saga::run::End;
use crate::saga::state::State;

impl Attempt<'_> {
    /// Whether its plan or run configuration is not in the artifact store any more, so that nobody can go on with it.
    pub(crate) async fn is_lost(&self, deployment: &Deployment) -> Result<bool, CommandError> {
        let Some(plan) = &deployment.plan else { return Ok(false) };
        let artifacts = &self.context.artifacts;
        Ok(!(artifacts.exists(plan).await? && artifacts.exists(&deployment.run).await?))
    }

    /// Makes way for another deployment: what was left is brought to an end, whatever it takes.
    pub(crate) async fn make_way(
        &self,
        deployment: &Deployment,
        for_rollback: bool,
    ) -> Result<(), CommandError> {
        let number = deployment.number;
        let id = DeploymentId { environment: self.site.name.clone(), number };
        self.context.progress.note(&format!(
            "{id} ({}) was left unfinished; it is brought to an end first",
            deployment.release.version.tag()
        ));
        let finish = |outcome, message: &str| Event::DeploymentFinished {
            deployment: number,
            outcome,
            message: Some(message.to_owned()),
            verdict: None,
        };
        if deployment.committed && for_rollback {
            // Its hosts are fenced and planned anew by the rollback; finishing it would only cost time.
            return self
                .append(finish(Outcome::Superseded, "a rollback took its place beyond its pivot"))
                .await;
        }
        if self.is_lost(deployment).await? {
            // Whoever comes next takes open shifts back, by what the hosts say.
            let outcome = match (deployment.committed, deployment.exposed) {
                (true, _) => Outcome::Superseded,
                (false, true) => Outcome::RollbackFailed,
                (false, false) => Outcome::Failed,
            };
            return self.append(finish(outcome, "its plan is lost; another deployment took its place")).await;
        }
        let cause = "another deployment takes its place";
        let done = self.take_over(deployment, Some((cause, Outcome::Superseded))).await?;
        match done.map(|done| done.driven.end) {
            None | Some(End::Finished(_)) => Ok(()),
            Some(End::Stuck(_)) if deployment.committed => {
                self.append(finish(Outcome::Superseded, "some hosts did not confirm; another took its place"))
                    .await
            }
            Some(End::Stuck(_)) => {
                self.append(finish(Outcome::RollbackFailed, "some hosts could not be brought back")).await
            }
            // It goes back, and nobody has to approve of that.
            Some(End::Waiting) => Err(outcome::waiting(&id, &deployment.release.version)),
            Some(End::Interrupted) => Err(outcome::interrupted(&id)),
            Some(End::TimedOut) => Err(outcome::timed_out(&id)),
        }
    }

    pub(super) async fn fold(&self, deployment: &Deployment, plan: &Plan) -> Result<State, CommandError> {
        const BATCH: u32 = 500;
        let mut state = State::new(plan);
        let mut after = deployment.first_seq - 1;
        loop {
            let entries = self.context.ledger.read(&self.stream, after, BATCH).await?;
            for sealed in &entries {
                if sealed.entry.event.deployment() == Some(deployment.number) {
                    state.apply(plan, &sealed.entry.event);
                }
            }
            match entries.last() {
                Some(last) if entries.len() as u32 == BATCH => after = last.entry.seq,
                _ => return Ok(state),
            }
        }
    }
}
