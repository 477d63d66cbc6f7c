//! Session descriptions (RFC 8866) as far as WebRTC audio and video need them (RFC 8829).
//!
//! [`SessionDescription::parse`] reads what any WebRTC endpoint writes and passes over attributes it
//! does not know; [`SessionDescription`]'s `Display` writes one. What was read can be written and
//! read again without loss. Attributes that a description may give once for the whole session
//! (`ice-ufrag`, `fingerprint`, `setup`, the direction) are handed down to its sections by the
//! parser, so that readers look in one place.

mod parse;
mod write;

use std::net::SocketAddr;

use crate::plan::Fingerprint;

/// Largest description that is read, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;
/// Most `m=` sections.
pub const MAX_SECTIONS: usize = 16;
/// Most `a=candidate` lines in a description, those of kinds we pass over included.
pub const MAX_CANDIDATES: usize = 64;
/// Most `a=` lines in one section, or before the first.
pub const MAX_ATTRIBUTES: usize = 512;
/// Most formats on one `m=` line.
pub const MAX_FORMATS: usize = 128;
/// Longest token (mid, format, encoding name, stream id), in bytes.
pub const MAX_TOKEN_BYTES: usize = 256;

/// Why a text is not a session description that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// It is longer than [`MAX_BYTES`].
    #[error("the description has {bytes} bytes, more than {MAX_BYTES}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// It does not begin with `v=0`.
    #[error("the description does not begin with v=0")]
    NoVersion,
    /// It holds more of something than we read.
    #[error("the description holds too many {what} (line {line})")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// Where, counted from 1.
        line: usize,
    },
    /// A line that matters cannot be read.
    #[error("line {line} of the description is not a valid {what}")]
    BadLine {
        /// What it should have been.
        what: &'static str,
        /// Where, counted from 1.
        line: usize,
    },
}

/// A whole description.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionDescription {
    /// Names the session in `o=`; the same for all of its versions.
    pub session_id: u64,
    /// Rises with each renewed description of the session.
    pub version: u64,
    /// Whether the sender is an ICE-lite endpoint (RFC 8445 §2.5).
    pub ice_lite: bool,
    /// The mids of the first BUNDLE group (RFC 9143), in its order; empty if there is none.
    pub bundle: Vec<String>,
    /// The `m=` sections.
    pub sections: Vec<Section>,
}

/// What an `m=` section carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SectionKind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
    /// Anything else (`application`, `text`, …), by its name.
    Other(String),
}

/// Which way media flows, as the description's sender sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// Only from the description's sender.
    SendOnly,
    /// Only to the description's sender.
    RecvOnly,
    /// Neither way.
    Inactive,
}

impl Direction {
    /// Returns the direction with which the other side mirrors this one (RFC 3264 §6.1).
    pub const fn mirrored(self) -> Self {
        match self {
            Self::SendRecv => Self::SendRecv,
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            Self::Inactive => Self::Inactive,
        }
    }

    /// Returns whether the description's sender sends.
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    const ALL: [Self; 4] = [
        Self::SendRecv,
        Self::SendOnly,
        Self::RecvOnly,
        Self::Inactive,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

/// Who may open the DTLS handshake (RFC 4145 §4, RFC 8842 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// The sender will.
    Active,
    /// The other side shall.
    Passive,
    /// Either; the other side chooses.
    ActPass,
    /// Nobody for now.
    HoldConn,
}

impl Setup {
    const ALL: [Self; 4] = [Self::Active, Self::Passive, Self::ActPass, Self::HoldConn];

    const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::ActPass => "actpass",
            Self::HoldConn => "holdconn",
        }
    }
}

