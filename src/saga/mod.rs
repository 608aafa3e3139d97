//! A deployment from plan to outcome. [`state::next`] decides, [`run`] drives.

pub mod claim;
pub mod lease;
pub mod perform;
pub mod plan;
pub mod run;
pub mod state;
