//! The words that a connection's settings are chosen from.

use serde::{Deserialize, Deserializer, Serializer};

use crate::CallingPreference;
use crate::words::words;

words! {
    /// Where the media of a call should be anchored. Kept for the customer; one installation has one place.
    AnchorsiteOverride {
        /// The nearest place.
        Latency = "Latency",
        /// Chicago.
        Chicago = "Chicago, IL",
        /// Ashburn.
        Ashburn = "Ashburn, VA",
        /// San Jose.
        SanJose = "San Jose, CA",
        /// Sydney.
        Sydney = "Sydney, Australia",
        /// Amsterdam.
        Amsterdam = "Amsterdam, Netherlands",
        /// London.
        London = "London, UK",
        /// Toronto.
        Toronto = "Toronto, Canada",
        /// Vancouver.
        Vancouver = "Vancouver, Canada",
        /// Frankfurt.
        Frankfurt = "Frankfurt, Germany",
    }
    /// How keys travel.
    DtmfType {
        /// As RTP events (RFC 4733, which replaced RFC 2833).
        Rfc2833 = "RFC 2833",
        /// As tones.
        Inband = "Inband",
        /// As SIP INFO requests.
        SipInfo = "SIP INFO",
    }
    /// Encryption of SIP media.
    EncryptedMedia {
        /// SRTP with SDES keys.
        Srtp = "SRTP",
    }
    /// The shape of webhooks.
    WebhookApiVersion {
        /// The flat shape of old.
        V1 = "1",
        /// Today's envelope.
        V2 = "2",
        /// TeXML; only together with `outbound.call_parking_enabled`.
        Texml = "texml",
    }
    /// Which direction is freed from noise.
    NoiseSuppression {
        /// Sound towards the customer.
        Inbound = "inbound",
        /// Sound from the customer.
        Outbound = "outbound",
        /// Both.
        Both = "both",
        /// None.
        Disabled = "disabled",
    }
    /// What frees from noise.
    NoiseSuppressionEngine {
        /// The built-in one.
        Denoiser = "denoiser",
        /// DeepFilterNet.
        DeepFilterNet = "deep_filter_net",
        /// DeepFilterNet, large model.
        DeepFilterNetLarge = "deep_filter_net_large",
        /// Krisp, telephony.
        KrispVivaTel = "krisp_viva_tel",
        /// Krisp, light telephony.
        KrispVivaTelLite = "krisp_viva_tel_lite",
        /// Krisp, professional.
        KrispVivaPromodel = "krisp_viva_promodel",
        /// Krisp, single speaker.
        KrispVivaSs = "krisp_viva_ss",
        /// Quail, voice focus.
        QuailVoiceFocus = "quail_voice_focus",
    }
    /// Where RTCP goes.
    RtcpPort {
        /// To the port above RTP's.
        RtpPlusOne = "rtp+1",
        /// To RTP's own port (RFC 5761).
        RtcpMux = "rtcp-mux",
    }
    /// How the caller's number is written towards the customer.
    AniNumberFormat {
        /// With `+`.
        PlusE164 = "+E.164",
        /// Without `+`.
        E164 = "E.164",
        /// With `+`; national numbers without country code.
        PlusE164National = "+E.164-national",
        /// Without `+`; national numbers without country code.
        E164National = "E.164-national",
    }
    /// How the dialled number is written towards the customer.
    DnisNumberFormat {
        /// With `+`.
        PlusE164 = "+e164",
        /// Without `+`.
        E164 = "e164",
        /// National.
        National = "national",
        /// The SIP user name instead.
        SipUsername = "sip_username",
    }
    /// The order in which several targets are tried.
    RoutingMethod {
        /// First to last.
        Sequential = "sequential",
        /// Each in its turn.
        RoundRobin = "round-robin",
    }
    /// Whether all devices of a user ring at once.
    SimultaneousRinging {
        /// One after the other.
        Disabled = "disabled",
        /// All.
        Enabled = "enabled",
    }
    /// When `ani_override` replaces the caller's number.
    AniOverrideType {
        /// On every call.
        Always = "always",
        /// On calls that are no emergency.
        Normal = "normal",
        /// On emergency calls.
        Emergency = "emergency",
    }
    /// Who asks for T.38.
    T38ReinviteSource {
        /// We do.
        Telnyx = "telnyx",
        /// The customer does.
        Customer = "customer",
        /// Nobody.
        Disabled = "disabled",
        /// Requests are passed on.
        Passthru = "passthru",
        /// The caller's requests are passed on.
        CallerPassthru = "caller-passthru",
        /// The callee's requests are passed on.
        CalleePassthru = "callee-passthru",
    }
    /// What is known of a connection's SIP registration.
    RegistrationStatus {
        /// It does not register.
        NotApplicable = "Not Applicable",
        /// It never did, or the registration is gone.
        NotRegistered = "Not Registered",
        /// The last attempt was refused.
        Failed = "Failed",
        /// It ran out.
        Expired = "Expired",
        /// It stands.
        Registered = "Registered",
        /// It was taken back.
        Unregistered = "Unregistered",
    }
}

impl CallingPreference {
    /// The names of all of them.
    pub const NAMES: &[&str] = &["disabled", "unrestricted", "internal"];

    /// Returns the name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Unrestricted => "unrestricted",
            Self::Internal => "internal",
        }
    }

    /// Finds one by its name on the wire.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "disabled" => Some(Self::Disabled),
            "unrestricted" => Some(Self::Unrestricted),
            "internal" => Some(Self::Internal),
            _ => None,
        }
    }
}

/// Serde for an optional [`CallingPreference`], by its name.
pub(super) mod calling_preference {
    use super::{CallingPreference, Deserialize, Deserializer, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(
        value: &Option<CallingPreference>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(preference) => serializer.serialize_some(preference.name()),
            None => serializer.serialize_none(),
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<CallingPreference>, D::Error> {
        let Some(name) = Option::<String>::deserialize(deserializer)? else {
            return Ok(None);
        };
        match CallingPreference::from_name(&name) {
            Some(preference) => Ok(Some(preference)),
            None => Err(serde::de::Error::unknown_variant(
                &name,
                CallingPreference::NAMES,
            )),
        }
    }
}
