//! Which anchor an address belongs to: looked up for every datagram.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};

use ringtrip_model::Generator;

use crate::anchor::ice::Path;

/// Addresses that are a party's, each with its anchor's slot. Never iterated.
pub(crate) struct PathTable {
    slots: HashMap<Path, u32, PathHash>,
}

impl PathTable {
    pub(crate) fn new(rng: &mut Generator) -> Self {
        let hash = PathHash { key: rng.u64() };
        Self {
            slots: HashMap::with_capacity_and_hasher(64, hash),
        }
    }

    pub(crate) fn get(&self, path: Path) -> Option<u32> {
        self.slots.get(&path).copied()
    }

    /// Gives an address to an anchor; one that another anchor had changes hands.
    pub(crate) fn insert(&mut self, path: Path, slot: u32) {
        self.slots.insert(path, slot);
    }

    /// Forgets an address, if it is still this anchor's.
    pub(crate) fn remove(&mut self, path: Path, slot: u32) {
        if self.get(path) == Some(slot) {
            self.slots.remove(&path);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }
}

/// Hashes addresses quickly, with a key of this process: only addresses whose owners have credentials
/// get into the table, so this need not withstand an attacker who sees the hashes.
#[derive(Debug, Clone, Copy)]
struct PathHash {
    key: u64,
}

impl BuildHasher for PathHash {
    type Hasher = PathHasher;

    fn build_hasher(&self) -> PathHasher {
        PathHasher(self.key)
    }
}

#[derive(Debug)]
struct PathHasher(u64);

impl Hasher for PathHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(u64::from(value));
    }

    fn write_u16(&mut self, value: u16) {
        self.write_u64(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        let mixed = u128::from(self.0 ^ value) * 0x9E37_79B9_7F4A_7C15;
        self.0 = ((mixed >> 64) ^ mixed) as u64;
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use std::net::SocketAddr;

    #[test]
    fn neighbouring_addresses_spread() {
        let hash = PathHash { key: 7 };
        let mut buckets = BTreeSet::new();
        for n in 0..4_096_u32 {
            let ip = [10, 0, (n / 64) as u8, 1];
            let remote = SocketAddr::from((ip, 40_000 + (n % 64) as u16 * 2));
            buckets.insert(hash.hash_one(Path { socket: 0, remote }) % 4_096);
        }
        // Of as many buckets a random function hits 63 %.
        assert!(buckets.len() > 2_300, "{}", buckets.len());
    }
}
