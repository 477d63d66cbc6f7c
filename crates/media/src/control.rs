//! The signalling side of media: SDP in and out, anchors opened and closed, off the media threads.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ringtrip_model::{
    Generator, LegId, LegQuality, MediaCommand, MediaEvent, MediaFailure, NegotiatedMedia,
    SdpAnswer, SdpOffer, Time,
};

use crate::negotiate::{LocalSession, MadeOffer, NegotiateError, ReceivedOffer};
use crate::plan::{AnchorId, Fingerprint, IceCredentials, RemotePlan, ShardCommand, ShardEvent};
use crate::slots::Slots;

/// How long a shard may take to close an anchor before its leg is declared closed without it.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a leg whose path is dead may wait for the answer to an offer that would replace it.
pub const REPLACEMENT_TIMEOUT: Duration = Duration::from_secs(30);
/// Most anchors of one leg that may be closing at a time.
const MAX_LEAVING: usize = 8;

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

#[derive(Debug)]
struct Leg {
    shard: usize,
    state: State,
    partner: Option<LegId>,
    held: bool,
    /// Anchors that were told to close.
    leaving: Vec<Leaving>,
    /// Summed over the anchors that are gone.
    quality: Option<LegQuality>,
    deadline: Option<Time>,
}

#[derive(Debug)]
enum State {
    /// The party's offer was read and waits for our answer.
    Offered(Box<ReceivedOffer>),
    /// The leg has an anchor, and perhaps one that shall take over.
    Open {
        main: Box<Anchor>,
        successor: Option<Box<Anchor>>,
    },
    /// The leg had an anchor, which its shard gave up unasked.
    Orphaned,
    /// All anchors were told to close. If `silent`, nobody waits for the last word.
    Closing { silent: bool },
}

#[derive(Debug)]
struct Anchor {
    id: AnchorId,
    /// The anchor it takes over from, which is gone as soon as this one is connected.
    replaces: Option<AnchorId>,
    local: LocalSession,
    stage: Stage,
    stalled: bool,
}

#[derive(Debug)]
enum Stage {
    /// Our offer is out.
    Offering(MadeOffer),
    /// Both halves are known.
    Agreed(Box<RemotePlan>),
}

#[derive(Debug)]
struct Leaving {
    id: AnchorId,
    replaces: Option<AnchorId>,
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

    fn read_offer(&mut self, leg: LegId, text: &SdpOffer) {
        let offer = match ReceivedOffer::read(text) {
            Ok(offer) => offer,
            Err(error) => return self.refuse_description(leg, error),
        };
        let offered = offer.offered();
        let state = State::Offered(Box::new(offer));
        match self.legs.get_mut(&leg) {
            Some(Leg {
                state: known @ State::Offered(_),
                ..
            }) => *known = state,
            // A leg that speaks already renews its session by a restart, not by an offer.
            Some(entry) if entry.is_closing() => return,
            Some(_) => return self.refuse(leg, MediaFailure::BadDescription),
            None => {
                let Some(shard) = self.least_loaded_shard() else {
                    return self.refuse(leg, MediaFailure::Full);
                };
                self.add_leg(leg, shard, state);
            }
        }
        self.event(MediaEvent::OfferRead { leg, offered });
    }

    fn make_answer(&mut self, leg: LegId, media: NegotiatedMedia) {
        let Some(entry) = self.legs.get(&leg) else {
            return self.refuse(leg, MediaFailure::BadDescription);
        };
        let shard = entry.shard;
        match &entry.state {
            State::Offered(_) => {}
            State::Closing { .. } => return,
            State::Open { .. } | State::Orphaned => {
                return self.refuse(leg, MediaFailure::BadDescription);
            }
        }
        let Some((id, local)) = self.new_anchor(leg, shard) else {
            return self.refuse(leg, MediaFailure::Full);
        };
        let Some(entry) = self.legs.get_mut(&leg) else {
            return;
        };
        let State::Offered(offer) = &entry.state else {
            return;
        };
        match offer.answer(media, &local) {
            Ok((answer, plan)) => {
                let ice = local.ice.clone();
                let stage = Stage::Agreed(Box::new(plan.clone()));
                let main = Box::new(Anchor {
                    id,
                    replaces: None,
                    local,
                    stage,
                    stalled: false,
                });
                entry.state = State::Open {
                    main,
                    successor: None,
                };
                self.command(
                    shard,
                    ShardCommand::Open {
                        anchor: id,
                        leg,
                        ice,
                        replaces: None,
                    },
                );
                let remote = Box::new(plan);
                self.command(shard, ShardCommand::SetRemote { anchor: id, remote });
                self.settle(leg);
                self.event(MediaEvent::AnswerReady { leg, answer });
            }
            Err(error) => {
                self.shards[shard].slots.release(id);
                self.refuse_description(leg, error);
            }
        }
    }

