//! Values of options that are no domain types by themselves.

use std::time::Duration;

use clap::builder::RangedI64ValueParser;

use crate::config::check;
use crate::domain::id::HostName;
use crate::domain::target::Target;
use crate::domain::time::Timestamp;
use crate::host::wire::address::is_address;

/// `30s`, `15m`, `2h`, `7d`; `0`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let error = || format!("{text:?} is not a time such as 30s, 15m, 2h or 7d");
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().map_err(|_| error())?;
    let seconds = match unit {
        "" if number == 0 => 0,
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(error()),
    };
    // A year is as good as for ever, and no sum of times overflows.
    let total = number.checked_mul(seconds).filter(|total| *total <= 365 * 86_400).ok_or_else(error)?;
    Ok(Duration::from_secs(total))
}

/// A moment, or a time before now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// So long ago.
    Ago(Duration),
    /// A moment.
    At(Timestamp),
}

impl Since {
    /// The moment that is meant at `now`.
    pub fn moment(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(ago) => Timestamp::new(now.utc() - ago),
        }
    }
}

/// `12h`, `2026-01-31`, `2026-01-31T12:00:00Z`.
pub fn since(text: &str) -> Result<Since, String> {
    if let Ok(ago) = duration(text) {
        return Ok(Since::Ago(ago));
    }
    let day = Timestamp::try_from(format!("{text}T00:00:00Z"));
    day.or_else(|_| Timestamp::try_from(text.to_owned()))
        .map(Since::At)
        .map_err(|_| format!("{text:?} is neither a time such as 12h or 30d nor a date such as 2026-01-31"))
}

/// A host by its name, and where it is if the configuration does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostAt {
    /// Its name.
    pub name: HostName,
    /// Its address and port.
    pub at: Option<(String, u16)>,
}

/// `web-1`, `web-1=10.0.0.7`, `web-1=10.0.0.7:2222`, `web-1=[fd00::7]:22`.
pub fn host_at(text: &str) -> Result<HostAt, String> {
    let error = || format!("{text:?} is not a host such as web-1, web-1=10.0.0.7 or web-1=10.0.0.7:2222");
    let (name, at) = match text.split_once('=') {
        None => (text, None),
        Some((name, at)) => (name, Some(at)),
    };
    let name = name.parse().map_err(|_| error())?;
    let Some(at) = at else { return Ok(HostAt { name, at: None }) };
    let (address, port) = match at.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => (address, rest.strip_prefix(':')),
        None if at.matches(':').count() > 1 => (at, None),
        None => at.split_once(':').map_or((at, None), |(address, port)| (address, Some(port))),
    };
    let port = port.map_or(Ok(22), str::parse).ok().filter(|port| *port > 0).ok_or_else(error)?;
    if !is_address(address) {
        return Err(error());
    }
    Ok(HostAt { name, at: Some((address.to_owned(), port)) })
}

/// Where a ledger is, as `ledger.url` in the configuration.
pub fn ledger_url(text: &str) -> Result<String, String> {
    check::ledger_url(text).map_or_else(|| Ok(text.to_owned()), |fault| Err(format!("{text:?} {fault}")))
}

/// Where artifacts are, as `artifacts.url` in the configuration.
pub fn artifacts_url(text: &str) -> Result<String, String> {
    check::artifacts_url(text).map_or_else(|| Ok(text.to_owned()), |fault| Err(format!("{text:?} {fault}")))
}

/// `production#142`, `#142`, `142`.
pub fn deployment(text: &str) -> Result<Target, String> {
    let text = if text.bytes().all(|b| b.is_ascii_digit()) { format!("#{text}") } else { text.to_owned() };
    match text.parse() {
        Ok(target @ Target::Deployment { .. }) => Ok(target),
        _ => Err(format!("{text:?} is not a deployment such as production#142 or #142")),
    }
}

/// A deployment or a version.
pub fn deployment_or_version(text: &str) -> Result<Target, String> {
    match text.parse() {
        Ok(target @ Target::Version(_)) => Ok(target),
        _ => deployment(text).map_err(|_| {
            format!("{text:?} is neither a deployment (production#142, #142) nor a version (v1.4.2)")
        }),
    }
}

/// One line, not empty, that fits into an entry.
pub fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    match text {
        "" => Err("a reason says something".to_owned()),
        text if text.chars().any(|c| c.is_control() && c != '\n') => {
            Err("a reason holds no control characters".to_owned())
        }
        text if text.len() > 1_000 => Err("a reason has at most 1000 bytes".to_owned()),
        text => Ok(text.to_owned()),
    }
}

/// A time zone of the IANA database.
pub fn zone(text: &str) -> Result<chrono_tz::Tz, String> {
    text.parse().map_err(|_| format!("{text:?} is no time zone, such as \"Europe/Berlin\""))
}

/// The same as [`reason`], on one line: it is said to others.
pub fn short_reason(text: &str) -> Result<String, String> {
    let text = reason(text)?;
    let is_short = text.chars().count() <= 200 && !text.contains('\n');
    if is_short { Ok(text) } else { Err("such a reason is one line of at most 200 letters".to_owned()) }
}

/// A pre-release label.
pub fn label(text: &str) -> Result<String, String> {
    let good = (1..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if good { Ok(text.to_owned()) } else { Err("a label is 1 to 40 letters, digits and -".to_owned()) }
}

/// How many lines.
pub fn limit() -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=10_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_a_number_and_a_unit() {
        for (text, seconds) in [("0", 0), ("30s", 30), ("15m", 900), ("2h", 7_200), ("7d", 604_800)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in ["", "15", "m", "1.5h", "-1s", "1y", "99999999999999999999d", "366d"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn since_takes_dates_too() {
        let at = |text: &str| Since::At(Timestamp::try_from(text.to_owned()).unwrap());
        assert_eq!(since("2026-01-31"), Ok(at("2026-01-31T00:00:00Z")));
        assert_eq!(since("2026-01-31T10:00:00+01:00"), Ok(at("2026-01-31T09:00:00Z")));
        assert!(since("yesterday").is_err());
    }

    #[test]
    fn reasons_are_text() {
        assert_eq!(reason(" a b ").as_deref(), Ok("a b"));
        for bad in ["", "  ", "a\x1b[2J"] {
            assert!(reason(bad).is_err(), "{bad:?}");
        }
    }
}
