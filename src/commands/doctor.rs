//! `relman doctor`.