    fn make_offer(&mut self, leg: LegId, like: LegId, offer: MadeOffer) {
        if self.legs.get(&leg).is_some_and(Leg::is_closing) {
            return;
        }
        let known = self.legs.get(&leg).map(|entry| entry.shard);
        // Both legs of a call live on one shard, which alone may be full.
        let shard = known.or_else(|| match self.legs.get(&like) {
            Some(like) => Some(like.shard).filter(|&shard| self.has_room(shard)),
            None => self.least_loaded_shard(),
        });
        let crowded = self
            .legs
            .get(&leg)
            .is_some_and(|entry| entry.leaving.len() >= MAX_LEAVING);
        let opened = shard.filter(|_| !crowded).and_then(|shard| {
            let (id, local) = self.new_anchor(leg, shard)?;
            Some((shard, id, local))
        });
        let Some((shard, id, local)) = opened else {
            return self.refuse(leg, MediaFailure::Full);
        };

        let text = offer.write(&local);
        let ice = local.ice.clone();
        let stage = Stage::Offering(offer);
        let mut anchor = Box::new(Anchor {
            id,
            replaces: None,
            local,
            stage,
            stalled: false,
        });
        let mut replaces = None;
        let mut given_up = None;
        match self.legs.get_mut(&leg) {
            None => {
                self.add_leg(
                    leg,
                    shard,
                    State::Open {
                        main: anchor,
                        successor: None,
                    },
                );
            }
            Some(entry) => match &mut entry.state {
                // What was never answered carries nothing that could be taken over.
                State::Open {
                    main,
                    successor: None,
                } if main.is_offering() => {
                    given_up = Some(main.leaving());
                    *main = anchor;
                }
                State::Open { main, successor } => {
                    replaces = Some(main.id);
                    anchor.replaces = replaces;
                    given_up = successor.replace(anchor).map(|older| older.leaving());
                }
                State::Offered(_) | State::Orphaned => {
                    entry.state = State::Open {
                        main: anchor,
                        successor: None,
                    };
                }
                State::Closing { .. } => return,
            },
        }
        if let Some(leaving) = given_up {
            self.leave(leg, leaving);
        }
        self.command(
            shard,
            ShardCommand::Open {
                anchor: id,
                leg,
                ice,
                replaces,
            },
        );
        if replaces.is_none() {
            self.settle(leg);
        }
        self.event(MediaEvent::OfferReady { leg, offer: text });
    }

    fn apply_answer(&mut self, leg: LegId, answer: &SdpAnswer) {
        let latest = self.legs.get_mut(&leg).and_then(|entry| {
            let shard = entry.shard;
            match &mut entry.state {
                State::Open { main, successor } => {
                    Some((shard, successor.as_mut().unwrap_or(main)))
                }
                State::Offered(_) | State::Orphaned | State::Closing { .. } => None,
            }
        });
        let Some((shard, anchor)) = latest else {
            if !self.legs.get(&leg).is_some_and(Leg::is_closing) {
                self.refuse(leg, MediaFailure::BadDescription);
            }
            return;
        };
        let Stage::Offering(offer) = &anchor.stage else {
            return self.refuse(leg, MediaFailure::BadDescription);
        };
        match offer.apply(answer, &anchor.local) {
            Ok(plan) => {
                let media = plan.media();
                let id = anchor.id;
                anchor.stage = Stage::Agreed(Box::new(plan.clone()));
                self.set_deadline(leg, None);
                self.command(
                    shard,
                    ShardCommand::SetRemote {
                        anchor: id,
                        remote: Box::new(plan),
                    },
                );
                self.event(MediaEvent::AnswerApplied { leg, media });
            }
            Err(error) => self.refuse_description(leg, error),
        }
    }

    fn restart(&mut self, leg: LegId, text: &SdpOffer) {
        let Some(entry) = self.legs.get_mut(&leg) else {
            return self.event(MediaEvent::RestartRefused { leg });
        };
        let shard = entry.shard;
        let result = match &mut entry.state {
            State::Open { main, successor } => ReceivedOffer::read(text).and_then(|offer| {
                // While a leg is re-attached its old path may still be restarted; the certificate
                // tells which of the two is meant.
                let anchors = [Some(main), successor.as_mut()].into_iter().flatten();
                let mut refusal = NegotiateError::OtherFingerprint;
                for anchor in anchors {
                    match anchor.renew(&offer, &mut self.rng) {
                        Ok(renewal) => return Ok(renewal),
                        Err(NegotiateError::OtherFingerprint) => {}
                        Err(error) => refusal = error,
                    }
                }
                Err(refusal)
            }),
            State::Closing { .. } => return,
            State::Offered(_) | State::Orphaned => Err(NegotiateError::OtherFingerprint),
        };
        match result {
            Ok(Renewal { answer, restart }) => {
                if let Some(command) = restart {
                    self.command(shard, command);
                }
                self.event(MediaEvent::RestartReady { leg, answer });
            }
            Err(error) => {
                log_refusal(leg, error);
                self.event(MediaEvent::RestartRefused { leg });
            }
        }
    }

