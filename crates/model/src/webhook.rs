//! Webhooks: what is told to an application, with whose key it is signed, and what became of it.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::{
    AccountId, CallId, CredentialConnectionId, Generator, Secret, Timestamp, WebhookDeliveryId,
    WebhookEventId,
};

/// A tenant's key pair: it signs all webhooks of the tenant (Ed25519, RFC 8032).
#[derive(Clone)]
pub struct WebhookKey {
    seed: Secret<Vec<u8>>,
    pair: Arc<Ed25519KeyPair>,
}

impl WebhookKey {
    /// Bytes of a private key (RFC 8032 §5.1.5).
    pub const SEED_LEN: usize = 32;

    /// Makes a fresh key.
    pub fn generate(rng: &mut Generator) -> Self {
        let mut seed = vec![0; Self::SEED_LEN];
        rng.fill(&mut seed);
        Self::from_seed(Secret::new(seed)).expect("32 bytes are a private key")
    }

    /// Takes a key back from storage; nothing if the seed does not have 32 bytes.
    pub fn from_seed(seed: Secret<Vec<u8>>) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).ok()?;
        Some(Self {
            seed,
            pair: Arc::new(pair),
        })
    }

    /// Reads the private key, to store it sealed.
    pub fn seed(&self) -> &[u8] {
        self.seed.expose()
    }

    /// Returns the public key as receivers are given it: 32 bytes in base64.
    pub fn public(&self) -> String {
        STANDARD.encode(self.pair.public_key().as_ref())
    }

    /// Signs a body for the moment it is sent; the timestamp is in whole seconds since 1970. Returns
    /// the signature over `timestamp|body` in base64.
    pub fn sign(&self, timestamp: i64, body: &[u8]) -> String {
        let mut message = format!("{timestamp}|").into_bytes();
        message.extend_from_slice(body);
        STANDARD.encode(self.pair.sign(&message).as_ref())
    }
}

impl fmt::Debug for WebhookKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookKey({})", self.public())
    }
}

/// What an application is told of a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WebhookEventType {
    /// `call.initiated`.
    CallInitiated,
    /// `call.answered`.
    CallAnswered,
    /// `call.bridged`.
    CallBridged,
    /// `call.hangup`.
    CallHangup,
}

impl WebhookEventType {
    /// All of them, in the order in which a leg lives.
    pub const ALL: [Self; 4] = [
        Self::CallInitiated,
        Self::CallAnswered,
        Self::CallBridged,
        Self::CallHangup,
    ];

    /// The names of all of them.
    pub const NAMES: &'static [&'static str] = &[
        Self::CallInitiated.name(),
        Self::CallAnswered.name(),
        Self::CallBridged.name(),
        Self::CallHangup.name(),
    ];

    /// Returns the name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CallInitiated => "call.initiated",
            Self::CallAnswered => "call.answered",
            Self::CallBridged => "call.bridged",
            Self::CallHangup => "call.hangup",
        }
    }

    /// Finds a type by its name on the wire.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.name() == name)
    }
}

/// Whether an application has got what it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WebhookStatus {
    /// It answered 2xx.
    Delivered,
    /// It did not, so far.
    Failed,
}

impl WebhookStatus {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Delivered, Self::Failed];

    /// The names of both.
    pub const NAMES: &'static [&'static str] = &[Self::Delivered.name(), Self::Failed.name()];

    /// Returns the name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    /// Finds a status by its name on the wire.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// Why an attempt failed. The numbers are ours: Telnyx publishes none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WebhookError {
    /// The connection has no URL any more, or one that cannot be read.
    NoUrl,
    /// The URL leads where webhooks may not go.
    TargetRefused,
    /// The host has no address.
    NotResolved,
    /// Nothing accepts connections there.
    NotConnected,
    /// There is no TLS, or not with a certificate that we trust.
    TlsFailed,
    /// It took too long.
    TimedOut,
    /// The answer is not HTTP, or broke off.
    BadAnswer,
    /// The answer's status is not 2xx; redirects are not followed.
    NotAccepted,
    /// The queue was full, and this was the oldest in it.
    Dropped,
}

