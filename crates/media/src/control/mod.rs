//! The signalling side of media: SDP in and out, anchors opened and closed, off the media threads.

mod anchors;
mod exchange;
mod leg;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ringtrip_model::{Generator, LegId, MediaCommand, MediaEvent, MediaFailure, Time};

use crate::negotiate::{LocalSession, MadeOffer};
use crate::plan::{AnchorId, Fingerprint, IceCredentials, ShardCommand, ShardEvent};
use crate::slots::Slots;
use leg::{Leg, State};

/// How long a shard may take to close an anchor before its leg is declared closed without it.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a leg whose path is dead may wait for the answer to an offer that would replace it.
pub const REPLACEMENT_TIMEOUT: Duration = Duration::from_secs(30);

/// What a [`Control`] needs to know.
#[derive(Debug, Clone)]
pub struct ControlConfig {
    /// For each shard, the UDP addresses to put into SDP, most wanted first. Never empty, nor is
    /// any of them.
    pub shards: Vec<Vec<SocketAddr>>,
    /// Our certificate's digest.
    pub fingerprint: Fingerprint,
    /// Most anchors, and most legs, of one shard.
    pub max_anchors_per_shard: u32,
}

/// What a [`Control`] wants done.
#[derive(Debug)]
pub enum ControlOutput {
    /// To be told to the leg's call.
    Event(MediaEvent),
    /// To be handed to a media thread.
    Shard {
        /// Its index.
        shard: usize,
        /// What it shall do.
        command: ShardCommand,
    },
}

/// The media of all legs of a node, as signalling sees it.
///
/// Outputs come in the order in which they must be carried out: a shard knows an anchor before the
/// SDP that names it leaves.
#[derive(Debug)]
pub struct Control {
    shards: Vec<Shard>,
    fingerprint: Fingerprint,
    rng: Generator,
    legs: BTreeMap<LegId, Leg>,
    deadlines: BTreeSet<(Time, LegId)>,
    outputs: VecDeque<ControlOutput>,
}

#[derive(Debug)]
struct Shard {
    addresses: Arc<[SocketAddr]>,
    slots: Slots,
    /// Legs that live here, with or without an anchor yet.
    legs: u32,
    max_legs: u32,
}

impl Control {
    /// Starts without legs.
    ///
    /// # Panics
    ///
    /// If the configuration has no shard, or a shard without an address.
    pub fn new(config: ControlConfig, rng: Generator) -> Self {
        assert!(!config.shards.is_empty(), "there is at least one shard");
        let limit = config.max_anchors_per_shard;
        let shard = |addresses: Vec<SocketAddr>| {
            assert!(!addresses.is_empty(), "a shard has at least one address");
            Shard {
                addresses: addresses.into(),
                slots: Slots::new(limit),
                legs: 0,
                max_legs: limit,
            }
        };
        Self {
            shards: config.shards.into_iter().map(shard).collect(),
            fingerprint: config.fingerprint,
            rng,
            legs: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Carries out what a call asks for. A command that wants a result always gets one, unless its
    /// leg is being closed.
    pub fn handle_command(&mut self, command: MediaCommand, now: Time) {
        match command {
            MediaCommand::ReadOffer { leg, offer } => self.read_offer(leg, &offer),
            MediaCommand::MakeAnswer { leg, media } => self.make_answer(leg, media),
            MediaCommand::MakeOffer {
                leg,
                like,
                audio,
                video,
            } => {
                self.make_offer(leg, like, MadeOffer::new(&audio, video));
            }
            MediaCommand::ApplyAnswer { leg, answer } => self.apply_answer(leg, &answer),
            MediaCommand::Restart { leg, offer } => self.restart(leg, &offer),
            MediaCommand::Bridge { a, b } => self.bridge(a, b),
            MediaCommand::Hold { leg, held } => self.hold(leg, held),
            MediaCommand::SendDigit { leg, digit } => {
                if let Some((shard, anchor)) = self.main_anchor(leg) {
                    self.command(shard, ShardCommand::SendDigit { anchor, digit });
                }
            }
            MediaCommand::Close { leg } => self.close(leg, false, now),
        }
    }

    /// Closes whatever a leg has and says nothing about it: its call is gone.
    pub fn abandon(&mut self, leg: LegId, now: Time) {
        self.close(leg, true, now);
    }

    /// Takes in what a media thread tells. Events of unknown or former anchors are passed over.
    pub fn handle_shard(&mut self, shard: usize, event: ShardEvent, now: Time) {
        match event {
            ShardEvent::Connected { anchor } => self.connected(shard, anchor),
            ShardEvent::Stalled { anchor } => self.path_changed(shard, anchor, true),
            ShardEvent::Resumed { anchor } => self.path_changed(shard, anchor, false),
            ShardEvent::Failed { anchor, failure } => self.failed(shard, anchor, failure, now),
            ShardEvent::Digit { anchor, digit } => {
                if let Some(leg) = self.tenant(shard, anchor)
                    && self.legs.get(&leg).is_some_and(Leg::is_open)
                {
                    self.event(MediaEvent::Digit { leg, digit });
                }
            }
            ShardEvent::Closed { anchor, quality } => self.closed(shard, anchor, &quality),
        }
    }

    /// Gives up waiting for what did not come.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(&(time, leg)) = self.deadlines.first()
            && time <= now
        {
            self.set_deadline(leg, None);
            let Some(entry) = self.legs.get_mut(&leg) else {
                continue;
            };
            match &entry.state {
                State::Closing { .. } => {
                    // The slots stay taken until the shard says that they are free.
                    tracing::warn!(leg.id = %leg, "a media thread did not close leg {leg} in time");
                    entry.leaving.clear();
                    self.finish_closing(leg);
                }
                State::Open { .. } => self.event(MediaEvent::Failed { leg, failure: None }),
                State::Offered(_) | State::Orphaned => {}
            }
        }
    }

    /// Returns what to do next, if anything.
    pub fn poll_output(&mut self) -> Option<ControlOutput> {
        self.outputs.pop_front()
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) wants to be called.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.deadlines.first().map(|&(time, _)| time)
    }

