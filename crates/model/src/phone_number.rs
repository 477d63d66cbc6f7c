//! Telephone numbers of a customer, and what happens to calls to them.
//!
//! The serde form of [`PhoneNumberSettings`] is the one in which the store keeps them: fields may be
//! added, and a missing field has its default.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::credential_connection::{MAX_TAGS, check_labels};
use crate::field_error::{Faults, MAX_LABEL_CHARS};
use crate::words::words;
use crate::{
    AccountId, Country, CredentialConnectionId, E164, FieldError, FieldErrorKind, FieldErrors,
    Generator, PhoneNumberId, PhoneNumberType, RecordingChannels, RecordingFormat, Timestamp,
};

/// Longest name that is announced to those called (CNAM), in characters.
const MAX_CNAM_CHARS: usize = 15;
/// Longest number that the dialled one is replaced with, in characters.
const MAX_TRANSLATED_CHARS: usize = 64;

words! {
    /// A state that numbers can be listed by. Those of this installation are active.
    PhoneNumberStatus {
        /// Ordered.
        PurchasePending = "purchase-pending",
        /// The order failed.
        PurchaseFailed = "purchase-failed",
        /// On its way from another carrier.
        PortPending = "port-pending",
        /// It did not come from the other carrier.
        PortFailed = "port-failed",
        /// In service.
        Active = "active",
        /// Gone.
        Deleted = "deleted",
        /// For emergency calls only.
        EmergencyOnly = "emergency-only",
        /// Gone to another carrier.
        PortedOut = "ported-out",
        /// On its way to another carrier.
        PortOutPending = "port-out-pending",
        /// Papers are missing.
        RequirementInfoPending = "requirement-info-pending",
        /// Papers are looked at.
        RequirementInfoUnderReview = "requirement-info-under-review",
        /// Papers were refused.
        RequirementInfoException = "requirement-info-exception",
        /// About to be in service.
        ProvisionPending = "provision-pending",
    }
    /// When calls are forwarded.
    ForwardingType {
        /// Every one.
        Always = "always",
        /// Those that nobody takes.
        OnFailure = "on-failure",
    }
    /// What happens to calls that look like fraud.
    InboundCallScreening {
        /// Nothing.
        Disabled = "disabled",
        /// They are refused.
        RejectCalls = "reject_calls",
        /// They are marked.
        FlagCalls = "flag_calls",
    }
    /// What calls to a number are counted by.
    NumberPaymentMethod {
        /// Their minutes.
        PayPerMinute = "pay-per-minute",
        /// How many there are at once.
        Channel = "channel",
    }
}

/// A telephone number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhoneNumber {
    /// Its id.
    pub id: PhoneNumberId,
    /// The tenant.
    pub account: AccountId,
    /// The number; no other one of the installation is the same.
    pub number: E164,
    /// Its country.
    pub country: Country,
    /// What kind of line it is.
    pub kind: PhoneNumberType,
    /// The connection that calls to it go to.
    pub connection: Option<CredentialConnectionId>,
    /// That connection's name; the store looks it up.
    pub connection_name: Option<String>,
    /// Everything else.
    pub settings: PhoneNumberSettings,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// The settings of a number, named as the API names them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct PhoneNumberSettings {
    /// The customer's own labels; no two are the same.
    pub tags: Vec<String>,
    /// What the customer finds it by. Kept beside the other settings by the store.
    #[serde(skip)]
    pub customer_reference: Option<String>,
    /// What a carrier asks for before it takes the number away.
    pub external_pin: Option<String>,
    /// The billing group of calls to it. Kept beside the other settings by the store.
    #[serde(skip)]
    pub billing_group_id: Option<Uuid>,
    /// Whether it may not be deleted.
    pub deletion_lock_enabled: bool,
    /// Whether wideband audio is wanted.
    pub hd_voice_enabled: bool,
    /// What happens to calls.
    pub voice: VoiceSettings,
}

