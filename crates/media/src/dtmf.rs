//! Keys as RFC 4733 events: sent at a steady pace, heard once each.

use std::collections::VecDeque;
use std::time::Duration;

use ringtrip_model::{Digit, Time};

/// Length of an event's payload.
pub const EVENT_LEN: usize = 4;

/// Keys that may wait; more are refused.
const MAX_QUEUED: usize = 32;
/// One packet every 20 ms: four updates, then three that say *end*.
const STEP: Duration = Duration::from_millis(20);
const UPDATES: u8 = 4;
const ENDS: u8 = 3;
/// How long a key sounds.
const TONE_MS: u32 = 100;
/// From the beginning of a key to the next one: the tone and a gap of 60 ms.
const CYCLE: Duration = Duration::from_millis(160);
/// -10 dBm0, as browsers send.
const VOLUME: u8 = 10;
/// No person presses keys faster; shorter tones need not be recognised (ITU-T Q.24).
const SHORTEST_CYCLE: Duration = Duration::from_millis(40);

const END_BIT: u8 = 0x80;

/// A packet that a [`DigitSender`] wants sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventPacket {
    /// The key.
    pub digit: Digit,
    /// Whether it is the first of its event: it carries the marker and takes a fresh timestamp.
    pub first: bool,
    /// Whether it says that the key is up.
    pub end: bool,
    /// How long the key has sounded.
    pub duration_ms: u32,
}

impl EventPacket {
    /// Writes the payload (RFC 4733 §2.3), its duration counted in the negotiated clock.
    pub fn payload(&self, clock_rate_hz: u32) -> [u8; EVENT_LEN] {
        let duration = u64::from(self.duration_ms) * u64::from(clock_rate_hz) / 1_000;
        let duration = u16::try_from(duration).unwrap_or(u16::MAX).to_be_bytes();
        let flags = if self.end { END_BIT | VOLUME } else { VOLUME };
        [self.digit.event(), flags, duration[0], duration[1]]
    }
}

/// Sends queued keys one after another: 100 ms of tone, 60 ms of gap.
#[derive(Debug, Default)]
pub struct DigitSender {
    queue: VecDeque<Digit>,
    state: Sending,
}

#[derive(Debug, Clone, Copy, Default)]
enum Sending {
    /// Nothing is sent; the next key may begin at once.
    #[default]
    Quiet,
    /// Packet `step` of a key that began at `began` is next.
    Tone { digit: Digit, began: Time, step: u8 },
    /// The gap behind a key.
    Gap { until: Time },
}

impl DigitSender {
    /// Queues a key. Returns whether there was room.
    pub fn push(&mut self, digit: Digit) -> bool {
        let room = self.queue.len() < MAX_QUEUED;
        if room {
            self.queue.push_back(digit);
        }
        room
    }

    /// Returns whether an event is being sent, so that audio must wait.
    pub const fn is_sending(&self) -> bool {
        match self.state {
            Sending::Tone { .. } => true,
            Sending::Quiet | Sending::Gap { .. } => false,
        }
    }

    /// Returns when the next packet is due.
    pub fn next_at(&self) -> Option<Time> {
        match self.state {
            Sending::Tone { began, step, .. } => Some(began + STEP * u32::from(step)),
            Sending::Gap { until } => (!self.queue.is_empty()).then_some(until),
            Sending::Quiet => (!self.queue.is_empty()).then_some(Time::ZERO),
        }
    }

    /// Takes the next packet that is due.
    pub fn poll(&mut self, now: Time) -> Option<EventPacket> {
        if self.next_at()? > now {
            return None;
        }
        let (digit, began, step) = match self.state {
            Sending::Tone { digit, began, step } => (digit, began, step),
            Sending::Quiet | Sending::Gap { .. } => (self.queue.pop_front()?, now, 0),
        };
        let end = step >= UPDATES;
        self.state = if step + 1 == UPDATES + ENDS {
            Sending::Gap {
                until: began + CYCLE,
            }
        } else {
            Sending::Tone {
                digit,
                began,
                step: step + 1,
            }
        };
        let duration_ms = if end {
            TONE_MS
        } else {
            (u32::from(step) + 1) * 20
        };
        Some(EventPacket {
            digit,
            first: step == 0,
            end,
            duration_ms,
        })
    }

    /// Moves what waits (not what is being sent) to another sender.
    pub fn hand_over(&mut self, to: &mut Self) {
        while let Some(digit) = self.queue.pop_front() {
            if !to.push(digit) {
                break;
            }
        }
    }
}

/// Hears each key once, however many packets its event takes and in whatever order they come.
#[derive(Debug, Default)]
pub struct DigitDetector {
    last: Option<(u32, u32, Time)>,
}

