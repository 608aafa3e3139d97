//! `relman release`.
