//! Spans of days that people name: today, last week, the last seven days.

use std::ops::Range;

use jiff::ToSpan;
use jiff::civil::Date;

use crate::Timestamp;

/// The most days that [`DateRange::LastDays`] reaches back.
const MAX_LAST_DAYS: u32 = 3650;

/// A span of whole days in UTC. Weeks begin on Monday.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DateRange {
    /// The day before today.
    Yesterday,
    /// Today.
    Today,
    /// The day after today.
    Tomorrow,
    /// The week before this one.
    LastWeek,
    /// The week that today is in.
    ThisWeek,
    /// The week after this one.
    NextWeek,
    /// The month before this one.
    LastMonth,
    /// The month that today is in.
    ThisMonth,
    /// The month after this one.
    NextMonth,
    /// So many days before today, and today.
    LastDays(u32),
}

impl DateRange {
    /// The names of all but the last, which is `last_N_days`.
    pub const NAMES: &[&str] = &[
        "yesterday",
        "today",
        "tomorrow",
        "last_week",
        "this_week",
        "next_week",
        "last_month",
        "this_month",
        "next_month",
    ];

    /// Finds one by its name; for `last_N_days`, N is 1 to 3650.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "yesterday" => Self::Yesterday,
            "today" => Self::Today,
            "tomorrow" => Self::Tomorrow,
            "last_week" => Self::LastWeek,
            "this_week" => Self::ThisWeek,
            "next_week" => Self::NextWeek,
            "last_month" => Self::LastMonth,
            "this_month" => Self::ThisMonth,
            "next_month" => Self::NextMonth,
            other => {
                let days = other.strip_prefix("last_")?.strip_suffix("_days")?;
                if !days.bytes().all(|b| b.is_ascii_digit()) {
                    return None;
                }
                let days = days
                    .parse()
                    .ok()
                    .filter(|n| (1..=MAX_LAST_DAYS).contains(n))?;
                Self::LastDays(days)
            }
        })
    }

    /// Returns the instants that the span begins with, and ends before; nothing at the end of time.
    pub fn at(self, now: Timestamp) -> Option<Range<Timestamp>> {
        let today = now.civil()?.date();
        let monday = today
            .checked_sub(i64::from(today.weekday().to_monday_zero_offset()).days())
            .ok()?;
        let first = today.first_of_month();
        let (from, until) = match self {
            Self::Yesterday => (today.yesterday().ok()?, today),
            Self::Today => (today, today.tomorrow().ok()?),
            Self::Tomorrow => {
                let tomorrow = today.tomorrow().ok()?;
                (tomorrow, tomorrow.tomorrow().ok()?)
            }
            Self::LastWeek => (monday.checked_sub(7.days()).ok()?, monday),
            Self::ThisWeek => (monday, monday.checked_add(7.days()).ok()?),
            Self::NextWeek => (
                monday.checked_add(7.days()).ok()?,
                monday.checked_add(14.days()).ok()?,
            ),
            Self::LastMonth => (first.checked_sub(1.month()).ok()?, first),
            Self::ThisMonth => (first, first.checked_add(1.month()).ok()?),
            Self::NextMonth => (
                first.checked_add(1.month()).ok()?,
                first.checked_add(2.months()).ok()?,
            ),
            Self::LastDays(days) => (
                today.checked_sub(i64::from(days).days()).ok()?,
                today.tomorrow().ok()?,
            ),
        };
        Some(midnight(from)?..midnight(until)?)
    }
}

fn midnight(date: Date) -> Option<Timestamp> {
    let zoned = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(Timestamp::from_micros(zoned.timestamp().as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(now: &str, name: &str) -> (String, String) {
        let span = DateRange::from_name(name)
            .unwrap()
            .at(now.parse().unwrap())
            .unwrap();
        let day = |at: Timestamp| at.to_string().replace("T00:00:00.000Z", "");
        (day(span.start), day(span.end))
    }

    #[test]
    fn spans_are_whole_days_in_utc() {
        // A Saturday.
        let now = "2026-11-21T09:30:00Z";
        for (name, from, until) in [
            ("yesterday", "2026-11-20", "2026-11-21"),
            ("today", "2026-11-21", "2026-11-22"),
            ("tomorrow", "2026-11-22", "2026-11-23"),
            ("last_week", "2026-11-09", "2026-11-16"),
            ("this_week", "2026-11-16", "2026-11-23"),
            ("next_week", "2026-11-23", "2026-11-30"),
            ("last_month", "2026-10-01", "2026-11-01"),
            ("this_month", "2026-11-01", "2026-12-01"),
            ("next_month", "2026-12-01", "2027-01-01"),
            ("last_1_days", "2026-11-20", "2026-11-22"),
            ("last_7_days", "2026-11-14", "2026-11-22"),
            ("last_30_days", "2026-10-22", "2026-11-22"),
        ] {
            assert_eq!(at(now, name), (from.to_owned(), until.to_owned()), "{name}");
        }
        assert_eq!(
            at("2026-11-16T00:00:00Z", "this_week").0,
            "2026-11-16",
            "a Monday begins its week"
        );
        assert_eq!(at("2026-11-22T23:59:59.999Z", "this_week").0, "2026-11-16");
        assert_eq!(at("2024-02-29T12:00:00Z", "last_month").0, "2024-01-01");
        assert_eq!(at("2024-02-29T12:00:00Z", "this_month").1, "2024-03-01");
    }

    #[test]
    fn other_names_are_refused() {
        for name in DateRange::NAMES {
            assert!(DateRange::from_name(name).is_some(), "{name}");
        }
        for bad in [
            "",
            "Today",
            "last_0_days",
            "last_3651_days",
            "last_-1_days",
            "last_+1_days",
            "last__days",
            "last_99999999999_days",
            "last_days",
            "next_7_days",
        ] {
            assert_eq!(DateRange::from_name(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_end_of_time_has_no_tomorrow() {
        let end: Timestamp = "9999-12-30T12:00:00Z".parse().unwrap();
        for name in DateRange::NAMES {
            let _ = DateRange::from_name(name).unwrap().at(end);
        }
        assert_eq!(DateRange::Today.at(Timestamp::from_micros(i64::MAX)), None);
    }
}
