//! `relman release` for people.