/// One `m=` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// What it carries.
    pub kind: SectionKind,
    /// Where its default address is `c=`. Zero refuses the section, unless it is
    /// [`bundle_only`](Self::bundle_only).
    pub address: SocketAddr,
    /// The transport, such as `UDP/TLS/RTP/SAVPF`.
    pub protocol: String,
    /// The formats of the `m=` line as they stand, at least one.
    pub formats: Vec<String>,
    /// Its name in BUNDLE groups.
    pub mid: Option<String>,
    /// Port zero means "only inside its BUNDLE group", not "refused" (RFC 9143 §6).
    pub bundle_only: bool,
    /// Which way media flows.
    pub direction: Direction,
    /// The sender's ICE user name fragment.
    pub ufrag: Option<String>,
    /// The sender's ICE password.
    pub pwd: Option<String>,
    /// The sender's SHA-256 fingerprints; several certificates may be announced.
    pub fingerprints: Vec<Fingerprint>,
    /// The sender's DTLS role.
    pub setup: Option<Setup>,
    /// RTP and RTCP share a port (RFC 5761).
    pub rtcp_mux: bool,
    /// Reduced-size RTCP (RFC 5506).
    pub rtcp_rsize: bool,
    /// RTP header extensions (RFC 8285).
    pub extensions: Vec<Extension>,
    /// The payload types we can name, in the order of the `m=` line.
    pub payloads: Vec<Payload>,
    /// Stream id and track id (RFC 8830).
    pub msid: Option<(String, String)>,
    /// SSRCs with their canonical names (RFC 5576).
    pub ssrcs: Vec<(u32, String)>,
    /// UDP candidates with a literal address.
    pub candidates: Vec<Candidate>,
    /// No more candidates will come (RFC 8840 §8.2).
    pub end_of_candidates: bool,
}

impl Section {
    /// Returns whether the section is refused or switched off.
    pub const fn is_refused(&self) -> bool {
        self.address.port() == 0 && !self.bundle_only
    }

    /// Returns whether it is carried by RTP under one of the profile names that WebRTC endpoints
    /// write or must accept (RFC 8829 §5.1.2); what counts is that it has a fingerprint.
    pub fn is_rtp(&self) -> bool {
        matches!(
            self.protocol.as_str(),
            "UDP/TLS/RTP/SAVPF"
                | "UDP/TLS/RTP/SAVP"
                | "TCP/DTLS/RTP/SAVPF"
                | "TCP/DTLS/RTP/SAVP"
                | "RTP/SAVPF"
                | "RTP/SAVP"
                | "RTP/AVPF"
                | "RTP/AVP"
        )
    }
}

/// One RTP payload type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// Payload type, 0 to 127 without 64 to 95, which RTCP occupies on a shared port (RFC 5761 §4).
    pub number: u8,
    /// Encoding name as written; names compare without case.
    pub encoding: String,
    /// RTP clock.
    pub clock_rate_hz: u32,
    /// Audio channels; 1 if not written.
    pub channels: u8,
    /// The format's parameters, as written.
    pub parameters: Option<String>,
    /// RTCP feedback it may be answered with.
    pub feedback: Feedback,
}

/// The kinds of RTCP feedback we know (RFC 4585, RFC 5104).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Feedback {
    /// `nack`: single packets.
    pub nack: bool,
    /// `nack pli`: a whole picture.
    pub pli: bool,
    /// `ccm fir`: a whole picture, demanded.
    pub fir: bool,
}

/// One RTP header extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// Its id, 1 to 14: the range of one-byte headers.
    pub id: u8,
    /// Its direction, if written.
    pub direction: Option<Direction>,
    /// What it is.
    pub uri: String,
}

/// A UDP candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Groups candidates of the same origin.
    pub foundation: String,
    /// 1 for RTP.
    pub component: u16,
    /// Higher is tried first.
    pub priority: u32,
    /// Where.
    pub address: SocketAddr,
    /// How it was found.
    pub kind: CandidateKind,
}

/// How a candidate was found (RFC 8445 §5.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CandidateKind {
    /// An address of the machine itself.
    Host,
    /// Seen by a STUN server.
    ServerReflexive,
    /// Seen by the peer.
    PeerReflexive,
    /// On a TURN server.
    Relayed,
}

impl CandidateKind {
    const ALL: [Self; 4] = [
        Self::Host,
        Self::ServerReflexive,
        Self::PeerReflexive,
        Self::Relayed,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::ServerReflexive => "srflx",
            Self::PeerReflexive => "prflx",
            Self::Relayed => "relay",
        }
    }
}

/// Client-to-mixer audio level (RFC 6464).
pub const AUDIO_LEVEL_URI: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