/// What happens to calls to a number. Kept for the customer; nothing acts on it yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VoiceSettings {
    /// Where calls go instead.
    pub call_forwarding: CallForwarding,
    /// Which calls are recorded.
    pub call_recording: InboundCallRecording,
    /// Whether the caller's name is looked up.
    pub caller_id_name_enabled: bool,
    /// The name announced to those called.
    pub cnam_listing: CnamListing,
    /// What happens to calls that look like fraud.
    pub inbound_call_screening: InboundCallScreening,
    /// How media is treated.
    pub media_features: MediaFeatures,
    /// Whether a prefix stands before the dialled number.
    pub tech_prefix_enabled: bool,
    /// What replaces the dialled number; empty for nothing.
    pub translated_number: String,
    /// What calls are counted by. Kept beside the other settings by the store.
    #[serde(skip, default = "pay_per_minute")]
    pub usage_payment_method: NumberPaymentMethod,
}

/// Where calls go instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallForwarding {
    /// Whether calls are forwarded once the other two are set.
    pub call_forwarding_enabled: bool,
    /// A number in +E.164 format; empty for none.
    pub forwards_to: String,
    /// When.
    pub forwarding_type: Option<ForwardingType>,
}

/// Which calls to a number are recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InboundCallRecording {
    /// Whether all are, or none.
    pub inbound_call_recording_enabled: bool,
    /// What they are written as.
    pub inbound_call_recording_format: RecordingFormat,
    /// How the two sides are kept.
    pub inbound_call_recording_channels: RecordingChannels,
}

/// The name announced to those called.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CnamListing {
    /// Whether it is announced.
    pub cnam_listing_enabled: bool,
    /// At most 15 letters, digits and blanks; empty for none.
    pub cnam_listing_details: String,
}

/// How the media of calls to a number is treated.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MediaFeatures {
    /// Whether RTP is taken from any address.
    pub accept_any_rtp_packets_enabled: bool,
    /// Whether RTP is sent to where it comes from.
    pub rtp_auto_adjust_enabled: bool,
    /// Whether T.38 is taken.
    pub t38_fax_gateway_enabled: bool,
}

impl Default for VoiceSettings {
    fn default() -> Self {
        Self {
            call_forwarding: CallForwarding::default(),
            call_recording: InboundCallRecording::default(),
            caller_id_name_enabled: false,
            cnam_listing: CnamListing::default(),
            inbound_call_screening: InboundCallScreening::Disabled,
            media_features: MediaFeatures::default(),
            tech_prefix_enabled: false,
            translated_number: String::new(),
            usage_payment_method: pay_per_minute(),
        }
    }
}

const fn pay_per_minute() -> NumberPaymentMethod {
    NumberPaymentMethod::PayPerMinute
}

impl Default for CallForwarding {
    fn default() -> Self {
        Self {
            // It takes effect only with a number and a type.
            call_forwarding_enabled: true,
            forwards_to: String::new(),
            forwarding_type: None,
        }
    }
}

impl Default for InboundCallRecording {
    fn default() -> Self {
        Self {
            inbound_call_recording_enabled: false,
            inbound_call_recording_format: RecordingFormat::Wav,
            inbound_call_recording_channels: RecordingChannels::Single,
        }
    }
}

impl PhoneNumber {
    /// Brings values that mean the same into one spelling, then checks all of them; lists what is
    /// wrong. That the connection exists is the store's question.
    pub fn normalize_and_validate(&mut self) -> Vec<FieldError> {
        self.settings.normalize_and_validate()
    }
}

impl PhoneNumberSettings {
    fn normalize_and_validate(&mut self) -> Vec<FieldError> {
        let mut faults = Faults::default();
        self.customer_reference = self
            .customer_reference
            .take()
            .filter(|text| !text.is_empty());
        self.external_pin = self.external_pin.take().filter(|text| !text.is_empty());
        check_labels(&mut faults, "/tags", &self.tags, MAX_TAGS, MAX_LABEL_CHARS);
        let mut seen = BTreeSet::new();
        self.tags.retain(|tag| seen.insert(tag.clone()));
        for (pointer, text) in [
            ("/customer_reference", &self.customer_reference),
            ("/external_pin", &self.external_pin),
        ] {
            if let Some(text) = text {
                faults.text(pointer, text, MAX_LABEL_CHARS);
            }
        }
        self.voice.check(&mut faults);
        faults.into_vec()
    }
}

