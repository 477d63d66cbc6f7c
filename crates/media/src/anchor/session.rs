//! The connected half of an anchor: SRTP, the streams in both directions, RTCP.

use std::ops::Range;
use std::time::Duration;

use ringtrip_model::{AudioCodec, Digit, Generator, LegQuality, Time};

use super::ice::Path;
use crate::dtmf::{self, DigitDetector, DigitSender};
use crate::outgoing::{Outgoing, RoundTrip};
use crate::plan::{AnchorId, DtlsRole, RemotePlan};
use crate::reception::Reception;
use crate::rewrite::{Place, Source};
use crate::rtcp::{Compound, CompoundWriter, ReportBlock, RtcpPacket, SenderInfo};
use crate::rtp::{MAX_WRITTEN_HEADER_LEN, OutgoingHeader, RtpHeader};
use crate::srtp::{SrtpError, SrtpKeys, SrtpReceiver, SrtpSender};
use crate::transmit::TransmitQueue;

/// RTP clock of every video codec.
const VIDEO_CLOCK_HZ: u32 = 90_000;
/// Mean time between reports (RFC 3550 §6.2, RFC 4585 §3.4): video adapts, so it hears more often.
const AUDIO_REPORTS: Duration = Duration::from_secs(5);
const VIDEO_REPORTS: Duration = Duration::from_secs(1);
/// Key frames are costly: asked for at most this often.
const KEY_FRAME_INTERVAL: Duration = Duration::from_millis(500);
/// Sequence numbers read from one NACK.
const MAX_MISSING: usize = 64;

/// A packet that arrived, decrypted, and passed every check.
#[derive(Debug, Clone)]
pub(crate) struct Incoming {
    pub(crate) kind: Kind,
    pub(crate) ssrc: u32,
    index: u64,
    timestamp: u32,
    marker: bool,
    level: Option<u8>,
    payload: Range<usize>,
    /// A key that was heard for the first time.
    pub(crate) digit: Option<Digit>,
}

/// What a packet carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Audio(AudioCodec),
    /// Keys, beside audio of this codec.
    Event {
        codec: AudioCodec,
        clock_rate_hz: u32,
    },
    Video,
}

/// What a party's RTCP asks of its bridge partner.
#[derive(Debug, Clone, Default)]
pub(crate) struct Feedback {
    /// A key frame is wanted.
    pub(crate) key_frame: bool,
    /// Numbers of the partner's stream that never came, oldest first.
    pub(crate) missing: Vec<u16>,
    /// The SSRC they belong to.
    pub(crate) missing_of: Option<Source>,
    /// What the party says about the clocks of its streams.
    pub(crate) audio_report: Option<SenderInfo>,
    pub(crate) video_report: Option<SenderInfo>,
}

/// The streams and keys of a connected anchor.
#[derive(Debug)]
pub(crate) struct Session {
    receiver: SrtpReceiver,
    sender: SrtpSender,
    plan: Box<RemotePlan>,
    audio_in: Option<Reception>,
    video_in: Option<Reception>,
    audio_out: Outgoing,
    video_out: Option<Outgoing>,
    detector: DigitDetector,
    digits: DigitSender,
    /// Timestamp of the event of ours that is being sent.
    own_event: Option<u32>,
    /// An event relayed from a stream with another clock: its SSRC and timestamp there, and here.
    relayed_event: Option<(u32, u32, u32)>,
    round_trip: RoundTrip,
    /// How far the NTP time of a source lies from ours.
    source_clock: Option<(AnchorId, u64)>,
    report_at: Time,
    key_frame_asked: Option<Time>,
    key_frame_due: Option<Time>,
    packets_received: u64,
    bytes_received: u64,
    /// Lost on SSRCs that the party no longer uses.
    lost_before: u64,
}

impl Session {
    pub(crate) fn new(
        keys: &SrtpKeys,
        plan: Box<RemotePlan>,
        rng: &mut Generator,
        now: Time,
    ) -> Result<Self, SrtpError> {
        let (ours, theirs) = match plan.role {
            DtlsRole::Client => (&keys.client, &keys.server),
            DtlsRole::Server => (&keys.server, &keys.client),
        };
        let audio_clock = plan.audio.codec.clock_rate_hz();
        let audio_out = Outgoing::new(plan.audio.local_ssrc, audio_clock, false, rng);
        let video_out = plan
            .video
            .as_ref()
            .map(|video| Outgoing::new(video.local_ssrc, VIDEO_CLOCK_HZ, video.nack, rng));
        Ok(Self {
            receiver: SrtpReceiver::new(keys.profile, theirs)?,
            sender: SrtpSender::new(keys.profile, ours)?,
            audio_in: None,
            video_in: None,
            audio_out,
            video_out,
            detector: DigitDetector::default(),
            digits: DigitSender::default(),
            own_event: None,
            relayed_event: None,
            round_trip: RoundTrip::default(),
            source_clock: None,
            // The first report soon, so that sound and picture find together.
            report_at: now + Duration::from_micros(u64::from(300_000 + rng.below(400_000))),
            key_frame_asked: None,
            key_frame_due: None,
            packets_received: 0,
            bytes_received: 0,
            lost_before: 0,
            plan,
        })
    }

