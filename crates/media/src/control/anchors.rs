//! The life of anchors: joined, held, replaced, failed, closed.

use ringtrip_model::{LegId, LegQuality, MediaEvent, MediaFailure, Time};

use super::leg::{Leaving, State, merged};
use super::{CLOSE_TIMEOUT, Control, REPLACEMENT_TIMEOUT};
use crate::plan::{AnchorId, ShardCommand};

impl Control {
    pub(super) fn bridge(&mut self, a: LegId, b: LegId) {
        let both = [a, b]
            .iter()
            .all(|leg| self.legs.get(leg).is_some_and(|l| !l.is_closing()));
        if a == b || !both {
            return;
        }
        self.part(a, Some(b));
        self.part(b, Some(a));
        for (leg, partner) in [(a, b), (b, a)] {
            if let Some(entry) = self.legs.get_mut(&leg) {
                entry.partner = Some(partner);
            }
        }
        self.join(a);
    }

    pub(super) fn hold(&mut self, leg: LegId, held: bool) {
        let Some(entry) = self.legs.get_mut(&leg) else {
            return;
        };
        entry.held = held;
        if let Some((shard, anchor)) = self.main_anchor(leg) {
            self.command(shard, ShardCommand::Hold { anchor, held });
        }
    }

    pub(super) fn close(&mut self, leg: LegId, silent: bool, now: Time) {
        self.part(leg, None);
        let Some(entry) = self.legs.get_mut(&leg) else {
            if !silent {
                self.event(MediaEvent::Closed { leg, quality: None });
            }
            return;
        };
        if let State::Closing { silent: already } = &mut entry.state {
            *already |= silent;
            return;
        }
        let state = std::mem::replace(&mut entry.state, State::Closing { silent });
        if let State::Open { main, successor } = state {
            // The successor first: the other way round it might connect in between and find
            // nothing to take over.
            for anchor in successor.into_iter().chain([main]) {
                self.leave(leg, anchor.leaving());
            }
        }
        self.set_deadline(leg, Some(now + CLOSE_TIMEOUT));
        self.finish_closing(leg);
    }

    /// An anchor is up. If it replaced another, that one is gone, whatever it was told meanwhile.
    pub(super) fn connected(&mut self, shard: usize, anchor: AnchorId) {
        let Some(leg) = self.tenant(shard, anchor) else {
            return;
        };
        let Some(entry) = self.legs.get_mut(&leg) else {
            return;
        };
        let replaced = entry.replaced_by(anchor);
        let mut resumed = false;
        let mut taken_over = false;
        let mut told = false;
        if let Some(replaced) = replaced {
            entry.leaving.retain(|leaving| leaving.id != replaced);
        }
        if let State::Open { main, successor } = &mut entry.state {
            // The successor is the new main: because it is up, or because an older attempt took the
            // former main with it in the moment in which it was told to close.
            if Some(main.id) == replaced
                && let Some(next) = successor.take()
            {
                resumed = main.stalled;
                taken_over = true;
                *main = next;
            }
            told = main.id == anchor;
        }
        if let Some(replaced) = replaced {
            self.shards[shard].slots.release(replaced);
        }
        if resumed {
            self.event(MediaEvent::Resumed { leg });
        }
        if taken_over {
            // What was said to the former main meanwhile may have come too late.
            self.repeat(leg);
        }
        if told {
            self.set_deadline(leg, None);
            self.event(MediaEvent::Connected { leg });
        }
        self.finish_closing(leg);
    }

    pub(super) fn path_changed(&mut self, shard: usize, anchor: AnchorId, stalled: bool) {
        let Some(leg) = self.tenant(shard, anchor) else {
            return;
        };
        let Some(State::Open { main, .. }) = self.legs.get_mut(&leg).map(|entry| &mut entry.state)
        else {
            return;
        };
        if main.id == anchor && main.stalled != stalled {
            main.stalled = stalled;
            self.event(if stalled {
                MediaEvent::Stalled { leg }
            } else {
                MediaEvent::Resumed { leg }
            });
        }
    }

