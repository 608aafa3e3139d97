//! What a running command tells while it runs: the entries it appends, and notes. The commands and the saga emit;
//! `cli/progress.rs` shows.

use crate::domain::entry::Entry;

/// A listener.
pub trait Progress: Send + Sync {
    /// An entry was appended.
    fn entry(&self, entry: &Entry);
    /// Something worth a line that is no entry: what is waited for, what was skipped and why.
    fn note(&self, text: &str);
    /// A line of somebody else's output, such as an image build: of interest to whoever asks for it.
    fn output(&self, line: &str);
}

/// Says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn entry(&self, _: &Entry) {}
    fn note(&self, _: &str) {}
    fn output(&self, _: &str) {}
}
