//! Reads what a request says about a connection onto what is there already.

use std::borrow::Cow;

use ringtrip_model::{
    AccountId, ConnectionSettings, CredentialConnection, FieldErrors, Generator, InboundSettings,
    MAX_CODECS, MAX_LABEL_CHARS, MAX_TAGS, MAX_URL_CHARS, NewCredentialConnection,
    OutboundSettings, Secret, Timestamp,
};
use serde_json::{Value, json};

use crate::fields::{COUNTRY, Fields, FromJson, Limit, NOT_BLANK, Sent, URL};

/// Seconds that may also be sent as text: the Java SDK of 2021 has `timeout_2xx_secs` so, and sends its
/// default, `"90"`, with every connection.
struct Secs(u32);

impl FromJson for Secs {
    fn expected() -> Cow<'static, str> {
        u32::expected()
    }

    fn schema() -> Value {
        json!({"type": ["integer", "string"], "pattern": "^([1-9][0-9]?|[1-5][0-9]{2}|600)$"})
    }

    fn from_json(value: &Value) -> Option<Self> {
        match value.as_str() {
            Some(text) => {
                let secs: u32 = text.parse().ok()?;
                (secs.to_string() == text).then_some(Self(secs))
            }
            None => u32::from_json(value).map(Self),
        }
    }
}

/// What a request can set.
struct Parts<'a> {
    connection_name: &'a mut String,
    user_name: &'a mut String,
    password: &'a mut Secret<String>,
    settings: &'a mut ConnectionSettings,
}

impl<'a> Parts<'a> {
    /// Takes the parts of a connection that is there already.
    const fn of(connection: &'a mut CredentialConnection) -> Self {
        Self {
            connection_name: &mut connection.connection_name,
            user_name: &mut connection.user_name,
            password: &mut connection.password,
            settings: &mut connection.settings,
        }
    }
}

/// Reads a new connection.
pub(super) fn read_new(
    fields: &mut Fields<'_>,
    account: AccountId,
    now: Timestamp,
    rng: &mut Generator,
) -> Result<NewCredentialConnection, FieldErrors> {
    let (mut name, mut user_name) = (String::new(), String::new());
    let mut password = Secret::new(String::new());
    let mut settings = ConnectionSettings::default();
    let parts = Parts {
        connection_name: &mut name,
        user_name: &mut user_name,
        password: &mut password,
        settings: &mut settings,
    };
    apply(fields, parts);
    let password = password.expose().as_str();
    NewCredentialConnection::new(account, name, user_name, password, settings, now, rng)
}

/// Reads a change onto a connection.
pub(super) fn read_change(
    fields: &mut Fields<'_>,
    connection: &mut CredentialConnection,
) -> Result<(), FieldErrors> {
    apply(fields, Parts::of(connection));
    let faults = connection.normalize_and_validate();
    if faults.is_empty() {
        Ok(())
    } else {
        Err(FieldErrors(faults))
    }
}

/// Makes the connection that a change is described on.
pub(super) fn example(
    account: AccountId,
    now: Timestamp,
    rng: &mut Generator,
) -> CredentialConnection {
    NewCredentialConnection::new(
        account,
        "main",
        "alice1",
        "correct horse",
        ConnectionSettings::default(),
        now,
        rng,
    )
    .expect("these values are valid")
    .into_connection()
}

