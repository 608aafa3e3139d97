//! The `relman-host` command.
fn main() {}
