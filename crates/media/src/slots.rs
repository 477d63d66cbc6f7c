//! The places of a shard's anchor table, given out on the signalling side.

use ringtrip_model::{Generator, LegId};

use crate::plan::{AnchorId, IceCredentials};

/// Most anchors that a ufrag can tell apart: four base-36 digits.
pub const MAX_SLOTS: u32 = 36 * 36 * 36 * 36;

/// Who has which slot of one shard.
#[derive(Debug)]
pub(crate) struct Slots {
    table: Vec<Slot>,
    free: Vec<u32>,
    limit: u32,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    tenant: Option<LegId>,
}

impl Slots {
    /// Starts with all of at most `limit` slots free.
    pub(crate) fn new(limit: u32) -> Self {
        Self {
            table: Vec::new(),
            free: Vec::new(),
            limit: limit.min(MAX_SLOTS),
        }
    }

    /// Gives out a free slot, the one freed last first.
    pub(crate) fn take(&mut self, leg: LegId) -> Option<AnchorId> {
        if let Some(slot) = self.free.pop() {
            let entry = self.table.get_mut(slot as usize)?;
            entry.tenant = Some(leg);
            return Some(AnchorId {
                slot,
                generation: entry.generation,
            });
        }
        let slot = u32::try_from(self.table.len())
            .ok()
            .filter(|&slot| slot < self.limit)?;
        self.table.push(Slot {
            generation: 0,
            tenant: Some(leg),
        });
        Some(AnchorId {
            slot,
            generation: 0,
        })
    }

    /// Returns whose anchor it is, if it still has its slot.
    pub(crate) fn tenant(&self, anchor: AnchorId) -> Option<LegId> {
        let entry = self.table.get(anchor.slot as usize)?;
        entry
            .tenant
            .filter(|_| entry.generation == anchor.generation)
    }

    /// Takes a slot back; the next tenant has another generation. Does nothing for an old anchor.
    pub(crate) fn release(&mut self, anchor: AnchorId) {
        if self.tenant(anchor).is_none() {
            return;
        }
        if let Some(entry) = self.table.get_mut(anchor.slot as usize) {
            entry.tenant = None;
            entry.generation = entry.generation.wrapping_add(1);
            self.free.push(anchor.slot);
        }
    }

    /// Returns how many slots are given out.
    pub(crate) fn used(&self) -> usize {
        self.table.len() - self.free.len()
    }
}

impl IceCredentials {
    /// Draws credentials for the anchor in `slot`, which must be below [`MAX_SLOTS`]: 8 random
    /// letters and digits in the ufrag (48 bits; 24 are asked for), 24 in the password (142 bits;
    /// 128 are) (RFC 8445 §5.3).
    pub fn generate(slot: u32, rng: &mut Generator) -> Self {
        let digits = b"0123456789abcdefghijklmnopqrstuvwxyz";
        let mut ufrag = String::with_capacity(12);
        for place in [36 * 36 * 36, 36 * 36, 36, 1] {
            ufrag.push(char::from(digits[((slot / place) % 36) as usize]));
        }
        ufrag.push_str(&rng.alphanumeric(8));
        Self {
            ufrag,
            pwd: rng.alphanumeric(24),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leg(number: u8) -> LegId {
        LegId::generate(&mut Generator::from_seed([number; 32]))
    }

    #[test]
    fn a_slot_changes_its_generation_with_its_tenant() {
        let mut slots = Slots::new(1);
        let first = slots.take(leg(1)).unwrap();
        assert_eq!(slots.take(leg(2)), None);
        slots.release(first);
        let second = slots.take(leg(2)).unwrap();
        assert_eq!(
            (second.slot, second.generation),
            (first.slot, first.generation + 1)
        );
        assert_eq!(slots.tenant(first), None);
        slots.release(first);
        assert_eq!(slots.tenant(second), Some(leg(2)));
        assert_eq!(slots.used(), 1);
    }

    #[test]
    fn a_ufrag_begins_with_its_slot() {
        let mut rng = Generator::from_seed([3; 32]);
        for (slot, prefix) in [
            (0, "0000"),
            (35, "000z"),
            (36, "0010"),
            (MAX_SLOTS - 1, "zzzz"),
        ] {
            let ice = IceCredentials::generate(slot, &mut rng);
            assert_eq!(&ice.ufrag[..4], prefix);
            assert_eq!((ice.ufrag.len(), ice.pwd.len()), (12, 24));
        }
    }
}
