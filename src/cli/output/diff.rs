//! `relman diff` for people.
