//! Choices that follow from a seed.

use std::time::Duration;

use ringtrip_model::Generator;

/// A seeded source of choices.
#[derive(Debug)]
pub struct Dice(Generator);

impl Dice {
    /// Starts from a run's seed; different purposes of one run give independent dice.
    pub fn new(seed: u64, purpose: &str) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        for (at, byte) in purpose.bytes().enumerate() {
            bytes[8 + at % 24] ^= byte.rotate_left(at as u32 / 24);
        }
        Self(Generator::from_seed(bytes))
    }

    /// Starts independent dice.
    pub fn fork(&mut self) -> Self {
        Self(self.0.fork())
    }

    /// Starts an independent generator.
    pub fn generator(&mut self) -> Generator {
        self.0.fork()
    }

    /// Comes out true in `share` of 100 throws.
    pub fn percent(&mut self, share: u32) -> bool {
        self.0.below(100) < share
    }

    /// Draws a number from `0..count`, which must not be empty.
    pub fn below(&mut self, count: usize) -> usize {
        self.0
            .below(u32::try_from(count.max(1)).unwrap_or(u32::MAX)) as usize
    }

    /// Draws a time between two, both in milliseconds, to the microsecond.
    pub fn millis(&mut self, from: u64, to: u64) -> Duration {
        let span = to.saturating_sub(from).saturating_mul(1_000);
        let extra = self.0.below(u32::try_from(span).unwrap_or(u32::MAX).max(1));
        Duration::from_micros(from * 1_000 + u64::from(extra))
    }

    /// Draws one of some.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        if from.is_empty() {
            return None;
        }
        from.get(self.below(from.len()))
    }

    /// Draws by weight; nothing if all weights are zero.
    pub fn weighted<T: Copy>(&mut self, from: &[(u32, T)]) -> Option<T> {
        let sum: u32 = from.iter().map(|(weight, _)| weight).sum();
        if sum == 0 {
            return None;
        }
        let mut at = self.0.below(sum);
        for (weight, what) in from {
            if at < *weight {
                return Some(*what);
            }
            at -= weight;
        }
        None
    }

    /// Draws a name: a UUID, as the SDKs make them.
    pub fn uuid(&mut self) -> String {
        self.0.uuid().to_string()
    }

    /// Draws letters and digits.
    pub fn letters(&mut self, count: usize) -> String {
        self.0.alphanumeric(count)
    }

    /// Draws 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0.u64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_are_independent_and_repeatable() {
        let throw = |seed, purpose| Dice::new(seed, purpose).bits();
        assert_eq!(throw(1, "net"), throw(1, "net"));
        assert_ne!(throw(1, "net"), throw(1, "store"));
        assert_ne!(throw(1, "net"), throw(2, "net"));
    }

    #[test]
    fn draws_stay_in_their_range() {
        let mut dice = Dice::new(3, "draws");
        for _ in 0..1_000 {
            let time = dice.millis(10, 20);
            assert!((10_000..20_000).contains(&u64::try_from(time.as_micros()).unwrap()));
            assert_eq!(dice.weighted(&[(0, 'a'), (3, 'b')]), Some('b'));
        }
        assert_eq!(dice.weighted::<u8>(&[(0, 1)]), None);
        assert_eq!(dice.pick::<u8>(&[]), None);
    }
}
