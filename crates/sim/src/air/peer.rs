//! One peer connection of a browser: it says what it has to say and listens.

use std::net::SocketAddr;
use std::time::Instant;

use ringtrip_model::{AudioCodec, Time};
use str0m::Rtc;
use str0m::change::SdpPendingOffer;
use str0m::media::Mid;
use str0m::rtp::{RtpPacket, RtpWrite};

use super::FRAME;
use crate::plane::PeerId;

/// Bytes of sound in a packet, what it says of itself included.
const PAYLOAD: usize = 60;

/// A packet that a browser heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// When.
    pub at: Time,
    /// Whose.
    pub from: PeerId,
    /// Which of theirs.
    pub number: u32,
    /// RTP sequence number.
    pub sequence: u16,
    /// RTP timestamp.
    pub timestamp: u32,
    /// RTP source.
    pub ssrc: u32,
}

pub(super) struct Peer {
    pub(super) device: usize,
    pub(super) rtc: Rtc,
    /// What it believes its address to be.
    pub(super) inside: SocketAddr,
    /// What the world sees.
    pub(super) outside: SocketAddr,
    pub(super) pending: Option<SdpPendingOffer>,
    pub(super) mid: Mid,
    pub(super) spoken: Option<(AudioCodec, u8)>,
    pub(super) deadline: Time,
    pub(super) connected: bool,
    pub(super) dead: bool,
    pub(super) next_number: u32,
    pub(super) heard: Vec<Heard>,
}

impl Peer {
    pub(super) fn may_speak(&self) -> bool {
        self.connected && !self.dead && self.spoken.is_some()
    }

    pub(super) fn speak(&mut self, id: PeerId, now: Time, instant: Instant) {
        let Some((codec, payload_type)) = self.spoken else {
            return;
        };
        let mut payload = Vec::with_capacity(PAYLOAD);
        payload.extend(id.0.to_be_bytes());
        payload.extend(self.next_number.to_be_bytes());
        payload.resize(PAYLOAD, 0x55);
        // Its clock began somewhere, as everybody's does.
        let ticks = now.as_micros() * u64::from(codec.clock_rate_hz()) / 1_000_000;
        let timestamp = (ticks + id.0.wrapping_mul(77_777)) as u32;
        let sequence = 40_000 + u64::from(self.next_number);
        let write = RtpWrite::new(
            payload_type.into(),
            sequence.into(),
            timestamp,
            instant,
            &payload[..],
        );
        let mut direct = self.rtc.direct_api();
        if let Some(stream) = direct.stream_tx_by_mid(self.mid, None) {
            stream.write_rtp(write);
            self.next_number += 1;
        }
    }

    /// Notes a packet. Returns what is wrong with it: the stream towards a party must never jump,
    /// whatever happens to its far side.
    pub(super) fn hear(&mut self, packet: &RtpPacket, spotless: bool, now: Time) -> Option<String> {
        let (id, rest) = packet.payload.split_first_chunk::<8>()?;
        let number = rest.first_chunk::<4>()?;
        let heard = Heard {
            at: now,
            from: PeerId(u64::from_be_bytes(*id)),
            number: u32::from_be_bytes(*number),
            sequence: packet.header.sequence_number,
            timestamp: packet.header.timestamp,
            ssrc: *packet.header.ssrc,
        };
        let (first, last) = (self.heard.first().copied(), self.heard.last().copied());
        self.heard.push(heard);
        let (first, last) = (first?, last?);
        let clock = f64::from(self.spoken?.0.clock_rate_hz());
        let played = f64::from(heard.timestamp.wrapping_sub(first.timestamp).cast_signed()) / clock;
        let passed = now.since(first.at).as_secs_f64();
        let step = i64::from(heard.sequence.wrapping_sub(last.sequence).cast_signed());
        let frames =
            i64::try_from(now.since(last.at).as_millis() / FRAME.as_millis()).unwrap_or(i64::MAX);
        let wrong = match () {
            () if heard.ssrc != first.ssrc => "changes its source",
            () if (played - passed).abs() > 1.0 => "jumps in time",
            () if step > frames + 60 || step < -60 => "jumps in number",
            // Packets that overtake each other are still less than this apart.
            () if spotless && step.abs() > 20 => "has a gap that no network made",
            () => return None,
        };
        Some(format!(
            "the stream {wrong}: {played} s of sound in {passed} s, {first:?}, {last:?}, {heard:?}"
        ))
    }
}
