//! How a connection is shown.

use std::borrow::Cow;

use ringtrip_model::{
    AnchorsiteOverride, AniNumberFormat, AniOverrideType, CallingPreference, ContactTransport,
    CredentialConnection, CredentialConnectionId, DnisNumberFormat, DtmfType, EncryptedMedia,
    InboundSettings, MobilePushCredentialId, NoiseSuppression, NoiseSuppressionEngine,
    OutboundSettings, OutboundVoiceProfileId, RegistrationStatus, RoutingMethod, RtcpPort,
    SimultaneousRinging, T38ReinviteSource, Timestamp, WebhookApiVersion,
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};

use crate::respond::{Text, Word};

/// A connection as it is shown, its password in clear.
pub(crate) struct Connection {
    pub(super) connection: CredentialConnection,
    /// What is known of the logins of its own user name.
    pub(super) registration: ringtrip_cluster::Registration,
}

impl Serialize for Connection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Shown::new(&self.connection, &self.registration).serialize(serializer)
    }
}

impl JsonSchema for Connection {
    fn schema_name() -> Cow<'static, str> {
        Shown::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        Shown::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Shown::json_schema(generator)
    }
}

/// How a customer's clients reach this installation.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CredentialConnection")]
struct Shown<'a> {
    id: Text<CredentialConnectionId>,
    #[schemars(extend("const" = "credential_connection"))]
    record_type: &'static str,
    active: bool,
    user_name: &'a str,
    password: &'a str,
    created_at: Text<Timestamp>,
    updated_at: Text<Timestamp>,
    anchorsite_override: Word<AnchorsiteOverride>,
    connection_name: &'a str,
    sip_uri_calling_preference: Option<Word<CallingPreference>>,
    default_on_hold_comfort_noise_enabled: bool,
    dtmf_type: Word<DtmfType>,
    encode_contact_header_enabled: bool,
    encrypted_media: Option<Word<EncryptedMedia>>,
    onnet_t38_passthrough_enabled: bool,
    ios_push_credential_id: Option<Text<MobilePushCredentialId>>,
    android_push_credential_id: Option<Text<MobilePushCredentialId>>,
    webhook_event_url: Option<&'a str>,
    webhook_event_failover_url: Option<&'a str>,
    webhook_api_version: Word<WebhookApiVersion>,
    #[schemars(range(max = 30))]
    webhook_timeout_secs: Option<u32>,
    call_cost_in_webhooks: bool,
    tags: &'a [String],
    noise_suppression: Word<NoiseSuppression>,
    noise_suppression_details: NoiseSuppressionDetails,
    jitter_buffer: JitterBuffer,
    rtcp_settings: RtcpSettings,
    conversation_persistence: bool,
    inbound: Inbound<'a>,
    outbound: Outbound<'a>,
    registration_status: Word<RegistrationStatus>,
    registration_status_updated_at: Option<Text<Timestamp>>,
    third_party_control_enabled: bool,
}

#[derive(Serialize, JsonSchema)]
struct NoiseSuppressionDetails {
    engine: Word<NoiseSuppressionEngine>,
    #[schemars(range(max = 100))]
    attenuation_limit: u32,
}

#[derive(Serialize, JsonSchema)]
struct JitterBuffer {
    enable_jitter_buffer: bool,
    #[schemars(range(min = 40, max = 400))]
    jitterbuffer_msec_min: u32,
    #[schemars(range(min = 40, max = 400))]
    jitterbuffer_msec_max: u32,
}

#[derive(Serialize, JsonSchema)]
struct RtcpSettings {
    port: Word<RtcpPort>,
    capture_enabled: bool,
    report_frequency_secs: u32,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CredentialInbound")]
struct Inbound<'a> {
    ani_number_format: Word<AniNumberFormat>,
    dnis_number_format: Word<DnisNumberFormat>,
    codecs: &'a [String],
    default_routing_method: Option<Word<RoutingMethod>>,
    channel_limit: Option<u32>,
    generate_ringback_tone: bool,
    isup_headers_enabled: bool,
    prack_enabled: bool,
    shaken_stir_enabled: bool,
    simultaneous_ringing: Word<SimultaneousRinging>,
    sip_compact_headers_enabled: bool,
    #[schemars(range(min = 1, max = 120))]
    timeout_1xx_secs: u32,
    #[schemars(range(min = 1, max = 600))]
    timeout_2xx_secs: u32,
    instant_ringback_enabled: bool,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CredentialOutbound")]
struct Outbound<'a> {
    outbound_voice_profile_id: Option<Text<OutboundVoiceProfileId>>,
    channel_limit: Option<u32>,
    ani_override: &'a str,
    ani_override_type: Word<AniOverrideType>,
    call_parking_enabled: Option<bool>,
    generate_ringback_tone: bool,
    instant_ringback_enabled: bool,
    localization: &'a str,
    t38_reinvite_source: Word<T38ReinviteSource>,
}

fn registration_status(known: &ringtrip_cluster::Registration) -> Word<RegistrationStatus> {
    Word(if known.contact.is_some() {
        RegistrationStatus::Registered
    } else {
        RegistrationStatus::NotRegistered
    })
}

