//! Time as the engines know it, and calendar time as people and databases know it.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::str::FromStr;
use std::time::Duration;

/// Microseconds since the node started: monotonic, comparable only within one node's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(u64);

impl Time {
    /// The node's start.
    pub const ZERO: Self = Self(0);

    /// Counts from the node's start.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Counts from the node's start.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1_000)
    }

    /// Counts from the node's start.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs * 1_000_000)
    }

    /// Returns microseconds since the node's start.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Returns the time passed since `earlier`, or nothing if that lies ahead.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)),
        )
    }
}

impl AddAssign<Duration> for Time {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Time> for Time {
    type Output = Duration;
    fn sub(self, earlier: Time) -> Duration {
        self.since(earlier)
    }
}

/// Microseconds since 1970 in UTC, printed as `2026-11-21T09:30:00.123Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// Why a text is not a date with a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an ISO 8601 date with a time, such as 2026-11-21T09:30:00Z")]
pub struct TimestampError;

impl Timestamp {
    /// Counts from 1970.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Counts from 1970.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis * 1_000)
    }

    /// Counts from 1970.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs * 1_000_000)
    }

    /// Returns microseconds since 1970.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Returns whole milliseconds since 1970.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Returns whole seconds since 1970.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Returns the time passed since `earlier`, or nothing if that lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    pub(crate) fn civil(self) -> Option<jiff::civil::DateTime> {
        let instant = jiff::Timestamp::from_microsecond(self.0).ok()?;
        Some(instant.to_zoned(jiff::tz::TimeZone::UTC).datetime())
    }

    /// Prints it with microseconds: `2026-11-21T09:30:00.123456Z`.
    pub fn to_precise(self) -> String {
        self.civil().map_or_else(String::new, |t| {
            t.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
        })
    }

    /// Prints date, space, time with microseconds and `Z`: the form of a credential's default name.
    pub fn to_label(self) -> String {
        self.civil().map_or_else(String::new, |t| {
            t.strftime("%Y-%m-%d %H:%M:%S.%6fZ").to_string()
        })
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)),
        )
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.civil() {
            Some(t) => write!(
                f,
                "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
                t.year(),
                t.month(),
                t.day(),
                t.hour(),
                t.minute(),
                t.second(),
                t.millisecond()
            ),
            None => f.write_str("out of range"),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    /// Reads ISO 8601 with any offset; a missing zone means UTC. Years 1970 to 9999.
    fn from_str(text: &str) -> Result<Self, TimestampError> {
        // A zone's name beside the offset (RFC 9557) is not understood, so it must not be passed over.
        if text.len() > 64
            || text.contains('[')
            || !(text.contains('T') || text.contains(' ') || text.contains('t'))
        {
            return Err(TimestampError);
        }
        let micros = match text.parse::<jiff::Timestamp>() {
            Ok(instant) => instant.as_microsecond(),
            Err(_) => {
                let civil: jiff::civil::DateTime = text
                    .strip_suffix(['Z', 'z'])
                    .unwrap_or(text)
                    .parse()
                    .map_err(|_| TimestampError)?;
                match civil.to_zoned(jiff::tz::TimeZone::UTC) {
                    Ok(zoned) => zoned.timestamp().as_microsecond(),
                    // The last day of 9999, a common way to say "never", lies beyond what is counted.
                    Err(_) if civil.year() == 9999 => jiff::Timestamp::MAX.as_second() * 1_000_000,
                    Err(_) => return Err(TimestampError),
                }
            }
        };
        if micros < 0 {
            Err(TimestampError)
        } else {
            Ok(Self(micros))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_milliseconds_and_converts_offsets() {
        for (text, printed) in [
            ("2020-08-05T13:42:22.992Z", "2020-08-05T13:42:22.992Z"),
            ("2020-06-18T21:32:38", "2020-06-18T21:32:38.000Z"),
            ("2018-02-02T22:25:27.521+02:00", "2018-02-02T20:25:27.521Z"),
            ("2018-02-02 22:25:27Z", "2018-02-02T22:25:27.000Z"),
            ("9999-12-31T23:59:59Z", "9999-12-30T22:00:00.000Z"),
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), printed);
        }
    }

    #[test]
    fn refuses_what_is_no_instant() {
        for bad in [
            "",
            "tomorrow",
            "2020-13-01T00:00:00Z",
            "1600000000",
            "2020-01-01",
            "1969-01-01T00:00:00Z",
        ] {
            assert_eq!(bad.parse::<Timestamp>(), Err(TimestampError), "{bad}");
        }
    }

    #[test]
    fn labels_carry_microseconds() {
        assert_eq!(
            Timestamp::from_micros(1_592_515_958_917_732).to_label(),
            "2020-06-18 21:32:38.917732Z"
        );
    }
}
