//! Offer and answer (RFC 3264, RFC 8829) between one anchor and its party.
//!
//! [`ReceivedOffer`] reads a party's offer, says what it holds and writes our answer to it, narrowed
//! to one audio codec; [`MadeOffer`] writes ours and reads the party's answer. Both end in a
//! [`RemotePlan`](crate::plan::RemotePlan), which is all that a media thread needs to know.
//!
//! What we write is fixed by what we are: an ICE-lite endpoint whose audio and video share one
//! transport (BUNDLE, rtcp-mux) and one stream id. There is no RTX, RED or FEC, and no `transport-cc`:
//! its feedback counts packets of one transport every 100 ms, so a relay would have to run a
//! bandwidth estimator towards each party instead of passing losses on. Senders then adapt to the
//! receiver reports. `ccm fir` is left out because `nack pli` says the same with less state.

mod made;
mod received;

use std::net::SocketAddr;
use std::sync::Arc;

use ringtrip_model::{AudioCodec, Generator, MediaFailure};

pub use made::MadeOffer;
pub use received::ReceivedOffer;

use crate::plan::{DtlsRole, Fingerprint, IceCredentials, TelephoneEvents};
use crate::sdp::{
    AUDIO_LEVEL_URI, Candidate, CandidateKind, Direction, Extension, Feedback, Payload, SdpError,
    Section, SectionKind, SessionDescription, Setup,
};

/// Why an offer or an answer cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NegotiateError {
    /// It cannot be read.
    #[error("reading the description")]
    Read(#[from] SdpError),
    /// It has no audio section, or only refused ones.
    #[error("the description has no audio")]
    NoAudio,
    /// RTP and RTCP would need two ports (RFC 5761).
    #[error("the description has no rtcp-mux")]
    NoRtcpMux,
    /// ICE credentials or a SHA-256 fingerprint are missing.
    #[error("the description lacks ICE credentials or a SHA-256 fingerprint")]
    NoTransport,
    /// Both sides would wait for the other's checks (RFC 8445 §2.5).
    #[error("the party is an ICE-lite endpoint, as we are")]
    BothLite,
    /// `a=setup:holdconn`, or a role that an existing association rules out.
    #[error("the description's DTLS role cannot be used")]
    Role,
    /// Two sections bear the same mid.
    #[error("the description names two sections alike")]
    DuplicateMid,
    /// An answer's sections are not those of the offer (RFC 3264 §6).
    #[error("the answer's sections are not those of the offer")]
    Sections,
    /// No audio codec is common to both.
    #[error("there is no common audio codec")]
    NoCommonCodec,
    /// A renewed offer comes from another certificate than the one in use.
    #[error("the renewed offer has another fingerprint")]
    OtherFingerprint,
}

impl NegotiateError {
    /// Returns what a call is told.
    pub const fn failure(self) -> MediaFailure {
        match self {
            Self::NoCommonCodec => MediaFailure::NoCommonCodec,
            Self::Read(_)
            | Self::NoAudio
            | Self::NoRtcpMux
            | Self::NoTransport
            | Self::BothLite
            | Self::Role
            | Self::DuplicateMid
            | Self::Sections
            | Self::OtherFingerprint => MediaFailure::BadDescription,
        }
    }
}

/// Our half of one anchor's session: what we write into its descriptions, first and renewed.
#[derive(Debug, Clone)]
pub struct LocalSession {
    /// Our ICE half; replaced by a restart.
    pub ice: IceCredentials,
    /// Our certificate's digest.
    pub fingerprint: Fingerprint,
    /// Where we can be reached, most wanted first, never empty.
    pub addresses: Arc<[SocketAddr]>,
    /// Names the session in `o=`.
    pub session_id: u64,
    /// Of the next description.
    pub version: u64,
    /// RTCP canonical name of both streams (RFC 7022).
    pub cname: String,
    /// The one stream id that audio and video share: with two, the JavaScript SDK plays the last alone.
    pub stream: String,
    /// SSRC of the audio we send.
    pub audio_ssrc: u32,
    /// SSRC of the video we send.
    pub video_ssrc: u32,
}

impl LocalSession {
    /// Draws the names of a new session.
    pub fn generate(
        ice: IceCredentials,
        fingerprint: Fingerprint,
        addresses: Arc<[SocketAddr]>,
        rng: &mut Generator,
    ) -> Self {
        let audio_ssrc = rng.u32().max(1);
        let mut video_ssrc = rng.u32().max(1);
        if video_ssrc == audio_ssrc {
            video_ssrc ^= 0x8000_0000;
        }
        Self {
            ice,
            fingerprint,
            addresses,
            // Browsers keep it in 62 bits (RFC 8829 §5.2.1).
            session_id: rng.u64() >> 2,
            version: 1,
            cname: rng.alphanumeric(16),
            stream: rng.uuid().to_string(),
            audio_ssrc,
            video_ssrc,
        }
    }

