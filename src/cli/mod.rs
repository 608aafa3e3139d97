//! The command line: arguments in, tables and JSON out, exit codes. Nothing else prints or reads the environment.

pub mod args;
pub mod error;
pub mod exit;
pub mod output;
