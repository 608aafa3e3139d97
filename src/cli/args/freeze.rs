//! Arguments of `relman freeze`.

use std::time::Duration;

use chrono_tz::Tz;
use clap::{Args, Subcommand};

use super::values;
use crate::domain::freeze::Moment;

/// `relman freeze`.
#[derive(Debug, Subcommand)]
pub enum FreezeVerb {
    /// Add one to the ledger, for everybody at once
    #[command(after_help = "Examples:
  relman freeze add --for 3h --reason 'incident 42'
  relman freeze add --until '2026-12-01 09:00' --zone Europe/Berlin --reason 'the sale'
  relman freeze add --from 'Fri 16:00' --until 'Mon 08:00' --zone Europe/Berlin --reason 'weekend'

What is known for the year belongs into environments.NAME.freeze of relman.toml.")]
    Add(FreezeAdd),
    /// Those of the ledger and of relman.toml
    List,
    /// Remove one from the ledger
    Rm(FreezeRm),
}

/// `relman freeze add`.
#[derive(Debug, Args)]
pub struct FreezeAdd {
    /// When it begins: 'Fri 16:00' of each week, or '2026-12-20 00:00'; without it, now
    #[arg(long, value_name = "WHEN")]
    pub from: Option<Moment>,
    /// When it ends, in the same form
    #[arg(long, value_name = "WHEN", required_unless_present = "length")]
    pub until: Option<Moment>,
    /// How long it lasts from now on: 30m, 3h, 2d
    #[arg(long = "for", id = "length", value_name = "TIME", value_parser = values::duration, conflicts_with_all = ["from", "until"])]
    pub length: Option<Duration>,
    /// Whose clock is meant: Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = values::zone)]
    pub zone: Tz,
    /// Why; whoever is refused reads it
    #[arg(long, value_name = "TEXT", value_parser = values::short_reason)]
    pub reason: String,
}

/// `relman freeze rm`.
#[derive(Debug, Args)]
pub struct FreezeRm {
    /// The freeze, as `relman freeze list` shows it
    #[arg(value_name = "ID")]
    pub id: u64,
    /// Why, for the ledger
    #[arg(long, value_name = "TEXT", value_parser = values::reason)]
    pub reason: String,
}
