//! `relman deploy`, `rollback`, `resume` and `abort` for people.
