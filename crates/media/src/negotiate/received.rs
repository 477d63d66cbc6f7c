//! The party offers, we answer.

use ringtrip_model::{NegotiatedMedia, OfferedMedia, SdpAnswer, SdpOffer};

use super::{
    LocalSession, NegotiateError, PartyTransport, SectionShape, audio_codec, audio_level,
    audio_level_extension, audio_payload, check, events_payload, is_vp8, role_towards_offer,
    setup_of, telephone_events, vp8_payload,
};
use crate::plan::{AudioPlan, DtlsRole, RemotePlan, VideoPlan};
use crate::sdp::{Direction, Feedback, Payload, Section, SectionKind, SessionDescription, Setup};

/// A party's offer that can be answered.
#[derive(Debug, Clone)]
pub struct ReceivedOffer {
    description: SessionDescription,
    audio: usize,
    video: Option<usize>,
}

/// Which sections an answer takes, and how.
struct Choice<'a> {
    audio: &'a AudioPlan,
    video: Option<(usize, &'a VideoPlan)>,
    role: DtlsRole,
}

impl ReceivedOffer {
    /// Reads an offer: its first audio section that is not refused, and the first video section that
    /// offers VP8 over the same transport.
    ///
    /// # Errors
    ///
    /// [`NegotiateError`] if it is no SDP or lacks what WebRTC needs. Codecs are not judged here.
    pub fn read(offer: &SdpOffer) -> Result<Self, NegotiateError> {
        let description = SessionDescription::parse(&offer.0)?;
        check(&description)?;
        let usable = |section: &&Section| !section.is_refused() && section.is_rtp();
        let sections = &description.sections;
        let audio = sections
            .iter()
            .position(|s| s.kind == SectionKind::Audio && usable(&s))
            .ok_or(NegotiateError::NoAudio)?;
        if !sections[audio].rtcp_mux {
            return Err(NegotiateError::NoRtcpMux);
        }
        let bundled = |section: &Section| {
            section
                .mid
                .as_ref()
                .is_some_and(|mid| description.bundle.contains(mid))
        };
        let video = sections.iter().position(|section| {
            section.kind == SectionKind::Video
                && usable(&section)
                && section.rtcp_mux
                && bundled(section)
                && bundled(&sections[audio])
                && section.payloads.iter().any(is_vp8)
        });
        let offer = Self {
            description,
            audio,
            video,
        };
        let transport = offer.transport(None).ok_or(NegotiateError::NoTransport)?;
        role_towards_offer(transport.setup).ok_or(NegotiateError::Role)?;
        Ok(offer)
    }

    /// Returns what it offers that we relay, in its order.
    pub fn offered(&self) -> OfferedMedia {
        let mut audio = Vec::new();
        for codec in self.audio().payloads.iter().filter_map(audio_codec) {
            if !audio.contains(&codec) {
                audio.push(codec);
            }
        }
        OfferedMedia {
            audio,
            video: self.wanted_video().is_some(),
        }
    }

    /// Answers it with one audio codec, and video if `media` wants it and it is offered.
    ///
    /// # Errors
    ///
    /// [`NegotiateError::NoCommonCodec`] if the offer does not have that codec.
    pub fn answer(
        &self,
        media: NegotiatedMedia,
        local: &LocalSession,
    ) -> Result<(SdpAnswer, RemotePlan), NegotiateError> {
        let section = self.audio();
        let payload = section
            .payloads
            .iter()
            .find(|payload| audio_codec(payload) == Some(media.audio))
            .ok_or(NegotiateError::NoCommonCodec)?;
        let audio = AudioPlan {
            codec: media.audio,
            payload_type: payload.number,
            events: telephone_events(section, media.audio),
            level_extension: audio_level(section),
            local_ssrc: local.audio_ssrc,
        };
        let video_index = media.video.and(self.wanted_video());
        let video = video_index.and_then(|index| {
            let payload = self.description.sections[index]
                .payloads
                .iter()
                .find(|p| is_vp8(p))?;
            Some(VideoPlan {
                payload_type: payload.number,
                local_ssrc: local.video_ssrc,
                pli: payload.feedback.pli,
                nack: payload.feedback.nack,
            })
        });
        let transport = self
            .transport(video_index)
            .ok_or(NegotiateError::NoTransport)?;
        let role = role_towards_offer(transport.setup).ok_or(NegotiateError::Role)?;
        let choice = Choice {
            audio: &audio,
            video: video_index.zip(video.as_ref()),
            role,
        };
        let answer = self.write(local, &choice);
        let fingerprint = *transport
            .fingerprints
            .first()
            .ok_or(NegotiateError::NoTransport)?;
        let plan = RemotePlan {
            ufrag: transport.ufrag,
            pwd: transport.pwd,
            fingerprint,
            role,
            cname: local.cname.clone(),
            audio,
            video,
        };
        Ok((answer, plan))
    }

