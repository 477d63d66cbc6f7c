//! One media thread's worth of anchors.
//!
//! Signalling fills the tables by [`ShardCommand`]; packets only read them. A datagram finds its anchor
//! by the address it comes from; an unknown address is heard only through a STUN request that names an
//! anchor and verifies. On the path of a forwarded packet nothing is allocated, locked or awaited.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use ringtrip_model::{Digit, Generator, LegId, MediaFailure, Time, Timestamp};

use crate::anchor::dtls::{self, DtlsContext};
use crate::anchor::ice::Path;
use crate::anchor::{Anchor, Change, Tools};
use crate::bridge::Bridges;
use crate::path_table::PathTable;
use crate::plan::{AnchorId, IceCredentials, RemotePlan, ShardCommand, ShardEvent};
use crate::rtp;
use crate::stun::{self, BindingRequest};
use crate::transmit::{Transmit, TransmitQueue};

/// Datagrams that may wait to be sent: some batches' worth.
const TRANSMITS: usize = 256;
/// Room that one anchor's timers may need: keys, a report, a handshake flight.
const TIMER_ROOM: usize = 16;
/// A timer that is due already fires a moment later, so that one anchor cannot keep a shard busy.
const MIN_DELAY: Duration = Duration::from_millis(1);
/// Load is measured over this long.
const LOAD_WINDOW: Duration = Duration::from_millis(100);
/// Datagrams in a window from which a shard counts as busy: 5,000 a second.
const BUSY: u32 = 500;
/// Links followed from an anchor to those that replaced it.
const MAX_SUCCESSORS: usize = 8;
/// Seconds from 1900, where NTP counts from, to 1970.
const NTP_TO_UNIX: u64 = 2_208_988_800;

/// What a shard is made with.
#[derive(Debug, Clone)]
pub struct ShardConfig {
    /// The process's certificate.
    pub dtls: Arc<DtlsContext>,
    /// Local addresses, one per socket; the index names the socket.
    pub locals: Vec<SocketAddr>,
    /// Calendar time of [`Time::ZERO`], for RTCP.
    pub wall_at_zero: Timestamp,
    /// Anchors at once.
    pub max_anchors: u32,
}

/// The anchors of one media thread, their bridges and timers.
///
/// Drive it with [`handle_datagram`](Self::handle_datagram), [`handle_command`](Self::handle_command)
/// and [`handle_timeout`](Self::handle_timeout). After each batch of inputs send all of
/// [`transmits`](Self::transmits) (or drain [`poll_transmit`](Self::poll_transmit)), drain
/// [`poll_event`](Self::poll_event), and wait until [`poll_timeout`](Self::poll_timeout).
pub struct Shard {
    dtls: Arc<DtlsContext>,
    sockets: usize,
    wall_at_zero: Timestamp,
    max_anchors: u32,
    slots: Vec<Slot>,
    bridges: Bridges,
    paths: PathTable,
    timers: BinaryHeap<Reverse<(Time, u32)>>,
    transmits: TransmitQueue,
    events: VecDeque<ShardEvent>,
    rng: Generator,
    /// Whose input is being handled, so that a panic has a name.
    handling: Option<u32>,
    load: Load,
    #[cfg(test)]
    break_on: Option<u32>,
}

#[derive(Default)]
struct Slot {
    anchor: Option<Box<Anchor>>,
    /// The earliest live entry in the timer heap.
    armed: Option<Time>,
    /// The generation that was replaced last, and by whom.
    successor: Option<(u32, AnchorId)>,
}

impl Shard {
    /// Makes a shard without anchors.
    pub fn new(config: ShardConfig, mut rng: Generator) -> Self {
        Self {
            dtls: config.dtls,
            sockets: config.locals.len(),
            wall_at_zero: config.wall_at_zero,
            max_anchors: config.max_anchors.min(crate::MAX_SLOTS),
            slots: Vec::new(),
            bridges: Bridges::default(),
            paths: PathTable::new(&mut rng),
            timers: BinaryHeap::with_capacity(64),
            transmits: TransmitQueue::new(TRANSMITS),
            events: VecDeque::with_capacity(64),
            rng,
            handling: None,
            load: Load::default(),
            #[cfg(test)]
            break_on: None,
        }
    }