    /// Returns whether the party sends and receives video.
    pub(crate) const fn has_video(&self) -> bool {
        self.video_out.is_some()
    }

    /// Decrypts an RTP packet in place. [`None`]: it is dropped, and nothing is known about its sender.
    pub(crate) fn receive_rtp(&mut self, packet: &mut [u8], now: Time) -> Option<Incoming> {
        let header = RtpHeader::parse(packet).ok()?;
        let audio = &self.plan.audio;
        let video = self.plan.video.as_ref();
        let kind = match header.payload_type {
            pt if pt == audio.payload_type => Kind::Audio(audio.codec),
            pt if audio.events.is_some_and(|events| pt == events.payload_type) => Kind::Event {
                codec: audio.codec,
                clock_rate_hz: audio.events?.clock_rate_hz,
            },
            pt if video.is_some_and(|video| pt == video.payload_type) => Kind::Video,
            _ => return None,
        };
        let (index, len) = self
            .receiver
            .unprotect_rtp(packet, header.header_len())
            .ok()?;
        let packet = &packet[..len];
        let payload_len = header.payload(packet).len();
        self.packets_received += 1;
        self.bytes_received += payload_len as u64;

        let (slot, clock_rate_hz) = match kind {
            Kind::Audio(codec) | Kind::Event { codec, .. } => {
                (&mut self.audio_in, codec.clock_rate_hz())
            }
            Kind::Video => (&mut self.video_in, VIDEO_CLOCK_HZ),
        };
        if let Some(known) = slot
            && known.ssrc() != header.ssrc
        {
            self.lost_before += known.lost();
            *slot = None;
        }
        let timed = !matches!(kind, Kind::Event { .. });
        slot.get_or_insert_with(|| Reception::new(header.ssrc, clock_rate_hz, index))
            .count(index, header.timestamp, timed, now);

        let level = match (kind, audio.level_extension) {
            (Kind::Audio(_), Some(id)) => header.audio_level(packet, id),
            (Kind::Audio(_) | Kind::Event { .. } | Kind::Video, _) => None,
        };
        let payload = header.header_len()..header.header_len() + payload_len;
        let digit = match kind {
            Kind::Event { .. } => {
                let event = &packet[payload.clone()];
                self.detector
                    .detect(header.ssrc, header.timestamp, event, now)
            }
            Kind::Audio(_) | Kind::Video => None,
        };
        let (ssrc, timestamp, marker) = (header.ssrc, header.timestamp, header.marker);
        Some(Incoming {
            kind,
            ssrc,
            index,
            timestamp,
            marker,
            level,
            payload,
            digit,
        })
    }

