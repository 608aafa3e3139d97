//! `relman releases` for people.
