//! What a leg's protocol side (`verto`, later `sip`) and the call (`switch`) say to each other.
//!
//! The two never import each other: a driver carries [`LegEvent`] one way and [`LegCommand`] the
//! other, in order. Rules both sides keep:
//!
//! - A leg begins with [`LegEvent::Incoming`] (its party placed the call) or with
//!   [`LegCommand::Offer`] (we call its party), and ends exactly once: with [`LegEvent::Hangup`] or
//!   with [`LegCommand::Hangup`], whichever comes first. What arrives for an ended leg is dropped.
//! - A request by the party that wants an answer on its own wire ([`LegEvent::Answered`],
//!   [`LegEvent::HoldRequested`], [`LegEvent::UpdateRequested`], [`LegEvent::AttachAnswered`]) gets
//!   exactly one of the commands named in its text, unless the leg ends first.

use crate::{
    AccountId, CredentialConnectionId, HangupCause, LegId, MediaPolicy, SdpAnswer, SdpOffer,
    SessionId, TelephonyCredentialId,
};

/// Who a leg's party is, as its login proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegParty {
    /// The tenant.
    pub account: AccountId,
    /// The connection it came through.
    pub connection: CredentialConnectionId,
    /// The telephony credential; none for a login with the connection's own user name.
    pub credential: Option<TelephonyCredentialId>,
    /// The SIP user name.
    pub user: String,
    /// What the connection allows.
    pub policy: MediaPolicy,
    /// The connection's `timeout_2xx_secs`: how long a call to this party may ring.
    pub ring_timeout_secs: u32,
}

/// A name and number to show to the other side; either may be empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CallerId {
    /// Shown name.
    pub name: String,
    /// Shown number or user name.
    pub number: String,
}

/// A header that an application hands through a call, such as `X-Order: 17`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomHeader {
    /// Header name.
    pub name: String,
    /// Header value.
    pub value: String,
}

/// One telephone key: `0-9 * # A-D` (RFC 4733 §3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digit(u8);

impl Digit {
    /// Reads a key; letters in either case.
    pub const fn from_char(key: char) -> Option<Self> {
        Some(Self(match key {
            '0'..='9' => key as u8 - b'0',
            '*' => 10,
            '#' => 11,
            'A'..='D' => key as u8 - b'A' + 12,
            'a'..='d' => key as u8 - b'a' + 12,
            _ => return None,
        }))
    }

    /// Reads an RFC 4733 event code; only 0 to 15 are keys.
    pub const fn from_event(code: u8) -> Option<Self> {
        if code < 16 { Some(Self(code)) } else { None }
    }

    /// Returns the RFC 4733 event code.
    pub const fn event(self) -> u8 {
        self.0
    }

    /// Returns the key.
    pub fn as_char(self) -> char {
        char::from(b"0123456789*#ABCD"[usize::from(self.0 & 15)])
    }
}

/// What happened on a leg's own wire.
#[expect(
    clippy::large_enum_variant,
    reason = "an incoming leg is one event a call, and moved twice"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LegEvent {
    /// The party places a call. The leg's protocol side has already acknowledged the request.
    Incoming {
        /// The new leg, named by its protocol side.
        leg: LegId,
        /// Where it lives.
        session: SessionId,
        /// Who calls.
        party: LegParty,
        /// As dialled.
        destination: String,
        /// What the application wants shown.
        caller: CallerId,
        /// Its description.
        offer: SdpOffer,
        /// The protocol's own name of the leg (`callID`), for the record.
        protocol_call_id: String,
        /// Headers for the far side.
        custom_headers: Vec<CustomHeader>,
        /// Opaque text of the application (base64), for webhooks and the far side's record.
        client_state: Option<String>,
    },
    /// Our call reached the party's device, which now rings.
    Ringing {
        /// The leg.
        leg: LegId,
    },
    /// The party answers. Answered by [`LegCommand::Accepted`] or [`LegCommand::Hangup`].
    Answered {
        /// The leg.
        leg: LegId,
        /// Its description.
        answer: SdpAnswer,
        /// Headers for the far side.
        custom_headers: Vec<CustomHeader>,
    },
    /// The party wants its call held or taken back. Answered by [`LegCommand::Held`].
    HoldRequested {
        /// The leg.
        leg: LegId,
        /// The wish; [`None`] toggles.
        held: Option<bool>,
    },
    /// The party restarts its media path (ICE restart).
    /// Answered by [`LegCommand::Updated`] or [`LegCommand::UpdateRefused`].
    UpdateRequested {
        /// The leg.
        leg: LegId,
        /// Its new description.
        offer: SdpOffer,
    },
    /// The party pressed keys, told out of band.
    Dtmf {
        /// The leg.
        leg: LegId,
        /// At most 32 keys at a time.
        digits: Vec<Digit>,
    },
    /// The signalling path is gone; the leg lives on while its protocol side waits for a return.
    Lost {
        /// The leg.
        leg: LegId,
    },
    /// The signalling path is back, and the leg with it. The call makes a fresh offer and sends
    /// [`LegCommand::Attach`].
    Returned {
        /// The leg.
        leg: LegId,
    },
    /// The party answered an attach. Answered by [`LegCommand::Attached`] or [`LegCommand::Hangup`].
    AttachAnswered {
        /// The leg.
        leg: LegId,
        /// Its description.
        answer: SdpAnswer,
    },
    /// The leg ended on its own wire. `cause` is what ended it, as far as the protocol can tell:
    /// a party's own bye carries [`None`], since the SDKs' causes say nothing (the call goes by
    /// role and state).
    Hangup {
        /// The leg.
        leg: LegId,
        /// Set when the protocol side ended it: lost for too long, revoked, unreachable.
        cause: Option<HangupCause>,
    },
}

