//! `relman diff`.
