//! What a connection may dial to the telephone network: countries, rates, limits, recording.
//!
//! The serde form of [`ProfileSettings`] is the one in which the store keeps them: fields may be
//! added, and a missing field has its default.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::credential_connection::{MAX_TAGS, check_channels, check_labels};
use crate::field_error::{Faults, MAX_LABEL_CHARS};
use crate::words::words;
use crate::{
    AccountId, FieldError, FieldErrorKind, FieldErrors, Generator, OutboundVoiceProfileId,
    RecordingChannels, RecordingFormat, Timestamp,
};

/// How many countries a profile may list; there are some 250.
pub const MAX_DESTINATIONS: usize = 300;
/// How many callers' numbers a profile may record calls of.
pub const MAX_RECORDED_NUMBERS: usize = 1000;

/// Shortest name, in characters.
const MIN_NAME_CHARS: usize = 3;
/// The greatest rate, in units of the currency a minute.
const MAX_RATE: f64 = 1_000_000.0;

words! {
    /// What a profile's calls are like.
    TrafficType {
        /// People who talk.
        Conversational = "conversational",
    }
    /// Where a profile's calls may go at all.
    ServicePlan {
        /// Everywhere.
        Global = "global",
    }
    /// How usage is paid for.
    UsagePaymentMethod {
        /// By destination.
        RateDeck = "rate-deck",
    }
    /// Which calls of a profile are recorded.
    CallRecordingType {
        /// All.
        All = "all",
        /// None.
        None = "none",
        /// Those from the listed numbers.
        ByCallerPhoneNumber = "by_caller_phone_number",
    }
}

/// An outbound voice profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundVoiceProfile {
    /// Its id.
    pub id: OutboundVoiceProfileId,
    /// The tenant.
    pub account: AccountId,
    /// A label of at least 3 characters; not unique.
    pub name: String,
    /// Everything else.
    pub settings: ProfileSettings,
    /// How many connections use it now; the store counts.
    pub connections_count: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// The settings of an outbound voice profile, named as the API names them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProfileSettings {
    /// Whether calls may be placed through it. Kept beside the other settings by the store.
    #[serde(skip)]
    pub enabled: bool,
    /// What its calls are like.
    pub traffic_type: TrafficType,
    /// Where its calls may go at all.
    pub service_plan: ServicePlan,
    /// How usage is paid for.
    pub usage_payment_method: UsagePaymentMethod,
    /// The countries that may be dialled (ISO 3166-1 alpha-2); none when empty.
    pub whitelisted_destinations: Vec<String>,
    /// How many calls may be out at once.
    pub concurrent_call_limit: Option<u32>,
    /// What may be spent in a day, as decimal text; kept as it was written.
    pub daily_spend_limit: Option<String>,
    /// Whether that limit holds.
    pub daily_spend_limit_enabled: bool,
    /// The dearest destination that may be dialled.
    pub max_destination_rate: Option<Rate>,
    /// The customer's own labels.
    pub tags: Vec<String>,
    /// What is recorded.
    pub call_recording: CallRecording,
    /// When calls may be placed.
    pub calling_window: CallingWindow,
    /// The billing group of its calls.
    pub billing_group_id: Option<Uuid>,
}

/// What is recorded of a profile's calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallRecording {
    /// Which calls.
    pub call_recording_type: CallRecordingType,
    /// Whose, for [`CallRecordingType::ByCallerPhoneNumber`]: `+` and digits.
    pub call_recording_caller_phone_numbers: Vec<String>,
    /// How the two sides are kept.
    pub call_recording_channels: RecordingChannels,
    /// What it is written as.
    pub call_recording_format: RecordingFormat,
}

/// When a profile's calls may be placed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CallingWindow {
    /// From which time of day (UTC), such as `08:00:00.00Z`; kept as it was written.
    pub start_time: Option<String>,
    /// To which.
    pub end_time: Option<String>,
    /// How often a number may be called within the window.
    pub calls_per_cld: Option<u32>,
}

/// A price per minute, exact to a millionth of the currency's unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rate {
    micros: i64,
}

impl Rate {
    /// Reads a number that is not negative, at most a million, and has at most six decimals.
    pub fn from_f64(value: f64) -> Option<Self> {
        if !(0.0..=MAX_RATE).contains(&value) {
            return None;
        }
        let micros = (value * 1e6).round();
        // A double this size is exact to far less than a thousandth of a millionth.
        if (value * 1e6 - micros).abs() > 1e-3 {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it is whole and at most 10^12"
        )]
        let micros = micros as i64;
        Some(Self { micros })
    }

    /// Returns the number.
    #[expect(
        clippy::cast_precision_loss,
        reason = "at most 10^12, which a double holds exactly"
    )]
    pub fn as_f64(self) -> f64 {
        self.micros as f64 / 1e6
    }
}