    /// Carries out a command. Commands about anchors that are gone do nothing, except that
    /// [`ShardCommand::Close`] is always answered.
    pub fn handle_command(&mut self, command: ShardCommand, now: Time) {
        self.guarded(now, |shard| match command {
            ShardCommand::Open {
                anchor,
                leg,
                ice,
                replaces,
            } => {
                shard.open(anchor, leg, ice, replaces, now);
            }
            ShardCommand::SetRemote { anchor, remote } => shard.set_remote(anchor, remote, now),
            ShardCommand::Restart {
                anchor,
                ice,
                remote_ufrag: _,
            } => {
                if let Some(anchor) = shard.anchor(anchor) {
                    anchor.restart(ice);
                }
            }
            ShardCommand::Bridge { a, b } => shard.bridge(a, b, now),
            ShardCommand::Hold { anchor, held } => shard.hold(anchor, held, now),
            ShardCommand::SendDigit { anchor, digit } => shard.send_digit(anchor, digit, now),
            ShardCommand::Close { anchor } => {
                let quality = shard.remove(anchor).map(|anchor| anchor.quality());
                let quality = quality.unwrap_or_default();
                shard
                    .events
                    .push_back(ShardEvent::Closed { anchor, quality });
            }
        });
    }

    /// Takes a datagram that arrived on a socket; it is decrypted where it lies. What nobody vouches
    /// for is dropped without a trace.
    pub fn handle_datagram(
        &mut self,
        socket: usize,
        from: SocketAddr,
        bytes: &mut [u8],
        now: Time,
    ) {
        self.load.count(now);
        let Some(first) = bytes.first().copied() else {
            return;
        };
        if socket >= self.sockets {
            return;
        }
        let path = Path {
            socket,
            remote: from,
        };
        self.guarded(now, |shard| {
            if stun::is_stun(first) {
                shard.handle_check(bytes, path, now);
                return;
            }
            let Some(slot) = shard.paths.get(path) else {
                return;
            };
            shard.handling = Some(slot);
            #[cfg(test)]
            assert_ne!(shard.break_on, Some(slot), "injected");
            if rtp::is_rtp_or_rtcp(first) {
                if rtp::is_rtcp(bytes) {
                    shard.handle_rtcp(slot, bytes, now);
                } else {
                    shard.handle_rtp(slot, bytes, now);
                }
            } else if dtls::is_dtls(first) {
                shard.with_anchor(slot, now, |anchor, tools| anchor.handle_dtls(bytes, tools));
            }
        });
    }

