//! The image port: builds and pushes.

pub mod docker;
