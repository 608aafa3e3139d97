//! `relman status`.
