//! How many hosts get the traffic shifted at once.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The size of a wave: a number of hosts, or a share of them. In text `3` or `25%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum WaveSize {
    /// This many; at least 1.
    Hosts(u32),
    /// This many of a hundred; from 1 to 100.
    Percent(u32),
}

/// It is neither.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither a number of hosts, such as \"2\", nor a share of them, such as \"25%\"")]
pub struct InvalidWaveSize(String);

impl WaveSize {
    /// Hosts in a wave, of so many. A share is rounded down, and never to none.
    pub fn of(self, hosts: usize) -> usize {
        match self {
            Self::Hosts(count) => count as usize,
            Self::Percent(percent) => (hosts * percent as usize / 100).max(1),
        }
    }
}

impl FromStr for WaveSize {
    type Err = InvalidWaveSize;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidWaveSize(text.chars().take(40).collect());
        let (digits, percent) = text.strip_suffix('%').map_or((text, false), |digits| (digits, true));
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let count: u32 = digits.parse().ok().filter(|_| plain).ok_or_else(invalid)?;
        match (percent, count) {
            (_, 0) => Err(invalid()),
            (true, 1..=100) => Ok(Self::Percent(count)),
            (true, _) => Err(invalid()),
            (false, _) => Ok(Self::Hosts(count)),
        }
    }
}

impl fmt::Display for WaveSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hosts(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl TryFrom<String> for WaveSize {
    type Error = InvalidWaveSize;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<WaveSize> for String {
    fn from(size: WaveSize) -> Self {
        size.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wave_has_at_least_one_host() {
        for (text, hosts, size) in
            [("1", 10, 1), ("3", 2, 3), ("25%", 10, 2), ("1%", 10, 1), ("100%", 3, 3), ("50%", 0, 1)]
        {
            let parsed: WaveSize = text.parse().unwrap();
            assert_eq!((parsed.of(hosts), parsed.to_string().as_str()), (size, text));
        }
        for text in ["", "0", "0%", "101%", "-1", "+1", "1.5", "%", "25 %", "x", "99999999999"] {
            assert!(text.parse::<WaveSize>().is_err(), "{text}");
        }
    }
}
