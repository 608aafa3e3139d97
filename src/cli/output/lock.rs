//! `relman lock` for people.
