//! What the types of the API look like in JSON Schema: ids, times, enumerated words.
//!
//! An answer's schema comes from its struct (`schemars`), a request's from the code that reads it
//! ([`crate::fields`]); both say the same of a type because both ask here.

use std::borrow::Cow;
use std::fmt::Display;

use ringtrip_model::{
    AccountId, AnchorsiteOverride, AniNumberFormat, AniOverrideType, ApiKeyId, AuditEventId,
    CallId, CallRecordingType, CallingPreference, ContactTransport, Country,
    CredentialConnectionId, DnisNumberFormat, DtmfType, E164, EncryptedMedia, ForwardingType,
    InboundCallScreening, InvitationId, LegId, MobilePushCredentialId, Money, NoiseSuppression,
    NoiseSuppressionEngine, NumberPaymentMethod, OutboundVoiceProfileId, PhoneNumberId,
    PhoneNumberStatus, PhoneNumberType, PortalSessionId, PushPlatform, RecordingChannels,
    RecordingFormat, RegistrationStatus, Role, RoutingMethod, RtcpPort, ServicePlan, SessionId,
    SimultaneousRinging, T38ReinviteSource, TelephonyCredentialId, TelephonyCredentialStatus,
    Timestamp, TrafficType, TrunkHealth, TrunkId, TrunkNumberFormat, TrunkTransport,
    UsagePaymentMethod, UserId, WebhookApiVersion, WebhookDeliveryId, WebhookEventId,
    WebhookEventType, WebhookStatus,
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// A type that is a string in JSON: what [`Display`] prints of it.
pub(crate) trait Printed: Display {
    /// Describes the strings that are printed.
    fn schema() -> Value;
}

/// A type whose values have names on the wire.
pub(crate) trait Named: Copy + Sized + 'static {
    /// All names there are.
    const NAMES: &'static [&'static str];

    /// Returns the name on the wire.
    fn name(self) -> &'static str;

    /// Finds a value by its name on the wire.
    fn from_name(name: &str) -> Option<Self>;
}

macro_rules! uuids {
    ($($name:ident)+) => {$(
        impl Printed for $name {
            fn schema() -> Value {
                json!({"type": "string", "format": "uuid"})
            }
        }
    )+};
}

// Ids that are UUIDs, one a line.
uuids! {
    AccountId
    ApiKeyId
    AuditEventId
    CallId
    InvitationId
    LegId
    MobilePushCredentialId
    PortalSessionId
    SessionId
    TelephonyCredentialId
    UserId
    Uuid
    WebhookDeliveryId
    WebhookEventId
}

macro_rules! decimals {
    ($($name:ident)+) => {$(
        impl Printed for $name {
            fn schema() -> Value {
                json!({"type": "string", "pattern": "^[1-9][0-9]{0,18}$"})
            }
        }
    )+};
}

// Ids that are decimal numbers, one a line.
decimals! {
    CredentialConnectionId
    OutboundVoiceProfileId
    PhoneNumberId
    TrunkId
}

impl Printed for Money {
    fn schema() -> Value {
        json!({"type": "string", "pattern": "^-?[0-9]{1,13}\\.[0-9]{2,4}$"})
    }
}

impl Printed for E164 {
    fn schema() -> Value {
        json!({"type": "string", "pattern": "^\\+[1-9][0-9]{6,14}$"})
    }
}

impl Printed for Country {
    fn schema() -> Value {
        json!({"type": "string", "pattern": "^[A-Z]{2}$"})
    }
}

impl Printed for Timestamp {
    fn schema() -> Value {
        json!({"type": "string", "format": "date-time"})
    }
}

macro_rules! words {
    ($($name:ident)+) => {$(
        impl Named for $name {
            const NAMES: &'static [&'static str] = $name::NAMES;

            fn name(self) -> &'static str {
                $name::name(self)
            }

            fn from_name(name: &str) -> Option<Self> {
                $name::from_name(name)
            }
        }

        impl $crate::fields::FromJson for $name {
            const FAULT: ringtrip_model::FieldErrorKind = ringtrip_model::FieldErrorKind::NotListed;

            fn expected() -> Cow<'static, str> {
                format!("one of {}", <Self as Named>::NAMES.join("; ")).into()
            }

            fn schema() -> Value {
                words(<Self as Named>::NAMES)
            }

            fn from_json(value: &Value) -> Option<Self> {
                value.as_str().and_then(<Self as Named>::from_name)
            }
        }
    )+};
}

// Enumerated words, one a line. Each has `NAMES`, `name` and `from_name`.
words! {
    AnchorsiteOverride
    AniNumberFormat
    AniOverrideType
    CallRecordingType
    CallingPreference
    ContactTransport
    DnisNumberFormat
    DtmfType
    EncryptedMedia
    ForwardingType
    InboundCallScreening
    NoiseSuppression
    NoiseSuppressionEngine
    NumberPaymentMethod
    PhoneNumberStatus
    PhoneNumberType
    PushPlatform
    RecordingChannels
    RecordingFormat
    RegistrationStatus
    Role
    RoutingMethod
    RtcpPort
    ServicePlan
    SimultaneousRinging
    T38ReinviteSource
    TelephonyCredentialStatus
    TrafficType
    TrunkHealth
    TrunkNumberFormat
    TrunkTransport
    UsagePaymentMethod
    WebhookApiVersion
    WebhookEventType
    WebhookStatus
}

/// Describes a string that is one of some words.
pub(crate) fn words(names: &[&str]) -> Value {
    json!({"type": "string", "enum": names})
}

/// Lets a schema take `null` besides.
pub(crate) fn allow_null(schema: &mut Map<String, Value>) {
    if let Some(types) = schema.get_mut("type") {
        match types {
            Value::Array(types) if !types.contains(&"null".into()) => types.push("null".into()),
            Value::String(one) if one != "null" => *types = json!([one, "null"]),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => {}
        }
    }
    if let Some(Value::Array(words)) = schema.get_mut("enum")
        && !words.contains(&Value::Null)
    {
        words.push(Value::Null);
    }
}

/// Takes back what [`allow_null`] gave.
pub(crate) fn forbid_null(schema: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|one| one != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            schema.insert("type".to_owned(), one);
        }
    }
    if let Some(Value::Array(words)) = schema.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_comes_and_goes() {
        let plain = json!({"type": "string", "enum": ["a", "b"]});
        let mut schema = plain.as_object().cloned().unwrap();
        allow_null(&mut schema);
        allow_null(&mut schema);
        assert_eq!(
            Value::Object(schema.clone()),
            json!({"type": ["string", "null"], "enum": ["a", "b", null]})
        );
        forbid_null(&mut schema);
        assert_eq!(Value::Object(schema), plain);
    }
}
