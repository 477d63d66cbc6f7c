//! Everything about a connection but its names and its password: values, defaults, ranges.
//!
//! The serde form is the one in which the store keeps settings: fields may be added, and a missing
//! field has its default.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::words::{
    AnchorsiteOverride, AniNumberFormat, AniOverrideType, DnisNumberFormat, DtmfType,
    EncryptedMedia, NoiseSuppression, NoiseSuppressionEngine, RoutingMethod, RtcpPort,
    SimultaneousRinging, T38ReinviteSource, WebhookApiVersion, calling_preference,
};
use crate::field_error::{Faults, MAX_LABEL_CHARS};
use crate::{
    CallingPreference, FieldError, FieldErrorKind, MediaPolicy, MobilePushCredentialId,
    OutboundVoiceProfileId,
};

/// Longest URL of a webhook, in characters.
pub const MAX_URL_CHARS: usize = 2000;
/// How many tags a connection may have.
pub const MAX_TAGS: usize = 100;
/// How many codecs a connection may list.
pub const MAX_CODECS: usize = 32;

/// The settings of a credential connection, named as the API names them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConnectionSettings {
    /// Whether it may be used at all. Kept beside the other settings by the store.
    #[serde(skip)]
    pub active: bool,
    /// Where media should be anchored.
    pub anchorsite_override: AnchorsiteOverride,
    /// Who may call its users by SIP URI; unset means disabled.
    #[serde(with = "calling_preference")]
    pub sip_uri_calling_preference: Option<CallingPreference>,
    /// Comfort noise while a call is on hold.
    pub default_on_hold_comfort_noise_enabled: bool,
    /// How keys travel.
    pub dtmf_type: DtmfType,
    /// Whether Contact headers are encoded for proxies in between.
    pub encode_contact_header_enabled: bool,
    /// Encryption of SIP media.
    pub encrypted_media: Option<EncryptedMedia>,
    /// T.38 between two of our customers is passed through.
    pub onnet_t38_passthrough_enabled: bool,
    /// Push credential for iOS.
    pub ios_push_credential_id: Option<MobilePushCredentialId>,
    /// Push credential for Android.
    pub android_push_credential_id: Option<MobilePushCredentialId>,
    /// Where webhooks go; absolute `http` or `https`, or empty.
    pub webhook_event_url: Option<String>,
    /// Where they go when that fails; absolute `http` or `https`, or empty.
    pub webhook_event_failover_url: Option<String>,
    /// The shape of webhooks.
    pub webhook_api_version: WebhookApiVersion,
    /// How long a webhook may take, 0 to 30 s; unset means the default.
    pub webhook_timeout_secs: Option<u32>,
    /// Whether webhooks tell what a call cost.
    pub call_cost_in_webhooks: bool,
    /// The customer's own labels.
    pub tags: Vec<String>,
    /// Which direction is freed from noise.
    pub noise_suppression: NoiseSuppression,
    /// How.
    pub noise_suppression_details: NoiseSuppressionDetails,
    /// The jitter buffer.
    pub jitter_buffer: JitterBuffer,
    /// RTCP of SIP media.
    pub rtcp_settings: RtcpSettings,
    /// Whether conversations are kept.
    pub conversation_persistence: bool,
    /// Calls to the customer.
    pub inbound: InboundSettings,
    /// Calls from the customer.
    pub outbound: OutboundSettings,
}

/// How noise is taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NoiseSuppressionDetails {
    /// What does it.
    pub engine: NoiseSuppressionEngine,
    /// How strongly, 0 to 100 in tens; unset means the engine's default.
    pub attenuation_limit: Option<u32>,
}

impl NoiseSuppressionDetails {
    /// Returns how strongly noise is taken away: as set, or the engine's default.
    pub fn effective_attenuation_limit(&self) -> u32 {
        self.attenuation_limit.unwrap_or(match self.engine {
            NoiseSuppressionEngine::Denoiser => 0,
            NoiseSuppressionEngine::DeepFilterNet
            | NoiseSuppressionEngine::DeepFilterNetLarge
            | NoiseSuppressionEngine::KrispVivaTel
            | NoiseSuppressionEngine::KrispVivaTelLite
            | NoiseSuppressionEngine::KrispVivaPromodel
            | NoiseSuppressionEngine::KrispVivaSs => 80,
            NoiseSuppressionEngine::QuailVoiceFocus => 100,
        })
    }
}

