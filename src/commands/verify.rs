//! `relman verify`.