    /// Returns how many legs have something here, closing ones included.
    pub fn legs(&self) -> usize {
        self.legs.len()
    }

    /// Returns how many anchors are open on all shards, closing ones included.
    pub fn anchors(&self) -> usize {
        self.shards.iter().map(|shard| shard.slots.used()).sum()
    }

    fn new_anchor(&mut self, leg: LegId, shard: usize) -> Option<(AnchorId, LocalSession)> {
        let entry = self.shards.get_mut(shard)?;
        let id = entry.slots.take(leg)?;
        let addresses = Arc::clone(&entry.addresses);
        let ice = IceCredentials::generate(id.slot, &mut self.rng);
        let local = LocalSession::generate(ice, self.fingerprint, addresses, &mut self.rng);
        Some((id, local))
    }

    fn add_leg(&mut self, leg: LegId, shard: usize, state: State) {
        self.shards[shard].legs += 1;
        let entry = Leg {
            shard,
            state,
            partner: None,
            held: false,
            leaving: Vec::new(),
            quality: None,
            deadline: None,
        };
        self.legs.insert(leg, entry);
    }

    fn has_room(&self, shard: usize) -> bool {
        self.shards
            .get(shard)
            .is_some_and(|shard| shard.legs < shard.max_legs)
    }

    fn least_loaded_shard(&self) -> Option<usize> {
        let shard = (0..self.shards.len()).min_by_key(|&shard| self.shards[shard].legs)?;
        self.has_room(shard).then_some(shard)
    }

    /// Returns where a leg's media is.
    fn main_anchor(&self, leg: LegId) -> Option<(usize, AnchorId)> {
        let entry = self.legs.get(&leg)?;
        match &entry.state {
            State::Open { main, .. } => Some((entry.shard, main.id)),
            State::Offered(_) | State::Orphaned | State::Closing { .. } => None,
        }
    }

    fn tenant(&self, shard: usize, anchor: AnchorId) -> Option<LegId> {
        self.shards.get(shard)?.slots.tenant(anchor)
    }

    fn set_deadline(&mut self, leg: LegId, time: Option<Time>) {
        let Some(entry) = self.legs.get_mut(&leg) else {
            return;
        };
        if let Some(former) = std::mem::replace(&mut entry.deadline, time) {
            self.deadlines.remove(&(former, leg));
        }
        if let Some(time) = time {
            self.deadlines.insert((time, leg));
        }
    }

    fn refuse(&mut self, leg: LegId, failure: MediaFailure) {
        self.event(MediaEvent::Refused { leg, failure });
    }

    fn event(&mut self, event: MediaEvent) {
        self.outputs.push_back(ControlOutput::Event(event));
    }

    fn command(&mut self, shard: usize, command: ShardCommand) {
        self.outputs
            .push_back(ControlOutput::Shard { shard, command });
    }
}
