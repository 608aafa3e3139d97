//! Times in the calendar in which nothing is deployed: each week, or once, in the local time of a place.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike as _, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone as _};
use chrono::{Timelike as _, Utc, Weekday};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::event::Times;
use super::policy::Frozen;
use super::record::FreezeRecord;
use super::time::Timestamp;

const MINUTES_OF_DAY: u32 = 24 * 60;

/// A window. Its end does not belong to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// When it begins.
    pub from: Moment,
    /// When it ends.
    pub until: Moment,
    /// Whose clock is meant, by its name in the IANA time zone database; none: UTC.
    #[serde(default = "utc", with = "zone_name")]
    pub zone: Tz,
    /// Why.
    pub reason: String,
}

fn utc() -> Tz {
    Tz::UTC
}

mod zone_name {
    use chrono_tz::Tz;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(zone: &Tz, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(zone.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tz, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse()
            .map_err(|_| D::Error::custom(format!("{name:?} is no time zone, such as \"Europe/Berlin\"")))
    }
}

/// A point of a calendar, without a place: `Fri 16:00` of each week, or `2026-12-20 00:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Moment {
    /// Of each week.
    Weekly(Weekday, NaiveTime),
    /// Once.
    Once(NaiveDateTime),
}

/// It is neither.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is neither a time of the week, such as \"Fri 16:00\", nor one of a day, such as \"2026-12-20 00:00\""
)]
pub struct InvalidMoment(String);

impl FromStr for Moment {
    type Err = InvalidMoment;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidMoment(text.chars().take(40).collect());
        let (day, time) = text.split_once(' ').ok_or_else(invalid)?;
        let time = NaiveTime::parse_from_str(time, "%H:%M").map_err(|_| invalid())?;
        if let Ok(date) = NaiveDate::parse_from_str(day, "%Y-%m-%d") {
            return Ok(Self::Once(date.and_time(time)));
        }
        day.parse().map(|day| Self::Weekly(day, time)).map_err(|_| invalid())
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Weekly(day, time) => write!(f, "{day} {}", time.format("%H:%M")),
            Self::Once(at) => write!(f, "{}", at.format("%Y-%m-%d %H:%M")),
        }
    }
}

impl TryFrom<String> for Moment {
    type Error = InvalidMoment;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Moment> for String {
    fn from(moment: Moment) -> Self {
        moment.to_string()
    }
}

/// Why a window is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoWindow {
    /// One end is of each week, the other is not.
    #[error("begins each week and ends once, or the other way round")]
    Mixed,
    /// It ends when it begins, or before.
    #[error("does not end after it begins")]
    Empty,
}

impl Freeze {
    /// Whether it is a window at all.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self) -> Result<(), NoWindow> {
        match (self.from, self.until) {
            (Moment::Weekly(..), Moment::Weekly(..)) if self.from == self.until => Err(NoWindow::Empty),
            (Moment::Weekly(..), Moment::Weekly(..)) => Ok(()),
            (Moment::Once(from), Moment::Once(until)) if from < until => Ok(()),
            (Moment::Once(_), Moment::Once(_)) => Err(NoWindow::Empty),
            _ => Err(NoWindow::Mixed),
        }
    }

    /// Whether it is over for good.
    pub fn is_over(&self, now: Timestamp) -> bool {
        matches!(self.until, Moment::Once(until) if self.instant(until) <= now.utc())
    }

    /// When the window ends that a moment lies in; none where it lies in none.
    pub fn end_at(&self, now: Timestamp) -> Option<Timestamp> {
        let local = now.utc().with_timezone(&self.zone);
        match (self.from, self.until) {
            (Moment::Once(from), Moment::Once(until)) => {
                let (from, until) = (self.instant(from), self.instant(until));
                (from <= now.utc() && now.utc() < until).then(|| Timestamp::new(until))
            }
            (Moment::Weekly(day, time), Moment::Weekly(end_day, end_time)) => {
                let (from, until) = (of_week(day, time), of_week(end_day, end_time));
                let here = of_week(local.weekday(), local.time());
                let inside =
                    if from < until { from <= here && here < until } else { from <= here || here < until };
                if !inside {
                    return None;
                }
                let days = (until / MINUTES_OF_DAY + 7 - here / MINUTES_OF_DAY) % 7;
                // On the weekday of its end and past it: it ends in a week.
                let days = u64::from(if days == 0 && here >= until { 7 } else { days });
                let date = local.date_naive().checked_add_days(Days::new(days))?;
                let end = date.and_time(end_time);
                // Where the clock is put back, the time of its end comes twice.
                let second = self.zone.from_local_datetime(&end).latest().map(|at| at.with_timezone(&Utc));
                let end = Some(self.instant(end)).filter(|end| *end > now.utc()).or(second);
                end.map(Timestamp::new)
            }
            _ => None,
        }
    }

    /// The first moment at which the local clock shows this, or would have where it was put forward.
    fn instant(&self, local: NaiveDateTime) -> DateTime<Utc> {
        let found = self.zone.from_local_datetime(&local).earliest();
        let found =
            found.or_else(|| self.zone.from_local_datetime(&(local + TimeDelta::hours(1))).earliest());
        found.map_or_else(|| local.and_utc(), |at| at.with_timezone(&Utc))
    }
}

