//! A trunk: our SIP route to a carrier. A resource of ours, without a counterpart at Telnyx.
//!
//! The serde form of [`TrunkSettings`] is the one in which the store keeps them: fields may be added,
//! and a missing field has its default.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::credential_connection::{MAX_CODECS, MAX_TAGS, check_channels, check_labels};
use crate::field_error::{Faults, MAX_LABEL_CHARS};
use crate::words::words;
use crate::{
    AccountId, FieldError, FieldErrorKind, FieldErrors, Generator, Secret, Timestamp, TrunkId,
};

/// How many prefixes a trunk may list.
pub const MAX_PREFIXES: usize = 1000;

/// Longest host name, in characters (RFC 1035 §2.3.4).
const MAX_HOST_CHARS: usize = 253;
/// Longest user name and password towards a carrier, in characters.
const MAX_AUTH_CHARS: usize = 128;

words! {
    /// What SIP travels over.
    TrunkTransport {
        /// UDP.
        Udp = "udp",
        /// TCP.
        Tcp = "tcp",
        /// TLS.
        Tls = "tls",
    }
    /// How numbers are written towards a carrier.
    TrunkNumberFormat {
        /// `+` and digits.
        PlusE164 = "+E.164",
        /// Digits with the country code.
        E164 = "E.164",
        /// Digits without the country code, inside the trunk's own country.
        National = "national",
    }
    /// What is known of a carrier's reachability.
    TrunkHealth {
        /// It has not been tried: nothing speaks SIP to carriers yet.
        Unknown = "unknown",
    }
}

impl TrunkTransport {
    /// Returns the port that is meant when none is named (RFC 3261 §19.1.2).
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
        }
    }
}

/// A trunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trunk {
    /// Its id.
    pub id: TrunkId,
    /// The tenant.
    pub account: AccountId,
    /// A label; unique within the account, whatever the case.
    pub name: String,
    /// What the carrier asks for, with [`TrunkSettings::auth_username`]. Never shown again.
    pub auth_password: Option<Secret<String>>,
    /// Everything else.
    pub settings: TrunkSettings,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// The settings of a trunk, named as the API names them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrunkSettings {
    /// Whether calls may use it. Kept beside the other settings by the store.
    #[serde(skip)]
    pub enabled: bool,
    /// The carrier's host name or address, in lower case; an IPv6 address without brackets.
    pub host: String,
    /// Its port; unset means the transport's own.
    pub port: Option<u32>,
    /// What SIP travels over.
    pub transport: TrunkTransport,
    /// The user name that the carrier knows us by.
    pub auth_username: Option<String>,
    /// Whether and how we register there.
    pub registration: TrunkRegistration,
    /// How numbers are written.
    pub number_format: TrunkNumberFormat,
    /// Codecs, most wanted first; any name is allowed.
    pub codecs: Vec<String>,
    /// Trunks with a lower number are tried first, 0 to 65535. Kept beside the other settings by the
    /// store.
    #[serde(skip)]
    pub priority: u32,
    /// The share of calls among trunks of one priority, 1 to 65535.
    pub weight: u32,
    /// What numbers must begin with, `+` and digits, for the trunk to be used; all numbers when empty.
    pub prefixes: Vec<String>,
    /// The tenant's own labels.
    pub tags: Vec<String>,
    /// How many calls may be on it at once.
    pub channel_limit: Option<u32>,
}

/// Whether and how we register with a carrier (RFC 3261 §10).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrunkRegistration {
    /// Whether we do.
    pub enabled: bool,
    /// How long a registration is asked to last, 60 to 86400 s.
    pub expires_secs: u32,
}

impl Default for TrunkSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            host: String::new(),
            port: None,
            transport: TrunkTransport::Udp,
            auth_username: None,
            registration: TrunkRegistration::default(),
            number_format: TrunkNumberFormat::PlusE164,
            codecs: ["G722", "G711U", "G711A"].map(str::to_owned).to_vec(),
            priority: 0,
            weight: 1,
            prefixes: Vec::new(),
            tags: Vec::new(),
            channel_limit: None,
        }
    }
}

impl Default for TrunkRegistration {
    fn default() -> Self {
        Self {
            enabled: false,
            expires_secs: 3600,
        }
    }
}

impl Trunk {
    /// Brings values that mean the same into one spelling, then checks all of them; lists what is
    /// wrong. That the name is free is the store's question.
    pub fn normalize_and_validate(&mut self) -> Vec<FieldError> {
        self.settings.normalize();
        if self
            .auth_password
            .as_ref()
            .is_some_and(|password| password.expose().is_empty())
        {
            self.auth_password = None;
        }
        let mut faults = Faults::default();
        faults.required_text("/name", &self.name, MAX_LABEL_CHARS);
        if let Some(password) = &self.auth_password {
            faults.text("/auth_password", password.expose(), MAX_AUTH_CHARS);
        }
        let settings = &self.settings;
        settings.check(&mut faults);
        let needs_user = self.auth_password.is_some() || settings.registration.enabled;
        if needs_user && settings.auth_username.is_none() {
            faults.push(FieldError::missing("/auth_username"));
        }
        faults.into_vec()
    }
}

