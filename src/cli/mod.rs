//! The command line: arguments in, tables and JSON out, exit codes. Nothing else prints or reads the environment.
