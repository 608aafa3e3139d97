//! Points in time as the ledger writes them: UTC, milliseconds, one form. They inform people; order is the
//! sequence number of an entry.

use std::fmt;

use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};

/// A moment in UTC with millisecond precision, written `2026-01-02T03:04:05.678Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(DateTime<Utc>);

/// Why a text is not a timestamp.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("time {0:?} is not an RFC 3339 time")]
pub struct TimestampError(String);

impl Timestamp {
    /// The moment, cut to milliseconds.
    pub fn new(at: DateTime<Utc>) -> Self {
        Self(at.trunc_subsecs(3))
    }

    /// The moment of this many milliseconds after 1970-01-01.
    pub fn from_millis(millis: i64) -> Option<Self> {
        DateTime::from_timestamp_millis(millis).map(Self)
    }

    /// As chrono knows it.
    pub fn utc(self) -> DateTime<Utc> {
        self.0
    }

    /// Whole seconds from `earlier` to here; negative when a clock was turned back.
    pub fn seconds_since(self, earlier: Timestamp) -> i64 {
        (self.0 - earlier.0).num_seconds()
    }
}

impl TryFrom<String> for Timestamp {
    type Error = TimestampError;
    fn try_from(text: String) -> Result<Self, TimestampError> {
        match DateTime::parse_from_rfc3339(&text) {
            Ok(at) => Ok(Self::new(at.with_timezone(&Utc))),
            Err(_) => Err(TimestampError(text.chars().take(60).collect())),
        }
    }
}

impl From<Timestamp> for String {
    fn from(at: Timestamp) -> String {
        at.to_string()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%Y-%m-%dT%H:%M:%S%.3fZ"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form_whatever_the_precision() {
        for (given, shown) in [
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000Z"),
            ("2026-01-02T04:04:05.6789+01:00", "2026-01-02T03:04:05.678Z"),
        ] {
            assert_eq!(Timestamp::try_from(given.to_owned()).unwrap().to_string(), shown);
        }
        assert!(Timestamp::try_from("yesterday".to_owned()).is_err());
    }
}
