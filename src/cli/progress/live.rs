//! A line per host that is redrawn in place, for a terminal.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::super::output::Tone;
use super::{paint, words};
use crate::domain::entry::Entry;
use crate::domain::event::Event;
use crate::progress::Progress;

/// Redraws a second; more is only flicker.
const RATE: u8 = 12;

/// The lines of a deployment.
pub(super) struct Live {
    lines: MultiProgress,
    hosts: Mutex<BTreeMap<String, ProgressBar>>,
    color: bool,
    verbose: bool,
}

impl Live {
    pub(super) fn new(color: bool, verbose: bool) -> Self {
        Self {
            lines: MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(RATE)),
            hosts: Mutex::default(),
            color,
            verbose,
        }
    }

    /// A line that stays, above those that move.
    fn say(&self, text: &str) {
        if self.lines.println(text).is_err() || self.lines.is_hidden() {
            super::line(text);
        }
    }

    fn of_host(&self, host: &str) -> ProgressBar {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let bar = self.lines.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}  {msg}  {elapsed}") {
                bar.set_style(style);
            }
            bar.set_prefix(host.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        };
        hosts.entry(host.to_owned()).or_insert_with(make).clone()
    }

    /// The moving lines go; what was said stays.
    fn clear(&self) {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        for bar in std::mem::take(&mut *hosts).into_values() {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Live {
    fn entry(&self, entry: &Entry) {
        if matches!(entry.event, Event::DeploymentFinished { .. } | Event::ReleaseBound(_)) {
            self.clear();
        }
        let Some(said) = words::of(&entry.event, self.verbose) else { return };
        match &said.host {
            None => self.say(&said.text(self.color)),
            Some(host) => {
                let bar = self.of_host(host);
                if matches!(entry.event, Event::StepStarted { .. }) {
                    bar.reset_elapsed();
                }
                // What failed must not be overdrawn by what comes next.
                if said.tone == Tone::Bad {
                    self.say(&said.text(self.color));
                }
                bar.set_message(paint(self.color, said.tone, said.words.lines().next().unwrap_or_default()));
            }
        }
    }

    fn note(&self, text: &str) {
        self.say(&paint(self.color, Tone::Dim, text));
    }

    fn output(&self, text: &str) {
        if self.verbose {
            self.say(&paint(self.color, Tone::Dim, text));
        } else {
            self.of_host("build").set_message(paint(self.color, Tone::Dim, text));
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.clear();
    }
}
