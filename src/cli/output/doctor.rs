//! `relman doctor` for people.