/// The jitter buffer of SIP media.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JitterBuffer {
    /// Whether there is one.
    pub enable_jitter_buffer: bool,
    /// Shortest delay, 40 to 400 ms.
    pub jitterbuffer_msec_min: u32,
    /// Longest delay, 40 to 400 ms, not below the shortest.
    pub jitterbuffer_msec_max: u32,
}

/// RTCP of SIP media.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RtcpSettings {
    /// Where it goes.
    pub port: RtcpPort,
    /// Whether reports are kept.
    pub capture_enabled: bool,
    /// Time between two reports, 5 to 3000 s.
    pub report_frequency_secs: u32,
}

/// Calls to the customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InboundSettings {
    /// How the caller's number is written.
    pub ani_number_format: AniNumberFormat,
    /// How the dialled number is written.
    pub dnis_number_format: DnisNumberFormat,
    /// Codecs, most wanted first; any name is allowed.
    pub codecs: Vec<String>,
    /// The order in which several targets are tried.
    pub default_routing_method: Option<RoutingMethod>,
    /// How many calls may be in at once.
    pub channel_limit: Option<u32>,
    /// Whether we make the ringing tone.
    pub generate_ringback_tone: bool,
    /// Whether ISUP parameters are handed over.
    pub isup_headers_enabled: bool,
    /// Whether PRACK (RFC 3262) is asked for.
    pub prack_enabled: bool,
    /// Whether SHAKEN/STIR results are handed over.
    pub shaken_stir_enabled: bool,
    /// Whether all devices ring at once.
    pub simultaneous_ringing: SimultaneousRinging,
    /// Whether SIP headers are written in compact form.
    pub sip_compact_headers_enabled: bool,
    /// How long we wait for a first sign of life, 1 to 120 s.
    pub timeout_1xx_secs: u32,
    /// How long it may ring, 1 to 600 s.
    pub timeout_2xx_secs: u32,
    /// Whether the caller hears ringing at once.
    pub instant_ringback_enabled: bool,
}

impl InboundSettings {
    /// Returns what the listed codecs allow on our media engine.
    pub fn media_policy(&self) -> MediaPolicy {
        MediaPolicy::from_codec_names(self.codecs.iter().map(String::as_str))
    }
}

/// Calls from the customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OutboundSettings {
    /// What may be dialled. Kept beside the other settings by the store.
    #[serde(skip)]
    pub outbound_voice_profile_id: Option<OutboundVoiceProfileId>,
    /// How many calls may be out at once.
    pub channel_limit: Option<u32>,
    /// A number that replaces the caller's; empty for none.
    pub ani_override: String,
    /// When it does.
    pub ani_override_type: AniOverrideType,
    /// Whether an application decides what becomes of a call.
    pub call_parking_enabled: Option<bool>,
    /// Whether we make the ringing tone.
    pub generate_ringback_tone: bool,
    /// Whether the caller hears ringing at once.
    pub instant_ringback_enabled: bool,
    /// The country that national numbers belong to (ISO 3166-1 alpha-2).
    pub localization: String,
    /// Who asks for T.38.
    pub t38_reinvite_source: T38ReinviteSource,
}

impl Default for ConnectionSettings {
    fn default() -> Self {
        Self {
            active: true,
            anchorsite_override: AnchorsiteOverride::Latency,
            sip_uri_calling_preference: None,
            default_on_hold_comfort_noise_enabled: false,
            dtmf_type: DtmfType::Rfc2833,
            encode_contact_header_enabled: false,
            encrypted_media: None,
            onnet_t38_passthrough_enabled: false,
            ios_push_credential_id: None,
            android_push_credential_id: None,
            webhook_event_url: None,
            webhook_event_failover_url: Some(String::new()),
            webhook_api_version: WebhookApiVersion::V1,
            webhook_timeout_secs: None,
            call_cost_in_webhooks: false,
            tags: Vec::new(),
            noise_suppression: NoiseSuppression::Disabled,
            noise_suppression_details: NoiseSuppressionDetails::default(),
            jitter_buffer: JitterBuffer::default(),
            rtcp_settings: RtcpSettings::default(),
            conversation_persistence: false,
            inbound: InboundSettings::default(),
            outbound: OutboundSettings::default(),
        }
    }
}

