//! `relman abort`.
