//! Amounts of money.

use std::fmt;
use std::ops::Add;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An amount of some currency, exact to a ten-thousandth of its unit; printed with two to four decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money {
    /// In ten-thousandths.
    units: i64,
}

/// Why a text is not an amount of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a decimal number with at most 12 digits before and 4 after the point, such as -12.50"
)]
pub struct MoneyError;

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self { units: 0 };
}

impl Add for Money {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            units: self.units.saturating_add(other.units),
        }
    }
}

impl FromStr for Money {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, "0"));
        let plain = |part: &str, most| {
            (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
        };
        if !plain(whole, 12) || !plain(decimals, 4) {
            return Err(MoneyError);
        }
        let units: i64 = format!("{whole}{decimals:0<4}")
            .parse()
            .map_err(|_| MoneyError)?;
        Ok(Self {
            units: if negative { -units } else { units },
        })
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.units < 0 { "-" } else { "" };
        let (whole, decimals) = (
            self.units.unsigned_abs() / 10_000,
            self.units.unsigned_abs() % 10_000,
        );
        write!(f, "{sign}{whole}.{:02}", decimals / 100)?;
        match decimals % 100 {
            0 => Ok(()),
            rest if rest % 10 == 0 => write!(f, "{}", rest / 10),
            rest => write!(f, "{rest:02}"),
        }
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_survive_text_and_have_two_decimals_at_least() {
        for (text, printed) in [
            ("0", "0.00"),
            ("0.00", "0.00"),
            ("-0", "0.00"),
            ("12.5", "12.50"),
            ("-12.50", "-12.50"),
            ("-0.01", "-0.01"),
            ("1.2345", "1.2345"),
            ("1.2340", "1.234"),
            ("1.0001", "1.0001"),
            ("007", "7.00"),
            ("999999999999.9999", "999999999999.9999"),
        ] {
            let amount: Money = text.parse().unwrap();
            assert_eq!(amount.to_string(), printed, "{text}");
            assert_eq!(printed.parse(), Ok(amount));
        }
    }

    #[test]
    fn refuses_what_is_no_amount() {
        for bad in [
            "",
            "-",
            ".",
            "1.",
            ".5",
            "+1",
            "1,5",
            "1e3",
            "1.23456",
            "1234567890123",
            "--1",
            " 1",
            "NaN",
            "1.-5",
        ] {
            assert_eq!(bad.parse::<Money>(), Err(MoneyError), "{bad}");
        }
    }

    #[test]
    fn amounts_add_up() {
        let sum = |a: &str, b: &str| (a.parse::<Money>().unwrap() + b.parse().unwrap()).to_string();
        assert_eq!(sum("-1.50", "10"), "8.50");
        assert_eq!(sum("-10", "0.0001"), "-9.9999");
        assert_eq!(Money::ZERO.to_string(), "0.00");
    }
}