/// Applies a body to a connection's parts: on a new connection these hold the defaults, on a stored one what it
/// has, so that nested objects are merged and lists replaced.
///
/// `null` clears a field that may be unset, and gives any other its default again; a required text
/// becomes empty, which its check reports as missing. Unknown fields are passed over.
///
/// A value of a wrong type is refused everywhere; Telnyx was seen to keep `[]` for codecs that are no list.
fn apply(fields: &mut Fields<'_>, parts: Parts<'_>) {
    fields.limit("connection_name", NOT_BLANK);
    fields.limit("connection_name", Limit::Chars(1, MAX_LABEL_CHARS));
    fields.limit("user_name", Limit::Chars(4, 32));
    fields.limit(
        "user_name",
        Limit::Pattern("^[0-9]{0,4}[A-Za-z][0-9A-Za-z]*$"),
    );
    fields.limit("password", Limit::Chars(8, 128));
    fields.set("connection_name", parts.connection_name, String::new());
    fields.set("user_name", parts.user_name, String::new());
    match fields.get("password") {
        Sent::Absent | Sent::Refused => {}
        Sent::Null => *parts.password = Secret::new(String::new()),
        Sent::Value(text) => *parts.password = Secret::new(text),
    }

    let unset = ConnectionSettings::default();
    let s = parts.settings;
    fields.set("active", &mut s.active, unset.active);
    fields.set(
        "anchorsite_override",
        &mut s.anchorsite_override,
        unset.anchorsite_override,
    );
    fields.set_nullable(
        "sip_uri_calling_preference",
        &mut s.sip_uri_calling_preference,
    );
    fields.set(
        "default_on_hold_comfort_noise_enabled",
        &mut s.default_on_hold_comfort_noise_enabled,
        unset.default_on_hold_comfort_noise_enabled,
    );
    fields.set("dtmf_type", &mut s.dtmf_type, unset.dtmf_type);
    fields.set(
        "encode_contact_header_enabled",
        &mut s.encode_contact_header_enabled,
        unset.encode_contact_header_enabled,
    );
    fields.set_nullable("encrypted_media", &mut s.encrypted_media);
    fields.set(
        "onnet_t38_passthrough_enabled",
        &mut s.onnet_t38_passthrough_enabled,
        unset.onnet_t38_passthrough_enabled,
    );
    fields.set_reference(
        "ios_push_credential_id",
        "push credential for iOS",
        &mut s.ios_push_credential_id,
    );
    fields.set_reference(
        "android_push_credential_id",
        "push credential for Android",
        &mut s.android_push_credential_id,
    );
    fields.limit("webhook_event_url", URL);
    fields.limit("webhook_event_failover_url", URL);
    fields.limit("webhook_event_url", Limit::Chars(0, MAX_URL_CHARS));
    fields.limit("webhook_event_failover_url", Limit::Chars(0, MAX_URL_CHARS));
    fields.limit("webhook_timeout_secs", Limit::Range(0, 30));
    fields.limit("tags", Limit::Entries(MAX_TAGS, MAX_LABEL_CHARS));
    fields.set_nullable("webhook_event_url", &mut s.webhook_event_url);
    fields.set_nullable(
        "webhook_event_failover_url",
        &mut s.webhook_event_failover_url,
    );
    fields.set(
        "webhook_api_version",
        &mut s.webhook_api_version,
        unset.webhook_api_version,
    );
    fields.set_nullable("webhook_timeout_secs", &mut s.webhook_timeout_secs);
    fields.set(
        "call_cost_in_webhooks",
        &mut s.call_cost_in_webhooks,
        unset.call_cost_in_webhooks,
    );
    fields.set("tags", &mut s.tags, unset.tags);
    fields.set(
        "noise_suppression",
        &mut s.noise_suppression,
        unset.noise_suppression,
    );
    fields.set(
        "conversation_persistence",
        &mut s.conversation_persistence,
        unset.conversation_persistence,
    );

    let mut details = fields.nested("/noise_suppression_details");
    let (s_details, u_details) = (
        &mut s.noise_suppression_details,
        unset.noise_suppression_details,
    );
    details.set("engine", &mut s_details.engine, u_details.engine);
    details.limit("attenuation_limit", Limit::Range(0, 100));
    details.limit("attenuation_limit", Limit::MultipleOf(10));
    details.set_nullable("attenuation_limit", &mut s_details.attenuation_limit);

    let mut jitter = fields.nested("/jitter_buffer");
    let (s_jitter, u_jitter) = (&mut s.jitter_buffer, unset.jitter_buffer);
    jitter.limit("jitterbuffer_msec_min", Limit::Range(40, 400));
    jitter.limit("jitterbuffer_msec_max", Limit::Range(40, 400));
    jitter.set(
        "enable_jitter_buffer",
        &mut s_jitter.enable_jitter_buffer,
        u_jitter.enable_jitter_buffer,
    );
    jitter.set(
        "jitterbuffer_msec_min",
        &mut s_jitter.jitterbuffer_msec_min,
        u_jitter.jitterbuffer_msec_min,
    );
    jitter.set(
        "jitterbuffer_msec_max",
        &mut s_jitter.jitterbuffer_msec_max,
        u_jitter.jitterbuffer_msec_max,
    );

    let mut rtcp = fields.nested("/rtcp_settings");
    let (s_rtcp, u_rtcp) = (&mut s.rtcp_settings, unset.rtcp_settings);
    rtcp.limit("report_frequency_secs", Limit::Range(5, 3000));
    rtcp.set("port", &mut s_rtcp.port, u_rtcp.port);
    rtcp.set(
        "capture_enabled",
        &mut s_rtcp.capture_enabled,
        u_rtcp.capture_enabled,
    );
    rtcp.set(
        "report_frequency_secs",
        &mut s_rtcp.report_frequency_secs,
        u_rtcp.report_frequency_secs,
    );

    apply_inbound(
        &mut fields.nested("/inbound"),
        &mut s.inbound,
        unset.inbound,
    );
    apply_outbound(
        &mut fields.nested("/outbound"),
        &mut s.outbound,
        unset.outbound,
    );
}

