//! What lies between a browser and the node: sockets that keep order and break, and a network that
//! loses, delays, reorders and repeats datagrams.

use std::time::Duration;

use ringtrip_model::{SocketId, Time};

use crate::dice::Dice;

/// One WebSocket on its way: frames arrive in order, with a delay, until it breaks.
#[derive(Debug)]
pub struct Pipe {
    /// Whose it is.
    pub device: usize,
    /// Whether the node still has it.
    pub at_node: bool,
    /// Whether frames get through to the node.
    pub up: bool,
    /// Whether frames get through to the browser.
    pub down: bool,
    last_up: Time,
    last_down: Time,
    latency: (u64, u64),
    dice: Dice,
}

impl Pipe {
    /// Opens a pipe with a delay drawn anew for each frame, in milliseconds.
    pub fn new(device: usize, latency: (u64, u64), dice: Dice) -> Self {
        let (last_up, last_down) = (Time::ZERO, Time::ZERO);
        Self {
            device,
            at_node: true,
            up: true,
            down: true,
            last_up,
            last_down,
            latency,
            dice,
        }
    }

    /// Draws a delay.
    pub fn delay(&mut self) -> Duration {
        self.dice.millis(self.latency.0, self.latency.1)
    }

    /// Returns when a frame that leaves the browser now reaches the node.
    pub fn upwards(&mut self, now: Time) -> Time {
        let delay = self.delay();
        self.last_up = self.last_up.max(now + delay);
        self.last_up
    }

    /// Returns when a frame that leaves the node now reaches the browser.
    pub fn downwards(&mut self, now: Time) -> Time {
        let delay = self.delay();
        self.last_down = self.last_down.max(now + delay);
        self.last_down
    }
}

/// Names sockets, each once.
#[derive(Debug, Default)]
pub struct SocketNames(u64);

impl SocketNames {
    /// Returns a name that was not used before.
    pub const fn next(&mut self) -> SocketId {
        self.0 += 1;
        SocketId(self.0)
    }
}

/// How a network treats datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weather {
    /// Lost, in percent.
    pub loss: u32,
    /// Sent on twice, in percent.
    pub repeats: u32,
    /// Every datagram takes so long.
    pub delay: Duration,
    /// And up to so much longer: more than the distance of two packets reorders them.
    pub jitter: Duration,
}

impl Weather {
    /// Nothing is lost and everything takes 10 ms.
    pub const FAIR: Self = Self {
        loss: 0,
        repeats: 0,
        delay: Duration::from_millis(10),
        jitter: Duration::ZERO,
    };
}

/// What becomes of one datagram: when its copies arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is lost.
    Lost,
    /// It arrives.
    Arrives(Time),
    /// It arrives twice.
    ArrivesTwice(Time, Time),
}

/// Decides the fate of datagrams. A datagram's fate follows from the seed, its link and the moment,
/// not from what went before: real handshakes are never the same to the byte, and one packet more
/// must not change the fate of all that follow.
#[derive(Debug)]
pub struct Link {
    seed: u64,
    moment: Time,
    nth: u64,
    handshakes_lost: u32,
}

/// So many datagrams of handshakes in a row are lost at most, but in a burst that spares nothing.
/// Both sides repeat theirs ever more rarely; beyond this a run would hang on luck, not on us.
const MAX_HANDSHAKES_LOST: u32 = 2;

impl Link {
    /// Makes a link.
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            moment: Time::ZERO,
            nth: 0,
            handshakes_lost: 0,
        }
    }

    /// Decides what becomes of a datagram that leaves now.
    pub fn fate(&mut self, weather: &Weather, bytes: &[u8], now: Time) -> Fate {
        // RFC 7983 §7.
        let handshake = bytes.first().is_some_and(|first| (20..64).contains(first));
        let drawn = self.draw(weather, handshake, now);
        if handshake {
            self.handshakes_lost = if drawn == Fate::Lost {
                self.handshakes_lost + 1
            } else {
                0
            };
        }
        drawn
    }

    fn draw(&mut self, weather: &Weather, handshake: bool, now: Time) -> Fate {
        if now != self.moment {
            self.moment = now;
            self.nth = 0;
        }
        self.nth += 1;
        let mut state = self.seed ^ now.as_micros().rotate_left(20) ^ self.nth.rotate_left(52);
        let mut draw = |below: u64| {
            // SplitMix64.
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut mixed = state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            (mixed ^ (mixed >> 31)) % below.max(1)
        };
        let jitter = u64::try_from(weather.jitter.as_micros()).unwrap_or(0);
        let arrival = |extra| now + weather.delay + Duration::from_micros(extra);
        let spared = handshake && self.handshakes_lost >= MAX_HANDSHAKES_LOST && weather.loss < 100;
        if draw(100) < u64::from(weather.loss) && !spared {
            return Fate::Lost;
        }
        let twice = draw(100) < u64::from(weather.repeats);
        let first = arrival(draw(jitter + 1));
        if twice {
            Fate::ArrivesTwice(first, arrival(draw(jitter + 1)))
        } else {
            Fate::Arrives(first)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_keep_their_order() {
        let mut pipe = Pipe::new(0, (1, 500), Dice::new(1, "pipe"));
        let mut last = Time::ZERO;
        for n in 0..200 {
            let at = pipe.upwards(Time::from_millis(n));
            assert!(at >= last && at > Time::from_millis(n));
            last = at;
        }
    }

    #[test]
    fn a_datagrams_fate_hangs_on_the_moment_alone() {
        let weather = Weather {
            loss: 30,
            repeats: 10,
            jitter: Duration::from_millis(40),
            ..Weather::FAIR
        };
        let fates = |from: u64| -> Vec<Fate> {
            let mut link = Link::new(9);
            (from..1_000)
                .map(|n| link.fate(&weather, &[0x80], Time::from_millis(n * 20)))
                .collect()
        };
        assert_eq!(fates(0)[500..], fates(500)[..]);
        let lost = fates(0).iter().filter(|fate| **fate == Fate::Lost).count();
        assert!((250..350).contains(&lost), "{lost}");
        assert!(
            fates(0)
                .iter()
                .any(|fate| matches!(fate, Fate::ArrivesTwice(..)))
        );
        let mut link = Link::new(9);
        let together: Vec<Fate> = (0..50)
            .map(|_| link.fate(&weather, &[0x80], Time::ZERO))
            .collect();
        let handshakes: Vec<Fate> = (0..1_000)
            .map(|n| link.fate(&weather, &[22], Time::from_millis(n * 20)))
            .collect();
        assert!(handshakes.windows(2).any(|two| two == [Fate::Lost; 2]));
        assert!(!handshakes.windows(3).any(|three| three == [Fate::Lost; 3]));
        assert!(together.contains(&Fate::Lost) && together.iter().any(|fate| *fate != Fate::Lost));
    }
}
