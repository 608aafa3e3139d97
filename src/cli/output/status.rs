//! `relman status` for people.