impl TrunkSettings {
    /// Returns the port that is used.
    pub fn effective_port(&self) -> u32 {
        self.port
            .unwrap_or_else(|| self.transport.default_port().into())
    }

    /// Hosts are written in lower case, without brackets and final dot; blank user names are none.
    fn normalize(&mut self) {
        if let Some(host) = normalized_host(&self.host) {
            self.host = host;
        }
        self.auth_username = self
            .auth_username
            .take()
            .filter(|name| !name.trim().is_empty());
    }

    fn check(&self, faults: &mut Faults) {
        if self.host.trim().is_empty() {
            faults.push(FieldError::missing("/host"));
        } else if normalized_host(&self.host).is_none() {
            faults.add(
                "/host",
                FieldErrorKind::Invalid,
                "Must be a host name or the address of one host, without scheme, user and port.",
            );
        }
        if let Some(port) = self.port {
            faults.range("/port", port, 1, u16::MAX.into());
        }
        if let Some(name) = &self.auth_username {
            faults.text("/auth_username", name, MAX_AUTH_CHARS);
        }
        faults.range(
            "/registration/expires_secs",
            self.registration.expires_secs,
            60,
            86_400,
        );
        check_labels(faults, "/codecs", &self.codecs, MAX_CODECS, 64);
        faults.range("/priority", self.priority, 0, u16::MAX.into());
        faults.range("/weight", self.weight, 1, u16::MAX.into());
        self.check_prefixes(faults);
        check_labels(faults, "/tags", &self.tags, MAX_TAGS, MAX_LABEL_CHARS);
        check_channels(faults, "/channel_limit", self.channel_limit);
    }

    fn check_prefixes(&self, faults: &mut Faults) {
        if self.prefixes.len() > MAX_PREFIXES {
            faults.add(
                "/prefixes",
                FieldErrorKind::OutOfRange,
                format!("Must have at most {MAX_PREFIXES} entries."),
            );
            return;
        }
        for (i, prefix) in self.prefixes.iter().enumerate() {
            let good = prefix.strip_prefix('+').is_some_and(|digits| {
                (1..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
            });
            if !good {
                faults.push(FieldError::new(
                    format!("/prefixes/{i}"),
                    FieldErrorKind::NotE164,
                    "Must be + and 1 to 15 digits.",
                ));
            }
        }
    }
}

/// A trunk that is checked and named, but not stored yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTrunk(Trunk);

impl NewTrunk {
    /// Checks the values and names the trunk. What is absent may be passed as an empty text: it is
    /// reported as missing.
    ///
    /// # Errors
    /// Lists everything that is wrong, by JSON pointer.
    pub fn new(
        account: AccountId,
        name: impl Into<String>,
        auth_password: Option<Secret<String>>,
        settings: TrunkSettings,
        now: Timestamp,
        rng: &mut Generator,
    ) -> Result<Self, FieldErrors> {
        let mut trunk = Trunk {
            id: TrunkId::generate(now, rng),
            account,
            name: name.into(),
            auth_password,
            settings,
            created_at: now,
            updated_at: now,
        };
        let faults = trunk.normalize_and_validate();
        if faults.is_empty() {
            Ok(Self(trunk))
        } else {
            Err(FieldErrors(faults))
        }
    }

    /// Reads the trunk.
    pub const fn trunk(&self) -> &Trunk {
        &self.0
    }