impl VoiceSettings {
    fn check(&self, faults: &mut Faults) {
        let target = &self.call_forwarding.forwards_to;
        if !target.is_empty() && target.parse::<E164>().is_err() {
            faults.add(
                "/call_forwarding/forwards_to",
                FieldErrorKind::NotE164,
                "Must be a telephone number in +E.164 format, or empty.",
            );
        }
        let name = &self.cnam_listing.cnam_listing_details;
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == ' ');
        if !plain || name.len() > MAX_CNAM_CHARS {
            faults.add(
                "/cnam_listing/cnam_listing_details",
                FieldErrorKind::Invalid,
                format!("Must be at most {MAX_CNAM_CHARS} letters, digits and blanks."),
            );
        } else if self.cnam_listing.cnam_listing_enabled && name.trim().is_empty() {
            faults.push(FieldError::missing("/cnam_listing/cnam_listing_details"));
        }
        let dialled = &self.translated_number;
        let plain = dialled
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '+');
        if !plain || dialled.len() > MAX_TRANSLATED_CHARS {
            faults.add(
                "/translated_number",
                FieldErrorKind::Invalid,
                format!("Must be at most {MAX_TRANSLATED_CHARS} letters and digits."),
            );
        }
    }
}

/// A number that is checked and named, but not stored yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPhoneNumber(PhoneNumber);

impl NewPhoneNumber {
    /// Checks the values and names the number. Country and kind follow from the number; both may be
    /// stated, and the country must be where the digits do not tell it.
    ///
    /// # Errors
    /// Lists everything that is wrong, by JSON pointer. Refuses a country that the number is not of.
    #[expect(clippy::too_many_arguments, reason = "a number is made in one place")]
    pub fn new(
        account: AccountId,
        number: Option<E164>,
        country: Option<Country>,
        kind: Option<PhoneNumberType>,
        connection: Option<CredentialConnectionId>,
        settings: PhoneNumberSettings,
        now: Timestamp,
        rng: &mut Generator,
    ) -> Result<Self, FieldErrors> {
        let mut settings = settings;
        let mut faults = settings.normalize_and_validate();
        let told = number.as_ref().and_then(E164::country);
        let country = country.or(told);
        match (&number, told, country) {
            (None, ..) => faults.push(FieldError::missing("/phone_number")),
            (Some(_), Some(told), Some(stated)) if told != stated => faults.push(FieldError::new(
                "/country_iso_alpha2",
                FieldErrorKind::Invalid,
                format!("The number is one of {told}."),
            )),
            (Some(_), None, None) => faults.push(FieldError::new(
                "/country_iso_alpha2",
                FieldErrorKind::Missing,
                "The digits of this number do not tell its country, so it must be stated.",
            )),
            (Some(_), _, _) => {}
        }
        match (number, country) {
            (Some(number), Some(country)) if faults.is_empty() => Ok(Self(PhoneNumber {
                id: PhoneNumberId::generate(now, rng),
                account,
                kind: kind.unwrap_or_else(|| number.number_type()),
                number,
                country,
                connection,
                connection_name: None,
                settings,
                created_at: now,
                updated_at: now,
            })),
            _ => Err(FieldErrors(faults)),
        }
    }

    /// Reads the number.
    pub const fn phone_number(&self) -> &PhoneNumber {
        &self.0
    }