impl<'a> Shown<'a> {
    fn new(connection: &'a CredentialConnection, known: &ringtrip_cluster::Registration) -> Self {
        let s = &connection.settings;
        Self {
            id: Text(connection.id),
            record_type: "credential_connection",
            active: s.active,
            user_name: &connection.user_name,
            password: connection.password.expose(),
            created_at: Text(connection.created_at),
            updated_at: Text(connection.updated_at),
            anchorsite_override: Word(s.anchorsite_override),
            connection_name: &connection.connection_name,
            sip_uri_calling_preference: s.sip_uri_calling_preference.map(Word),
            default_on_hold_comfort_noise_enabled: s.default_on_hold_comfort_noise_enabled,
            dtmf_type: Word(s.dtmf_type),
            encode_contact_header_enabled: s.encode_contact_header_enabled,
            encrypted_media: s.encrypted_media.map(Word),
            onnet_t38_passthrough_enabled: s.onnet_t38_passthrough_enabled,
            ios_push_credential_id: s.ios_push_credential_id.map(Text),
            android_push_credential_id: s.android_push_credential_id.map(Text),
            webhook_event_url: s.webhook_event_url.as_deref(),
            webhook_event_failover_url: s.webhook_event_failover_url.as_deref(),
            webhook_api_version: Word(s.webhook_api_version),
            webhook_timeout_secs: s.webhook_timeout_secs,
            call_cost_in_webhooks: s.call_cost_in_webhooks,
            tags: &s.tags,
            noise_suppression: Word(s.noise_suppression),
            noise_suppression_details: NoiseSuppressionDetails {
                engine: Word(s.noise_suppression_details.engine),
                attenuation_limit: s.noise_suppression_details.effective_attenuation_limit(),
            },
            jitter_buffer: JitterBuffer {
                enable_jitter_buffer: s.jitter_buffer.enable_jitter_buffer,
                jitterbuffer_msec_min: s.jitter_buffer.jitterbuffer_msec_min,
                jitterbuffer_msec_max: s.jitter_buffer.jitterbuffer_msec_max,
            },
            rtcp_settings: RtcpSettings {
                port: Word(s.rtcp_settings.port),
                capture_enabled: s.rtcp_settings.capture_enabled,
                report_frequency_secs: s.rtcp_settings.report_frequency_secs,
            },
            conversation_persistence: s.conversation_persistence,
            inbound: Inbound::new(&s.inbound),
            outbound: Outbound::new(&s.outbound),
            registration_status: registration_status(known),
            registration_status_updated_at: known.changed_at.map(Text),
            third_party_control_enabled: false,
        }
    }
}

impl<'a> Inbound<'a> {
    fn new(s: &'a InboundSettings) -> Self {
        Self {
            ani_number_format: Word(s.ani_number_format),
            dnis_number_format: Word(s.dnis_number_format),
            codecs: &s.codecs,
            default_routing_method: s.default_routing_method.map(Word),
            channel_limit: s.channel_limit,
            generate_ringback_tone: s.generate_ringback_tone,
            isup_headers_enabled: s.isup_headers_enabled,
            prack_enabled: s.prack_enabled,
            shaken_stir_enabled: s.shaken_stir_enabled,
            simultaneous_ringing: Word(s.simultaneous_ringing),
            sip_compact_headers_enabled: s.sip_compact_headers_enabled,
            timeout_1xx_secs: s.timeout_1xx_secs,
            timeout_2xx_secs: s.timeout_2xx_secs,
            instant_ringback_enabled: s.instant_ringback_enabled,
        }
    }
}

impl<'a> Outbound<'a> {
    fn new(s: &'a OutboundSettings) -> Self {
        Self {
            outbound_voice_profile_id: s.outbound_voice_profile_id.map(Text),
            channel_limit: s.channel_limit,
            ani_override: &s.ani_override,
            ani_override_type: Word(s.ani_override_type),
            call_parking_enabled: s.call_parking_enabled,
            generate_ringback_tone: s.generate_ringback_tone,
            instant_ringback_enabled: s.instant_ringback_enabled,
            localization: &s.localization,
            t38_reinvite_source: Word(s.t38_reinvite_source),
        }
    }
}

/// What is known of the registration of a connection's own user name. Clients log in over a WebSocket:
/// its address is the one they are at.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RegistrationStatus")]
pub(crate) struct Registration {
    #[schemars(extend("const" = "registration_status"))]
    record_type: &'static str,
    status: Word<RegistrationStatus>,
    sip_username: String,
    ip_address: Option<String>,
    port: Option<u16>,
    transport: Option<Word<ContactTransport>>,
    user_agent: Option<String>,
    last_registration: Option<Text<Timestamp>>,
}

impl Registration {
    pub(super) fn new(
        connection: CredentialConnection,
        known: ringtrip_cluster::Registration,
    ) -> Self {
        let status = registration_status(&known);
        let contact = known.contact.as_ref();
        Self {
            record_type: "registration_status",
            status,
            sip_username: connection.user_name,
            ip_address: contact.map(|contact| contact.address.to_string()),
            port: contact.and_then(|contact| contact.port),
            transport: contact.map(|contact| Word(contact.transport)),
            last_registration: known.last_login.map(Text),
            user_agent: known.contact.and_then(|contact| contact.user_agent),
        }
    }
}
