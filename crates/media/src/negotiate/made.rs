//! We offer, the party answers.

use ringtrip_model::{AudioCodec, NegotiatedMedia, SdpAnswer, SdpOffer, VideoCodec};

use super::{
    LocalSession, NegotiateError, PartyTransport, SectionShape, audio_codec, audio_level,
    audio_level_extension, audio_payload, check, events_payload, is_vp8, role_towards_answer,
    telephone_events, vp8_payload,
};
use crate::plan::{AudioPlan, RemotePlan, TelephoneEvents, VideoPlan};
use crate::sdp::{Direction, SectionKind, SessionDescription, Setup};

const AUDIO_MID: &str = "0";
const VIDEO_MID: &str = "1";
const VP8_PAYLOAD_TYPE: u8 = 96;
const LEVEL_EXTENSION: u8 = 1;

/// An offer of ours that waits for its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeOffer {
    audio: Vec<AudioCodec>,
    video: bool,
}

impl MadeOffer {
    /// Offers these audio codecs, most wanted first, and VP8 if `video`. Repeated codecs count once.
    pub fn new(audio: &[AudioCodec], video: bool) -> Self {
        let mut codecs = Vec::with_capacity(audio.len().min(AudioCodec::ALL.len()));
        for &codec in audio {
            if !codecs.contains(&codec) {
                codecs.push(codec);
            }
        }
        Self {
            audio: codecs,
            video,
        }
    }

    /// Writes it.
    pub fn write(&self, local: &LocalSession) -> SdpOffer {
        let mut offer = local.description();
        offer.bundle.push(AUDIO_MID.to_owned());
        let mut payloads: Vec<_> = self
            .audio
            .iter()
            .map(|&codec| audio_payload(codec, payload_type(codec)))
            .collect();
        payloads.extend(self.events().into_iter().map(events_payload));
        offer.sections.push(local.section(SectionShape {
            kind: SectionKind::Audio,
            protocol: "UDP/TLS/RTP/SAVPF".to_owned(),
            mid: Some(AUDIO_MID.to_owned()),
            direction: Direction::SendRecv,
            setup: Setup::ActPass,
            rtcp_rsize: true,
            extensions: audio_level_extension(Some(LEVEL_EXTENSION)),
            payloads,
            tagged: true,
        }));
        if self.video {
            offer.bundle.push(VIDEO_MID.to_owned());
            offer.sections.push(local.section(SectionShape {
                kind: SectionKind::Video,
                protocol: "UDP/TLS/RTP/SAVPF".to_owned(),
                mid: Some(VIDEO_MID.to_owned()),
                direction: Direction::SendRecv,
                setup: Setup::ActPass,
                rtcp_rsize: true,
                extensions: Vec::new(),
                payloads: vec![vp8_payload(VP8_PAYLOAD_TYPE, true, true)],
                tagged: false,
            }));
        }
        SdpOffer(offer.to_string())
    }

    /// Reads the party's answer. The first audio codec of its list that we offered is the one.
    ///
    /// # Errors
    ///
    /// [`NegotiateError::NoCommonCodec`] if it refuses the audio or names only codecs that were not
    /// offered; others if it is no answer to this offer or lacks what WebRTC needs.
    pub fn apply(
        &self,
        answer: &SdpAnswer,
        local: &LocalSession,
    ) -> Result<RemotePlan, NegotiateError> {
        let description = SessionDescription::parse(&answer.0)?;
        check(&description)?;
        let expected = [
            (SectionKind::Audio, AUDIO_MID),
            (SectionKind::Video, VIDEO_MID),
        ];
        let expected = &expected[..if self.video { 2 } else { 1 }];
        let sections = &description.sections;
        let matches = sections.len() == expected.len()
            && sections.iter().zip(expected).all(|(section, (kind, mid))| {
                section.kind == *kind && section.mid.as_deref().is_none_or(|given| given == *mid)
            });
        if !matches {
            return Err(NegotiateError::Sections);
        }
        let audio = &sections[0];
        if audio.is_refused() || !audio.is_rtp() {
            return Err(NegotiateError::NoCommonCodec);
        }
        if !audio.rtcp_mux {
            return Err(NegotiateError::NoRtcpMux);
        }
        // Answers use the offer's payload types in both directions, as every browser does; a type
        // of the party's own for a codec of ours is one we did not offer.
        let codec = audio
            .payloads
            .iter()
            .filter_map(|payload| Some((audio_codec(payload)?, payload.number)))
            .find(|&(codec, number)| self.audio.contains(&codec) && number == payload_type(codec))
            .map(|(codec, _)| codec)
            .ok_or(NegotiateError::NoCommonCodec)?;

        // Video without the common transport would need a second one.
        let bundled = |mid: &str| description.bundle.iter().any(|member| member == mid);
        let video = sections
            .get(1)
            .filter(|s| !s.is_refused() && s.is_rtp() && s.direction != Direction::Inactive)
            .filter(|_| bundled(AUDIO_MID) && bundled(VIDEO_MID))
            .and_then(|s| {
                s.payloads
                    .iter()
                    .find(|p| is_vp8(p) && p.number == VP8_PAYLOAD_TYPE)
            })
            .map(|payload| VideoPlan {
                payload_type: payload.number,
                local_ssrc: local.video_ssrc,
                pli: payload.feedback.pli,
                nack: payload.feedback.nack,
            });
        let used: &[usize] = if video.is_some() { &[0, 1] } else { &[0] };
        let transport =
            PartyTransport::find(&description, used).ok_or(NegotiateError::NoTransport)?;
        let events = telephone_events(audio, codec).filter(|e| self.events().contains(e));
        let fingerprint = *transport
            .fingerprints
            .first()
            .ok_or(NegotiateError::NoTransport)?;
        Ok(RemotePlan {
            ufrag: transport.ufrag,
            pwd: transport.pwd,
            fingerprint,
            role: role_towards_answer(transport.setup).ok_or(NegotiateError::Role)?,
            cname: local.cname.clone(),
            audio: AudioPlan {
                codec,
                payload_type: payload_type(codec),
                events,
                level_extension: audio_level(audio).filter(|&id| id == LEVEL_EXTENSION),
                local_ssrc: local.audio_ssrc,
            },
            video,
        })
    }

    /// Returns one telephone-event type for each clock among the codecs, in their order: Chromium
    /// sends with the first whatever codec it chose.
    fn events(&self) -> Vec<TelephoneEvents> {
        let mut events: Vec<TelephoneEvents> = Vec::new();
        for codec in &self.audio {
            let clock_rate_hz = codec.clock_rate_hz();
            let payload_type = if clock_rate_hz == 48_000 { 110 } else { 126 };
            let event = TelephoneEvents {
                payload_type,
                clock_rate_hz,
            };
            if !events.contains(&event) {
                events.push(event);
            }
        }
        events
    }
}

/// Our payload types: static ones where RFC 3551 has them, else those that Chromium uses.
const fn payload_type(codec: AudioCodec) -> u8 {
    match codec {
        AudioCodec::Opus => 111,
        AudioCodec::G722 => 9,
        AudioCodec::Pcmu => 0,
        AudioCodec::Pcma => 8,
    }
}

impl RemotePlan {
    /// Returns what a leg with this plan uses.
    pub const fn media(&self) -> NegotiatedMedia {
        NegotiatedMedia {
            audio: self.audio.codec,
            video: match &self.video {
                Some(_) => Some(VideoCodec::Vp8),
                None => None,
            },
        }
    }
}
