//! `relman deploy`.
