//! The one integration binary.

mod cli;
mod infra;
mod tidy;
