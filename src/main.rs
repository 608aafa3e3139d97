//! The `relman` command.
fn main() {}