impl Default for NoiseSuppressionDetails {
    fn default() -> Self {
        Self {
            engine: NoiseSuppressionEngine::Denoiser,
            attenuation_limit: None,
        }
    }
}

impl Default for JitterBuffer {
    fn default() -> Self {
        Self {
            enable_jitter_buffer: false,
            jitterbuffer_msec_min: 60,
            jitterbuffer_msec_max: 200,
        }
    }
}

impl Default for RtcpSettings {
    fn default() -> Self {
        Self {
            port: RtcpPort::RtpPlusOne,
            capture_enabled: false,
            report_frequency_secs: 5,
        }
    }
}

impl Default for InboundSettings {
    fn default() -> Self {
        Self {
            ani_number_format: AniNumberFormat::E164National,
            dnis_number_format: DnisNumberFormat::E164,
            codecs: ["G722", "G711U", "G711A", "G729", "OPUS", "H.264"]
                .map(str::to_owned)
                .to_vec(),
            default_routing_method: None,
            channel_limit: None,
            generate_ringback_tone: false,
            isup_headers_enabled: false,
            prack_enabled: false,
            shaken_stir_enabled: false,
            simultaneous_ringing: SimultaneousRinging::Disabled,
            sip_compact_headers_enabled: true,
            timeout_1xx_secs: 3,
            timeout_2xx_secs: 90,
            instant_ringback_enabled: false,
        }
    }
}

impl Default for OutboundSettings {
    fn default() -> Self {
        Self {
            outbound_voice_profile_id: None,
            channel_limit: None,
            ani_override: String::new(),
            ani_override_type: AniOverrideType::Always,
            call_parking_enabled: Some(false),
            generate_ringback_tone: false,
            instant_ringback_enabled: true,
            localization: "US".to_owned(),
            t38_reinvite_source: T38ReinviteSource::Telnyx,
        }
    }
}

impl ConnectionSettings {
    /// Brings values that mean the same into one spelling: `ani_override` "always" is none, and a
    /// country is written in capitals.
    pub fn normalize(&mut self) {
        let outbound = &mut self.outbound;
        outbound.ani_override = outbound.ani_override.trim().to_owned();
        if outbound.ani_override == AniOverrideType::Always.name() {
            outbound.ani_override.clear();
        }
        outbound.localization.make_ascii_uppercase();
    }

    /// Checks every value by itself and those that depend on each other; lists what is wrong. Whether
    /// a named profile exists is the store's question.
    pub fn validate(&self) -> Vec<FieldError> {
        let mut faults = Faults::default();
        self.check(&mut faults);
        faults.into_vec()
    }

    pub(super) fn check(&self, faults: &mut Faults) {
        check_url(
            faults,
            "/webhook_event_url",
            self.webhook_event_url.as_deref(),
        );
        check_url(
            faults,
            "/webhook_event_failover_url",
            self.webhook_event_failover_url.as_deref(),
        );
        if let Some(secs) = self.webhook_timeout_secs {
            faults.range("/webhook_timeout_secs", secs, 0, 30);
        }
        let parking = self.outbound.call_parking_enabled == Some(true);
        if self.webhook_api_version == WebhookApiVersion::Texml && !parking {
            faults.add(
                "/webhook_api_version",
                FieldErrorKind::Invalid,
                "The value texml needs outbound.call_parking_enabled to be true.",
            );
        }
        check_labels(faults, "/tags", &self.tags, MAX_TAGS, MAX_LABEL_CHARS);
        if let Some(limit) = self.noise_suppression_details.attenuation_limit
            && (limit > 100 || limit % 10 != 0)
        {
            faults.add(
                "/noise_suppression_details/attenuation_limit",
                FieldErrorKind::OutOfRange,
                "Must be a multiple of 10 from 0 to 100.",
            );
        }
        self.jitter_buffer.check(faults);
        faults.range(
            "/rtcp_settings/report_frequency_secs",
            self.rtcp_settings.report_frequency_secs,
            5,
            3000,
        );
        check_labels(
            faults,
            "/inbound/codecs",
            &self.inbound.codecs,
            MAX_CODECS,
            64,
        );
        check_channels(faults, "/inbound/channel_limit", self.inbound.channel_limit);
        faults.range(
            "/inbound/timeout_1xx_secs",
            self.inbound.timeout_1xx_secs,
            1,
            120,
        );
        faults.range(
            "/inbound/timeout_2xx_secs",
            self.inbound.timeout_2xx_secs,
            1,
            600,
        );
        self.outbound.check(faults);
    }
}