    /// Does what is due at `now`: reports, keys, handshake repeats, stalls. May leave work for another
    /// call when the send buffers are full; [`poll_timeout`](Self::poll_timeout) then lies in the past.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(Reverse((at, slot))) = self.timers.peek().copied() {
            if at > now || self.transmits.room() < TIMER_ROOM {
                return;
            }
            self.timers.pop();
            let Some(entry) = self.slots.get_mut(slot as usize) else {
                continue;
            };
            if entry.armed != Some(at) {
                continue;
            }
            entry.armed = None;
            self.guarded(now, |shard| {
                shard.handling = Some(slot);
                shard.with_anchor(slot, now, Anchor::handle_timeout);
            });
        }
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) is due; it may turn out to have
    /// nothing to do.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes the next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit<'_>> {
        self.transmits.take()
    }

    /// Returns all datagrams to send, in order; call [`clear_transmits`](Self::clear_transmits) when
    /// they are sent. A batch received becomes a batch sent this way.
    pub fn transmits(&self) -> impl ExactSizeIterator<Item = Transmit<'_>> {
        self.transmits.iter()
    }

    /// Forgets what was to be sent.
    pub fn clear_transmits(&mut self) {
        self.transmits.clear();
    }

    /// Takes the next event.
    pub fn poll_event(&mut self) -> Option<ShardEvent> {
        self.events.pop_front()
    }

    /// Returns whether more than about 5,000 datagrams a second arrive. A driver then does better to
    /// drain everything, wait half a millisecond and look again than to wake for each.
    pub const fn busy(&self) -> bool {
        self.load.busy
    }

    /// Returns datagrams dropped since the start because the send buffers were full.
    pub const fn overflowed(&self) -> u64 {
        self.transmits.overflowed()
    }

    /// Returns how many anchors there are.
    pub fn anchors(&self) -> usize {
        self.slots
            .iter()
            .filter(|slot| slot.anchor.is_some())
            .count()
    }

    /// Runs a step of one anchor. A panic in it ends that anchor and nothing else.
    fn guarded(&mut self, now: Time, step: impl FnOnce(&mut Self)) {
        self.handling = None;
        if catch_unwind(AssertUnwindSafe(|| step(self))).is_err() {
            self.bury(now);
        }
    }

    fn bury(&mut self, now: Time) {
        let Some(slot) = self.handling.take() else {
            tracing::error!("a media command panicked");
            return;
        };
        let Some(anchor) = self
            .slots
            .get_mut(slot as usize)
            .and_then(|s| s.anchor.as_mut())
        else {
            return;
        };
        anchor.bury();
        let (id, leg) = (anchor.id(), anchor.leg());
        tracing::error!(leg.id = %leg, at_us = now.as_micros(), "the anchor of leg {leg} panicked");
        self.bridges.leave(id);
        self.forget_paths(slot);
        self.events.push_back(ShardEvent::Failed {
            anchor: id,
            failure: None,
        });
    }

    fn open(
        &mut self,
        id: AnchorId,
        leg: LegId,
        ice: IceCredentials,
        replaces: Option<AnchorId>,
        now: Time,
    ) {
        if id.slot >= self.max_anchors {
            let failure = Some(MediaFailure::Full);
            self.events.push_back(ShardEvent::Failed {
                anchor: id,
                failure,
            });
            return;
        }
        let at = id.slot as usize;
        if self.slots.len() <= at {
            self.slots.resize_with(at + 1, Slot::default);
        }
        if let Some(tenant) = self.slots[at].anchor.as_ref().map(|anchor| anchor.id()) {
            tracing::warn!(leg.id = %leg, "leg {leg} was given a slot still in use");
            self.remove(tenant);
        }
        self.bridges.open(id);
        self.slots[at].anchor = Some(Box::new(Anchor::new(id, leg, ice, replaces, now)));
    }

    fn set_remote(&mut self, id: AnchorId, remote: Box<RemotePlan>, now: Time) {
        if self.anchor(id).is_some() {
            self.handling = Some(id.slot);
            self.with_anchor(id.slot, now, |anchor, tools| {
                anchor.set_remote(remote, tools)
            });
        }
    }

    fn bridge(&mut self, a: AnchorId, b: AnchorId, now: Time) {
        let (Some(a), Some(b)) = (self.acting(a), self.acting(b)) else {
            return;
        };
        if self.bridges.partner(a) == Some(b) {
            return;
        }
        self.bridges.join(a, b);
        self.begin_flow(a, b, now);
    }

    fn hold(&mut self, id: AnchorId, held: bool, now: Time) {
        let Some(id) = self.acting(id) else { return };
        if self.bridges.hold(id, held)
            && let Some(partner) = self.bridges.partner(id)
        {
            self.begin_flow(id, partner, now);
        }
    }

    fn send_digit(&mut self, id: AnchorId, digit: Digit, now: Time) {
        let Some(id) = self.acting(id) else { return };
        let queued = self
            .anchor(id)
            .and_then(Anchor::session_mut)
            .is_some_and(|session| session.push_digit(digit));
        if queued {
            self.arm(id.slot, now);
        }
    }

    /// Both streams of a bridge begin anew: numbers go on without a gap, pictures with a key frame.
    fn begin_flow(&mut self, a: AnchorId, b: AnchorId, now: Time) {
        for id in [a, b] {
            if let Some(session) = self.anchor(id).and_then(Anchor::session_mut) {
                session.interrupt();
            }
        }
        if self.bridges.route(a).is_some() {
            self.ask_key_frame(a, b, now);
            self.ask_key_frame(b, a, now);
        }
    }

    /// Asks `sender` for a key frame if `viewer` can show it.
    fn ask_key_frame(&mut self, sender: AnchorId, viewer: AnchorId, now: Time) {
        let sees = self
            .anchor(viewer)
            .and_then(|anchor| anchor.session())
            .is_some_and(|session| session.has_video());
        if !sees {
            return;
        }
        let Some(slot) = self.slots.get_mut(sender.slot as usize) else {
            return;
        };
        let Some(anchor) = slot.anchor.as_mut().filter(|anchor| anchor.id() == sender) else {
            return;
        };
        if let Some((session, path)) = anchor.reachable(now) {
            session.ask_key_frame(path, now, &mut self.transmits);
            self.arm(sender.slot, now);
        }
    }

    fn handle_check(&mut self, bytes: &[u8], path: Path, now: Time) {
        let Ok(request) = BindingRequest::parse(bytes) else {
            return;
        };
        let Some(slot) = slot_of(request.local_ufrag()) else {
            return;
        };
        self.handling = Some(slot);
        let wall = self.wall(now);
        let Some(entry) = self.slots.get_mut(slot as usize) else {
            return;
        };
        let Some(anchor) = entry.anchor.as_mut() else {
            return;
        };
        let mut tools = Tools {
            dtls: &self.dtls,
            rng: &mut self.rng,
            transmits: &mut self.transmits,
            wall,
            now,
        };
        let Some((checked, change)) = anchor.handle_check(&request, path, &mut tools) else {
            return;
        };
        if checked.valid {
            if anchor.touch(now) {
                self.events.push_back(ShardEvent::Resumed {
                    anchor: anchor.id(),
                });
            }
            if let Some(evicted) = checked.evicted {
                self.paths.remove(evicted, slot);
            }
            // The anchor checked last has the address: a party may use one for several.
            self.paths.insert(path, slot);
        }
        self.changed(slot, change, now);
    }

    fn handle_rtp(&mut self, slot: u32, bytes: &mut [u8], now: Time) {
        let Some(anchor) = self
            .slots
            .get_mut(slot as usize)
            .and_then(|s| s.anchor.as_mut())
        else {
            return;
        };
        let id = anchor.id();
        let Some(session) = anchor.session_mut() else {
            return;
        };
        let Some(incoming) = session.receive_rtp(bytes, now) else {
            return;
        };
        if anchor.touch(now) {
            self.events.push_back(ShardEvent::Resumed { anchor: id });
        }
        if let Some(digit) = incoming.digit {
            self.events
                .push_back(ShardEvent::Digit { anchor: id, digit });
        }
        let Some(partner) = self.bridges.route(id) else {
            return;
        };
        let Some(slot) = self.slots.get_mut(partner.slot as usize) else {
            return;
        };
        let Some((session, path)) = slot.anchor.as_mut().and_then(|a| a.reachable(now)) else {
            return;
        };
        session.forward(id, &incoming, bytes, path, now, &mut self.transmits);
    }

    fn handle_rtcp(&mut self, slot: u32, bytes: &mut [u8], now: Time) {
        let wall = self.wall(now);
        let Some(anchor) = self
            .slots
            .get_mut(slot as usize)
            .and_then(|s| s.anchor.as_mut())
        else {
            return;
        };
        let id = anchor.id();
        let path = anchor.path(now);
        let Some(session) = anchor.session_mut() else {
            return;
        };
        let Some(feedback) = session.receive_rtcp(bytes, path, now, &mut self.transmits) else {
            return;
        };
        if anchor.touch(now) {
            self.events.push_back(ShardEvent::Resumed { anchor: id });
        }
        let Some(partner) = self.bridges.route(id) else {
            return;
        };
        let Some(other) = self.slots.get_mut(partner.slot as usize) else {
            return;
        };
        let Some((session, path)) = other.anchor.as_mut().and_then(|a| a.reachable(now)) else {
            return;
        };
        session.heard_source(id, &feedback, wall, now);
        if let Some(source) = feedback.missing_of
            && source.anchor == partner
        {
            session.ask_again(source.ssrc, &feedback.missing, path, &mut self.transmits);
        }
        if feedback.key_frame {
            session.ask_key_frame(path, now, &mut self.transmits);
            self.arm(partner.slot, now);
        }
    }

    fn with_anchor(
        &mut self,
        slot: u32,
        now: Time,
        step: impl FnOnce(&mut Anchor, &mut Tools<'_>) -> Change,
    ) {
        let wall = self.wall(now);
        let Some(anchor) = self
            .slots
            .get_mut(slot as usize)
            .and_then(|s| s.anchor.as_mut())
        else {
            return;
        };
        let mut tools = Tools {
            dtls: &self.dtls,
            rng: &mut self.rng,
            transmits: &mut self.transmits,
            wall,
            now,
        };
        let change = step(anchor, &mut tools);
        self.changed(slot, change, now);
    }

    fn changed(&mut self, slot: u32, change: Change, now: Time) {
        self.arm(slot, now);
        let Some(anchor) = self
            .slots
            .get(slot as usize)
            .and_then(|s| s.anchor.as_ref())
        else {
            return;
        };
        let id = anchor.id();
        match change {
            Change::Nothing => {}
            Change::Connected => self.connected(id, now),
            Change::Stalled => self.events.push_back(ShardEvent::Stalled { anchor: id }),
            Change::Failed(failure) => {
                self.forget_paths(slot);
                self.events.push_back(ShardEvent::Failed {
                    anchor: id,
                    failure,
                });
            }
        }
    }

    fn connected(&mut self, id: AnchorId, now: Time) {
        if let Some(old) = self.anchor(id).and_then(|anchor| anchor.replaces())
            && self.anchor(old).is_some()
        {
            self.bridges.take_over(old, id);
            if let Some(mut old) = self.remove(old) {
                self.slots[old.id().slot as usize].successor = Some((old.id().generation, id));
                if let Some(anchor) = self.anchor(id) {
                    anchor.succeed(&mut old);
                }
            }
            self.arm(id.slot, now);
        }
        self.events.push_back(ShardEvent::Connected { anchor: id });
        if let Some(partner) = self.bridges.partner(id) {
            self.begin_flow(id, partner, now);
        }
    }

    /// Takes an anchor out of every table.
    fn remove(&mut self, id: AnchorId) -> Option<Box<Anchor>> {
        self.anchor(id)?;
        self.bridges.leave(id);
        self.forget_paths(id.slot);
        let slot = self.slots.get_mut(id.slot as usize)?;
        slot.armed = None;
        slot.anchor.take()
    }

    fn forget_paths(&mut self, slot: u32) {
        let Some(anchor) = self
            .slots
            .get(slot as usize)
            .and_then(|s| s.anchor.as_ref())
        else {
            return;
        };
        for path in anchor.paths() {
            self.paths.remove(path, slot);
        }
    }

    fn anchor(&mut self, id: AnchorId) -> Option<&mut Anchor> {
        let anchor = self
            .slots
            .get_mut(id.slot as usize)?
            .anchor
            .as_deref_mut()?;
        (anchor.id() == id).then_some(anchor)
    }

    /// Finds the anchor that acts for the leg of the one named: its predecessor until it is connected,
    /// its successor once it was replaced.
    fn acting(&self, id: AnchorId) -> Option<AnchorId> {
        let mut id = id;
        for _ in 0..MAX_SUCCESSORS {
            let slot = self.slots.get(id.slot as usize)?;
            match (&slot.anchor, slot.successor) {
                (Some(anchor), _) if anchor.id() == id => {
                    let old = anchor.replaces().filter(|old| {
                        let slot = self.slots.get(old.slot as usize);
                        slot.and_then(|s| s.anchor.as_ref())
                            .is_some_and(|a| a.id() == *old)
                    });
                    match old {
                        Some(old) => id = old,
                        None => return Some(id),
                    }
                }
                (Some(_) | None, Some((generation, successor))) if generation == id.generation => {
                    id = successor;
                }
                (Some(_) | None, Some(_) | None) => return None,
            }
        }
        None
    }

    fn arm(&mut self, slot: u32, now: Time) {
        let Some(entry) = self.slots.get_mut(slot as usize) else {
            return;
        };
        let Some(at) = entry.anchor.as_ref().and_then(|anchor| anchor.deadline()) else {
            return;
        };
        let at = at.max(now + MIN_DELAY);
        if entry.armed.is_none_or(|armed| at < armed) {
            entry.armed = Some(at);
            self.timers.push(Reverse((at, slot)));
        }
    }

    fn wall(&self, now: Time) -> u64 {
        let micros = u64::try_from(self.wall_at_zero.as_micros()).unwrap_or(0) + now.as_micros();
        let fraction = ((micros % 1_000_000) << 32) / 1_000_000;
        ((micros / 1_000_000 + NTP_TO_UNIX) << 32) | fraction
    }
}

impl std::fmt::Debug for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shard")
            .field("anchors", &self.anchors())
            .finish_non_exhaustive()
    }
}

/// Reads the slot that a ufrag begins with: four base-36 digits.
fn slot_of(ufrag: &[u8]) -> Option<u32> {
    ufrag.first_chunk::<4>()?.iter().try_fold(0, |slot, byte| {
        Some(slot * 36 + char::from(*byte).to_digit(36)?)
    })
}

/// Datagrams counted by window.
#[derive(Debug, Default)]
struct Load {
    window: Time,
    count: u32,
    busy: bool,
}

impl Load {
    fn count(&mut self, now: Time) {
        let passed = now.since(self.window);
        if passed >= LOAD_WINDOW {
            self.busy = self.count >= BUSY && passed < 2 * LOAD_WINDOW;
            self.window = now;
            self.count = 0;
        }
        self.count += 1;
    }
}

#[cfg(test)]
mod tests;