    fn bridge(&mut self, a: LegId, b: LegId) {
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

    fn hold(&mut self, leg: LegId, held: bool) {
        let Some(entry) = self.legs.get_mut(&leg) else {
            return;
        };
        entry.held = held;
        if let Some((shard, anchor)) = self.main_anchor(leg) {
            self.command(shard, ShardCommand::Hold { anchor, held });
        }
    }

    fn close(&mut self, leg: LegId, silent: bool, now: Time) {
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
    fn connected(&mut self, shard: usize, anchor: AnchorId) {
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

    fn path_changed(&mut self, shard: usize, anchor: AnchorId, stalled: bool) {
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

    fn failed(&mut self, shard: usize, anchor: AnchorId, failure: Option<MediaFailure>, now: Time) {
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

    fn closed(&mut self, shard: usize, anchor: AnchorId, quality: &LegQuality) {
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
    fn finish_closing(&mut self, leg: LegId) {
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
    fn leave(&mut self, leg: LegId, leaving: Leaving) {
        let Some(entry) = self.legs.get_mut(&leg) else {
            return;
        };
        let (shard, anchor) = (entry.shard, leaving.id);
        entry.leaving.push(leaving);
        self.command(shard, ShardCommand::Close { anchor });
    }

    /// Tells a leg's first anchor what was said before it existed.
    fn settle(&mut self, leg: LegId) {
        if self.legs.get(&leg).is_some_and(|entry| entry.held) {
            self.hold(leg, true);
        }
        self.join(leg);
    }

    /// Tells an anchor that took over what its predecessor may have been told too late.
    fn repeat(&mut self, leg: LegId) {
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

    fn refuse_description(&mut self, leg: LegId, error: NegotiateError) {
        log_refusal(leg, error);
        self.refuse(leg, error.failure());
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

impl Leg {
    /// Returns which anchor another one of the leg takes over from.
    fn replaced_by(&self, anchor: AnchorId) -> Option<AnchorId> {
        let leaving = self.leaving.iter().find(|leaving| leaving.id == anchor);
        leaving
            .map(|leaving| leaving.replaces)
            .or_else(|| match &self.state {
                State::Open { main, successor } => [Some(main), successor.as_ref()]
                    .into_iter()
                    .flatten()
                    .find(|open| open.id == anchor)
                    .map(|open| open.replaces),
                State::Offered(_) | State::Orphaned | State::Closing { .. } => None,
            })?
    }

    const fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    const fn is_closing(&self) -> bool {
        matches!(self.state, State::Closing { .. })
    }
}

/// What came of a renewed offer.
struct Renewal {
    answer: SdpAnswer,
    /// Nothing to do if the offer brought no new ICE credentials.
    restart: Option<ShardCommand>,
}

impl Anchor {
    const fn leaving(&self) -> Leaving {
        Leaving {
            id: self.id,
            replaces: self.replaces,
        }
    }

    const fn is_offering(&self) -> bool {
        matches!(self.stage, Stage::Offering(_))
    }

    /// Answers a renewed offer, with new credentials if it brings new ones (RFC 8839 §4.4.1.1.1).
    fn renew(
        &mut self,
        offer: &ReceivedOffer,
        rng: &mut Generator,
    ) -> Result<Renewal, NegotiateError> {
        let Stage::Agreed(plan) = &mut self.stage else {
            return Err(NegotiateError::OtherFingerprint);
        };
        let (ufrag, pwd) = offer.renews(plan)?;
        let mut restart = None;
        if ufrag != plan.ufrag || pwd != plan.pwd {
            let ice = IceCredentials::generate(self.id.slot, rng);
            self.local.ice = ice.clone();
            plan.ufrag.clone_from(&ufrag);
            plan.pwd = pwd;
            restart = Some(ShardCommand::Restart {
                anchor: self.id,
                ice,
                remote_ufrag: ufrag,
            });
        }
        self.local.version += 1;
        Ok(Renewal {
            answer: offer.answer_again(plan, &self.local),
            restart,
        })
    }
}

/// Logs why a description was refused, without its text, which holds addresses and secrets.
fn log_refusal(leg: LegId, error: NegotiateError) {
    let reason: &dyn std::error::Error = &error;
    let source = reason.source().map(ToString::to_string).unwrap_or_default();
    tracing::info!(leg.id = %leg, %error, source, "the description of leg {leg} was refused");
}

/// Joins what two anchors of a leg measured, one after the other: counts add up, the later one's
/// readings stand where it has any.
fn merged(earlier: &LegQuality, later: &LegQuality) -> LegQuality {
    let reading = |earlier: u32, later: u32| if later == 0 { earlier } else { later };
    LegQuality {
        packets_sent: earlier.packets_sent.saturating_add(later.packets_sent),
        packets_received: earlier
            .packets_received
            .saturating_add(later.packets_received),
        bytes_sent: earlier.bytes_sent.saturating_add(later.bytes_sent),
        bytes_received: earlier.bytes_received.saturating_add(later.bytes_received),
        packets_lost: earlier.packets_lost.saturating_add(later.packets_lost),
        packets_lost_remote: earlier
            .packets_lost_remote
            .saturating_add(later.packets_lost_remote),
        jitter_us: reading(earlier.jitter_us, later.jitter_us),
        jitter_remote_us: reading(earlier.jitter_remote_us, later.jitter_remote_us),
        round_trip_us: later.round_trip_us.or(earlier.round_trip_us),
    }
}
