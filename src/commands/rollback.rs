//! `relman rollback`.