impl WebhookError {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::NoUrl,
        Self::TargetRefused,
        Self::NotResolved,
        Self::NotConnected,
        Self::TlsFailed,
        Self::TimedOut,
        Self::BadAnswer,
        Self::NotAccepted,
        Self::Dropped,
    ];

    /// Returns the number on the wire.
    pub const fn code(self) -> i64 {
        match self {
            Self::NoUrl => 1,
            Self::TargetRefused => 2,
            Self::NotResolved => 3,
            Self::NotConnected => 4,
            Self::TlsFailed => 5,
            Self::TimedOut => 6,
            Self::BadAnswer => 7,
            Self::NotAccepted => 8,
            Self::Dropped => 9,
        }
    }

    /// Finds an error by its number.
    pub fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|error| error.code() == code)
    }
}

/// An event on its way to one connection's endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct WebhookDelivery {
    /// The delivery.
    pub id: WebhookDeliveryId,
    /// The tenant.
    pub account: AccountId,
    /// The connection whose URL it goes to.
    pub connection: CredentialConnectionId,
    /// The call; deliveries of one call to one connection keep their order.
    pub call: CallId,
    /// The event as receivers know it.
    pub event: WebhookEventId,
    /// Its type.
    pub event_type: WebhookEventType,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// Its facts, a JSON object.
    pub payload: String,
    /// Whether it arrived.
    pub status: WebhookStatus,
    /// When the first attempt began.
    pub started_at: Timestamp,
    /// When the last attempt ended; none while there may be another.
    pub finished_at: Option<Timestamp>,
    /// What was tried, the latest first.
    pub attempts: Vec<WebhookAttempt>,
}

/// One request to an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookAttempt {
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// Why it failed; none if it was accepted.
    pub error: Option<WebhookError>,
    /// Where it went; none if there was nowhere to go.
    pub url: Option<String>,
    /// The request's headers.
    pub request_headers: Vec<(String, String)>,
    /// The answer, if there was one.
    pub answer: Option<WebhookAnswer>,
}

/// How an endpoint answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookAnswer {
    /// The HTTP status.
    pub status: u16,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its body, cut to what is kept.
    pub body: String,
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

    use super::*;

    #[test]
    fn a_signature_covers_the_timestamp_and_every_byte_of_the_body() {
        let key = WebhookKey::generate(&mut Generator::from_seed([9; 32]));
        let public = STANDARD.decode(key.public()).unwrap();
        assert_eq!(public.len(), 32);
        let public = UnparsedPublicKey::new(&ED25519, public);
        let signature = STANDARD
            .decode(key.sign(1_790_000_000, b"{\"a\":1}"))
            .unwrap();
        assert_eq!(signature.len(), 64);
        let verifies = |message: &[u8]| public.verify(message, &signature).is_ok();
        assert!(verifies(b"1790000000|{\"a\":1}"));
        for forged in [
            &b"1790000001|{\"a\":1}"[..],
            b"1790000000|{\"a\":2}",
            b"1790000000.{\"a\":1}",
            b"{\"a\":1}",
        ] {
            assert!(!verifies(forged));
        }
    }

    #[test]
    fn a_stored_key_is_the_same_key() {
        let key = WebhookKey::generate(&mut Generator::from_seed([9; 32]));
        let again = WebhookKey::from_seed(Secret::new(key.seed().to_vec())).unwrap();
        assert_eq!(again.public(), key.public());
        assert_eq!(again.sign(1, b"x"), key.sign(1, b"x"));
        assert!(WebhookKey::from_seed(Secret::new(vec![0; 31])).is_none());
        assert!(!format!("{key:?}").contains(&STANDARD.encode(key.seed())));
    }

    #[test]
    fn names_and_numbers_lead_back() {
        for event in WebhookEventType::ALL {
            assert_eq!(WebhookEventType::from_name(event.name()), Some(event));
        }
        for status in WebhookStatus::ALL {
            assert_eq!(WebhookStatus::from_name(status.name()), Some(status));
        }
        for (error, code) in WebhookError::ALL.into_iter().zip(1..) {
            assert_eq!(
                (error.code(), WebhookError::from_code(code)),
                (code, Some(error))
            );
        }
        assert_eq!(WebhookError::from_code(0), None);
    }
}