    pub(super) fn failed(
        &mut self,
        shard: usize,
        anchor: AnchorId,
        failure: Option<MediaFailure>,
        now: Time,
    ) {
        let Some(leg) = self.tenant(shard, anchor) else {
            return;
        };
        let Some(State::Open { main, successor }) =
            self.legs.get_mut(&leg).map(|entry| &mut entry.state)
        else {
            return;
        };
        let is_main = main.id == anchor;
        let is_successor = successor.as_ref().is_some_and(|next| next.id == anchor);
        if !is_main && !is_successor {
            return;
        }
        // A wrong certificate ends the leg, whichever anchor met it.
        if failure.is_some() {
            return self.event(MediaEvent::Failed { leg, failure });
        }
        match successor.take() {
            // A replacement that never came up is no loss.
            Some(next) if is_successor => {
                self.leave(leg, next.leaving());
            }
            // A path that died is no loss either while its replacement is on the way.
            Some(next) => {
                let answered = !next.is_offering();
                let former = std::mem::replace(main, next);
                self.leave(leg, former.leaving());
                self.repeat(leg);
                if !answered {
                    self.set_deadline(leg, Some(now + REPLACEMENT_TIMEOUT));
                }
            }
            None => self.event(MediaEvent::Failed { leg, failure: None }),
        }
    }

    pub(super) fn closed(&mut self, shard: usize, anchor: AnchorId, quality: &LegQuality) {
        let Some(leg) = self.tenant(shard, anchor) else {
            return;
        };
        self.shards[shard].slots.release(anchor);
        let Some(entry) = self.legs.get_mut(&leg) else {
            return;
        };
        entry.quality = Some(entry.quality.map_or(*quality, |sum| merged(&sum, quality)));
        entry.leaving.retain(|leaving| leaving.id != anchor);
        if let State::Open { main, successor } = &mut entry.state {
            // The shard gave it up unasked.
            if main.id == anchor {
                match successor.take() {
                    Some(next) => {
                        *main = next;
                        self.repeat(leg);
                    }
                    None => {
                        entry.state = State::Orphaned;
                        self.event(MediaEvent::Failed { leg, failure: None });
                    }
                }
            } else {
                successor.take_if(|next| next.id == anchor);
            }
        }
        self.finish_closing(leg);
    }

    /// Says the last word about a closing leg once its last anchor is gone.
    pub(super) fn finish_closing(&mut self, leg: LegId) {
        let Some(entry) = self.legs.get(&leg) else {
            return;
        };
        let State::Closing { silent } = entry.state else {
            return;
        };
        if !entry.leaving.is_empty() {
            return;
        }
        let quality = entry.quality;
        self.set_deadline(leg, None);
        if let Some(entry) = self.legs.remove(&leg) {
            let shard = &mut self.shards[entry.shard];
            shard.legs = shard.legs.saturating_sub(1);
        }
        if !silent {
            self.event(MediaEvent::Closed { leg, quality });
        }
    }

    /// Tells an anchor to close and remembers that it was told.
    pub(super) fn leave(&mut self, leg: LegId, leaving: Leaving) {
        let Some(entry) = self.legs.get_mut(&leg) else {
            return;
        };
        let (shard, anchor) = (entry.shard, leaving.id);
        entry.leaving.push(leaving);
        self.command(shard, ShardCommand::Close { anchor });
    }

    /// Tells a leg's first anchor what was said before it existed.
    pub(super) fn settle(&mut self, leg: LegId) {
        if self.legs.get(&leg).is_some_and(|entry| entry.held) {
            self.hold(leg, true);
        }
        self.join(leg);
    }

    /// Tells an anchor that took over what its predecessor may have been told too late.
    pub(super) fn repeat(&mut self, leg: LegId) {
        if let Some(held) = self.legs.get(&leg).map(|entry| entry.held) {
            self.hold(leg, held);
        }
        self.join(leg);
    }

    /// Joins a leg's main anchor and its partner's, if both exist.
    fn join(&mut self, leg: LegId) {
        let Some(partner) = self.legs.get(&leg).and_then(|entry| entry.partner) else {
            return;
        };
        let (Some((shard, a)), Some((other, b))) =
            (self.main_anchor(leg), self.main_anchor(partner))
        else {
            return;
        };
        if shard == other {
            self.command(shard, ShardCommand::Bridge { a, b });
        } else {
            tracing::error!(leg.id = %leg, "legs {leg} and {partner} live on different shards");
        }
    }

    /// Forgets a leg's partner, unless it is `keep`. The anchors need no word: one joins another, or ends.
    fn part(&mut self, leg: LegId, keep: Option<LegId>) {
        let partner = self
            .legs
            .get_mut(&leg)
            .and_then(|e| e.partner.take_if(|p| Some(*p) != keep));
        if let Some(entry) = partner.and_then(|partner| self.legs.get_mut(&partner)) {
            entry.partner.take_if(|back| *back == leg);
        }
    }
}