impl JitterBuffer {
    fn check(&self, faults: &mut Faults) {
        let (min, max) = (self.jitterbuffer_msec_min, self.jitterbuffer_msec_max);
        faults.range("/jitter_buffer/jitterbuffer_msec_min", min, 40, 400);
        faults.range("/jitter_buffer/jitterbuffer_msec_max", max, 40, 400);
        if min > max {
            faults.add(
                "/jitter_buffer/jitterbuffer_msec_min",
                FieldErrorKind::OutOfRange,
                "Must not be above jitterbuffer_msec_max.",
            );
        }
    }
}

impl OutboundSettings {
    fn check(&self, faults: &mut Faults) {
        check_channels(faults, "/outbound/channel_limit", self.channel_limit);
        if !self.ani_override.is_empty() && !is_number(&self.ani_override) {
            faults.add(
                "/outbound/ani_override",
                FieldErrorKind::InvalidNumber,
                "Must be a telephone number, or empty.",
            );
        }
        let country = self.localization.as_bytes();
        if country.len() != 2 || !country.iter().all(u8::is_ascii_uppercase) {
            faults.add(
                "/outbound/localization",
                FieldErrorKind::Invalid,
                "Must be a country code of two letters (ISO 3166-1 alpha-2).",
            );
        }
    }
}

/// Bounds a count by what any store can keep.
pub(crate) fn check_channels(faults: &mut Faults, pointer: &'static str, limit: Option<u32>) {
    if let Some(limit) = limit {
        // The upper bound is that of a Postgres integer: far beyond any node.
        faults.range(pointer, limit, 0, i32::MAX.unsigned_abs());
    }
}

/// Bounds a list of texts in its length and in theirs.
pub(crate) fn check_labels(
    faults: &mut Faults,
    pointer: &'static str,
    labels: &[String],
    max_count: usize,
    max_chars: usize,
) {
    if labels.len() > max_count {
        faults.add(
            pointer,
            FieldErrorKind::OutOfRange,
            format!("Must have at most {max_count} entries."),
        );
        return;
    }
    for (i, label) in labels.iter().enumerate() {
        faults.text(format!("{pointer}/{i}"), label, max_chars);
    }
}

/// Empty, or an absolute `http` or `https` URL with a host and without blanks.
fn check_url(faults: &mut Faults, pointer: &'static str, url: Option<&str>) {
    let Some(url) = url.filter(|url| !url.is_empty()) else {
        return;
    };
    let rest = ["http://", "https://"].iter().find_map(|scheme| {
        let (start, rest) = url.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    });
    let has_host = rest.is_some_and(|rest| {
        is_host_and_port(rest.split(['/', '?', '#']).next().unwrap_or_default())
    });
    let plain = !url.contains(|c: char| c.is_whitespace() || c.is_control());
    if !has_host || !plain || url.chars().count() > MAX_URL_CHARS {
        faults.add(
            pointer,
            FieldErrorKind::InvalidUrl,
            format!(
                "Must be an absolute http or https URL of at most {MAX_URL_CHARS} characters, without user and \
                 password."
            ),
        );
    }
}