    fn description(&self) -> SessionDescription {
        SessionDescription {
            session_id: self.session_id,
            version: self.version,
            ice_lite: true,
            bundle: Vec::new(),
            sections: Vec::new(),
        }
    }

    /// Writes a section that shares our one transport. Only the *tagged* section, the first of the
    /// group, carries candidates (RFC 9143 §7).
    fn section(&self, shape: SectionShape) -> Section {
        let address = self.addresses[0];
        let video = shape.kind == SectionKind::Video;
        let sends = shape.direction.sends();
        let track = if video { "video" } else { "audio" };
        let ssrc = if video {
            self.video_ssrc
        } else {
            self.audio_ssrc
        };
        Section {
            kind: shape.kind,
            address,
            protocol: shape.protocol,
            formats: shape
                .payloads
                .iter()
                .map(|payload| payload.number.to_string())
                .collect(),
            mid: shape.mid,
            bundle_only: false,
            direction: shape.direction,
            ufrag: Some(self.ice.ufrag.clone()),
            pwd: Some(self.ice.pwd.clone()),
            fingerprints: vec![self.fingerprint],
            setup: Some(shape.setup),
            rtcp_mux: true,
            rtcp_rsize: shape.rtcp_rsize,
            extensions: shape.extensions,
            payloads: shape.payloads,
            msid: sends.then(|| (self.stream.clone(), format!("{}-{track}", self.stream))),
            ssrcs: if sends {
                vec![(ssrc, self.cname.clone())]
            } else {
                Vec::new()
            },
            candidates: if shape.tagged {
                self.candidates()
            } else {
                Vec::new()
            },
            end_of_candidates: shape.tagged,
        }
    }

    /// Returns a host candidate for each address (RFC 8445 §5.1.2.1: 126 is a host's preference).
    fn candidates(&self) -> Vec<Candidate> {
        let preferences = (0..=u16::MAX).rev().map(u32::from);
        let numbered = (1..).zip(self.addresses.iter()).zip(preferences);
        numbered
            .map(
                |((number, &address), preference): ((u32, _), _)| Candidate {
                    foundation: number.to_string(),
                    component: 1,
                    priority: (126 << 24) | (preference << 8) | 255,
                    address,
                    kind: CandidateKind::Host,
                },
            )
            .collect()
    }
}

/// What differs between the sections we write.
struct SectionShape {
    kind: SectionKind,
    protocol: String,
    mid: Option<String>,
    direction: Direction,
    setup: Setup,
    rtcp_rsize: bool,
    extensions: Vec<Extension>,
    payloads: Vec<Payload>,
    tagged: bool,
}

/// A party's transport: what one of its sections says, or the whole session.
struct PartyTransport {
    ufrag: String,
    pwd: String,
    fingerprints: Vec<Fingerprint>,
    setup: Option<Setup>,
}

impl PartyTransport {
    /// Finds the transport that the used sections share: that of the first used one in the order of
    /// the BUNDLE group, whose offerer may give each its own until then (RFC 9143 §7.2.1).
    ///
    /// A bundle-only section may lack one; any member of the group then has it.
    fn find(description: &SessionDescription, used: &[usize]) -> Option<Self> {
        let position = |section: &Section| {
            let mid = section.mid.as_ref()?;
            description.bundle.iter().position(|member| member == mid)
        };
        let bundled = used
            .iter()
            .all(|&i| position(&description.sections[i]).is_some());
        if !bundled {
            // One section, outside of any group.
            return Self::of(&description.sections[*used.first()?]);
        }
        let mut members: Vec<_> = description
            .sections
            .iter()
            .enumerate()
            .filter_map(|(i, section)| Some((!used.contains(&i), position(section)?, section)))
            .collect();
        members.sort_by_key(|&(unused, position, _)| (unused, position));
        members
            .into_iter()
            .find_map(|(_, _, section)| Self::of(section))
    }

    fn of(section: &Section) -> Option<Self> {
        if section.fingerprints.is_empty() {
            return None;
        }
        Some(Self {
            ufrag: section.ufrag.clone()?,
            pwd: section.pwd.clone()?,
            fingerprints: section.fingerprints.clone(),
            setup: section.setup,
        })
    }
}

/// Refuses what no exchange with us can use, whichever side it comes from.
fn check(description: &SessionDescription) -> Result<(), NegotiateError> {
    if description.ice_lite {
        return Err(NegotiateError::BothLite);
    }
    let mids: Vec<_> = description
        .sections
        .iter()
        .filter_map(|s| s.mid.as_ref())
        .collect();
    let twice = |(i, mid): (usize, &&String)| mids[..i].contains(mid);
    if mids.iter().enumerate().any(twice) {
        return Err(NegotiateError::DuplicateMid);
    }
    Ok(())
}

