//! `relman resume`.
