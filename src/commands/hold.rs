//! `relman hold`.
