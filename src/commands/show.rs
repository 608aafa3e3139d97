//! `relman show`.
