//! One stream towards a party: numbering, counters, sender reports, and what may be asked for again.

use std::time::Duration;

use ringtrip_model::{Generator, Time};

use crate::reception::middle;
use crate::rewrite::{Place, Rewriter, Source, ticks};
use crate::rtcp::{ReportBlock, SenderInfo};
use crate::transmit::MAX_DATAGRAM_LEN;

/// Video packets kept for retransmission: about half a second.
const HISTORY: usize = 128;
/// Packets resent in one [`RESEND_WINDOW`], however many are asked for.
const MAX_RESENT: u32 = 96;
const RESEND_WINDOW: Duration = Duration::from_millis(100);

/// A stream that we send.
#[derive(Debug)]
pub(crate) struct Outgoing {
    ssrc: u32,
    clock_rate_hz: u32,
    rewriter: Rewriter,
    packets: u64,
    octets: u64,
    source_report: Option<SourceReport>,
    far: ReportBlock,
    history: Option<History>,
}

/// What the source said about its clock, its NTP time moved to ours.
#[derive(Debug, Clone, Copy)]
struct SourceReport {
    source: Source,
    ntp: u64,
    rtp: u32,
    at: Time,
}

impl Outgoing {
    pub(crate) fn new(ssrc: u32, clock_rate_hz: u32, resends: bool, rng: &mut Generator) -> Self {
        Self {
            ssrc,
            clock_rate_hz,
            rewriter: Rewriter::new(clock_rate_hz, rng),
            packets: 0,
            octets: 0,
            source_report: None,
            far: ReportBlock::default(),
            history: resends.then(History::new),
        }
    }

    pub(crate) const fn ssrc(&self) -> u32 {
        self.ssrc
    }

    pub(crate) const fn packets(&self) -> u64 {
        self.packets
    }

    pub(crate) const fn octets(&self) -> u64 {
        self.octets
    }

    pub(crate) const fn rewriter(&mut self) -> &mut Rewriter {
        &mut self.rewriter
    }

    /// Returns packets that the party reported missing.
    pub(crate) fn lost_remote(&self) -> u64 {
        u64::try_from(self.far.lost).unwrap_or(0)
    }

    /// Returns the jitter that the party reported, in microseconds.
    pub(crate) fn jitter_remote_us(&self) -> u32 {
        let micros = u64::from(self.far.jitter) * 1_000_000 / u64::from(self.clock_rate_hz.max(1));
        u32::try_from(micros).unwrap_or(u32::MAX)
    }

    /// Counts a packet that was queued.
    pub(crate) const fn sent(&mut self, payload_len: usize) {
        self.packets += 1;
        self.octets += payload_len as u64;
    }

    /// Keeps a protected packet for retransmission, if the stream does that.
    pub(crate) fn remember(&mut self, place: Place, packet: &[u8]) {
        if let Some(history) = &mut self.history {
            history.store(place.index, packet);
        }
    }

    /// Finds a packet asked for again, as it was sent.
    pub(crate) fn recall(&mut self, sequence: u16, now: Time) -> Option<&[u8]> {
        let index = self.rewriter.index_of(sequence)?;
        self.history.as_mut()?.recall(index, now)
    }

    /// Takes what the source said about its clock. `ntp` is in our time.
    pub(crate) const fn heard_source(&mut self, source: Source, ntp: u64, rtp: u32, at: Time) {
        self.source_report = Some(SourceReport {
            source,
            ntp,
            rtp,
            at,
        });
    }

    /// Takes what the party said about this stream.
    pub(crate) const fn heard_party(&mut self, block: ReportBlock) {
        self.far = block;
    }

    /// Makes a sender report for now; [`None`] if nothing was sent. `wall` is our NTP time. Streams of
    /// one source keep the relation of their clocks, so that sound and picture stay together.
    pub(crate) fn sender_info(&self, wall: u64, now: Time) -> Option<SenderInfo> {
        if self.packets == 0 {
            return None;
        }
        let translated = self.source_report.and_then(|report| {
            let rtp = self.rewriter.translate(report.source, report.rtp)?;
            let passed = now.since(report.at);
            let rtp = rtp.wrapping_add(ticks(passed.as_micros(), self.clock_rate_hz));
            Some((report.ntp.wrapping_add(ntp_duration(passed)), rtp))
        });
        let (ntp, rtp) = translated.unwrap_or_else(|| (wall, self.rewriter.timestamp_at(now)));
        Some(SenderInfo {
            ssrc: self.ssrc,
            ntp,
            rtp,
            packets: (self.packets & 0xFFFF_FFFF) as u32,
            octets: (self.octets & 0xFFFF_FFFF) as u32,
        })
    }
}

/// Converts a duration to NTP's 32.32 fixed point.
pub(crate) fn ntp_duration(duration: Duration) -> u64 {
    let fraction = (u64::from(duration.subsec_nanos()) << 32) / 1_000_000_000;
    (duration.as_secs() << 32) | fraction
}

/// When our last sender reports went out, to find the round trip (RFC 3550 §6.4.1).
#[derive(Debug, Default)]
pub(crate) struct RoundTrip {
    sent: [Option<(u32, Time)>; 8],
    next: usize,
    last: Option<Duration>,
}

impl RoundTrip {
    /// Notes a report that goes out now.
    pub(crate) const fn sent(&mut self, info: &SenderInfo, now: Time) {
        self.sent[self.next] = Some((middle(info.ntp), now));
        self.next = (self.next + 1) % self.sent.len();
    }

