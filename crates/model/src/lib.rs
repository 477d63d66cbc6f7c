//! The words of ringtrip: ids, resources, access tokens, and what the engines say to each other.
//!
//! Everything else in the workspace may import this crate; it imports none of ours. It holds no
//! behaviour beyond what makes a value valid: no sockets, no clock, no tasks, no global randomness.
//! Instants come in as [`Time`], calendar times as [`Timestamp`], randomness as a [`Generator`].

mod call;
mod cause;
mod codec;
mod id;
mod leg;
mod media;
mod rng;
mod route;
mod sdp;
mod secret;
mod session;
mod time;

pub use call::{
    CallEvent, CallEventKind, CallSnapshot, Direction, HangupSource, LegQuality, LegRecord,
    SnapshotLeg,
};
pub use cause::HangupCause;
pub use codec::{AudioCodec, MediaPolicy, NegotiatedMedia, OfferedMedia, VideoCodec};
pub use id::{
    AccountId, ApiKeyId, CallId, CredentialConnectionId, IdError, LegId, NodeId,
    OutboundVoiceProfileId, SessionId, SocketId, TelephonyCredentialId,
};
pub use leg::{CallerId, CustomHeader, Digit, LegCommand, LegEvent, LegParty};
pub use media::{MediaCommand, MediaEvent, MediaFailure};
pub use rng::Generator;
pub use route::{CallingPreference, Destination, PermitRefusal, PermitRequest, Route, RouteRequest};
pub use sdp::{SdpAnswer, SdpOffer};
pub use secret::{Pii, Secret};
pub use session::{Identity, LoginRefusal, LoginRequest, RevokeScope};
pub use time::{Time, Timestamp, TimestampError};