    /// Sends what another anchor received on to our party.
    pub(crate) fn forward(
        &mut self,
        from: AnchorId,
        incoming: &Incoming,
        packet: &[u8],
        path: Path,
        now: Time,
        transmits: &mut TransmitQueue,
    ) {
        let payload = packet.get(incoming.payload.clone()).unwrap_or_default();
        let source = Source {
            anchor: from,
            ssrc: incoming.ssrc,
        };
        let audio = &self.plan.audio;
        match incoming.kind {
            Kind::Audio(codec) => {
                if codec != audio.codec || self.digits.is_sending() {
                    return;
                }
                let rewriter = self.audio_out.rewriter();
                let placed = rewriter.place(source, incoming.index, incoming.timestamp, now);
                let Some(place) = placed else { return };
                let header = OutgoingHeader {
                    marker: incoming.marker || place.first,
                    payload_type: audio.payload_type,
                    sequence: place.sequence(),
                    timestamp: place.timestamp,
                    ssrc: self.audio_out.ssrc(),
                    level: audio.level_extension.zip(incoming.level),
                };
                send(
                    &mut self.sender,
                    &mut self.audio_out,
                    header,
                    place,
                    payload,
                    path,
                    transmits,
                );
            }
            Kind::Event {
                codec,
                clock_rate_hz,
            } => {
                if codec != audio.codec || self.digits.is_sending() {
                    return;
                }
                let Some(events) = audio.events else {
                    // The numbers of what is dropped must not show as loss.
                    self.audio_out.rewriter().interrupt();
                    return;
                };
                let Some(event) = payload.first_chunk() else {
                    return;
                };
                let event = dtmf::rescale(*event, clock_rate_hz, events.clock_rate_hz);
                let placed = if clock_rate_hz == codec.clock_rate_hz() {
                    let rewriter = self.audio_out.rewriter();
                    rewriter.place(source, incoming.index, incoming.timestamp, now)
                } else {
                    self.place_alien_event(incoming, now)
                };
                let Some(place) = placed else { return };
                let header = OutgoingHeader {
                    marker: incoming.marker || place.first,
                    payload_type: events.payload_type,
                    sequence: place.sequence(),
                    timestamp: place.timestamp,
                    ssrc: self.audio_out.ssrc(),
                    level: None,
                };
                send(
                    &mut self.sender,
                    &mut self.audio_out,
                    header,
                    place,
                    &event,
                    path,
                    transmits,
                );
            }
            Kind::Video => {
                let (Some(video), Some(out)) = (&self.plan.video, &mut self.video_out) else {
                    return;
                };
                let placed = out
                    .rewriter()
                    .place(source, incoming.index, incoming.timestamp, now);
                let Some(place) = placed else { return };
                let header = OutgoingHeader {
                    marker: incoming.marker,
                    payload_type: video.payload_type,
                    sequence: place.sequence(),
                    timestamp: place.timestamp,
                    ssrc: out.ssrc(),
                    level: None,
                };
                send(
                    &mut self.sender,
                    out,
                    header,
                    place,
                    payload,
                    path,
                    transmits,
                );
            }
        }
    }

    /// An event whose timestamps count in another clock than the audio around it has no place in the
    /// linear map: it is placed like one of ours, all its packets at one timestamp.
    fn place_alien_event(&mut self, incoming: &Incoming, now: Time) -> Option<Place> {
        let known = self
            .relayed_event
            .filter(|(ssrc, timestamp, _)| {
                (*ssrc, *timestamp) == (incoming.ssrc, incoming.timestamp)
            })
            .map(|(_, _, timestamp)| timestamp);
        let place = self.audio_out.rewriter().place_own(known, now);
        self.relayed_event = Some((incoming.ssrc, incoming.timestamp, place.timestamp));
        Some(place)
    }

    /// Forgets where the streams come from: after a new bridge or a hold, numbers go on without a gap.
    pub(crate) fn interrupt(&mut self) {
        self.audio_out.rewriter().interrupt();
        if let Some(video) = &mut self.video_out {
            video.rewriter().interrupt();
        }
    }

    /// Decrypts RTCP in place, takes what is for us, and answers what we can. Returns what
    /// the bridge partner must hear of; [`None`] if the packet is not authentic.
    pub(crate) fn receive_rtcp(
        &mut self,
        packet: &mut [u8],
        path: Option<Path>,
        now: Time,
        transmits: &mut TransmitQueue,
    ) -> Option<Feedback> {
        let len = self.receiver.unprotect_rtcp(packet).ok()?;
        let mut feedback = Feedback::default();
        for rtcp in Compound::new(&packet[..len]) {
            match rtcp {
                RtcpPacket::SenderReport(info, blocks) => {
                    self.heard_sender(&info, &mut feedback, now);
                    blocks.for_each(|block| self.heard_block(block, now));
                }
                RtcpPacket::ReceiverReport(blocks) => {
                    blocks.for_each(|block| self.heard_block(block, now));
                }
                RtcpPacket::PictureLoss { media } | RtcpPacket::FullIntra { media } => {
                    feedback.key_frame |= self
                        .video_out
                        .as_ref()
                        .is_some_and(|video| video.ssrc() == media);
                }
                RtcpPacket::Nack { media, missing } => {
                    if let Some(video) = &mut self.video_out
                        && video.ssrc() == media
                    {
                        let missing = missing.take(MAX_MISSING);
                        resend(video, missing, path, now, transmits, &mut feedback);
                    }
                }
                RtcpPacket::Other => {}
            }
        }
        Some(feedback)
    }

    fn heard_sender(&mut self, info: &SenderInfo, feedback: &mut Feedback, now: Time) {
        if let Some(audio) = &mut self.audio_in
            && audio.ssrc() == info.ssrc
        {
            audio.heard_report(info, now);
            feedback.audio_report = Some(*info);
        } else if let Some(video) = &mut self.video_in
            && video.ssrc() == info.ssrc
        {
            video.heard_report(info, now);
            feedback.video_report = Some(*info);
        }
    }