/// Minutes since Monday began.
fn of_week(day: Weekday, time: NaiveTime) -> u32 {
    day.num_days_from_monday() * MINUTES_OF_DAY + time.hour() * 60 + time.minute()
}

impl From<&Freeze> for Times {
    fn from(window: &Freeze) -> Self {
        Self {
            from: window.from.to_string(),
            until: window.until.to_string(),
            zone: window.zone.name().to_owned(),
            reason: window.reason.clone(),
        }
    }
}

impl FreezeRecord {
    /// The window; none where this relman cannot read it.
    pub fn window(&self) -> Option<Freeze> {
        let Times { from, until, zone, reason } = &self.times;
        let window = Freeze {
            from: from.parse().ok()?,
            until: until.parse().ok()?,
            zone: zone.parse().ok()?,
            reason: reason.clone(),
        };
        window.check().is_ok().then_some(window)
    }

    /// When it ends, if a moment lies in it. What cannot be read may be in force: it is asked for again in an hour.
    pub fn end_at(&self, now: Timestamp) -> Option<Timestamp> {
        match self.window() {
            Some(window) => window.end_at(now),
            None => Some(Timestamp::new(now.utc() + TimeDelta::hours(1))),
        }
    }
}

/// The freeze that a moment lies in, of the configuration or of the ledger: of several, the one that ends last. When
/// one was added does not matter: whoever added it may have another clock.
pub fn in_force(windows: &[Freeze], recorded: &[FreezeRecord], now: Timestamp) -> Option<Frozen> {
    let configured = windows.iter().filter_map(|window| {
        let (reason, until) = (window.reason.clone(), window.end_at(now)?);
        Some(Frozen { reason, until, id: None, by: None })
    });
    let recorded = recorded.iter().filter_map(|one| {
        let (reason, until) = (one.times.reason.clone(), one.end_at(now)?);
        Some(Frozen { reason, until, id: Some(one.id), by: Some(one.actor.name.clone()) })
    });
    configured.chain(recorded).max_by_key(|frozen| frozen.until)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::actor::{Actor, ActorSource};

    fn freeze(from: &str, until: &str, zone: &str) -> Freeze {
        Freeze {
            from: from.parse().unwrap(),
            until: until.parse().unwrap(),
            zone: zone.parse().unwrap(),
            reason: "weekend".to_owned(),
        }
    }

    fn at(text: &str) -> Timestamp {
        text.to_owned().try_into().unwrap()
    }

    #[test]
    fn windows_hold_in_the_local_time_of_their_place() {
        // 2026-11-27 is a Friday. Berlin is UTC+1 in winter and UTC+2 in summer.
        let table = [
            ("Fri 16:00", "Mon 08:00", "Europe/Berlin", "2026-11-27T14:59:59Z", None),
            ("Fri 16:00", "Mon 08:00", "Europe/Berlin", "2026-11-27T15:00:00Z", Some("2026-11-30T07:00:00Z")),
            ("Fri 16:00", "Mon 08:00", "Europe/Berlin", "2026-11-30T06:59:59Z", Some("2026-11-30T07:00:00Z")),
            ("Fri 16:00", "Mon 08:00", "Europe/Berlin", "2026-11-30T07:00:00Z", None),
            // The clock is put back on 2026-10-25 and forward on 2026-03-29, within the window.
            ("Fri 16:00", "Mon 08:00", "Europe/Berlin", "2026-10-23T14:00:00Z", Some("2026-10-26T07:00:00Z")),
            ("Fri 16:00", "Mon 08:00", "Europe/Berlin", "2026-03-27T15:00:00Z", Some("2026-03-30T06:00:00Z")),
            // It ends at a time that the clock leaves out: an hour later.
            ("Sat 00:00", "Sun 02:30", "Europe/Berlin", "2026-03-28T12:00:00Z", Some("2026-03-29T01:30:00Z")),
            ("Mon 09:00", "Mon 17:00", "UTC", "2026-11-30T12:00:00Z", Some("2026-11-30T17:00:00Z")),
            ("Mon 09:00", "Mon 17:00", "UTC", "2026-11-30T17:00:00Z", None),
            // All week but Monday from nine to five.
            ("Mon 17:00", "Mon 09:00", "UTC", "2026-11-30T17:00:00Z", Some("2026-12-07T09:00:00Z")),
            ("Mon 17:00", "Mon 09:00", "UTC", "2026-11-30T08:59:00Z", Some("2026-11-30T09:00:00Z")),
            ("Mon 17:00", "Mon 09:00", "UTC", "2026-12-03T00:00:00Z", Some("2026-12-07T09:00:00Z")),
            ("2026-12-20 00:00", "2027-01-02 08:00", "America/New_York", "2026-12-20T04:59:59Z", None),
            (
                "2026-12-20 00:00",
                "2027-01-02 08:00",
                "America/New_York",
                "2026-12-20T05:00:00Z",
                Some("2027-01-02T13:00:00Z"),
            ),
        ];
        for (from, until, zone, now, end) in table {
            let found = freeze(from, until, zone).end_at(at(now));
            assert_eq!(found, end.map(at), "{from} to {until} {zone}, at {now}");
        }
    }

    #[test]
    fn what_is_no_window_is_told() {
        for (from, until, expected) in [
            ("Fri 16:00", "2026-12-20 00:00", NoWindow::Mixed),
            ("Fri 16:00", "Fri 16:00", NoWindow::Empty),
            ("2026-12-20 00:00", "2026-12-20 00:00", NoWindow::Empty),
            ("2026-12-20 00:00", "2025-12-20 00:00", NoWindow::Empty),
        ] {
            assert_eq!(freeze(from, until, "UTC").check(), Err(expected), "{from} {until}");
        }
        for text in ["", "Fri", "Fri 25:00", "Freitag 16:00", "2026-13-01 00:00", "16:00"] {
            assert!(text.parse::<Moment>().is_err(), "{text:?}");
        }
        for text in ["Fri 16:00", "2026-12-20 00:00"] {
            assert_eq!(text.parse::<Moment>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn of_several_windows_the_one_that_ends_last_counts() {
        let windows =
            [freeze("Fri 16:00", "Mon 08:00", "UTC"), freeze("2026-11-27 00:00", "2026-12-02 00:00", "UTC")];
        let until = |recorded: &[FreezeRecord], now: &str| {
            in_force(&windows, recorded, at(now)).map(|frozen| (frozen.id, frozen.until.to_string()))
        };
        let day = "2026-11-28T00:00:00Z";
        assert_eq!(until(&[], day), Some((None, "2026-12-02T00:00:00.000Z".to_owned())));
        assert_eq!(until(&[], "2026-12-03T00:00:00Z"), None);
        let recorded = |times: &Times| FreezeRecord {
            id: 7,
            times: times.clone(),
            actor: Actor { name: "ada".to_owned(), source: ActorSource::Os, run_url: None },
            since: at("2026-11-27T12:00:00Z"),
        };
        let long = Times::from(&freeze("2026-11-27 00:00", "2026-12-24 00:00", "Europe/Berlin"));
        let end = Some((Some(7), "2026-12-23T23:00:00.000Z".to_owned()));
        assert_eq!(until(&[recorded(&long)], day), end);
        assert_eq!(until(&[recorded(&long)], "2026-11-27T11:59:59Z"), end, "also by a clock that is late");
        assert_eq!(
            recorded(&long).window(),
            Some(freeze("2026-11-27 00:00", "2026-12-24 00:00", "Europe/Berlin"))
        );
        // Of a newer relman, or of a newer world: nothing is deployed by mistake.
        for times in [
            Times { zone: "Mars/Olympus".to_owned(), ..long.clone() },
            Times { until: "full moon".to_owned(), ..long.clone() },
            Times { until: "Fri 16:00".to_owned(), ..long },
        ] {
            assert_eq!(recorded(&times).window(), None);
            let now = "2027-03-03T00:00:00Z";
            assert_eq!(
                until(&[recorded(&times)], now),
                Some((Some(7), "2027-03-03T01:00:00.000Z".to_owned()))
            );
        }
    }

    proptest::proptest! {
        /// A moment lies in a window exactly until the end that is told, and then no more.
        #[test]
        fn the_end_that_is_told_is_the_end(
            from in 0u32..7 * MINUTES_OF_DAY, length in 1u32..7 * MINUTES_OF_DAY - 1, minute in 0i64..60 * 24 * 365,
            zone in proptest::sample::select(vec![Tz::UTC, Tz::Europe__Berlin, Tz::America__New_York, Tz::Asia__Kolkata]),
        ) {
            let moment = |minutes: u32| {
                let minutes = minutes % (7 * MINUTES_OF_DAY);
                let day = Weekday::try_from(u8::try_from(minutes / MINUTES_OF_DAY).unwrap()).unwrap();
                let minutes = minutes % MINUTES_OF_DAY;
                Moment::Weekly(day, NaiveTime::from_hms_opt(minutes / 60, minutes % 60, 0).unwrap())
            };
            let window = Freeze {
                from: moment(from), until: moment(from + length), zone, reason: String::new(),
            };
            let now = Timestamp::from_millis(1_767_225_600_000 + minute * 60_000).unwrap();
            if let Some(end) = window.end_at(now) {
                proptest::prop_assert!(end > now, "{window:?} {now} {end}");
                proptest::prop_assert!(end.seconds_since(now) <= 7 * 86_400 + 3_600);
            }
        }
    }
}
