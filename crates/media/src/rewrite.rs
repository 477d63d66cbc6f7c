//! One continuous stream towards a party, whatever it is made from.
//!
//! A stream keeps its SSRC, and its sequence numbers and timestamps never jump back. Each *epoch* of a
//! source maps both by a constant offset, so that gaps and reordering on the way in show on the way
//! out. When the source changes (another anchor, another SSRC, after hold or after keys of our own) a
//! new epoch begins: the sequence goes on by one and the timestamp by the time that has passed.

use ringtrip_model::{Generator, Time};

use crate::plan::AnchorId;

/// Where a stream's packets come from at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Source {
    /// The anchor that receives them.
    pub(crate) anchor: AnchorId,
    /// Their SSRC.
    pub(crate) ssrc: u32,
}

/// A packet's place in the outgoing stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Extended sequence number: the lower 16 bits go into the header, the others are SRTP's
    /// roll-over counter.
    pub(crate) index: u64,
    pub(crate) timestamp: u32,
    /// Whether it is the first packet of an epoch.
    pub(crate) first: bool,
}

impl Place {
    pub(crate) const fn sequence(self) -> u16 {
        (self.index & 0xFFFF) as u16
    }
}

#[derive(Debug, Clone, Copy)]
struct Epoch {
    source: Source,
    first_in: u64,
    first_out: u64,
    timestamp_offset: u32,
}

/// The numbering of one outgoing stream.
#[derive(Debug)]
pub(crate) struct Rewriter {
    clock_rate_hz: u32,
    next_index: u64,
    /// Timestamp of the newest packet, and when it was sent.
    reference: Option<(u32, Time)>,
    first_timestamp: u32,
    epoch: Option<Epoch>,
}

impl Rewriter {
    /// Begins below 2¹⁵, so that the first roll-over is far from the first packet
    /// (RFC 3711 §3.3.1).
    pub(crate) fn new(clock_rate_hz: u32, rng: &mut Generator) -> Self {
        Self {
            clock_rate_hz,
            next_index: u64::from(rng.below(0x7000)) + 1,
            reference: None,
            first_timestamp: rng.u32(),
            epoch: None,
        }
    }

    /// Forgets the source: the next packet begins an epoch even if it comes from the same one.
    pub(crate) const fn interrupt(&mut self) {
        self.epoch = None;
    }

    /// Places a packet of a source. [`None`] means that it belongs before the epoch's first packet,
    /// where the numbers are taken.
    pub(crate) fn place(
        &mut self,
        source: Source,
        index: u64,
        timestamp: u32,
        now: Time,
    ) -> Option<Place> {
        let (epoch, first) = match self.epoch {
            Some(epoch) if epoch.source == source => (epoch, false),
            Some(_) | None => {
                let epoch = Epoch {
                    source,
                    first_in: index,
                    first_out: self.next_index,
                    timestamp_offset: self.timestamp_at(now).wrapping_sub(timestamp),
                };
                self.epoch = Some(epoch);
                (epoch, true)
            }
        };
        let index = epoch.first_out + index.checked_sub(epoch.first_in)?;
        let timestamp = timestamp.wrapping_add(epoch.timestamp_offset);
        if index >= self.next_index {
            self.next_index = index + 1;
            self.reference = Some((timestamp, now));
        }
        Some(Place {
            index,
            timestamp,
            first,
        })
    }

    /// Places a packet that we make ourselves, and ends the source's epoch. Packets of one event
    /// share a timestamp: they pass the one of the first.
    pub(crate) fn place_own(&mut self, timestamp: Option<u32>, now: Time) -> Place {
        self.epoch = None;
        let first = timestamp.is_none();
        let timestamp = timestamp.unwrap_or_else(|| {
            let timestamp = self.timestamp_at(now);
            self.reference = Some((timestamp, now));
            timestamp
        });
        let index = self.next_index;
        self.next_index += 1;
        Place {
            index,
            timestamp,
            first,
        }
    }

    /// Returns the timestamp that a packet sent now would have.
    pub(crate) fn timestamp_at(&self, now: Time) -> u32 {
        match self.reference {
            Some((timestamp, at)) => {
                let passed = ticks(now.since(at).as_micros(), self.clock_rate_hz);
                timestamp.wrapping_add(passed.max(1))
            }
            None => self.first_timestamp,
        }
    }

    /// Translates a timestamp of the current source; [`None`] if it is not the current one.
    pub(crate) fn translate(&self, source: Source, timestamp: u32) -> Option<u32> {
        let epoch = self.epoch.filter(|epoch| epoch.source == source)?;
        Some(timestamp.wrapping_add(epoch.timestamp_offset))
    }

