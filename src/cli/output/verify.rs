//! `relman verify` for people.