impl Default for ProfileSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            traffic_type: TrafficType::Conversational,
            service_plan: ServicePlan::Global,
            usage_payment_method: UsagePaymentMethod::RateDeck,
            whitelisted_destinations: ["US", "CA"].map(str::to_owned).to_vec(),
            concurrent_call_limit: None,
            daily_spend_limit: None,
            daily_spend_limit_enabled: false,
            max_destination_rate: None,
            tags: Vec::new(),
            call_recording: CallRecording::default(),
            calling_window: CallingWindow::default(),
            billing_group_id: None,
        }
    }
}

impl Default for CallRecording {
    fn default() -> Self {
        Self {
            call_recording_type: CallRecordingType::None,
            call_recording_caller_phone_numbers: Vec::new(),
            call_recording_channels: RecordingChannels::Single,
            call_recording_format: RecordingFormat::Wav,
        }
    }
}

impl OutboundVoiceProfile {
    /// Brings values that mean the same into one spelling, then checks all of them; lists what is
    /// wrong.
    pub fn normalize_and_validate(&mut self) -> Vec<FieldError> {
        self.settings.normalize();
        let mut faults = Faults::default();
        faults.required_text("/name", &self.name, MAX_LABEL_CHARS);
        let chars = self.name.trim().chars().count();
        if (1..MIN_NAME_CHARS).contains(&chars) {
            faults.add(
                "/name",
                FieldErrorKind::OutOfRange,
                format!("Must be at least {MIN_NAME_CHARS} characters long."),
            );
        }
        self.settings.check(&mut faults);
        faults.into_vec()
    }
}

impl ProfileSettings {
    /// Countries are written in capitals.
    fn normalize(&mut self) {
        for country in &mut self.whitelisted_destinations {
            country.make_ascii_uppercase();
        }
    }

    fn check(&self, faults: &mut Faults) {
        if self.whitelisted_destinations.len() > MAX_DESTINATIONS {
            faults.add(
                "/whitelisted_destinations",
                FieldErrorKind::OutOfRange,
                format!("Must have at most {MAX_DESTINATIONS} entries."),
            );
        } else {
            for (i, country) in self.whitelisted_destinations.iter().enumerate() {
                if country.len() != 2 || !country.bytes().all(|b| b.is_ascii_uppercase()) {
                    faults.push(FieldError::new(
                        format!("/whitelisted_destinations/{i}"),
                        FieldErrorKind::Invalid,
                        "Must be a country code of two letters (ISO 3166-1 alpha-2).",
                    ));
                }
            }
        }
        check_channels(faults, "/concurrent_call_limit", self.concurrent_call_limit);
        if let Some(limit) = &self.daily_spend_limit
            && !is_amount(limit)
        {
            faults.add(
                "/daily_spend_limit",
                FieldErrorKind::Invalid,
                "Must be an amount such as 100.00: up to 12 digits, and up to 4 after a point.",
            );
        }
        check_labels(faults, "/tags", &self.tags, MAX_TAGS, MAX_LABEL_CHARS);
        self.call_recording.check(faults);
        self.calling_window.check(faults);
    }
}

impl CallRecording {
    fn check(&self, faults: &mut Faults) {
        let numbers = &self.call_recording_caller_phone_numbers;
        if numbers.len() > MAX_RECORDED_NUMBERS {
            faults.add(
                "/call_recording/call_recording_caller_phone_numbers",
                FieldErrorKind::OutOfRange,
                format!("Must have at most {MAX_RECORDED_NUMBERS} entries."),
            );
            return;
        }
        for (i, number) in numbers.iter().enumerate() {
            if !is_plus_e164(number) {
                faults.push(FieldError::new(
                    format!("/call_recording/call_recording_caller_phone_numbers/{i}"),
                    FieldErrorKind::NotE164,
                    "Must be a telephone number in the form +15551234567.",
                ));
            }
        }
    }
}