    fn heard_block(&mut self, block: ReportBlock, now: Time) {
        if block.ssrc == self.audio_out.ssrc() {
            self.audio_out.heard_party(block);
        } else if let Some(video) = &mut self.video_out
            && block.ssrc == video.ssrc()
        {
            video.heard_party(block);
        } else {
            return;
        }
        self.round_trip.heard(&block, now);
    }

    /// Takes over what the bridge partner said about its clocks. `wall` is our NTP time.
    pub(crate) fn heard_source(
        &mut self,
        from: AnchorId,
        feedback: &Feedback,
        wall: u64,
        now: Time,
    ) {
        let mut note = |out: &mut Outgoing, info: &SenderInfo| {
            let apart = match self.source_clock {
                Some((anchor, apart)) if anchor == from => apart,
                Some(_) | None => wall.wrapping_sub(info.ntp),
            };
            self.source_clock = Some((from, apart));
            let source = Source {
                anchor: from,
                ssrc: info.ssrc,
            };
            out.heard_source(source, info.ntp.wrapping_add(apart), info.rtp, now);
        };
        if let Some(info) = &feedback.audio_report {
            note(&mut self.audio_out, info);
        }
        if let (Some(info), Some(video)) = (&feedback.video_report, &mut self.video_out) {
            note(video, info);
        }
    }

    /// Asks the party for a key frame, now or as soon as that is not too often.
    pub(crate) fn ask_key_frame(&mut self, path: Path, now: Time, transmits: &mut TransmitQueue) {
        let Some(video) = self.plan.video.as_ref().filter(|video| video.pli) else {
            return;
        };
        let Some(media) = self.video_in.as_ref().map(Reception::ssrc) else {
            return;
        };
        if let Some(asked) = self.key_frame_asked
            && now.since(asked) < KEY_FRAME_INTERVAL
        {
            self.key_frame_due = Some(asked + KEY_FRAME_INTERVAL);
            return;
        }
        self.key_frame_asked = Some(now);
        self.key_frame_due = None;
        let sender = video.local_ssrc;
        self.send_rtcp(path, transmits, |writer| {
            writer.receiver_report(sender, &[]);
            writer.picture_loss(sender, media);
        });
    }

    /// Asks the party for packets that the bridge partner misses.
    pub(crate) fn ask_again(
        &mut self,
        ssrc: u32,
        missing: &[u16],
        path: Path,
        transmits: &mut TransmitQueue,
    ) {
        let Some(video) = self.plan.video.as_ref().filter(|video| video.nack) else {
            return;
        };
        if self
            .video_in
            .as_ref()
            .is_none_or(|stream| stream.ssrc() != ssrc)
        {
            return;
        }
        let sender = video.local_ssrc;
        self.send_rtcp(path, transmits, |writer| {
            writer.receiver_report(sender, &[]);
            writer.nack(sender, ssrc, missing);
        });
    }

    /// Queues a key. Returns whether the party understands keys and there was room.
    pub(crate) fn push_digit(&mut self, digit: Digit) -> bool {
        self.plan.audio.events.is_some() && self.digits.push(digit)
    }

    /// Moves keys that wait to a successor.
    pub(crate) fn hand_over(&mut self, to: &mut Self) {
        self.digits.hand_over(&mut to.digits);
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) is due.
    pub(crate) fn deadline(&self) -> Time {
        [self.digits.next_at(), self.key_frame_due]
            .into_iter()
            .flatten()
            .fold(self.report_at, Time::min)
    }

    /// Sends what is due: keys, reports, a key frame request.
    pub(crate) fn handle_timeout(
        &mut self,
        path: Option<Path>,
        wall: u64,
        now: Time,
        rng: &mut Generator,
        transmits: &mut TransmitQueue,
    ) {
        while let Some(event) = self.digits.poll(now) {
            let (Some(events), Some(path)) = (self.plan.audio.events, path) else {
                continue;
            };
            let known = self.own_event.filter(|_| !event.first);
            let place = self.audio_out.rewriter().place_own(known, now);
            self.own_event = Some(place.timestamp);
            let header = OutgoingHeader {
                marker: event.first,
                payload_type: events.payload_type,
                sequence: place.sequence(),
                timestamp: place.timestamp,
                ssrc: self.audio_out.ssrc(),
                level: None,
            };
            let payload = event.payload(events.clock_rate_hz);
            let out = &mut self.audio_out;
            send(
                &mut self.sender,
                out,
                header,
                place,
                &payload,
                path,
                transmits,
            );
        }
        if self.key_frame_due.is_some_and(|due| due <= now) {
            self.key_frame_due = None;
            if let Some(path) = path {
                self.ask_key_frame(path, now, transmits);
            }
        }
        if self.report_at <= now {
            let mean = if self.has_video() {
                VIDEO_REPORTS
            } else {
                AUDIO_REPORTS
            };
            // 0.5 to 1.5 times the mean (RFC 3550 §6.3.1).
            let factor = 512 + rng.below(1_024);
            self.report_at = now + mean * factor / 1_024;
            if let Some(path) = path {
                self.report(path, wall, now, transmits);
            }
        }
    }

