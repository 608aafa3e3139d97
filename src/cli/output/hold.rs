//! `relman hold` for people.
