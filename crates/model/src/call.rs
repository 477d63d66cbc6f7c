//! What is told and kept about a call.

use std::fmt;
use std::str::FromStr;

use crate::{
    AccountId, AudioCodec, CallId, CallerId, CredentialConnectionId, CustomHeader, Digit,
    HangupCause, LegId, NodeId, OfferedMedia, SessionId, TelephonyCredentialId, Time, Timestamp,
    VideoCodec,
};

/// Who began a leg, seen from the party: did they call, or were they called?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The party placed the call (Telnyx: outbound).
    Outbound,
    /// The party was called (Telnyx: inbound).
    Inbound,
}

/// Who ended a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HangupSource {
    /// The calling side.
    Caller,
    /// The called side.
    Callee,
    /// Neither: a timer, a limit, a revocation.
    Server,
}

/// A step of a call worth telling. The only source of history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallEvent {
    /// The call.
    pub call: CallId,
    /// The leg it is about; none for the call as a whole.
    pub leg: Option<LegId>,
    /// 1 for the call's first event, rising by one.
    pub seq: u32,
    /// When.
    pub time: Time,
    /// What.
    pub kind: CallEventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallEventKind {
    /// A party placed a call, or a device is about to ring.
    Initiated(Box<Initiation>),
    /// A device rings.
    Ringing,
    /// A leg is answered.
    Answered,
    /// Two legs are joined.
    Bridged {
        /// The other leg.
        with: LegId,
    },
    /// ICE and DTLS are up.
    MediaConnected,
    /// Nothing arrives from the party.
    MediaStalled,
    /// Something arrives again.
    MediaResumed,
    /// The party holds the call.
    Held,
    /// The party took the call back.
    Unheld,
    /// A party pressed a key.
    Dtmf {
        /// The key.
        digit: Digit,
    },
    /// The party's media path was restarted.
    MediaRestarted,
    /// The signalling path is gone.
    SignallingLost,
    /// The signalling path is back.
    SignallingReturned,
    /// The media path was rebuilt.
    Attached,
    /// A leg ended.
    Hangup {
        /// Why.
        cause: HangupCause,
        /// Who ended it.
        source: HangupSource,
    },
}

/// How a leg began, and all that later events about it go without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Initiation {
    /// The tenant whose leg it is.
    pub account: AccountId,
    /// The connection it came through.
    pub connection: CredentialConnectionId,
    /// Its direction.
    pub direction: Direction,
    /// Who calls, as shown.
    pub caller: CallerId,
    /// As dialled.
    pub to: String,
    /// What the caller's description offers, or what the device is offered; none if the leg ended
    /// before that was known.
    pub offered: Option<OfferedMedia>,
    /// Headers that the caller's application hands through, at most [`MAX_TOLD_HEADERS_BYTES`] of them.
    pub custom_headers: Vec<CustomHeader>,
    /// The opaque text of the caller's application, on the caller's own leg.
    pub client_state: Option<String>,
}

/// How much of what an application hands through is kept in history, in bytes.
pub const MAX_TOLD_HEADERS_BYTES: usize = 4096;

/// Measured by a leg's anchor, from our side: *sent* is towards the party.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LegQuality {
    /// RTP packets to the party.
    pub packets_sent: u64,
    /// RTP packets from the party.
    pub packets_received: u64,
    /// RTP payload bytes to the party.
    pub bytes_sent: u64,
    /// RTP payload bytes from the party.
    pub bytes_received: u64,
    /// Packets from the party that never came (RFC 3550 §6.4.1, cumulative).
    pub packets_lost: u64,
    /// Packets to the party that it reported missing.
    pub packets_lost_remote: u64,
    /// Interarrival jitter of audio from the party, in microseconds (RFC 3550 §6.4.1).
    pub jitter_us: u32,
    /// Jitter that the party reported, in microseconds.
    pub jitter_remote_us: u32,
    /// Last round trip, in microseconds (RFC 3550 §6.4.1).
    pub round_trip_us: Option<u32>,
}