    /// Reads a block that quotes one of them.
    pub(crate) fn heard(&mut self, block: &ReportBlock, now: Time) {
        let quoted = self
            .sent
            .iter()
            .flatten()
            .find(|(middle, _)| *middle == block.last_report);
        if let Some((_, at)) = quoted
            && block.last_report != 0
        {
            let delay = Duration::from_micros(u64::from(block.delay) * 1_000_000 / 65_536);
            self.last = Some(now.since(*at).saturating_sub(delay));
        }
    }

    /// Returns the last round trip in microseconds.
    pub(crate) fn micros(&self) -> Option<u32> {
        self.last
            .map(|last| u32::try_from(last.as_micros()).unwrap_or(u32::MAX))
    }
}

/// The last packets of a stream, as sent.
struct History {
    slots: Box<[Kept; HISTORY]>,
    bytes: Box<[[u8; MAX_DATAGRAM_LEN]]>,
    window: Time,
    resent: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Kept {
    index: u64,
    len: usize,
}

impl History {
    fn new() -> Self {
        Self {
            slots: Box::new([Kept::default(); HISTORY]),
            bytes: vec![[0; MAX_DATAGRAM_LEN]; HISTORY].into_boxed_slice(),
            window: Time::ZERO,
            resent: 0,
        }
    }

    fn at(index: u64) -> usize {
        usize::try_from(index % HISTORY as u64).unwrap_or(0)
    }

    fn store(&mut self, index: u64, packet: &[u8]) {
        let at = Self::at(index);
        if let Some(room) = self.bytes[at].get_mut(..packet.len()) {
            room.copy_from_slice(packet);
            self.slots[at] = Kept {
                index,
                len: packet.len(),
            };
        }
    }

    fn recall(&mut self, index: u64, now: Time) -> Option<&[u8]> {
        let at = Self::at(index);
        let kept = self.slots[at];
        if kept.index != index || kept.len == 0 {
            return None;
        }
        if now.since(self.window) >= RESEND_WINDOW {
            self.window = now;
            self.resent = 0;
        }
        if self.resent >= MAX_RESENT {
            return Some(&[]);
        }
        self.resent += 1;
        Some(&self.bytes[at][..kept.len])
    }
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("History")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::AnchorId;

    const SOURCE: Source = Source {
        anchor: AnchorId {
            slot: 0,
            generation: 0,
        },
        ssrc: 9,
    };

    fn outgoing(clock: u32, resends: bool) -> Outgoing {
        Outgoing::new(1, clock, resends, &mut Generator::from_seed([1; 32]))
    }

    #[test]
    fn reports_follow_the_source_clock() {
        let mut audio = outgoing(48_000, false);
        let mut video = outgoing(90_000, false);
        assert_eq!(audio.sender_info(0, Time::ZERO), None, "nothing was sent");
        let start = Time::from_secs(1);
        let a = audio.rewriter().place(SOURCE, 1, 10_000, start).unwrap();
        let v = video.rewriter().place(SOURCE, 1, 70_000, start).unwrap();
        audio.sent(100);
        video.sent(100);
        // The source: audio 10,000 and video 70,000 were taken at the same instant; its reports
        // come 30 and 40 ms later.
        audio.heard_source(SOURCE, 5 << 32, 10_000, start + Duration::from_millis(30));
        video.heard_source(SOURCE, 5 << 32, 70_000, start + Duration::from_millis(40));
        let now = start + Duration::from_secs(2);
        let (audio, video) = (
            audio.sender_info(0, now).unwrap(),
            video.sender_info(0, now).unwrap(),
        );
        let instant = |info: &SenderInfo, base: u32, clock: f64| {
            info.ntp as f64 / 4_294_967_296.0 - f64::from(info.rtp.wrapping_sub(base)) / clock
        };
        let apart = instant(&audio, a.timestamp, 48e3) - instant(&video, v.timestamp, 90e3);
        assert!(apart.abs() < 0.0001, "{apart}");
    }

    #[test]
    fn a_round_trip_is_what_the_party_did_not_spend() {
        let mut trip = RoundTrip::default();
        let info = SenderInfo {
            ssrc: 1,
            ntp: 0x0000_1234_5678_0000,
            rtp: 0,
            packets: 1,
            octets: 1,
        };
        trip.sent(&info, Time::from_secs(1));
        let quote = ReportBlock {
            last_report: 0x1234_5678,
            delay: 65_536,
            ..Default::default()
        };
        trip.heard(
            &ReportBlock {
                last_report: 7,
                ..quote
            },
            Time::from_secs(9),
        );
        assert_eq!(trip.micros(), None);
        trip.heard(&quote, Time::from_millis(2_050));
        assert_eq!(trip.micros(), Some(50_000));
    }

    #[test]
    fn resends_what_was_sent_within_bounds() {
        let mut stream = outgoing(90_000, true);
        let mut places = Vec::new();
        for n in 0..HISTORY as u64 + 1 {
            let place = stream.rewriter().place(SOURCE, n, 0, Time::ZERO).unwrap();
            stream.remember(place, &[n as u8; 3]);
            places.push(place);
        }
        assert_eq!(
            stream.recall(places[5].sequence(), Time::ZERO),
            Some(&[5; 3][..])
        );
        assert_eq!(
            stream.recall(places[0].sequence(), Time::ZERO),
            None,
            "too old"
        );
        let served = (0..1_000)
            .filter(|_| {
                stream
                    .recall(places[9].sequence(), Time::ZERO)
                    .is_some_and(|p| !p.is_empty())
            })
            .count();
        assert_eq!(served, MAX_RESENT as usize - 1);
        let later = Time::ZERO + RESEND_WINDOW;
        assert_eq!(
            stream.recall(places[9].sequence(), later),
            Some(&[9; 3][..])
        );
        assert_eq!(outgoing(48_000, false).recall(1, Time::ZERO), None);
    }
}