fn apply_inbound(fields: &mut Fields<'_>, s: &mut InboundSettings, unset: InboundSettings) {
    fields.limit("codecs", Limit::Entries(MAX_CODECS, 64));
    fields.limit("channel_limit", Limit::Range(0, i32::MAX.unsigned_abs()));
    fields.limit("timeout_1xx_secs", Limit::Range(1, 120));
    fields.limit("timeout_2xx_secs", Limit::Range(1, 600));
    fields.set(
        "ani_number_format",
        &mut s.ani_number_format,
        unset.ani_number_format,
    );
    fields.set(
        "dnis_number_format",
        &mut s.dnis_number_format,
        unset.dnis_number_format,
    );
    fields.set("codecs", &mut s.codecs, unset.codecs);
    fields.set_nullable("default_routing_method", &mut s.default_routing_method);
    fields.set_nullable("channel_limit", &mut s.channel_limit);
    fields.set(
        "generate_ringback_tone",
        &mut s.generate_ringback_tone,
        unset.generate_ringback_tone,
    );
    fields.set(
        "isup_headers_enabled",
        &mut s.isup_headers_enabled,
        unset.isup_headers_enabled,
    );
    fields.set("prack_enabled", &mut s.prack_enabled, unset.prack_enabled);
    fields.set(
        "shaken_stir_enabled",
        &mut s.shaken_stir_enabled,
        unset.shaken_stir_enabled,
    );
    fields.set(
        "simultaneous_ringing",
        &mut s.simultaneous_ringing,
        unset.simultaneous_ringing,
    );
    fields.set(
        "sip_compact_headers_enabled",
        &mut s.sip_compact_headers_enabled,
        unset.sip_compact_headers_enabled,
    );
    fields.set(
        "timeout_1xx_secs",
        &mut s.timeout_1xx_secs,
        unset.timeout_1xx_secs,
    );
    match fields.get("timeout_2xx_secs") {
        Sent::Absent | Sent::Refused => {}
        Sent::Null => s.timeout_2xx_secs = unset.timeout_2xx_secs,
        Sent::Value(Secs(secs)) => s.timeout_2xx_secs = secs,
    }
    fields.set(
        "instant_ringback_enabled",
        &mut s.instant_ringback_enabled,
        unset.instant_ringback_enabled,
    );
}

fn apply_outbound(fields: &mut Fields<'_>, s: &mut OutboundSettings, unset: OutboundSettings) {
    fields.limit("channel_limit", Limit::Range(0, i32::MAX.unsigned_abs()));
    fields.limit(
        "ani_override",
        Limit::Pattern(r"^(always|\+?[0-9]{3,15})?$"),
    );
    fields.limit("localization", COUNTRY);
    fields.set_reference(
        "outbound_voice_profile_id",
        "outbound voice profile",
        &mut s.outbound_voice_profile_id,
    );
    fields.set_nullable("channel_limit", &mut s.channel_limit);
    fields.set("ani_override", &mut s.ani_override, unset.ani_override);
    fields.set(
        "ani_override_type",
        &mut s.ani_override_type,
        unset.ani_override_type,
    );
    fields.set_nullable("call_parking_enabled", &mut s.call_parking_enabled);
    fields.set(
        "generate_ringback_tone",
        &mut s.generate_ringback_tone,
        unset.generate_ringback_tone,
    );
    fields.set(
        "instant_ringback_enabled",
        &mut s.instant_ringback_enabled,
        unset.instant_ringback_enabled,
    );
    fields.set("localization", &mut s.localization, unset.localization);
    fields.set(
        "t38_reinvite_source",
        &mut s.t38_reinvite_source,
        unset.t38_reinvite_source,
    );
}
