//! What a call asks of the media engine, and what it hears back.
//!
//! Each leg has an *anchor*: our media endpoint towards its party. A command that wants a result
//! says which; results for a leg that was closed meanwhile are dropped by the call.

use crate::{
    AudioCodec, Digit, LegId, LegQuality, NegotiatedMedia, OfferedMedia, SdpAnswer, SdpOffer,
};

/// What a call asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaCommand {
    /// Read a party's offer and keep it. → [`MediaEvent::OfferRead`] or [`MediaEvent::Refused`].
    ReadOffer {
        /// The leg.
        leg: LegId,
        /// Its offer.
        offer: SdpOffer,
    },
    /// Answer the offer that was read, narrowed to this codec, and open the anchor.
    /// → [`MediaEvent::AnswerReady`] or [`MediaEvent::Refused`].
    MakeAnswer {
        /// The leg.
        leg: LegId,
        /// What the far leg uses.
        media: NegotiatedMedia,
    },
    /// Open an anchor and offer it, on the shard of `like`. A leg that has an anchor already keeps
    /// it until the new one is connected (re-attach). → [`MediaEvent::OfferReady`].
    MakeOffer {
        /// The leg.
        leg: LegId,
        /// Another leg of the call.
        like: LegId,
        /// Audio codecs to offer, most wanted first, never empty.
        audio: Vec<AudioCodec>,
        /// Whether to offer VP8.
        video: bool,
    },
    /// Apply the party's answer to our latest offer.
    /// → [`MediaEvent::AnswerApplied`] or [`MediaEvent::Refused`].
    ApplyAnswer {
        /// The leg.
        leg: LegId,
        /// Its answer.
        answer: SdpAnswer,
    },
    /// Answer a party's renewed offer: same codecs, same certificate, new ICE credentials.
    /// → [`MediaEvent::RestartReady`] or [`MediaEvent::RestartRefused`].
    Restart {
        /// The leg.
        leg: LegId,
        /// Its new offer.
        offer: SdpOffer,
    },
    /// Join two anchors: what one receives the other sends.
    Bridge {
        /// One leg.
        a: LegId,
        /// The other.
        b: LegId,
    },
    /// Stop or resume forwarding in both directions between a leg and its bridge partner.
    Hold {
        /// The leg that asked.
        leg: LegId,
        /// Whether it holds.
        held: bool,
    },
    /// Send one key towards this leg's party as RFC 4733 events, if it negotiated them; queued
    /// behind keys already being sent.
    SendDigit {
        /// The leg.
        leg: LegId,
        /// The key.
        digit: Digit,
    },
    /// Close whatever the leg has. → [`MediaEvent::Closed`], always, and nothing after it.
    Close {
        /// The leg.
        leg: LegId,
    },
}

impl MediaCommand {
    /// Returns the leg it is for; of two, the first.
    pub const fn leg(&self) -> LegId {
        match self {
            Self::ReadOffer { leg, .. }
            | Self::MakeAnswer { leg, .. }
            | Self::MakeOffer { leg, .. }
            | Self::ApplyAnswer { leg, .. }
            | Self::Restart { leg, .. }
            | Self::Bridge { a: leg, .. }
            | Self::Hold { leg, .. }
            | Self::SendDigit { leg, .. }
            | Self::Close { leg } => *leg,
        }
    }
}

/// Why a description or a path is unusable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MediaFailure {
    /// It is not SDP, is too large, or lacks what WebRTC needs.
    #[error("the session description cannot be used")]
    BadDescription,
    /// There is no codec that both sides and both connections allow.
    #[error("there is no common codec")]
    NoCommonCodec,
    /// The certificate is not the one the SDP promised.
    #[error("the DTLS certificate does not match the fingerprint in the SDP")]
    FingerprintMismatch,
    /// The DTLS handshake failed.
    #[error("the DTLS handshake failed")]
    DtlsFailed,
    /// No room for another anchor.
    #[error("the media engine is full")]
    Full,
}

/// What the media engine tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaEvent {
    /// The offer can be used.
    OfferRead {
        /// The leg.
        leg: LegId,
        /// What it holds.
        offered: OfferedMedia,
    },
    /// Our answer; the anchor answers connectivity checks from now on.
    AnswerReady {
        /// The leg.
        leg: LegId,
        /// To be sent to the party.
        answer: SdpAnswer,
    },
    /// Our offer; the anchor answers connectivity checks from now on.
    OfferReady {
        /// The leg.
        leg: LegId,
        /// To be sent to the party.
        offer: SdpOffer,
    },
    /// The answer can be used.
    AnswerApplied {
        /// The leg.
        leg: LegId,
        /// What the leg uses now.
        media: NegotiatedMedia,
    },
    /// An offer or answer cannot be used.
    Refused {
        /// The leg.
        leg: LegId,
        /// Why.
        failure: MediaFailure,
    },
    /// Our answer to a restart.
    RestartReady {
        /// The leg.
        leg: LegId,
        /// To be sent to the party.
        answer: SdpAnswer,
    },
    /// The restart's offer cannot be used; the old path stays.
    RestartRefused {
        /// The leg.
        leg: LegId,
    },
    /// ICE and DTLS are up: sound can flow. Told once for each anchor.
    Connected {
        /// The leg.
        leg: LegId,
    },
    /// Nothing valid has arrived from the party for a while (5 s).
    Stalled {
        /// The leg.
        leg: LegId,
    },
    /// Something valid arrives again.
    Resumed {
        /// The leg.
        leg: LegId,
    },
    /// The path is dead for good: 60 s of silence, or a security failure. The leg must end.
    Failed {
        /// The leg.
        leg: LegId,
        /// The security failure; [`None`] for silence.
        failure: Option<MediaFailure>,
    },
    /// The party's browser sent a key as RFC 4733 events (they are also relayed across the bridge).
    Digit {
        /// The leg.
        leg: LegId,
        /// The key.
        digit: Digit,
    },
    /// The last word about a leg.
    Closed {
        /// The leg.
        leg: LegId,
        /// What its anchor measured; [`None`] if it never had one.
        quality: Option<LegQuality>,
    },
}

impl MediaEvent {
    /// Returns the leg it is about.
    pub const fn leg(&self) -> LegId {
        match self {
            Self::OfferRead { leg, .. }
            | Self::AnswerReady { leg, .. }
            | Self::OfferReady { leg, .. }
            | Self::AnswerApplied { leg, .. }
            | Self::Refused { leg, .. }
            | Self::RestartReady { leg, .. }
            | Self::RestartRefused { leg }
            | Self::Connected { leg }
            | Self::Stalled { leg }
            | Self::Resumed { leg }
            | Self::Failed { leg, .. }
            | Self::Digit { leg, .. }
            | Self::Closed { leg, .. } => *leg,
        }
    }
}