    /// Takes the number.
    pub fn into_phone_number(self) -> PhoneNumber {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(
        number: &str,
        country: Option<&str>,
        settings: PhoneNumberSettings,
    ) -> Result<PhoneNumber, Vec<(String, FieldErrorKind)>> {
        let mut rng = Generator::from_seed([6; 32]);
        NewPhoneNumber::new(
            AccountId::generate(&mut rng),
            number.parse().ok(),
            country.map(|text| Country::from_alpha2(text).unwrap()),
            None,
            None,
            settings,
            Timestamp::from_secs(1_790_000_000),
            &mut rng,
        )
        .map(NewPhoneNumber::into_phone_number)
        .map_err(|FieldErrors(faults)| {
            faults
                .into_iter()
                .map(|fault| (fault.pointer.into_owned(), fault.kind))
                .collect()
        })
    }

    fn refused(settings: PhoneNumberSettings) -> Vec<(String, FieldErrorKind)> {
        make("+13125550123", None, settings).unwrap_err()
    }

    fn with_voice(change: impl FnOnce(&mut VoiceSettings)) -> PhoneNumberSettings {
        let mut settings = PhoneNumberSettings::default();
        change(&mut settings.voice);
        settings
    }

    #[test]
    fn country_and_kind_follow_from_the_number() {
        let plain = PhoneNumberSettings::default;
        let made = make("+14165550123", None, plain()).unwrap();
        assert_eq!((made.country.alpha2(), made.kind.name()), ("CA", "local"));
        let made = make("+447700900123", Some("GB"), plain()).unwrap();
        assert_eq!((made.country.alpha2(), made.kind.name()), ("GB", "mobile"));
        let at = |pointer: &str, kind| Err(vec![(pointer.to_owned(), kind)]);
        assert_eq!(
            make("+14165550123", Some("US"), plain()),
            at("/country_iso_alpha2", FieldErrorKind::Invalid)
        );
        assert_eq!(
            make("+15555550123", None, plain()),
            at("/country_iso_alpha2", FieldErrorKind::Missing)
        );
        assert_eq!(
            make("+15555550123", Some("US"), plain())
                .unwrap()
                .country
                .alpha2(),
            "US"
        );
        assert_eq!(
            make("4165550123", None, plain()),
            at("/phone_number", FieldErrorKind::Missing)
        );
    }

    #[test]
    fn values_that_mean_the_same_are_spelled_alike() {
        let made = make(
            "+13125550123",
            None,
            PhoneNumberSettings {
                tags: ["b", "a", "b"].map(str::to_owned).to_vec(),
                customer_reference: Some(String::new()),
                external_pin: Some(String::new()),
                ..PhoneNumberSettings::default()
            },
        )
        .unwrap();
        assert_eq!(made.settings.tags, ["b", "a"]);
        assert_eq!(
            (made.settings.customer_reference, made.settings.external_pin),
            (None, None)
        );
    }

    #[test]
    fn faults_are_named_where_they_are() {
        let settings = PhoneNumberSettings {
            tags: vec!["a".to_owned(), "b\0".to_owned()],
            customer_reference: Some("x".repeat(256)),
            external_pin: Some("\0".to_owned()),
            ..with_voice(|voice| {
                voice.call_forwarding.forwards_to = "3125550123".to_owned();
                voice.cnam_listing.cnam_listing_enabled = true;
                voice.translated_number = "12 34".to_owned();
            })
        };
        let pointers: Vec<_> = refused(settings).into_iter().map(|(at, _)| at).collect();
        assert_eq!(
            pointers,
            [
                "/tags/1",
                "/customer_reference",
                "/external_pin",
                "/call_forwarding/forwards_to",
                "/cnam_listing/cnam_listing_details",
                "/translated_number",
            ]
        );
        for (name, kind) in [
            ("", FieldErrorKind::Missing),
            ("  ", FieldErrorKind::Missing),
            ("1234567890123456", FieldErrorKind::Invalid),
            ("Müller", FieldErrorKind::Invalid),
            ("a-b", FieldErrorKind::Invalid),
        ] {
            let settings = with_voice(|voice| {
                voice.cnam_listing.cnam_listing_enabled = true;
                voice.cnam_listing.cnam_listing_details = name.to_owned();
            });
            assert_eq!(refused(settings)[0].1, kind, "{name:?}");
        }
    }

    #[test]
    fn settings_survive_their_text_and_fields_may_be_added() {
        let settings = PhoneNumberSettings {
            tags: vec!["a".to_owned()],
            deletion_lock_enabled: true,
            ..with_voice(|voice| {
                voice.call_forwarding.forwarding_type = Some(ForwardingType::OnFailure);
                voice.inbound_call_screening = InboundCallScreening::FlagCalls;
            })
        };
        let text = serde_json::to_string(&settings).unwrap();
        let read: PhoneNumberSettings = serde_json::from_str(&text).unwrap();
        assert_eq!(read, settings);
        let read: PhoneNumberSettings = serde_json::from_str("{}").unwrap();
        assert_eq!(read, PhoneNumberSettings::default());
    }
}