/// Returns the audio codec that a payload type names.
fn audio_codec(payload: &Payload) -> Option<AudioCodec> {
    AudioCodec::ALL.into_iter().find(|codec| {
        payload.encoding.eq_ignore_ascii_case(codec.encoding_name())
            && payload.clock_rate_hz == codec.clock_rate_hz()
            && payload.channels == channels(*codec)
    })
}

/// Opus is always announced with two channels, whatever it carries (RFC 7587 §7).
const fn channels(codec: AudioCodec) -> u8 {
    match codec {
        AudioCodec::Opus => 2,
        AudioCodec::G722 | AudioCodec::Pcmu | AudioCodec::Pcma => 1,
    }
}

fn is_vp8(payload: &Payload) -> bool {
    payload.encoding.eq_ignore_ascii_case("VP8") && payload.clock_rate_hz == 90_000
}

/// Finds the telephone-event payload type with the clock of `codec`, and no other.
///
/// Chromium counts an event in its codec's clock whatever the payload type says: beside Opus a
/// `/8000` type yields three end packets of duration 960 and no beginning.
fn telephone_events(section: &Section, codec: AudioCodec) -> Option<TelephoneEvents> {
    let clock_rate_hz = codec.clock_rate_hz();
    section
        .payloads
        .iter()
        .find(|payload| {
            payload.encoding.eq_ignore_ascii_case("telephone-event")
                && payload.clock_rate_hz == clock_rate_hz
        })
        .map(|payload| TelephoneEvents {
            payload_type: payload.number,
            clock_rate_hz,
        })
}

/// Finds the id of `ssrc-audio-level`, if it may be used both ways.
fn audio_level(section: &Section) -> Option<u8> {
    section
        .extensions
        .iter()
        .find(|extension| extension.uri == AUDIO_LEVEL_URI)
        .filter(|extension| extension.direction.unwrap_or_default() == Direction::SendRecv)
        .map(|extension| extension.id)
}

fn audio_level_extension(id: Option<u8>) -> Vec<Extension> {
    id.map(|id| Extension {
        id,
        direction: None,
        uri: AUDIO_LEVEL_URI.to_owned(),
    })
    .into_iter()
    .collect()
}

fn audio_payload(codec: AudioCodec, number: u8) -> Payload {
    Payload {
        number,
        encoding: codec.encoding_name().to_owned(),
        clock_rate_hz: codec.clock_rate_hz(),
        channels: channels(codec),
        parameters: match codec {
            AudioCodec::Opus => Some("minptime=10;useinbandfec=1".to_owned()),
            AudioCodec::G722 | AudioCodec::Pcmu | AudioCodec::Pcma => None,
        },
        feedback: Feedback::default(),
    }
}

fn events_payload(events: TelephoneEvents) -> Payload {
    Payload {
        number: events.payload_type,
        encoding: "telephone-event".to_owned(),
        clock_rate_hz: events.clock_rate_hz,
        channels: 1,
        parameters: Some("0-15".to_owned()),
        feedback: Feedback::default(),
    }
}

fn vp8_payload(number: u8, nack: bool, pli: bool) -> Payload {
    Payload {
        number,
        encoding: "VP8".to_owned(),
        clock_rate_hz: 90_000,
        channels: 1,
        parameters: None,
        feedback: Feedback {
            nack,
            pli,
            fir: false,
        },
    }
}

/// Returns our DTLS role towards an offer: passive unless the party insists on it, so that it can
/// send its ClientHello the moment a check succeeds. A missing `a=setup` means active (RFC 4145 §4).
const fn role_towards_offer(setup: Option<Setup>) -> Option<DtlsRole> {
    match setup {
        Some(Setup::ActPass | Setup::Active) | None => Some(DtlsRole::Server),
        Some(Setup::Passive) => Some(DtlsRole::Client),
        Some(Setup::HoldConn) => None,
    }
}

/// Returns our DTLS role once the party answered. `actpass` in an answer is a peer's bug; it will act.
const fn role_towards_answer(setup: Option<Setup>) -> Option<DtlsRole> {
    match setup {
        Some(Setup::Active | Setup::ActPass) | None => Some(DtlsRole::Server),
        Some(Setup::Passive) => Some(DtlsRole::Client),
        Some(Setup::HoldConn) => None,
    }
}

const fn setup_of(role: DtlsRole) -> Setup {
    match role {
        DtlsRole::Client => Setup::Active,
        DtlsRole::Server => Setup::Passive,
    }
}
