//! `relman mark`.
