//! `relman history` for people.
