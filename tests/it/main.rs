//! The one integration binary.

mod cli;
mod infra;
mod outside;
mod tidy;