impl LegEvent {
    /// Returns the leg it is about.
    pub const fn leg(&self) -> LegId {
        match self {
            Self::Incoming { leg, .. }
            | Self::Ringing { leg }
            | Self::Answered { leg, .. }
            | Self::HoldRequested { leg, .. }
            | Self::UpdateRequested { leg, .. }
            | Self::Dtmf { leg, .. }
            | Self::Lost { leg }
            | Self::Returned { leg }
            | Self::AttachAnswered { leg, .. }
            | Self::Hangup { leg, .. } => *leg,
        }
    }
}

/// What a call tells a leg's protocol side to do on its wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LegCommand {
    /// Ring a device.
    Offer {
        /// The new leg, named by the call.
        leg: LegId,
        /// The call, `telnyx_session_id` on the wire.
        call: crate::CallId,
        /// The device.
        session: SessionId,
        /// Our description.
        offer: SdpOffer,
        /// Who calls.
        caller: CallerId,
        /// What they dialled.
        callee: CallerId,
        /// Headers from the caller.
        custom_headers: Vec<CustomHeader>,
        /// The caller's opaque text.
        client_state: Option<String>,
    },
    /// The far side rings.
    Ringing {
        /// The leg.
        leg: LegId,
        /// The call.
        call: crate::CallId,
        /// Who calls.
        caller: CallerId,
        /// Whom they reach.
        callee: CallerId,
    },
    /// The far side answered.
    Answer {
        /// The leg.
        leg: LegId,
        /// The call.
        call: crate::CallId,
        /// Our description for this leg.
        answer: SdpAnswer,
        /// Headers from the far side.
        custom_headers: Vec<CustomHeader>,
    },
    /// This leg's own answer stands: the call is connected.
    Accepted {
        /// The leg.
        leg: LegId,
    },
    /// Answers [`LegEvent::HoldRequested`].
    Held {
        /// The leg.
        leg: LegId,
        /// What it is now.
        held: bool,
    },
    /// Answers [`LegEvent::UpdateRequested`].
    Updated {
        /// The leg.
        leg: LegId,
        /// Our new description.
        answer: SdpAnswer,
    },
    /// Answers [`LegEvent::UpdateRequested`]: not now, or not with this description.
    UpdateRefused {
        /// The leg.
        leg: LegId,
    },
    /// Rebuild the media path after [`LegEvent::Returned`].
    Attach {
        /// The leg.
        leg: LegId,
        /// The call.
        call: crate::CallId,
        /// A fresh description.
        offer: SdpOffer,
        /// The far side, shown as when it rang.
        remote: CallerId,
    },
    /// Answers [`LegEvent::AttachAnswered`].
    Attached {
        /// The leg.
        leg: LegId,
    },
    /// The far side pressed a key.
    Dtmf {
        /// The leg.
        leg: LegId,
        /// The key.
        digit: Digit,
    },
    /// End the leg.
    Hangup {
        /// The leg.
        leg: LegId,
        /// Why, as this leg's party should see it.
        cause: HangupCause,
    },
}

impl LegCommand {
    /// Returns the leg it is for.
    pub const fn leg(&self) -> LegId {
        match self {
            Self::Offer { leg, .. }
            | Self::Ringing { leg, .. }
            | Self::Answer { leg, .. }
            | Self::Accepted { leg }
            | Self::Held { leg, .. }
            | Self::Updated { leg, .. }
            | Self::UpdateRefused { leg }
            | Self::Attach { leg, .. }
            | Self::Attached { leg }
            | Self::Dtmf { leg, .. }
            | Self::Hangup { leg, .. } => *leg,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_round_trip() {
        for key in "0123456789*#ABCD".chars() {
            let digit = Digit::from_char(key).unwrap();
            assert_eq!(digit.as_char(), key);
            assert_eq!(Digit::from_event(digit.event()), Some(digit));
        }
        assert_eq!(Digit::from_char('b'), Digit::from_char('B'));
        assert_eq!(Digit::from_char('e'), None);
        assert_eq!(Digit::from_event(16), None);
    }
}
