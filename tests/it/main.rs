//! The one integration binary.

mod boundary;
mod cli;
mod infra;
mod outside;
mod tidy;
