//! `relman releases`.