impl CallingWindow {
    fn check(&self, faults: &mut Faults) {
        for (pointer, time) in [
            ("/calling_window/start_time", &self.start_time),
            ("/calling_window/end_time", &self.end_time),
        ] {
            if time.as_deref().is_some_and(|time| !is_time_of_day(time)) {
                faults.add(
                    pointer,
                    FieldErrorKind::Invalid,
                    "Must be a time of day in UTC, such as 08:00:00.00Z.",
                );
            }
        }
        check_channels(faults, "/calling_window/calls_per_cld", self.calls_per_cld);
    }
}

/// A profile that is checked and named, but not stored yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOutboundVoiceProfile(OutboundVoiceProfile);

impl NewOutboundVoiceProfile {
    /// Checks the values and names the profile. An absent name may be passed as an empty text: it is
    /// reported as missing.
    ///
    /// # Errors
    /// Lists everything that is wrong, by JSON pointer.
    pub fn new(
        account: AccountId,
        name: impl Into<String>,
        settings: ProfileSettings,
        now: Timestamp,
        rng: &mut Generator,
    ) -> Result<Self, FieldErrors> {
        let mut profile = OutboundVoiceProfile {
            id: OutboundVoiceProfileId::generate(now, rng),
            account,
            name: name.into(),
            settings,
            connections_count: 0,
            created_at: now,
            updated_at: now,
        };
        let faults = profile.normalize_and_validate();
        if faults.is_empty() {
            Ok(Self(profile))
        } else {
            Err(FieldErrors(faults))
        }
    }

    /// Reads the profile.
    pub const fn profile(&self) -> &OutboundVoiceProfile {
        &self.0
    }

    /// Takes the profile.
    pub fn into_profile(self) -> OutboundVoiceProfile {
        self.0
    }
}

/// 1 to 12 digits, and 1 to 4 after a point if there is one.
fn is_amount(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str, max: usize| {
        (1..=max).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
    };
    digits(whole, 12) && digits(fraction, 4)
}

/// `+` and 3 to 15 digits, the first of which is not 0 (E.164).
fn is_plus_e164(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (3..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|b| b.is_ascii_digit())
    })
}