    /// Takes the trunk.
    pub fn into_trunk(self) -> Trunk {
        self.0
    }
}

/// Reads a host name or an address of one host; nothing for anything else. Numbers that some resolvers
/// would take for an address (`127.1`, `0x7f000001`, `2130706433`) are neither. Whether an address may
/// be reached is decided where it is used, by what a name resolves to then.
fn normalized_host(text: &str) -> Option<String> {
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None => text,
    };
    if let Ok(address) = bare.parse::<IpAddr>() {
        let address = address.to_canonical();
        let brackets_fit = bare.len() == text.len() || bare.contains(':');
        let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
        let one_host = !address.is_unspecified() && !address.is_multicast() && !broadcast;
        return (brackets_fit && one_host).then(|| address.to_string());
    }
    if bare.len() != text.len() {
        return None;
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = name.rsplit('.').next()?;
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    let number = last.bytes().all(|b| b.is_ascii_digit())
        || hex.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    let good = name.len() <= MAX_HOST_CHARS && name.split('.').all(label) && !number;
    good.then(|| name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trunk() -> Trunk {
        let mut rng = Generator::from_seed([6; 32]);
        let settings = TrunkSettings {
            host: "sip.carrier.example".to_owned(),
            ..TrunkSettings::default()
        };
        NewTrunk::new(
            AccountId::generate(&mut rng),
            "carrier",
            None,
            settings,
            Timestamp::from_secs(1_790_000_000),
            &mut rng,
        )
        .unwrap()
        .into_trunk()
    }

    fn faults(change: impl FnOnce(&mut Trunk)) -> Vec<String> {
        let mut trunk = trunk();
        change(&mut trunk);
        trunk
            .normalize_and_validate()
            .into_iter()
            .map(|fault| fault.pointer.into_owned())
            .collect()
    }

    #[test]
    fn a_name_and_a_host_are_enough_and_survive_storage() {
        let settings = trunk().settings;
        let json = serde_json::to_string(&settings).unwrap();
        let read: TrunkSettings = serde_json::from_str(&json).unwrap();
        assert_eq!(read, settings);
        assert_eq!(settings.effective_port(), 5060);
        let tls = TrunkSettings {
            transport: TrunkTransport::Tls,
            ..settings
        };
        assert_eq!(tls.effective_port(), 5061);
        assert_eq!(
            faults(|t| (t.name, t.settings.host) = (String::new(), " ".to_owned())),
            ["/name", "/host"]
        );
    }

    #[test]
    fn hosts_are_names_or_addresses_of_one_host() {
        for (text, expected) in [
            ("SIP.Carrier.Example.", "sip.carrier.example"),
            ("localhost", "localhost"),
            ("a-1.b2", "a-1.b2"),
            ("192.0.2.7", "192.0.2.7"),
            ("10.0.0.1", "10.0.0.1"),
            ("2001:DB8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
        ] {
            assert_eq!(normalized_host(text).as_deref(), Some(expected), "{text}");
        }
        let long_label = format!("{}.example", "a".repeat(64));
        let long_name = format!("{}example", "a.".repeat(126));
        for bad in [
            "sip:carrier.example",
            "user@carrier.example",
            "carrier.example:5060",
            "192.0.2.7:5060",
            "[192.0.2.7]",
            "[2001:db8::1]:5060",
            "[carrier.example]",
            "carrier..example",
            ".example",
            "-a.example",
            "a-.example",
            "a_b.example",
            "carrier.example/x",
            "carrier example",
            "carrier.example\0",
            "käse.example",
            "127.1",
            "2130706433",
            "0x7f000001",
            "a.0X7F",
            "0177.0.0.1",
            "0.0.0.0",
            "::",
            "::ffff:0.0.0.0",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            &long_label,
            &long_name,
        ] {
            assert_eq!(normalized_host(bad), None, "{bad}");
            assert_eq!(faults(|t| t.settings.host = bad.to_owned()), ["/host"]);
        }
    }

    #[test]
    fn ranges_have_both_ends() {
        for (good, bad) in [(1, 0), (65_535, 65_536)] {
            assert!(faults(|t| t.settings.port = Some(good)).is_empty());
            assert_eq!(faults(|t| t.settings.port = Some(bad)), ["/port"]);
            assert!(faults(|t| t.settings.weight = good).is_empty());
            assert_eq!(faults(|t| t.settings.weight = bad), ["/weight"]);
        }
        assert_eq!(faults(|t| t.settings.priority = 65_536), ["/priority"]);
        for (good, bad) in [(60, 59), (86_400, 86_401)] {
            assert!(faults(|t| t.settings.registration.expires_secs = good).is_empty());
            assert_eq!(
                faults(|t| t.settings.registration.expires_secs = bad),
                ["/registration/expires_secs"]
            );
        }
    }

    #[test]
    fn prefixes_are_plus_and_digits() {
        let set = |prefix: &str| faults(|t| t.settings.prefixes = vec![prefix.to_owned()]);
        for good in ["+1", "+441632", "+123456789012345"] {
            assert!(set(good).is_empty());
        }
        for bad in ["", "+", "1", "+1a", "+1234567890123456", "00"] {
            assert_eq!(set(bad), ["/prefixes/0"], "{bad}");
        }
        assert_eq!(
            faults(|t| t.settings.prefixes = vec!["+1".to_owned(); MAX_PREFIXES + 1]),
            ["/prefixes"]
        );
    }

    #[test]
    fn who_registers_or_has_a_password_needs_a_user_name() {
        let secret = |text: &str| Some(Secret::new(text.to_owned()));
        assert_eq!(
            faults(|t| t.auth_password = secret("x")),
            ["/auth_username"]
        );
        assert_eq!(
            faults(|t| t.settings.registration.enabled = true),
            ["/auth_username"]
        );
        assert!(
            faults(|t| {
                t.auth_password = secret("x");
                t.settings.auth_username = Some("me".to_owned());
                t.settings.registration.enabled = true;
            })
            .is_empty()
        );
        assert!(faults(|t| t.auth_password = secret("")).is_empty());
        assert_eq!(
            faults(|t| {
                t.auth_password = secret(&"x".repeat(129));
                t.settings.auth_username = Some("a\0".to_owned());
            }),
            ["/auth_password", "/auth_username"]
        );
    }
}