    /// Returns the ICE user name fragment and password it brings to a session with this plan.
    ///
    /// The DTLS association goes on over an ICE restart, so the certificate must be the same and
    /// the roles stay (RFC 8842 §5.5), and so must the codecs, which the far leg goes by.
    ///
    /// # Errors
    ///
    /// [`NegotiateError`] if the offer would change any of them.
    pub fn renews(&self, plan: &RemotePlan) -> Result<(String, String), NegotiateError> {
        let video = self.renewed_video(plan);
        let transport = self.transport(video).ok_or(NegotiateError::NoTransport)?;
        if !transport.fingerprints.contains(&plan.fingerprint) {
            return Err(NegotiateError::OtherFingerprint);
        }
        // `actpass` lets us keep whatever role we have.
        let kept = transport.setup == Some(Setup::ActPass)
            || role_towards_offer(transport.setup) == Some(plan.role);
        if !kept {
            return Err(NegotiateError::Role);
        }
        let same = |payload: &&Payload| {
            payload.number == plan.audio.payload_type
                && audio_codec(payload) == Some(plan.audio.codec)
        };
        self.audio()
            .payloads
            .iter()
            .find(same)
            .ok_or(NegotiateError::NoCommonCodec)?;
        Ok((transport.ufrag, transport.pwd))
    }

    /// Answers a renewed offer with what was agreed before.
    ///
    /// Call [`renews`](Self::renews) first; what the plan holds and this offer lacks is left out.
    pub fn answer_again(&self, plan: &RemotePlan, local: &LocalSession) -> SdpAnswer {
        let video = self.renewed_video(plan).zip(plan.video.as_ref());
        self.write(
            local,
            &Choice {
                audio: &plan.audio,
                video,
                role: plan.role,
            },
        )
    }

    /// Returns the video section, unless the party wants no video now.
    fn wanted_video(&self) -> Option<usize> {
        self.video
            .filter(|&i| self.description.sections[i].direction != Direction::Inactive)
    }

    /// Returns the section of the video that was agreed; one that rests for now keeps its place.
    fn renewed_video(&self, plan: &RemotePlan) -> Option<usize> {
        let number = plan.video.as_ref()?.payload_type;
        self.video.filter(|&index| {
            let payloads = &self.description.sections[index].payloads;
            payloads
                .iter()
                .any(|payload| payload.number == number && is_vp8(payload))
        })
    }

    fn audio(&self) -> &Section {
        &self.description.sections[self.audio]
    }

    fn transport(&self, video: Option<usize>) -> Option<PartyTransport> {
        let used: Vec<usize> = std::iter::once(self.audio).chain(video).collect();
        PartyTransport::find(&self.description, &used)
    }

    /// Writes the answer: the offer's sections in their order, with their mids (RFC 3264 §6).
    fn write(&self, local: &LocalSession, choice: &Choice<'_>) -> SdpAnswer {
        let sections = &self.description.sections;
        let used = |i: usize| i == self.audio || choice.video.is_some_and(|(video, _)| video == i);
        let mut answer = local.description();
        // A section outside the offer's group stays outside; a refused one leaves it (RFC 9143 §7.3.3).
        answer.bundle = self
            .description
            .bundle
            .iter()
            .filter(|mid| {
                (0..sections.len()).any(|i| used(i) && sections[i].mid.as_ref() == Some(mid))
            })
            .cloned()
            .collect();
        let tagged = match answer.bundle.first() {
            Some(first) => sections.iter().position(|s| s.mid.as_ref() == Some(first)),
            None => Some(self.audio),
        };
        for (index, offered) in sections.iter().enumerate() {
            let mut shape = SectionShape {
                kind: offered.kind.clone(),
                protocol: offered.protocol.clone(),
                mid: offered.mid.clone(),
                direction: offered.direction.mirrored(),
                setup: setup_of(choice.role),
                rtcp_rsize: offered.rtcp_rsize,
                extensions: Vec::new(),
                payloads: Vec::new(),
                tagged: tagged == Some(index),
            };
            let section = if index == self.audio {
                let audio = choice.audio;
                shape.extensions = audio_level_extension(
                    audio
                        .level_extension
                        .filter(|&id| audio_level(offered) == Some(id)),
                );
                shape
                    .payloads
                    .push(audio_payload(audio.codec, audio.payload_type));
                let events = audio.events.filter(|events| {
                    telephone_events(offered, audio.codec).as_ref() == Some(events)
                });
                shape.payloads.extend(events.map(events_payload));
                local.section(shape)
            } else if let Some((_, video)) = choice.video.filter(|&(video, _)| video == index) {
                shape
                    .payloads
                    .push(vp8_payload(video.payload_type, video.nack, video.pli));
                local.section(shape)
            } else {
                refused(offered)
            };
            answer.sections.push(section);
        }
        SdpAnswer(answer.to_string())
    }
}

/// Refuses a section: port zero, and one format, since there must be one (RFC 3264 §6).
fn refused(offered: &Section) -> Section {
    let format = offered.formats[0].clone();
    // Without its map, some parsers refuse the whole description.
    let mapped = offered
        .payloads
        .iter()
        .find(|payload| payload.number.to_string() == format);
    let payload = mapped.map(|payload| Payload {
        parameters: None,
        feedback: Feedback::default(),
        ..payload.clone()
    });
    Section {
        kind: offered.kind.clone(),
        address: std::net::SocketAddr::from(([0, 0, 0, 0], 0)),
        protocol: offered.protocol.clone(),
        formats: vec![format],
        mid: offered.mid.clone(),
        bundle_only: false,
        direction: Direction::Inactive,
        ufrag: None,
        pwd: None,
        fingerprints: Vec::new(),
        setup: None,
        rtcp_mux: false,
        rtcp_rsize: false,
        extensions: Vec::new(),
        payloads: payload.into_iter().collect(),
        msid: None,
        ssrcs: Vec::new(),
        candidates: Vec::new(),
        end_of_candidates: false,
    }
}
