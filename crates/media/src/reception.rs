//! What is measured on a stream that arrives (RFC 3550 §6.4.1, appendices A.3 and A.8).

use ringtrip_model::Time;

use crate::rewrite::ticks;
use crate::rtcp::{ReportBlock, SenderInfo};

/// Statistics of one received SSRC.
#[derive(Debug)]
pub(crate) struct Reception {
    ssrc: u32,
    clock_rate_hz: u32,
    first: u64,
    highest: u64,
    received: u64,
    expected_before: u64,
    received_before: u64,
    transit: Option<(u32, u32)>,
    /// In the stream's clock, times sixteen.
    jitter_x16: u64,
    last_report: Option<(u32, Time)>,
}

impl Reception {
    /// Begins with the first packet of an SSRC.
    pub(crate) const fn new(ssrc: u32, clock_rate_hz: u32, index: u64) -> Self {
        Self {
            ssrc,
            clock_rate_hz,
            first: index,
            highest: index,
            received: 0,
            expected_before: 0,
            received_before: 0,
            transit: None,
            jitter_x16: 0,
            last_report: None,
        }
    }

    pub(crate) const fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Counts a packet. Only those of the stream's own clock are `timed`: events of another clock are
    /// not, nor are packets that share a timestamp with the one before.
    pub(crate) fn count(&mut self, index: u64, timestamp: u32, timed: bool, now: Time) {
        self.received += 1;
        self.first = self.first.min(index);
        if index < self.highest {
            return;
        }
        self.highest = index;
        if !timed || self.transit.is_some_and(|(_, last)| last == timestamp) {
            return;
        }
        let arrival = ticks(u128::from(now.as_micros()), self.clock_rate_hz);
        let transit = arrival.wrapping_sub(timestamp);
        if let Some((last, _)) = self.transit {
            let difference = transit.wrapping_sub(last).cast_signed().unsigned_abs();
            // A jump of more than ten seconds is a sender that started anew.
            if difference < self.clock_rate_hz.saturating_mul(10) {
                self.jitter_x16 += u64::from(difference);
                self.jitter_x16 -= (self.jitter_x16 + 8) >> 4;
            }
        }
        self.transit = Some((transit, timestamp));
    }

    /// Remembers a sender report of the stream.
    pub(crate) fn heard_report(&mut self, info: &SenderInfo, now: Time) {
        self.last_report = Some((middle(info.ntp), now));
    }

    /// Returns how many packets never came.
    pub(crate) const fn lost(&self) -> u64 {
        self.expected().saturating_sub(self.received)
    }

    pub(crate) fn jitter_us(&self) -> u32 {
        let micros = self.jitter_x16 * 1_000_000 / 16 / u64::from(self.clock_rate_hz.max(1));
        u32::try_from(micros).unwrap_or(u32::MAX)
    }

    const fn expected(&self) -> u64 {
        self.highest - self.first + 1
    }

    /// Makes the block of our next report, and begins a new interval.
    pub(crate) fn report(&mut self, now: Time) -> ReportBlock {
        let expected = self.expected() - self.expected_before;
        let received = self.received - self.received_before;
        self.expected_before = self.expected();
        self.received_before = self.received;
        let lost = expected.saturating_sub(received);
        let fraction = (lost * 256).checked_div(expected).unwrap_or(0);
        let total = i64::try_from(self.expected()).unwrap_or(i64::MAX)
            - i64::try_from(self.received).unwrap_or(i64::MAX);
        let (last_report, delay) = self.last_report.map_or((0, 0), |(middle, at)| {
            (middle, ticks(now.since(at).as_micros(), 65_536))
        });
        ReportBlock {
            ssrc: self.ssrc,
            fraction_lost: u8::try_from(fraction).unwrap_or(255),
            lost: i32::try_from(total.clamp(-0x80_0000, 0x7F_FFFF)).unwrap_or(0),
            highest: (self.highest & 0xFFFF_FFFF) as u32,
            jitter: u32::try_from(self.jitter_x16 >> 4).unwrap_or(u32::MAX),
            last_report,
            delay,
        }
    }
}

/// Returns the middle 32 bits of an NTP time, which reports quote.
pub(crate) const fn middle(ntp: u64) -> u32 {
    ((ntp >> 16) & 0xFFFF_FFFF) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_loss_by_interval_and_in_all() {
        let mut stream = Reception::new(5, 8_000, 1_000);
        for n in (0..100).filter(|n| n % 4 != 3) {
            stream.count(1_000 + n, n as u32 * 160, true, Time::from_millis(n * 20));
        }
        let report = stream.report(Time::from_secs(2));
        assert_eq!((report.ssrc, report.highest), (5, 1_098));
        // 99 expected, 75 received.
        assert_eq!(
            (report.lost, report.fraction_lost),
            (24, (24 * 256 / 99) as u8)
        );
        assert_eq!((report.jitter, stream.jitter_us()), (0, 0));
        stream.count(1_099, 99 * 160, true, Time::from_millis(1_980));
        let report = stream.report(Time::from_secs(3));
        assert_eq!((report.lost, report.fraction_lost), (24, 0));
    }

    #[test]
    fn stragglers_and_duplicates_never_underflow() {
        let mut stream = Reception::new(5, 8_000, 10);
        stream.count(10, 0, true, Time::ZERO);
        stream.count(8, 0, true, Time::ZERO);
        stream.count(8, 0, true, Time::ZERO);
        stream.count(8, 0, true, Time::ZERO);
        assert_eq!(stream.lost(), 0);
        assert_eq!(stream.report(Time::ZERO).lost, -1);
    }

    #[test]
    fn jitter_converges_to_the_mean_deviation() {
        let mut stream = Reception::new(5, 8_000, 0);
        for n in 0..500_u64 {
            // Every other packet is 8 ms late.
            let late = (n % 2) * 8;
            stream.count(n, n as u32 * 160, true, Time::from_millis(n * 20 + late));
        }
        assert!(
            (7_000..=8_500).contains(&stream.jitter_us()),
            "{}",
            stream.jitter_us()
        );
    }

    #[test]
    fn quotes_the_last_sender_report() {
        let mut stream = Reception::new(5, 8_000, 0);
        stream.count(0, 0, true, Time::ZERO);
        let info = SenderInfo {
            ssrc: 5,
            ntp: 0x1122_3344_5566_7788,
            rtp: 0,
            packets: 1,
            octets: 1,
        };
        stream.heard_report(&info, Time::from_secs(1));
        let report = stream.report(Time::from_millis(1_500));
        assert_eq!((report.last_report, report.delay), (0x3344_5566, 32_768));
    }
}
