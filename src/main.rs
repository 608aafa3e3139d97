//! The `relman` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    relman::cli::main()
}