impl DigitDetector {
    /// Looks at an event's payload. Returns its key if the event is new: later in the stream than the
    /// last one, and not sooner after it than keys can be pressed.
    pub fn detect(
        &mut self,
        ssrc: u32,
        timestamp: u32,
        payload: &[u8],
        now: Time,
    ) -> Option<Digit> {
        let (event, _) = payload.first_chunk::<EVENT_LEN>()?.split_first()?;
        let digit = Digit::from_event(*event)?;
        if let Some((last_ssrc, last, at)) = self.last {
            let later = timestamp.wrapping_sub(last).cast_signed() > 0;
            if (ssrc == last_ssrc && !later) || now.since(at) < SHORTEST_CYCLE {
                return None;
            }
        }
        self.last = Some((ssrc, timestamp, now));
        Some(digit)
    }
}

/// Counts an event's duration in another clock; the rest of the payload stays.
pub fn rescale(payload: [u8; EVENT_LEN], from_hz: u32, to_hz: u32) -> [u8; EVENT_LEN] {
    let duration = u64::from(u16::from_be_bytes([payload[2], payload[3]]));
    let duration = duration * u64::from(to_hz) / u64::from(from_hz.max(1));
    let duration = u16::try_from(duration).unwrap_or(u16::MAX).to_be_bytes();
    [payload[0], payload[1], duration[0], duration[1]]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digit(key: char) -> Digit {
        Digit::from_char(key).unwrap()
    }

    fn ms(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    #[test]
    fn a_key_is_four_updates_and_three_ends() {
        let mut sender = DigitSender::default();
        assert!(sender.push(digit('5')) && sender.push(digit('#')));
        let mut sent = Vec::new();
        for now in (1_000..1_400).step_by(5) {
            while let Some(packet) = sender.poll(ms(now)) {
                sent.push((
                    now - 1_000,
                    packet.digit.as_char(),
                    packet.duration_ms,
                    packet.end,
                ));
            }
        }
        let key = |began: u64, key| {
            [
                (0, 20, false),
                (20, 40, false),
                (40, 60, false),
                (60, 80, false),
            ]
            .into_iter()
            .chain([(80, 100, true), (100, 100, true), (120, 100, true)])
            .map(move |(at, duration, end)| (began + at, key, duration, end))
        };
        assert_eq!(sent, key(0, '5').chain(key(160, '#')).collect::<Vec<_>>());
        assert_eq!(sender.next_at(), None);
    }

    #[test]
    fn the_duration_counts_in_the_negotiated_clock() {
        let packet = EventPacket {
            digit: digit('*'),
            first: false,
            end: true,
            duration_ms: 100,
        };
        assert_eq!(packet.payload(8_000), [10, 0x8A, 0x03, 0x20]);
        assert_eq!(packet.payload(48_000), [10, 0x8A, 0x12, 0xC0]);
        assert_eq!(
            rescale(packet.payload(8_000), 8_000, 48_000),
            packet.payload(48_000)
        );
        assert_eq!(
            rescale([1, 0, 0xFF, 0xFF], 8_000, 48_000),
            [1, 0, 0xFF, 0xFF],
            "saturates"
        );
    }

    #[test]
    fn the_queue_is_bounded() {
        let mut sender = DigitSender::default();
        assert_eq!(
            (0..100).filter(|_| sender.push(digit('1'))).count(),
            MAX_QUEUED
        );
    }

    #[test]
    fn a_key_is_heard_once() {
        let mut detector = DigitDetector::default();
        let mut hear = |timestamp, payload: &[u8], now| {
            detector
                .detect(1, timestamp, payload, ms(now))
                .map(Digit::as_char)
        };
        assert_eq!(hear(100, &[5, 10, 0, 1], 0), Some('5'));
        assert_eq!(hear(100, &[5, 0x8A, 0, 1], 100), None, "the same event");
        assert_eq!(
            hear(260, &[5, 10, 0, 1], 160),
            Some('5'),
            "the same key again"
        );
        assert_eq!(
            hear(100, &[5, 0x8A, 0, 1], 165),
            None,
            "a straggler of the first"
        );
        assert_eq!(hear(400, &[16, 10, 0, 1], 300), None, "flash is no key");
        assert_eq!(hear(500, &[5, 10], 400), None, "too short");
        assert_eq!(hear(600, &[0x8A], 500), None);
    }

    #[test]
    fn a_flood_of_events_is_no_flood_of_keys() {
        let mut detector = DigitDetector::default();
        let heard = (0..1_000_u32)
            .filter(|n| {
                detector
                    .detect(1, n * 8, &[1, 10, 0, 1], ms(u64::from(*n)))
                    .is_some()
            })
            .count();
        assert_eq!(heard, 25);
    }
}
