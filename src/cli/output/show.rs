//! `relman show` for people.