/// A host, as a name or an address, and maybe a port (RFC 3986 §3.2.2, §3.2.3).
fn is_host_and_port(authority: &str) -> bool {
    let (is_host, port) = match authority.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) => (address.parse::<Ipv6Addr>().is_ok(), port),
            None => return false,
        },
        None => {
            let end = authority.find(':').unwrap_or(authority.len());
            let (host, port) = authority.split_at(end);
            (is_host(host), port)
        }
    };
    let is_port = match port.strip_prefix(':') {
        None => port.is_empty(),
        Some(port) => {
            port.is_empty()
                || (port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok())
        }
    };
    is_host && is_port
}

fn is_host(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    let mut labels = name.split('.');
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || !c.is_ascii() || matches!(c, '-' | '_'))
    };
    // What ends with a number is an address.
    let ends_with_number = labels
        .clone()
        .next_back()
        .is_some_and(|label| label.bytes().all(|b| b.is_ascii_digit()));
    labels.all(is_label) && (!ends_with_number || name.parse::<Ipv4Addr>().is_ok())
}

/// An optional `+` and 3 to 15 digits.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    (3..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn faults(change: impl FnOnce(&mut ConnectionSettings)) -> Vec<String> {
        let mut settings = ConnectionSettings::default();
        change(&mut settings);
        settings
            .validate()
            .into_iter()
            .map(|fault| fault.pointer.into_owned())
            .collect()
    }

    #[test]
    fn defaults_are_valid_and_survive_storage() {
        let settings = ConnectionSettings::default();
        assert_eq!(settings.validate(), []);
        let json = serde_json::to_string(&settings).unwrap();
        assert_eq!(
            serde_json::from_str::<ConnectionSettings>(&json).unwrap(),
            settings
        );
        assert_eq!(
            serde_json::from_str::<ConnectionSettings>("{}").unwrap(),
            settings
        );
        assert!(!settings.inbound.media_policy().video);
    }

    #[test]
    fn every_value_survives_storage() {
        let mut settings = ConnectionSettings {
            sip_uri_calling_preference: Some(CallingPreference::Unrestricted),
            encrypted_media: Some(EncryptedMedia::Srtp),
            ios_push_credential_id: Some(MobilePushCredentialId::from_uuid(Uuid::from_u128(7))),
            webhook_event_url: Some("https://example.org/hook".to_owned()),
            webhook_event_failover_url: None,
            webhook_timeout_secs: Some(30),
            tags: vec!["é\u{1f600}\"".to_owned()],
            ..ConnectionSettings::default()
        };
        settings.inbound.codecs = vec!["VP8".to_owned(), "OPUS".to_owned()];
        settings.inbound.default_routing_method = Some(RoutingMethod::RoundRobin);
        settings.outbound.call_parking_enabled = None;
        for engine in NoiseSuppressionEngine::ALL {
            settings.noise_suppression_details.engine = *engine;
            let json = serde_json::to_string(&settings).unwrap();
            assert_eq!(
                serde_json::from_str::<ConnectionSettings>(&json).unwrap(),
                settings
            );
        }
    }

    #[test]
    fn ranges_have_both_ends() {
        for (good, bad) in [(0, 31), (30, 99)] {
            assert!(faults(|s| s.webhook_timeout_secs = Some(good)).is_empty());
            assert_eq!(
                faults(|s| s.webhook_timeout_secs = Some(bad)),
                ["/webhook_timeout_secs"]
            );
        }
        for (good, bad) in [(1, 0), (120, 121)] {
            assert!(faults(|s| s.inbound.timeout_1xx_secs = good).is_empty());
            assert_eq!(
                faults(|s| s.inbound.timeout_1xx_secs = bad),
                ["/inbound/timeout_1xx_secs"]
            );
        }
        for (good, bad) in [(1, 0), (600, 601)] {
            assert!(faults(|s| s.inbound.timeout_2xx_secs = good).is_empty());
            assert_eq!(
                faults(|s| s.inbound.timeout_2xx_secs = bad),
                ["/inbound/timeout_2xx_secs"]
            );
        }
        for (good, bad) in [(5, 4), (3000, 3001)] {
            assert!(faults(|s| s.rtcp_settings.report_frequency_secs = good).is_empty());
            assert_eq!(
                faults(|s| s.rtcp_settings.report_frequency_secs = bad),
                ["/rtcp_settings/report_frequency_secs"]
            );
        }
        for (good, bad) in [(0, 5), (100, 110)] {
            let set =
                |limit| faults(|s| s.noise_suppression_details.attenuation_limit = Some(limit));
            assert!(set(good).is_empty());
            assert_eq!(set(bad), ["/noise_suppression_details/attenuation_limit"]);
        }
    }

    #[test]
    fn jitter_bounds_must_not_cross() {
        assert!(faults(|s| s.jitter_buffer.jitterbuffer_msec_min = 200).is_empty());
        assert_eq!(
            faults(|s| s.jitter_buffer.jitterbuffer_msec_min = 201),
            ["/jitter_buffer/jitterbuffer_msec_min"]
        );
        assert_eq!(
            faults(|s| s.jitter_buffer.jitterbuffer_msec_max = 401),
            ["/jitter_buffer/jitterbuffer_msec_max"]
        );
    }

    #[test]
    fn urls_need_a_scheme_and_a_host() {
        for good in [
            "",
            "http://a",
            "HTTPS://a.example/x?y#z",
            "https://[::1]:8443/",
            "http://127.0.0.1:8080/hooks?a=b@c",
            "https://hooks.example.:443",
            "https://हिन्दी.example/",
        ] {
            assert!(
                faults(|s| s.webhook_event_url = Some(good.to_owned())).is_empty(),
                "{good}"
            );
        }
        let long = format!("https://a/{}", "x".repeat(2000));
        for bad in [
            "a",
            "ftp://a",
            "http://",
            "http:///x",
            "http://:80",
            "https://u:p@example.org/",
            "https://u@example.org/",
            "http://[zz]/",
            "http://[::1/",
            "http://h:99999/",
            "http://h:+80/",
            "http://%zz/",
            "http://a..b/",
            "http://a:b/",
            "http://1.2.3.4.5/",
            "http://1.2.3.256/",
            "http://a b",
            "http://é\0",
            &long,
        ] {
            assert_eq!(
                faults(|s| s.webhook_event_failover_url = Some(bad.to_owned())),
                ["/webhook_event_failover_url"],
                "{bad}"
            );
        }
    }

    #[test]
    fn lists_are_bounded_and_name_their_entry() {
        assert_eq!(
            faults(|s| s.tags = vec!["a".to_owned(), "b\0".to_owned()]),
            ["/tags/1"]
        );
        assert_eq!(faults(|s| s.tags = vec![String::new(); 101]), ["/tags"]);
        assert_eq!(
            faults(|s| s.inbound.codecs = vec![String::new(); 33]),
            ["/inbound/codecs"]
        );
        assert_eq!(
            faults(|s| s.inbound.codecs = vec!["x".repeat(65)]),
            ["/inbound/codecs/0"]
        );
    }

    #[test]
    fn texml_needs_parking() {
        assert_eq!(
            faults(|s| s.webhook_api_version = WebhookApiVersion::Texml),
            ["/webhook_api_version"]
        );
        assert!(
            faults(|s| {
                s.webhook_api_version = WebhookApiVersion::Texml;
                s.outbound.call_parking_enabled = Some(true);
            })
            .is_empty()
        );
    }

    #[test]
    fn numbers_and_countries_are_normalized_before_they_are_checked() {
        let mut settings = ConnectionSettings::default();
        settings.outbound.ani_override = "always".to_owned();
        settings.outbound.localization = "de".to_owned();
        settings.normalize();
        assert_eq!(settings.outbound.ani_override, "");
        assert_eq!(settings.outbound.localization, "DE");
        assert_eq!(settings.validate(), []);
        for bad in ["12", "+1234567890123456", "12a", "+"] {
            assert_eq!(
                faults(|s| s.outbound.ani_override = bad.to_owned()),
                ["/outbound/ani_override"]
            );
        }
        for bad in ["", "D", "DEU", "d1", "É"] {
            assert_eq!(
                faults(|s| s.outbound.localization = bad.to_owned()),
                ["/outbound/localization"]
            );
        }
    }
}