    fn report(&mut self, path: Path, wall: u64, now: Time, transmits: &mut TransmitQueue) {
        let mut blocks = [ReportBlock::default(); 2];
        let mut count = 0;
        for stream in [&mut self.audio_in, &mut self.video_in]
            .into_iter()
            .flatten()
        {
            blocks[count] = stream.report(now);
            count += 1;
        }
        let audio = self.audio_out.sender_info(wall, now);
        let video = self
            .video_out
            .as_ref()
            .and_then(|video| video.sender_info(wall, now));
        for info in [&audio, &video].into_iter().flatten() {
            self.round_trip.sent(info, now);
        }
        let ssrc = self.audio_out.ssrc();
        let cname = std::mem::take(&mut self.plan.cname);
        self.send_rtcp(path, transmits, |writer| {
            match &audio {
                Some(info) => writer.sender_report(info, &blocks[..count]),
                None => writer.receiver_report(ssrc, &blocks[..count]),
            }
            if let Some(info) = &video {
                writer.sender_report(info, &[]);
            }
            writer.canonical_name(ssrc, &cname);
            if let Some(info) = &video {
                writer.canonical_name(info.ssrc, &cname);
            }
        });
        self.plan.cname = cname;
    }

    fn send_rtcp(
        &mut self,
        path: Path,
        transmits: &mut TransmitQueue,
        write: impl FnOnce(&mut CompoundWriter<'_>),
    ) {
        transmits.push(path.socket, path.remote, |buffer| {
            let mut writer = CompoundWriter::new(buffer);
            write(&mut writer);
            let len = writer.len();
            self.sender.protect_rtcp(buffer, len).ok()
        });
    }

    /// Returns what was measured.
    pub(crate) fn quality(&self) -> LegQuality {
        let received = [&self.audio_in, &self.video_in].into_iter().flatten();
        let video = self.video_out.as_ref();
        LegQuality {
            packets_sent: self.audio_out.packets() + video.map_or(0, Outgoing::packets),
            packets_received: self.packets_received,
            bytes_sent: self.audio_out.octets() + video.map_or(0, Outgoing::octets),
            bytes_received: self.bytes_received,
            packets_lost: self.lost_before + received.map(Reception::lost).sum::<u64>(),
            packets_lost_remote: self.audio_out.lost_remote()
                + video.map_or(0, Outgoing::lost_remote),
            jitter_us: self.audio_in.as_ref().map_or(0, Reception::jitter_us),
            jitter_remote_us: self.audio_out.jitter_remote_us(),
            round_trip_us: self.round_trip.micros(),
        }
    }
}

/// Writes, protects and queues one packet.
fn send(
    sender: &mut SrtpSender,
    out: &mut Outgoing,
    header: OutgoingHeader,
    place: Place,
    payload: &[u8],
    path: Path,
    transmits: &mut TransmitQueue,
) {
    let queued = transmits.push(path.socket, path.remote, |buffer| {
        let header_len = header.write(buffer)?;
        debug_assert!(header_len <= MAX_WRITTEN_HEADER_LEN);
        let len = header_len + payload.len();
        buffer.get_mut(header_len..len)?.copy_from_slice(payload);
        let len = sender
            .protect_rtp(buffer, header_len, len, place.index)
            .ok()?;
        out.remember(place, &buffer[..len]);
        Some(len)
    });
    if queued {
        out.sent(payload.len());
    }
}

/// Sends again what we have, and collects what never reached us.
fn resend(
    video: &mut Outgoing,
    missing: impl Iterator<Item = u16>,
    path: Option<Path>,
    now: Time,
    transmits: &mut TransmitQueue,
    feedback: &mut Feedback,
) {
    for sequence in missing {
        if let Some(packet) = video.recall(sequence, now) {
            if let Some(path) = path
                && !packet.is_empty()
            {
                transmits.push_copy(path.socket, path.remote, packet);
            }
        } else if let Some((source, sequence)) = video.rewriter().trace(sequence)
            && feedback.missing.len() < MAX_MISSING
        {
            feedback.missing_of = Some(source);
            feedback.missing.push(sequence);
        }
    }
}
