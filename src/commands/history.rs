//! `relman history`.
