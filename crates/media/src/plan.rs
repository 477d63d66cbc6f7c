//! What signalling hands to a media thread, and what the thread hands back.
//!
//! [`Control`](crate::Control) reads and writes SDP off the media threads and turns the outcome into
//! [`ShardCommand`]s; a [`Shard`](crate::Shard) carries them out. All that a command holds is ready
//! to use: nothing is parsed, built or looked up by name on a media thread.

use ringtrip_model::{AudioCodec, Digit, LegId, LegQuality, MediaFailure};

/// Names one anchor of a shard. The slot is an index; the generation tells a slot's tenants apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AnchorId {
    /// Index into the shard's table.
    pub slot: u32,
    /// Rises each time the slot is used again.
    pub generation: u32,
}

/// Our half of an ICE session (RFC 8445 §5.3). The ufrag begins with the anchor's slot, in four
/// base-36 digits, so that a STUN request finds its anchor by index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IceCredentials {
    /// 4 + 8 characters.
    pub ufrag: String,
    /// 24 characters.
    pub pwd: String,
}

/// A certificate's SHA-256 digest (RFC 8122).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

/// Who opens the DTLS handshake (RFC 8842).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DtlsRole {
    /// We send the ClientHello.
    Client,
    /// The party does.
    Server,
}

/// RFC 4733 events of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TelephoneEvents {
    /// Payload type, the same in both directions.
    pub payload_type: u8,
    /// The clock they are counted in: 48000 beside Opus, else 8000.
    pub clock_rate_hz: u32,
}

/// The audio of one anchor, both directions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioPlan {
    /// What is spoken.
    pub codec: AudioCodec,
    /// Its payload type, the same in both directions.
    pub payload_type: u8,
    /// Keys, if negotiated.
    pub events: Option<TelephoneEvents>,
    /// Id of `ssrc-audio-level` (RFC 6464), if negotiated.
    pub level_extension: Option<u8>,
    /// The SSRC we send with.
    pub local_ssrc: u32,
}

/// The VP8 video of one anchor, both directions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoPlan {
    /// Its payload type, the same in both directions.
    pub payload_type: u8,
    /// The SSRC we send with.
    pub local_ssrc: u32,
    /// Whether the party understands Picture Loss Indication (RFC 4585 §6.3.1).
    pub pli: bool,
    /// Whether the party understands generic NACK (RFC 4585 §6.2.1).
    pub nack: bool,
}

/// A party's half of a session, once its SDP is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemotePlan {
    /// Its ICE user name fragment: right half of the USERNAME in its checks.
    pub ufrag: String,
    /// Its ICE password. An ICE-lite endpoint sends no checks; kept for full ICE towards others.
    pub pwd: String,
    /// What its certificate must hash to.
    pub fingerprint: Fingerprint,
    /// Our DTLS role.
    pub role: DtlsRole,
    /// Canonical name we send in RTCP SDES.
    pub cname: String,
    /// Its audio.
    pub audio: AudioPlan,
    /// Its video, if any.
    pub video: Option<VideoPlan>,
}

/// What a media thread is told.
#[derive(Debug)]
pub enum ShardCommand {
    /// Begin to answer connectivity checks. If `replaces` is set, that anchor goes on forwarding
    /// until this one is connected; then this one takes over its bridge, its hold and its counters,
    /// and the old one is closed.
    Open {
        /// The new anchor.
        anchor: AnchorId,
        /// Whose it is.
        leg: LegId,
        /// Our ICE half.
        ice: IceCredentials,
        /// The anchor it takes over from.
        replaces: Option<AnchorId>,
    },
    /// The party's half is known: DTLS may begin (a ClientHello that came early is waiting).
    SetRemote {
        /// The anchor.
        anchor: AnchorId,
        /// The party's half.
        remote: Box<RemotePlan>,
    },
    /// Answer checks with these credentials too; the old ones stay valid until a check with the new
    /// ones has arrived and 30 s have passed.
    Restart {
        /// The anchor.
        anchor: AnchorId,
        /// Our new ICE half.
        ice: IceCredentials,
        /// The party's new user name fragment.
        remote_ufrag: String,
    },
    /// Join two anchors of this shard.
    Bridge {
        /// One.
        a: AnchorId,
        /// The other.
        b: AnchorId,
    },
    /// Stop or resume forwarding in both directions at this anchor's wish.
    Hold {
        /// The anchor that holds.
        anchor: AnchorId,
        /// Whether it holds.
        held: bool,
    },
    /// Send a key.
    SendDigit {
        /// Towards whom.
        anchor: AnchorId,
        /// The key.
        digit: Digit,
    },
    /// Close the anchor. → [`ShardEvent::Closed`].
    Close {
        /// The anchor.
        anchor: AnchorId,
    },
}

/// What a media thread tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShardEvent {
    /// ICE and DTLS are up. If it replaced another anchor, that one is gone without a `Closed`.
    Connected {
        /// The anchor.
        anchor: AnchorId,
    },
    /// Nothing valid for 5 s.
    Stalled {
        /// The anchor.
        anchor: AnchorId,
    },
    /// Something valid again.
    Resumed {
        /// The anchor.
        anchor: AnchorId,
    },
    /// Dead for good; still to be closed by its owner.
    Failed {
        /// The anchor.
        anchor: AnchorId,
        /// The security failure; [`None`] for 60 s of silence.
        failure: Option<MediaFailure>,
    },
    /// The party sent a key.
    Digit {
        /// The anchor.
        anchor: AnchorId,
        /// The key.
        digit: Digit,
    },
    /// Gone.
    Closed {
        /// The anchor.
        anchor: AnchorId,
        /// What it measured, anchors it replaced included.
        quality: LegQuality,
    },
}
