//! `relman mark` for people.
