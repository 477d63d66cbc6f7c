//! Who forwards to whom: the one table that the packet path reads and only commands write.

use crate::plan::AnchorId;

/// The bridges and holds of a shard, by slot.
#[derive(Debug, Default)]
pub(crate) struct Bridges {
    ends: Vec<End>,
}

#[derive(Debug, Clone, Copy, Default)]
struct End {
    partner: Option<AnchorId>,
    held: bool,
}

impl Bridges {
    /// Makes room for a slot, its end free and not held.
    pub(crate) fn open(&mut self, anchor: AnchorId) {
        let at = index(anchor);
        if self.ends.len() <= at {
            self.ends.resize(at + 1, End::default());
        }
        self.leave(anchor);
        self.ends[at] = End::default();
    }

    /// Joins two anchors; whoever they were joined to is left alone.
    pub(crate) fn join(&mut self, a: AnchorId, b: AnchorId) {
        if a == b || index(a) >= self.ends.len() || index(b) >= self.ends.len() {
            return;
        }
        self.leave(a);
        self.leave(b);
        self.ends[index(a)].partner = Some(b);
        self.ends[index(b)].partner = Some(a);
    }

    /// Ends the bridge of an anchor, if it has one.
    pub(crate) fn leave(&mut self, anchor: AnchorId) {
        let partner = self
            .ends
            .get_mut(index(anchor))
            .and_then(|end| end.partner.take());
        if let Some(partner) = partner
            && let Some(end) = self.ends.get_mut(index(partner))
        {
            end.partner = None;
        }
    }

    /// Sets whether an anchor holds. Returns whether that changed anything.
    pub(crate) fn hold(&mut self, anchor: AnchorId, held: bool) -> bool {
        self.ends
            .get_mut(index(anchor))
            .is_some_and(|end| std::mem::replace(&mut end.held, held) != held)
    }

    /// Returns the anchor at the other end, held or not.
    pub(crate) fn partner(&self, anchor: AnchorId) -> Option<AnchorId> {
        self.ends.get(index(anchor))?.partner
    }

    /// Returns where an anchor's packets go: nowhere while either side holds.
    pub(crate) fn route(&self, anchor: AnchorId) -> Option<AnchorId> {
        let end = self.ends.get(index(anchor))?;
        let partner = end.partner?;
        let other = self.ends.get(index(partner))?;
        (!end.held && !other.held).then_some(partner)
    }

    /// Gives an anchor's bridge and hold to its successor.
    pub(crate) fn take_over(&mut self, old: AnchorId, new: AnchorId) {
        let held = self.ends.get(index(old)).is_some_and(|end| end.held);
        let partner = self.partner(old);
        self.leave(old);
        self.hold(old, false);
        if held {
            self.hold(new, true);
        }
        if let Some(partner) = partner {
            self.join(new, partner);
        }
    }
}

const fn index(anchor: AnchorId) -> usize {
    anchor.slot as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anchor(slot: u32) -> AnchorId {
        AnchorId {
            slot,
            generation: 1,
        }
    }

    fn bridges(count: u32) -> Bridges {
        let mut bridges = Bridges::default();
        for slot in 0..count {
            bridges.open(anchor(slot));
        }
        bridges
    }

    #[test]
    fn either_side_stops_the_flow_both_ways() {
        let mut bridges = bridges(2);
        bridges.join(anchor(0), anchor(1));
        assert_eq!(bridges.route(anchor(0)), Some(anchor(1)));
        assert!(bridges.hold(anchor(1), true) && !bridges.hold(anchor(1), true));
        assert_eq!(
            (bridges.route(anchor(0)), bridges.route(anchor(1))),
            (None, None)
        );
        bridges.hold(anchor(0), true);
        bridges.hold(anchor(1), false);
        assert_eq!(bridges.route(anchor(1)), None, "the other still holds");
        bridges.hold(anchor(0), false);
        assert_eq!(bridges.route(anchor(1)), Some(anchor(0)));
    }

    #[test]
    fn a_new_bridge_frees_the_old_partners() {
        let mut bridges = bridges(4);
        bridges.join(anchor(0), anchor(1));
        bridges.join(anchor(2), anchor(3));
        bridges.join(anchor(1), anchor(2));
        assert_eq!(
            [0, 1, 2, 3].map(|slot| bridges.partner(anchor(slot)).map(|p| p.slot)),
            [None, Some(2), Some(1), None]
        );
        bridges.join(anchor(3), anchor(3));
        assert_eq!(bridges.partner(anchor(3)), None);
    }

    #[test]
    fn a_successor_inherits_bridge_and_hold() {
        let mut bridges = bridges(3);
        bridges.join(anchor(0), anchor(1));
        bridges.hold(anchor(0), true);
        bridges.take_over(anchor(0), anchor(2));
        assert_eq!(bridges.partner(anchor(1)), Some(anchor(2)));
        assert_eq!(
            (bridges.partner(anchor(0)), bridges.route(anchor(2))),
            (None, None)
        );
        bridges.hold(anchor(2), false);
        assert_eq!(bridges.route(anchor(2)), Some(anchor(1)));
    }
}
