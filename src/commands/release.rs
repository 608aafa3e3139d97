//! `relman release`.
use super::{CommandError, Context, Supply, error::ErrorKind};
use crate::domain::release::ReleaseRef;
/// Args.
#[derive(Debug, Clone, Default)]
pub struct Args {}
/// Report.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Report {
    /// The release.
    pub release: Option<ReleaseRef>,
}
/// Releases.
///
/// # Errors
/// Always, for now.
pub async fn run(_: &Context, _: &Supply, _: Args) -> Result<Report, CommandError> {
    Err(CommandError::new(ErrorKind::Bug, "not built yet"))
}
