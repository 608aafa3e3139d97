//! `relman init`.