/// `08:00`, `08:00:00` or `08:00:00.00`, each with or without `Z`.
fn is_time_of_day(text: &str) -> bool {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (clock, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let mut parts = clock.split(':');
    let mut part = |max: u8| {
        parts.next().is_some_and(|part| {
            part.len() == 2
                && part.bytes().all(|b| b.is_ascii_digit())
                && part.parse::<u8>().is_ok_and(|value| value <= max)
        })
    };
    let hours_and_minutes = part(23) && part(59);
    let seconds = match clock.len() {
        5 => !text.contains('.'),
        _ => part(59),
    };
    hours_and_minutes
        && seconds
        && parts.next().is_none()
        && (1..=9).contains(&fraction.len())
        && fraction.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(change: impl FnOnce(&mut OutboundVoiceProfile)) -> Vec<(String, FieldErrorKind)> {
        let mut rng = Generator::from_seed([5; 32]);
        let now = Timestamp::from_secs(1_790_000_000);
        let account = AccountId::generate(&mut rng);
        let settings = ProfileSettings::default();
        let new = NewOutboundVoiceProfile::new(account, "office", settings, now, &mut rng);
        let mut profile = new.unwrap().into_profile();
        change(&mut profile);
        profile
            .normalize_and_validate()
            .into_iter()
            .map(|fault| (fault.pointer.into_owned(), fault.kind))
            .collect()
    }

    fn pointers(change: impl FnOnce(&mut OutboundVoiceProfile)) -> Vec<String> {
        faults(change)
            .into_iter()
            .map(|(pointer, _)| pointer)
            .collect()
    }

    #[test]
    fn defaults_are_valid_and_survive_storage() {
        assert_eq!(faults(|_| {}), []);
        let settings = ProfileSettings::default();
        let json = serde_json::to_string(&settings).unwrap();
        let read = |json: &str| ProfileSettings {
            enabled: true,
            ..serde_json::from_str(json).unwrap()
        };
        assert_eq!(read(&json), settings);
        assert_eq!(read("{}"), settings);
    }

    #[test]
    fn every_value_survives_storage() {
        let settings = ProfileSettings {
            enabled: true,
            daily_spend_limit: Some("0100.50".to_owned()),
            max_destination_rate: Rate::from_f64(0.123_456),
            call_recording: CallRecording {
                call_recording_type: CallRecordingType::ByCallerPhoneNumber,
                call_recording_caller_phone_numbers: vec!["+15551234567".to_owned()],
                call_recording_channels: RecordingChannels::Dual,
                call_recording_format: RecordingFormat::Mp3,
            },
            calling_window: CallingWindow {
                start_time: Some("08:00:00.00Z".to_owned()),
                end_time: None,
                calls_per_cld: Some(5),
            },
            billing_group_id: Some(Uuid::from_u128(7)),
            ..ProfileSettings::default()
        };
        let json = serde_json::to_string(&settings).unwrap();
        let read: ProfileSettings = serde_json::from_str(&json).unwrap();
        assert_eq!(
            ProfileSettings {
                enabled: true,
                ..read
            },
            settings
        );
    }

    #[test]
    fn names_have_three_characters() {
        for (name, kind) in [
            ("", Some(FieldErrorKind::Missing)),
            ("  ", Some(FieldErrorKind::Missing)),
            ("ab", Some(FieldErrorKind::OutOfRange)),
            (" ab ", Some(FieldErrorKind::OutOfRange)),
            ("äbc", None),
            ("ab\0c", Some(FieldErrorKind::Invalid)),
        ] {
            let expected: Vec<_> = kind.into_iter().map(|k| ("/name".to_owned(), k)).collect();
            assert_eq!(faults(|p| p.name = name.to_owned()), expected, "{name:?}");
        }
        assert_eq!(pointers(|p| p.name = "x".repeat(256)), ["/name"]);
    }

    #[test]
    fn amounts_are_decimal_texts() {
        for good in ["0", "100", "100.00", "0.0001", "123456789012.1234"] {
            assert!(pointers(|p| p.settings.daily_spend_limit = Some(good.to_owned())).is_empty());
        }
        for bad in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "+1",
            "1e3",
            "1,5",
            "1.00001",
            "1234567890123",
            " 1",
            "NaN",
        ] {
            assert_eq!(
                pointers(|p| p.settings.daily_spend_limit = Some(bad.to_owned())),
                ["/daily_spend_limit"],
                "{bad:?}"
            );
        }
    }

    #[test]
    fn rates_are_exact_to_a_millionth() {
        for good in [
            0.0,
            0.05,
            0.000_001,
            1.0,
            10.25,
            999_999.999_999,
            1_000_000.0,
        ] {
            assert_eq!(Rate::from_f64(good).map(Rate::as_f64), Some(good));
        }
        for bad in [-0.01, 0.000_000_1, 1_000_000.5, f64::NAN, f64::INFINITY] {
            assert_eq!(Rate::from_f64(bad), None, "{bad}");
        }
    }

    #[test]
    fn countries_numbers_and_times_are_checked_one_by_one() {
        let destinations = |codes: &[&str]| {
            pointers(|p| {
                p.settings.whitelisted_destinations =
                    codes.iter().map(|code| (*code).to_owned()).collect();
            })
        };
        assert!(destinations(&["de", "US"]).is_empty());
        assert!(destinations(&[]).is_empty());
        assert_eq!(
            destinations(&["US", "USA", "", "1A"]),
            [
                "/whitelisted_destinations/1",
                "/whitelisted_destinations/2",
                "/whitelisted_destinations/3"
            ]
        );
        assert_eq!(destinations(&["US"; 301]), ["/whitelisted_destinations"]);

        for (number, good) in [
            ("+15551234567", true),
            ("15551234567", false),
            ("+0123", false),
        ] {
            let found = faults(|p| {
                p.settings
                    .call_recording
                    .call_recording_caller_phone_numbers = vec![number.to_owned()];
            });
            let pointer = "/call_recording/call_recording_caller_phone_numbers/0".to_owned();
            let expected = [(pointer, FieldErrorKind::NotE164)];
            assert_eq!(found, if good { &[][..] } else { &expected }, "{number}");
        }

        for good in ["08:00", "08:00:00", "08:00:00.00Z", "23:59:59Z", "00:00Z"] {
            let set = |p: &mut OutboundVoiceProfile| {
                p.settings.calling_window.start_time = Some(good.to_owned());
            };
            assert!(pointers(set).is_empty(), "{good}");
        }
        for bad in [
            "",
            "8:00",
            "24:00",
            "08:60",
            "08:00:60",
            "08:00.5",
            "08:00:00.",
            "08:00:00+01:00",
            "x",
        ] {
            let set = |p: &mut OutboundVoiceProfile| {
                p.settings.calling_window.end_time = Some(bad.to_owned());
            };
            assert_eq!(pointers(set), ["/calling_window/end_time"], "{bad}");
        }
    }
}
