//! Every id of the system, each its own type.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Generator;

/// Why a text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {kind}")]
pub struct IdError {
    kind: &'static str,
}

macro_rules! uuid_ids {
    ($($(#[$doc:meta])* $name:ident)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Makes a fresh id (UUID version 4).
            pub fn generate(rng: &mut Generator) -> Self {
                Self(rng.uuid())
            }

            /// Wraps a UUID that is already known to name such a thing.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// Returns the bare UUID.
            pub const fn as_uuid(&self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            /// Reads the hyphenated form, 36 characters, in either case.
            fn from_str(text: &str) -> Result<Self, IdError> {
                let error = IdError { kind: stringify!($name) };
                if text.len() != 36 {
                    return Err(error);
                }
                Uuid::try_parse(text).map(Self).map_err(|_| error)
            }
        }
    )+};
}

uuid_ids! {
    /// A tenant (Telnyx: user).
    AccountId
    /// A REST key's row.
    ApiKeyId
    /// An entry of the audit log.
    AuditEventId
    /// An invitation to join an account.
    InvitationId
    /// A person's sign-in to the portal.
    PortalSessionId
    /// A generated SIP user under a credential connection.
    TelephonyCredentialId
    /// All legs that belong together (Telnyx: call session).
    CallId
    /// One party's side of a call (Telnyx's REST "call").
    LegId
    /// One login on a WebSocket, `sessid` on the wire; outlives its socket.
    SessionId
    /// A person who signs in to the portal.
    UserId
    /// What a push service wants to see.
    MobilePushCredentialId
    /// What is told of one event to one connection's endpoint, with every attempt.
    WebhookDeliveryId
    /// An event as receivers know it (`data.id`): the same in every repetition.
    WebhookEventId
}

impl LegId {
    /// Returns what a leg is called in call control (Telnyx: `call_control_id`): `v3:` and a text that
    /// is opaque to others.
    pub fn call_control_id(&self) -> String {
        format!("v3:{self}")
    }

    /// Finds the leg that a `call_control_id` names; nothing if it is none of ours.
    pub fn from_call_control_id(text: &str) -> Option<Self> {
        text.strip_prefix("v3:")?.parse().ok()
    }
}

macro_rules! decimal_ids {
    ($($(#[$doc:meta])* $name:ident)+) => {$(
        $(#[$doc])*
        ///
        /// A positive 63-bit number that grows with time; a decimal string wherever JSON is spoken.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(i64);

        impl $name {
            /// Makes a fresh id: milliseconds since 2010 in the upper 41 bits, 22 random bits below.
            pub fn generate(now: crate::Timestamp, rng: &mut Generator) -> Self {
                const EPOCH_MILLIS: i64 = 1_262_304_000_000;
                let millis = (now.as_millis() - EPOCH_MILLIS).clamp(1, (1 << 41) - 1);
                Self((millis << 22) | i64::from(rng.u32() >> 10))
            }

            /// Wraps a number that is already known to name such a thing.
            pub const fn from_i64(value: i64) -> Self {
                Self(value)
            }

            /// Returns the bare number.
            pub const fn as_i64(&self) -> i64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            /// Reads 1 to 19 decimal digits without sign or leading zero.
            fn from_str(text: &str) -> Result<Self, IdError> {
                let error = IdError { kind: stringify!($name) };
                let plain = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
                if !plain {
                    return Err(error);
                }
                text.parse().map(Self).map_err(|_| error)
            }
        }
    )+};
}

decimal_ids! {
    /// How a customer's clients reach us.
    CredentialConnectionId
    /// What a connection may dial.
    OutboundVoiceProfileId
    /// Our SIP route to a carrier.
    TrunkId
    /// A telephone number of a customer.
    PhoneNumberId
}

/// One WebSocket of this process. Never leaves the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u64);

/// A node of the installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    #[test]
    fn decimal_ids_grow_with_time_and_survive_text() {
        let mut rng = Generator::from_seed([7; 32]);
        let a =
            CredentialConnectionId::generate(Timestamp::from_millis(1_790_000_000_000), &mut rng);
        let b =
            CredentialConnectionId::generate(Timestamp::from_millis(1_790_000_000_001), &mut rng);
        assert!(a < b);
        assert_eq!(a.to_string().parse(), Ok(a));
        assert!((18..=19).contains(&a.to_string().len()));
    }

    #[test]
    fn call_control_ids_lead_back_to_their_leg() {
        let leg = LegId::generate(&mut Generator::from_seed([8; 32]));
        let id = leg.call_control_id();
        assert!(id.starts_with("v3:"));
        assert_eq!(LegId::from_call_control_id(&id), Some(leg));
        for bad in ["", "v3:", "v2:x", &leg.to_string(), &format!("{id} ")] {
            assert_eq!(LegId::from_call_control_id(bad), None, "{bad}");
        }
    }

    #[test]
    fn ids_refuse_other_spellings() {
        for bad in ["", "abc", "-1", "+1", "007", "99999999999999999999", "1 "] {
            assert!(bad.parse::<CredentialConnectionId>().is_err(), "{bad}");
        }
        for bad in [
            "",
            "c215ade30d39418e94bec5f780760199",
            "{c215ade3-0d39-418e-94be-c5f780760199}",
        ] {
            assert!(bad.parse::<TelephonyCredentialId>().is_err(), "{bad}");
        }
    }
}