    /// Finds the source's sequence number behind one of ours (for NACK); [`None`] if it is of another
    /// epoch or was never sent.
    pub(crate) fn trace(&self, sequence: u16) -> Option<(Source, u16)> {
        let epoch = self.epoch?;
        let index = self.index_of(sequence)?;
        let index = index.checked_sub(epoch.first_out)? + epoch.first_in;
        Some((epoch.source, (index & 0xFFFF) as u16))
    }

    /// Finds the extended number behind one of the last 2¹⁵ sequence numbers sent.
    pub(crate) fn index_of(&self, sequence: u16) -> Option<u64> {
        let newest = self.next_index.checked_sub(1)?;
        let behind = ((newest & 0xFFFF) as u16).wrapping_sub(sequence);
        if behind >= 0x8000 {
            return None;
        }
        newest.checked_sub(u64::from(behind))
    }
}

/// Converts microseconds to clock ticks, modulo 2³².
pub(crate) fn ticks(micros: u128, clock_rate_hz: u32) -> u32 {
    let ticks = micros * u128::from(clock_rate_hz) / 1_000_000;
    (ticks & u128::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(slot: u32) -> Source {
        Source {
            anchor: AnchorId {
                slot,
                generation: 0,
            },
            ssrc: 1,
        }
    }

    fn rewriter() -> Rewriter {
        Rewriter::new(8_000, &mut Generator::from_seed([3; 32]))
    }

    fn ms(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    #[test]
    fn gaps_and_reordering_are_kept() {
        let mut rewriter = rewriter();
        let a = rewriter.place(source(1), 100, 1_000, ms(0)).unwrap();
        let c = rewriter.place(source(1), 103, 1_480, ms(60)).unwrap();
        let b = rewriter.place(source(1), 101, 1_160, ms(61)).unwrap();
        assert!(a.first && !b.first && !c.first);
        assert_eq!((c.index - a.index, b.index - a.index), (3, 1));
        assert_eq!(c.timestamp.wrapping_sub(a.timestamp), 480);
        assert_eq!(b.timestamp.wrapping_sub(a.timestamp), 160);
    }

    #[test]
    fn a_change_of_source_goes_on_by_one_and_by_the_time_passed() {
        let mut rewriter = rewriter();
        let before = rewriter.place(source(1), 65_000, 77, ms(0)).unwrap();
        let after = rewriter
            .place(source(2), 3, 4_000_000_000, ms(500))
            .unwrap();
        assert!(after.first);
        assert_eq!(after.index, before.index + 1);
        assert_eq!(after.timestamp.wrapping_sub(before.timestamp), 4_000);
        // A packet that the new source sent before the first one we saw has no place.
        assert_eq!(rewriter.place(source(2), 2, 3_999_999_840, ms(501)), None);
    }

    #[test]
    fn an_interruption_begins_an_epoch_with_the_same_source() {
        let mut rewriter = rewriter();
        let before = rewriter.place(source(1), 10, 0, ms(0)).unwrap();
        rewriter.interrupt();
        let after = rewriter.place(source(1), 5_000, 800_000, ms(20)).unwrap();
        assert_eq!((after.index - before.index, after.first), (1, true));
        assert_eq!(after.timestamp.wrapping_sub(before.timestamp), 160);
    }

    #[test]
    fn own_packets_share_the_stream() {
        let mut rewriter = rewriter();
        let audio = rewriter.place(source(1), 10, 0, ms(0)).unwrap();
        let first = rewriter.place_own(None, ms(20));
        let second = rewriter.place_own(Some(first.timestamp), ms(40));
        let after = rewriter.place(source(1), 17, 1_120, ms(140)).unwrap();
        assert_eq!(first.timestamp.wrapping_sub(audio.timestamp), 160);
        assert_eq!(
            [first.index, second.index, after.index],
            [1, 2, 3].map(|n| audio.index + n)
        );
        assert_eq!(
            after.timestamp.wrapping_sub(first.timestamp),
            960,
            "120 ms after the event began"
        );
    }

    #[test]
    fn a_nack_finds_its_way_back() {
        let mut rewriter = rewriter();
        let out = rewriter.place(source(1), 65_535, 0, ms(0)).unwrap();
        rewriter.place(source(1), 65_540, 0, ms(1)).unwrap();
        let wanted = Place {
            index: out.index + 3,
            ..out
        }
        .sequence();
        assert_eq!(rewriter.trace(wanted), Some((source(1), 2)));
        assert_eq!(
            rewriter.trace(out.sequence().wrapping_sub(1)),
            None,
            "of another epoch"
        );
        assert_eq!(
            rewriter.trace(out.sequence().wrapping_add(6)),
            None,
            "not yet sent"
        );
    }
}
