//! Randomness, passed in.

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use uuid::Uuid;

/// A cryptographic generator that its maker seeds: from the operating system in the product, from
/// the run's seed in the simulator. Cloning would repeat secrets, so it cannot be cloned; `fork` it.
#[derive(Debug)]
pub struct Generator(ChaCha20Rng);

impl Generator {
    /// Starts a generator from 32 bytes.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(ChaCha20Rng::from_seed(seed))
    }

    /// Starts an independent generator from this one's output.
    pub fn fork(&mut self) -> Self {
        let mut seed = [0; 32];
        self.fill(&mut seed);
        Self::from_seed(seed)
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    /// Returns 32 random bits.
    pub fn u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// Returns 64 random bits.
    pub fn u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Returns a number in `0..bound`; `bound` must not be zero. The bias is below 2^-32.
    pub fn below(&mut self, bound: u32) -> u32 {
        debug_assert!(bound > 0);
        u32::try_from((u128::from(self.u64()) * u128::from(bound)) >> 64).unwrap_or(0)
    }

    /// Makes a UUID version 4.
    pub fn uuid(&mut self) -> Uuid {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// Makes `len` letters and digits (5.95 bits each).
    pub fn alphanumeric(&mut self, len: usize) -> String {
        self.text(
            len,
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
        )
    }

    /// Makes `len` lower-case hexadecimal digits.
    pub fn hex(&mut self, len: usize) -> String {
        self.text(len, b"0123456789abcdef")
    }

    fn text(&mut self, len: usize, alphabet: &[u8]) -> String {
        let size = u32::try_from(alphabet.len()).unwrap_or(1);
        (0..len)
            .map(|_| char::from(alphabet[self.below(size) as usize]))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_same_output_and_forks_differ() {
        let (mut a, mut b) = (Generator::from_seed([1; 32]), Generator::from_seed([1; 32]));
        assert_eq!(a.alphanumeric(42), b.alphanumeric(42));
        assert_eq!(a.uuid(), b.uuid());
        let mut c = a.fork();
        assert_ne!(c.u64(), a.u64());
    }

    #[test]
    fn below_stays_below_and_reaches_every_value() {
        let mut rng = Generator::from_seed([2; 32]);
        let mut seen = [false; 7];
        for _ in 0..500 {
            seen[rng.below(7) as usize] = true;
        }
        assert_eq!(seen, [true; 7]);
    }
}
