//! Events in words, one short line each.

use super::super::output::Tone;
use super::paint;
use crate::domain::deployment::{Kind, Outcome};
use crate::domain::event::{Direction, Event, StepRef, Times};

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The host that it is about.
    pub host: Option<String>,
    /// The words.
    pub words: String,
    /// How they sound.
    pub tone: Tone,
}

impl Said {
    /// One line.
    pub fn text(&self, color: bool) -> String {
        let words = paint(color, self.tone, &self.words);
        match &self.host {
            Some(host) => format!("{host}: {words}"),
            None => words,
        }
    }
}

fn said(tone: Tone, words: String) -> Option<Said> {
    Some(Said { host: None, words, tone })
}

/// An event in words; none for what only `verbose` wants to hear.
pub fn of(event: &Event, verbose: bool) -> Option<Said> {
    match event {
        Event::LeaseAcquired { holder, stolen } => {
            let how = if *stolen { "took the deploy lock over" } else { "took the deploy lock" };
            (verbose || *stolen).then_some(())?;
            said(Tone::Dim, format!("{} {how}", holder.actor.name))
        }
        Event::LeaseReleased {} if verbose => said(Tone::Dim, "gave the deploy lock back".to_owned()),
        Event::LeaseReleased {} => None,
        Event::DeploymentStarted(started) => {
            let tag = started.release.version.tag();
            let what = match started.kind {
                Kind::Deploy => format!("deploy {tag}"),
                Kind::Rollback => format!("roll back to {tag}"),
                Kind::Redeploy => format!("deploy {tag} again"),
            };
            said(Tone::Strong, format!("#{} {what} to {} host(s)", started.deployment, started.hosts.len()))
        }
        Event::DeploymentPlanned { return_point, .. } => match return_point {
            Some(point) => said(Tone::Dim, format!("planned; return point {}", point.release.version.tag())),
            None => said(Tone::Dim, "planned; nothing serves yet".to_owned()),
        },
        Event::DeploymentSecrets { secrets, .. } => {
            let versions = secrets.iter().map(|one| (&one.name, &one.version));
            said(Tone::Dim, format!("secrets: {}", crate::secrets::listed(versions)))
        }
        Event::DeploymentResumed { deployment } => said(Tone::Plain, format!("#{deployment} goes on")),
        Event::StepStarted { step, .. } => on(step, Tone::Dim, format!("{} …", name(step))),
        Event::StepSucceeded { step, .. } => on(step, Tone::Good, format!("{} done", name(step))),
        Event::StepFailed { step, error, .. } => {
            on(step, Tone::Bad, format!("{} failed ({}): {}", name(step), error.code, error.message))
        }
        // The step that failed has just said why.
        Event::RollingBack { requested: None, .. } => said(Tone::Warn, "going back".to_owned()),
        Event::RollingBack { cause, .. } => said(Tone::Warn, format!("going back: {cause}")),
        Event::Committed { .. } => said(Tone::Dim, "past the point of return".to_owned()),
        Event::DeploymentFinished { deployment, outcome, message, .. } => {
            let tone = if *outcome == Outcome::Succeeded { Tone::Good } else { Tone::Bad };
            let why = message.as_ref().filter(|_| verbose).map(|message| format!(": {message}"));
            said(tone, format!("#{deployment} {outcome}{}", why.unwrap_or_default()))
        }
        Event::ApprovalRequested { deployment, rule } => {
            let eyes = if rule.four_eyes { ", not of whoever started it" } else { "" };
            said(Tone::Warn, format!("#{deployment} waits for {} approval(s){eyes}", rule.needed))
        }
        Event::ApprovalGiven { deployment, .. } => {
            said(Tone::Good, format!("#{deployment} is approved by one more"))
        }
        Event::VerdictMarked { version, verdict, .. } => {
            said(Tone::Plain, format!("{} is marked {verdict}", version.tag()))
        }
        Event::HoldSet { reason } => said(Tone::Warn, format!("on hold: {reason}")),
        Event::HoldLifted { .. } => said(Tone::Good, "the hold is lifted".to_owned()),
        Event::FreezeAdded(times) => {
            let Times { from, until, zone, reason } = times;
            said(Tone::Warn, format!("frozen from {from} until {until} {zone}: {reason}"))
        }
        Event::FreezeRemoved { freeze, .. } => said(Tone::Good, format!("freeze {freeze} is removed")),
        Event::InfraStarted(started) => {
            let (made, changed, gone) = (started.created, started.updated, started.deleted);
            let words = format!("infrastructure: {made} to create, {changed} to change, {gone} to delete …");
            said(if gone > 0 { Tone::Warn } else { Tone::Strong }, words)
        }
        Event::InfraApplied(applied) => {
            let state = applied.state.as_ref().map(|state| format!(", state serial {}", state.serial));
            let words =
                format!("infrastructure is as {} says{}", applied.location, state.unwrap_or_default());
            said(Tone::Good, words)
        }
        Event::InfraFailed(failed) => {
            let error = &failed.error;
            said(Tone::Bad, format!("infrastructure failed ({}): {}", error.code, error.message))
        }
        // Who came and who went has been said.
        Event::InfraHosts(_) => None,
        Event::VersionClaimed { version, commit } => {
            said(Tone::Plain, format!("{} belongs to {}", version.tag(), commit.short()))
        }
        Event::ReleaseBound(release) => {
            let id = &release.identity;
            said(Tone::Good, format!("{} is {}", id.version.tag(), id.digest.short()))
        }
        Event::ReleaseTagged { tags, conflicts, .. } => {
            let tone = if conflicts.is_empty() { Tone::Plain } else { Tone::Warn };
            let beside = match conflicts.as_slice() {
                [] => String::new(),
                conflicts => format!("; left alone, since they point elsewhere: {}", conflicts.join(", ")),
            };
            said(tone, format!("tagged {}{beside}", tags.join(", ")))
        }
        Event::LedgerMoved { to } => said(Tone::Plain, format!("goes on in ledger {to}")),
        Event::LedgerImported { from } => said(Tone::Plain, format!("came from ledger {from}")),
    }
}

fn name(step: &StepRef) -> String {
    match step.direction {
        Direction::Forward => step.name.clone(),
        Direction::Undo => format!("back: {}", step.name),
    }
}

fn on(step: &StepRef, tone: Tone, words: String) -> Option<Said> {
    Some(Said { host: step.host.as_ref().map(ToString::to_string), words, tone })
}
