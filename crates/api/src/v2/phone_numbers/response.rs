//! How a number is shown.

use ringtrip_model::{
    CredentialConnectionId, ForwardingType, InboundCallScreening, NumberPaymentMethod, PhoneNumber,
    PhoneNumberId, PhoneNumberStatus, PhoneNumberType, RecordingChannels, RecordingFormat,
    Timestamp,
};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::respond::{Text, Word};

/// A number as it is shown. What ringtrip has no use for (messaging, emergency addresses) is there, and
/// unset.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PhoneNumberDetailed")]
pub(crate) struct Detailed {
    #[serde(flatten)]
    common: Common,
    country_iso_alpha2: &'static str,
    #[schemars(extend("const" = "active"))]
    status: &'static str,
    #[schemars(extend("enum" = ["number_order", "port_request", null]))]
    source_type: Option<&'static str>,
    #[schemars(extend("const" = "disabled"))]
    emergency_status: &'static str,
    inbound_call_screening: Word<InboundCallScreening>,
}

/// A number that was deleted.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PhoneNumberDeletedDetailed")]
pub(crate) struct Deleted {
    #[serde(flatten)]
    common: Common,
    #[schemars(extend("const" = "deleted"))]
    status: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Common {
    id: Text<PhoneNumberId>,
    #[schemars(extend("const" = "phone_number"))]
    record_type: &'static str,
    phone_number: String,
    phone_number_type: Word<PhoneNumberType>,
    tags: Vec<String>,
    external_pin: Option<String>,
    customer_reference: Option<String>,
    connection_id: Option<Text<CredentialConnectionId>>,
    connection_name: Option<String>,
    billing_group_id: Option<Uuid>,
    messaging_profile_id: Option<String>,
    messaging_profile_name: Option<String>,
    emergency_enabled: bool,
    emergency_address_id: Option<String>,
    call_forwarding_enabled: bool,
    cnam_listing_enabled: bool,
    caller_id_name_enabled: bool,
    call_recording_enabled: bool,
    t38_fax_gateway_enabled: bool,
    hd_voice_enabled: bool,
    deletion_lock_enabled: bool,
    purchased_at: Text<Timestamp>,
    activated_at: Text<Timestamp>,
    created_at: Text<Timestamp>,
    updated_at: Text<Timestamp>,
}

impl Common {
    fn new(number: PhoneNumber) -> Self {
        let s = number.settings;
        Self {
            id: Text(number.id),
            record_type: "phone_number",
            phone_number: number.number.to_string(),
            phone_number_type: Word(number.kind),
            tags: s.tags,
            external_pin: s.external_pin,
            customer_reference: s.customer_reference,
            connection_id: number.connection.map(Text),
            connection_name: number.connection_name,
            billing_group_id: s.billing_group_id,
            messaging_profile_id: None,
            messaging_profile_name: None,
            emergency_enabled: false,
            emergency_address_id: None,
            call_forwarding_enabled: s.voice.call_forwarding.call_forwarding_enabled,
            cnam_listing_enabled: s.voice.cnam_listing.cnam_listing_enabled,
            caller_id_name_enabled: s.voice.caller_id_name_enabled,
            call_recording_enabled: s.voice.call_recording.inbound_call_recording_enabled,
            t38_fax_gateway_enabled: s.voice.media_features.t38_fax_gateway_enabled,
            hd_voice_enabled: s.hd_voice_enabled,
            deletion_lock_enabled: s.deletion_lock_enabled,
            // It is in service from the moment that it is taken in.
            purchased_at: Text(number.created_at),
            activated_at: Text(number.created_at),
            created_at: Text(number.created_at),
            updated_at: Text(number.updated_at),
        }
    }
}

impl Detailed {
    pub(super) fn new(number: PhoneNumber) -> Self {
        Self {
            country_iso_alpha2: number.country.alpha2(),
            status: PhoneNumberStatus::Active.name(),
            source_type: None,
            emergency_status: "disabled",
            inbound_call_screening: Word(number.settings.voice.inbound_call_screening),
            common: Common::new(number),
        }
    }
}

impl Deleted {
    pub(super) fn new(number: PhoneNumber) -> Self {
        Self {
            status: PhoneNumberStatus::Deleted.name(),
            common: Common::new(number),
        }
    }
}

/// A number as its voice settings are shown.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PhoneNumberWithVoiceSettings")]
pub(crate) struct WithVoiceSettings {
    id: Text<PhoneNumberId>,
    #[schemars(extend("const" = "voice_settings"))]
    record_type: &'static str,
    phone_number: String,
    connection_id: Option<Text<CredentialConnectionId>>,
    customer_reference: Option<String>,
    tech_prefix_enabled: bool,
    translated_number: String,
    usage_payment_method: Word<NumberPaymentMethod>,
    inbound_call_screening: Word<InboundCallScreening>,
    caller_id_name_enabled: bool,
    call_forwarding: Forwarding,
    call_recording: Recording,
    cnam_listing: Cnam,
    media_features: Media,
    emergency: Emergency,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CallForwarding")]
struct Forwarding {
    call_forwarding_enabled: bool,
    forwards_to: String,
    forwarding_type: Option<Word<ForwardingType>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CallRecording")]
struct Recording {
    inbound_call_recording_enabled: bool,
    inbound_call_recording_format: Word<RecordingFormat>,
    inbound_call_recording_channels: Word<RecordingChannels>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CnamListing")]
struct Cnam {
    cnam_listing_enabled: bool,
    cnam_listing_details: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "MediaFeatures")]
struct Media {
    rtp_auto_adjust_enabled: bool,
    accept_any_rtp_packets_enabled: bool,
    t38_fax_gateway_enabled: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "EmergencySettings")]
struct Emergency {
    emergency_enabled: bool,
    emergency_address_id: Option<String>,
    #[schemars(extend("const" = "disabled"))]
    emergency_status: &'static str,
}

impl WithVoiceSettings {
    pub(super) fn new(number: PhoneNumber) -> Self {
        let voice = number.settings.voice;
        let (forwarding, recording) = (voice.call_forwarding, voice.call_recording);
        Self {
            id: Text(number.id),
            record_type: "voice_settings",
            phone_number: number.number.to_string(),
            connection_id: number.connection.map(Text),
            customer_reference: number.settings.customer_reference,
            tech_prefix_enabled: voice.tech_prefix_enabled,
            translated_number: voice.translated_number,
            usage_payment_method: Word(voice.usage_payment_method),
            inbound_call_screening: Word(voice.inbound_call_screening),
            caller_id_name_enabled: voice.caller_id_name_enabled,
            call_forwarding: Forwarding {
                call_forwarding_enabled: forwarding.call_forwarding_enabled,
                forwards_to: forwarding.forwards_to,
                forwarding_type: forwarding.forwarding_type.map(Word),
            },
            call_recording: Recording {
                inbound_call_recording_enabled: recording.inbound_call_recording_enabled,
                inbound_call_recording_format: Word(recording.inbound_call_recording_format),
                inbound_call_recording_channels: Word(recording.inbound_call_recording_channels),
            },
            cnam_listing: Cnam {
                cnam_listing_enabled: voice.cnam_listing.cnam_listing_enabled,
                cnam_listing_details: voice.cnam_listing.cnam_listing_details,
            },
            media_features: Media {
                rtp_auto_adjust_enabled: voice.media_features.rtp_auto_adjust_enabled,
                accept_any_rtp_packets_enabled: voice.media_features.accept_any_rtp_packets_enabled,
                t38_fax_gateway_enabled: voice.media_features.t38_fax_gateway_enabled,
            },
            emergency: Emergency {
                emergency_enabled: false,
                emergency_address_id: None,
                emergency_status: "disabled",
            },
        }
    }
}