/// The record of one ended leg: written exactly once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegRecord {
    /// The leg.
    pub leg: LegId,
    /// Its call.
    pub call: CallId,
    /// Where the call lived.
    pub node: NodeId,
    /// The tenant.
    pub account: AccountId,
    /// The connection.
    pub connection: CredentialConnectionId,
    /// The credential, unless the connection's own user name was used.
    pub credential: Option<TelephonyCredentialId>,
    /// The party's SIP user name.
    pub user: String,
    /// The protocol's own name of the leg (`callID`).
    pub protocol_call_id: String,
    /// Did the party call, or was it called?
    pub direction: Direction,
    /// Shown caller.
    pub caller: CallerId,
    /// As dialled.
    pub destination: String,
    /// When the leg began.
    pub started_at: Timestamp,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Timestamp,
    /// Why.
    pub cause: HangupCause,
    /// Who ended it.
    pub source: HangupSource,
    /// The audio codec, if it came that far.
    pub audio: Option<AudioCodec>,
    /// The video codec, if any.
    pub video: Option<VideoCodec>,
    /// What the anchor measured.
    pub quality: Option<LegQuality>,
}

/// What another node would need to carry a call on: written before an answer goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallSnapshot {
    /// The call.
    pub call: CallId,
    /// Its home.
    pub node: NodeId,
    /// Rises with each change of home.
    pub epoch: u32,
    /// The legs that are alive.
    pub legs: Vec<SnapshotLeg>,
}

/// One leg of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotLeg {
    /// The leg.
    pub leg: LegId,
    /// The tenant.
    pub account: AccountId,
    /// The connection.
    pub connection: CredentialConnectionId,
    /// The session that carries it.
    pub session: SessionId,
    /// The protocol's own name of the leg.
    pub protocol_call_id: String,
    /// The party's SIP user name.
    pub user: String,
    /// Its direction.
    pub direction: Direction,
    /// Its audio codec.
    pub audio: Option<AudioCodec>,
}

/// A leg that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveLeg {
    /// The leg.
    pub leg: LegId,
    /// Its call.
    pub call: CallId,
    /// The tenant.
    pub account: AccountId,
    /// The connection.
    pub connection: CredentialConnectionId,
    /// When it began.
    pub started_at: Timestamp,
    /// The opaque text of the caller's application.
    pub client_state: Option<String>,
}

impl LiveLeg {
    /// Returns its place among the legs of its connection.
    pub const fn place(&self) -> LegPlace {
        LegPlace {
            started_at: self.started_at,
            leg: self.leg,
        }
    }
}

/// The place of a leg among others, in the order in which they began. It stays a place when the leg is
/// gone. As text, it is what lists are resumed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LegPlace {
    started_at: Timestamp,
    leg: LegId,
}

impl fmt::Display for LegPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}.{}", self.started_at.as_micros(), self.leg)
    }
}

/// Why a text is not a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a place in a list of calls")]
pub struct LegPlaceError;

impl FromStr for LegPlace {
    type Err = LegPlaceError;

    fn from_str(text: &str) -> Result<Self, LegPlaceError> {
        let (micros, leg) = text.split_once('.').ok_or(LegPlaceError)?;
        let micros = i64::from_str_radix(micros, 16).map_err(|_| LegPlaceError)?;
        Ok(Self {
            started_at: Timestamp::from_micros(micros),
            leg: leg.parse().map_err(|_| LegPlaceError)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Generator;

    #[test]
    fn places_are_in_the_order_of_beginnings_and_survive_text() {
        let mut rng = Generator::from_seed([2; 32]);
        let mut place = |micros| LegPlace {
            started_at: Timestamp::from_micros(micros),
            leg: LegId::generate(&mut rng),
        };
        let (first, second) = (place(1_790_000_000_000_000), place(1_790_000_000_000_001));
        assert!(first < second);
        assert_eq!(first.to_string().parse(), Ok(first));
        for bad in ["", ".", "x.y", "1.2", "5b8d80", &format!("{first} ")] {
            assert_eq!(bad.parse::<LegPlace>(), Err(LegPlaceError), "{bad}");
        }
    }
}
