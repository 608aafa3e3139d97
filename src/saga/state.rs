//! From entries to the one decision: what next. Pure.
