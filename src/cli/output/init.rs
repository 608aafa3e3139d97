//! `relman init` for people.
