//! Media on paper: what shards and browsers would tell, without a packet.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use ringtrip_media::plan::{AnchorId, Fingerprint};
use ringtrip_media::{ShardCommand, ShardEvent};
use ringtrip_model::{Digit, LegId, LegQuality, MediaFailure, Time};

use crate::clock::Agenda;
use crate::dice::Dice;
use crate::plane::{Abilities, MediaPlane, PeerId, UnusableDescription};
use crate::report::{Fault, Report};
use crate::sdp::{self, Half};

/// As a shard's: silence that counts as a stall, and as death.
const STALLED_AFTER: Duration = Duration::from_secs(5);
const DEAD_AFTER: Duration = Duration::from_secs(60);

/// How often media goes wrong, in percent of peer connections.
#[derive(Debug, Clone, Copy, Default)]
pub struct Troubles {
    /// No connectivity at all.
    pub never_connects: u32,
    /// The handshake fails.
    pub handshake_fails: u32,
    /// Another certificate than promised.
    pub wrong_certificate: u32,
}

/// Shards and browsers on paper.
pub struct Paper {
    dice: Dice,
    troubles: Troubles,
    threads: Vec<Thread>,
    peers: BTreeMap<PeerId, Peer>,
    /// Every user name fragment that a peer ever used.
    fragments: BTreeMap<String, PeerId>,
    muted: BTreeMap<usize, bool>,
    timers: Agenda<(usize, AnchorId, Due)>,
    slow: Option<(Duration, Time)>,
    heard: VecDeque<(usize, ShardEvent)>,
    counted: Report,
}

struct Thread {
    address: SocketAddr,
    anchors: BTreeMap<AnchorId, Anchor>,
    /// By whom anchors were replaced.
    successors: BTreeMap<AnchorId, AnchorId>,
    /// Commands and events keep their order, as in a channel.
    commands: Agenda<ShardCommand>,
    last_command: Time,
    events: Agenda<ShardEvent>,
    last_event: Time,
}

struct Peer {
    device: usize,
    half: Half,
    fate: Fate,
    alive: bool,
}

#[derive(Clone, Copy)]
enum Fate {
    Connects(Duration),
    Never,
    Fails(Duration, MediaFailure),
}

struct Anchor {
    leg: LegId,
    replaces: Option<AnchorId>,
    remote: Option<String>,
    state: State,
    partner: Option<AnchorId>,
    held: bool,
    received: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Connected {
        silent_since: Option<Time>,
        stalled: bool,
    },
    Dead,
}

#[derive(Clone, Copy)]
enum Due {
    Meet,
    Fail(Option<MediaFailure>),
    Stall(Time),
    Die(Time),
}

impl Paper {
    /// Makes so many media threads.
    pub fn new(threads: u16, troubles: Troubles, dice: Dice) -> Self {
        let thread = |index| Thread {
            address: SocketAddr::from(([10, 0, 0, 1], 3478 + index)),
            anchors: BTreeMap::new(),
            successors: BTreeMap::new(),
            commands: Agenda::default(),
            last_command: Time::ZERO,
            events: Agenda::default(),
            last_event: Time::ZERO,
        };
        Self {
            dice,
            troubles,
            threads: (0..threads).map(thread).collect(),
            peers: BTreeMap::new(),
            fragments: BTreeMap::new(),
            muted: BTreeMap::new(),
            timers: Agenda::default(),
            slow: None,
            heard: VecDeque::new(),
            counted: Report::default(),
        }
    }

    /// Lets media threads answer late for some time.
    pub fn slow_down(&mut self, by: Duration, until: Time) {
        self.counted.fault(Fault::SlowMediaThread);
        self.slow = Some((by, until));
    }

    /// Returns what is forwarded for each leg, unless a command is on its way that would change it:
    /// whether it holds, and with whom it is joined.
    pub fn forwarding(&self) -> Option<Vec<(LegId, bool, Option<LegId>)>> {
        let mut forwarded = Vec::new();
        for thread in &self.threads {
            if !thread.commands.is_empty() {
                return None;
            }
            for (id, anchor) in &thread.anchors {
                if thread.acting(*id) == Some(*id) {
                    let partner = anchor
                        .partner
                        .and_then(|partner| thread.anchors.get(&partner));
                    forwarded.push((anchor.leg, anchor.held, partner.map(|partner| partner.leg)));
                }
            }
        }
        Some(forwarded)
    }

    fn half(&mut self, abilities: &Abilities) -> Half {
        let mut fingerprint = [0; 32];
        for chunk in fingerprint.chunks_mut(8) {
            chunk.copy_from_slice(&self.dice.bits().to_le_bytes());
        }
        Half {
            ufrag: self.dice.letters(8),
            pwd: self.dice.letters(24),
            fingerprint,
            codecs: abilities.codecs.clone(),
            video: abilities.video,
            version: 2,
        }
    }

    fn add_peer(&mut self, peer: PeerId, device: usize, abilities: &Abilities) {
        let half = self.half(abilities);
        let after = self.dice.millis(20, 900);
        let fate = match () {
            () if self.dice.percent(self.troubles.never_connects) => Fate::Never,
            () if self.dice.percent(self.troubles.handshake_fails) => {
                Fate::Fails(after, MediaFailure::DtlsFailed)
            }
            () if self.dice.percent(self.troubles.wrong_certificate) => {
                Fate::Fails(after, MediaFailure::FingerprintMismatch)
            }
            () => Fate::Connects(after),
        };
        self.fragments.insert(half.ufrag.clone(), peer);
        self.peers.insert(
            peer,
            Peer {
                device,
                half,
                fate,
                alive: true,
            },
        );
    }

    fn delay(&mut self, now: Time) -> Duration {
        match self.slow {
            Some((by, until)) if now < until => by,
            Some(_) | None => self.dice.millis(0, 3),
        }
    }

    fn tell(&mut self, shard: usize, event: ShardEvent, now: Time) {
        let delay = self.delay(now);
        let thread = &mut self.threads[shard];
        thread.last_event = thread.last_event.max(now + delay);
        thread.events.add(thread.last_event, event);
    }

    fn peer_of(&self, anchor: &Anchor) -> Option<&Peer> {
        self.peers.get(self.fragments.get(anchor.remote.as_ref()?)?)
    }

    fn hears(&self, peer: &Peer) -> bool {
        peer.alive && !self.muted.get(&peer.device).copied().unwrap_or(false)
    }

    fn carry_out(&mut self, shard: usize, command: ShardCommand, now: Time) {
        let thread = &mut self.threads[shard];
        match command {
            ShardCommand::Open {
                anchor,
                leg,
                replaces,
                ..
            } => {
                let new = Anchor {
                    leg,
                    replaces,
                    remote: None,
                    state: State::Waiting,
                    partner: None,
                    held: false,
                    received: 0,
                };
                let former = thread.anchors.insert(anchor, new);
                assert!(former.is_none(), "anchor {anchor:?} is opened twice");
                let taken = thread
                    .anchors
                    .keys()
                    .filter(|other| other.slot == anchor.slot)
                    .count();
                assert_eq!(taken, 1, "the slot of {anchor:?} is still in use");
            }
            ShardCommand::SetRemote { anchor, remote } => {
                let Some(entry) = thread.anchors.get_mut(&anchor) else {
                    return;
                };
                assert!(
                    entry.remote.is_none(),
                    "anchor {anchor:?} is described twice"
                );
                entry.remote = Some(remote.ufrag.clone());
                let fate = self
                    .fragments
                    .get(&remote.ufrag)
                    .and_then(|peer| self.peers.get(peer));
                match fate.map(|peer| peer.fate) {
                    Some(Fate::Connects(after)) => {
                        self.timers.add(now + after, (shard, anchor, Due::Meet))
                    }
                    Some(Fate::Fails(after, failure)) => {
                        self.timers
                            .add(now + after, (shard, anchor, Due::Fail(Some(failure))));
                    }
                    Some(Fate::Never) | None => {
                        self.counted.fault(Fault::NeverConnects);
                        self.timers
                            .add(now + DEAD_AFTER, (shard, anchor, Due::Fail(None)));
                    }
                }
            }
            ShardCommand::Restart {
                anchor,
                remote_ufrag,
                ..
            } => {
                if let Some(entry) = thread.anchors.get_mut(&anchor) {
                    entry.remote = Some(remote_ufrag);
                }
            }
            ShardCommand::Bridge { a, b } => {
                let (a, b) = (thread.acting(a), thread.acting(b));
                if let (Some(a), Some(b)) = (a, b) {
                    for (one, other) in [(a, b), (b, a)] {
                        if let Some(entry) = thread.anchors.get_mut(&one) {
                            entry.partner = Some(other);
                        }
                    }
                }
            }
            ShardCommand::Hold { anchor, held } => {
                if let Some(acting) = thread.acting(anchor)
                    && let Some(entry) = thread.anchors.get_mut(&acting)
                {
                    entry.held = held;
                }
            }
            ShardCommand::SendDigit { .. } => {}
            ShardCommand::Close { anchor } => {
                let received = thread
                    .anchors
                    .remove(&anchor)
                    .map_or(0, |entry| entry.received);
                let quality = LegQuality {
                    packets_received: received,
                    ..LegQuality::default()
                };
                self.tell(shard, ShardEvent::Closed { anchor, quality }, now);
            }
        }
    }

    fn due(&mut self, shard: usize, id: AnchorId, due: Due, now: Time) {
        let Some(anchor) = self.threads[shard].anchors.get(&id) else {
            return;
        };
        let reachable = self.peer_of(anchor).is_some_and(|peer| self.hears(peer));
        let state = anchor.state;
        match (due, state) {
            (Due::Meet, State::Waiting) if reachable => self.meet(shard, id, now),
            (Due::Meet, State::Waiting) => {
                // Its device is away for a moment, or for good.
                self.timers
                    .add(now + DEAD_AFTER, (shard, id, Due::Fail(None)));
            }
            (Due::Fail(failure), State::Waiting) => {
                match failure {
                    Some(MediaFailure::FingerprintMismatch) => {
                        self.counted.fault(Fault::WrongCertificate)
                    }
                    Some(_) => self.counted.fault(Fault::HandshakeFails),
                    None => {}
                }
                self.fail(shard, id, failure, now);
            }
            (
                Due::Stall(since),
                State::Connected {
                    silent_since,
                    stalled: false,
                },
            ) if silent_since == Some(since) => {
                self.set_state(
                    shard,
                    id,
                    State::Connected {
                        silent_since,
                        stalled: true,
                    },
                );
                self.tell(shard, ShardEvent::Stalled { anchor: id }, now);
            }
            (Due::Die(since), State::Connected { silent_since, .. })
                if silent_since == Some(since) =>
            {
                self.counted.fault(Fault::MediaDies);
                self.fail(shard, id, None, now);
            }
            (
                Due::Meet | Due::Fail(_) | Due::Stall(_) | Due::Die(_),
                State::Waiting | State::Connected { .. } | State::Dead,
            ) => {}
        }
    }

    fn set_state(&mut self, shard: usize, id: AnchorId, state: State) {
        if let Some(anchor) = self.threads[shard].anchors.get_mut(&id) {
            anchor.state = state;
        }
    }

    fn fail(&mut self, shard: usize, anchor: AnchorId, failure: Option<MediaFailure>, now: Time) {
        self.set_state(shard, anchor, State::Dead);
        self.tell(shard, ShardEvent::Failed { anchor, failure }, now);
    }

    /// An anchor is up; what it replaces is gone without a word.
    fn meet(&mut self, shard: usize, id: AnchorId, now: Time) {
        let thread = &mut self.threads[shard];
        let replaced = thread.anchors.get(&id).and_then(|anchor| anchor.replaces);
        let old = replaced.and_then(|old| thread.anchors.remove(&old).map(|anchor| (old, anchor)));
        let Some(anchor) = thread.anchors.get_mut(&id) else {
            return;
        };
        anchor.state = State::Connected {
            silent_since: None,
            stalled: false,
        };
        anchor.received += 1;
        anchor.replaces = None;
        if let Some((old_id, old)) = old {
            thread.successors.insert(old_id, id);
            anchor.partner = old.partner;
            anchor.held = old.held;
            anchor.received += old.received;
            if let Some(partner) = old
                .partner
                .and_then(|partner| thread.anchors.get_mut(&partner))
            {
                partner.partner = Some(id);
            }
            // A chain of replacements goes on from here.
            for other in thread.anchors.values_mut() {
                if other.replaces == Some(old_id) {
                    other.replaces = Some(id);
                }
            }
        }
        self.tell(shard, ShardEvent::Connected { anchor: id }, now);
    }

    /// Lets every anchor notice whether its peer can be heard.
    fn listen(&mut self, now: Time) {
        let mut changes = Vec::new();
        for (shard, thread) in self.threads.iter().enumerate() {
            for (id, anchor) in &thread.anchors {
                let State::Connected {
                    silent_since,
                    stalled,
                } = anchor.state
                else {
                    continue;
                };
                let heard = self.peer_of(anchor).is_some_and(|peer| self.hears(peer));
                match (heard, silent_since) {
                    (true, Some(_)) => changes.push((shard, *id, None, stalled)),
                    (false, None) => changes.push((shard, *id, Some(now), stalled)),
                    (true, None) | (false, Some(_)) => {}
                }
            }
        }
        for (shard, anchor, silent_since, stalled) in changes {
            let state = State::Connected {
                silent_since,
                stalled: stalled && silent_since.is_some(),
            };
            self.set_state(shard, anchor, state);
            match silent_since {
                Some(since) => {
                    self.timers
                        .add(now + STALLED_AFTER, (shard, anchor, Due::Stall(since)));
                    self.timers
                        .add(now + DEAD_AFTER, (shard, anchor, Due::Die(since)));
                }
                None if stalled => {
                    self.counted.fault(Fault::MediaStalls);
                    self.tell(shard, ShardEvent::Resumed { anchor }, now);
                }
                None => {}
            }
        }
    }
}

impl Thread {
    /// As a shard's: the predecessor acts until its successor is connected, and the successor for it
    /// from then on, whoever is named.
    fn acting(&self, id: AnchorId) -> Option<AnchorId> {
        let Some(anchor) = self.anchors.get(&id) else {
            return self.acting(*self.successors.get(&id)?);
        };
        match anchor.replaces.filter(|old| self.anchors.contains_key(old)) {
            Some(old) => self.acting(old),
            None => Some(id),
        }
    }
}

impl MediaPlane for Paper {
    fn addresses(&self) -> Vec<Vec<SocketAddr>> {
        self.threads
            .iter()
            .map(|thread| vec![thread.address])
            .collect()
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint([0xA5; 32])
    }

    fn offer(&mut self, peer: PeerId, device: usize, abilities: &Abilities, _now: Time) -> String {
        self.add_peer(peer, device, abilities);
        self.peers[&peer].half.offer()
    }

    fn answer(
        &mut self,
        peer: PeerId,
        device: usize,
        abilities: &Abilities,
        offer: &str,
        _now: Time,
    ) -> Result<String, UnusableDescription> {
        if !offer.contains("a=ice-lite") || !offer.contains("a=setup:actpass") {
            return Err(UnusableDescription(offer.to_owned()));
        }
        self.add_peer(peer, device, abilities);
        Ok(self.peers[&peer].half.answer(offer))
    }

    fn accept(
        &mut self,
        peer: PeerId,
        answer: &str,
        _now: Time,
    ) -> Result<(), UnusableDescription> {
        let Some(peer) = self.peers.get(&peer) else {
            return Ok(());
        };
        let codecs = sdp::audio(answer)
            .map(|audio| audio.codecs)
            .unwrap_or_default();
        let usable = matches!(codecs.as_slice(), [(codec, _)] if peer.half.codecs.contains(codec));
        if usable && !answer.contains("a=setup:actpass") {
            Ok(())
        } else {
            Err(UnusableDescription(answer.to_owned()))
        }
    }

    fn restart(&mut self, peer: PeerId, _now: Time) -> Option<String> {
        let (ufrag, pwd) = (self.dice.letters(8), self.dice.letters(24));
        let entry = self.peers.get_mut(&peer).filter(|entry| entry.alive)?;
        entry.half.ufrag.clone_from(&ufrag);
        entry.half.pwd = pwd;
        entry.half.version += 1;
        let offer = entry.half.offer();
        self.fragments.insert(ufrag, peer);
        Some(offer)
    }

    fn drop_peer(&mut self, peer: PeerId, now: Time) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.alive = false;
            self.listen(now);
        }
    }

    fn mute(&mut self, device: usize, muted: bool, now: Time) {
        self.muted.insert(device, muted);
        self.listen(now);
    }

    fn press(&mut self, peer: PeerId, now: Time) {
        let mut pressed = None;
        for (shard, thread) in self.threads.iter().enumerate() {
            for (id, anchor) in &thread.anchors {
                let fragment = anchor
                    .remote
                    .as_ref()
                    .and_then(|name| self.fragments.get(name));
                if fragment == Some(&peer) && matches!(anchor.state, State::Connected { .. }) {
                    pressed = Some((shard, *id));
                }
            }
        }
        if let Some((shard, anchor)) = pressed
            && let Some(digit) = Digit::from_event(self.dice.below(16) as u8)
        {
            self.tell(shard, ShardEvent::Digit { anchor, digit }, now);
        }
    }

    fn command(&mut self, shard: usize, command: ShardCommand, now: Time) {
        let delay = self.delay(now);
        let thread = &mut self.threads[shard];
        thread.last_command = thread.last_command.max(now + delay);
        thread.commands.add(thread.last_command, command);
    }

    fn handle_timeout(&mut self, now: Time) {
        for shard in 0..self.threads.len() {
            while let Some(command) = self.threads[shard].commands.pop(now) {
                self.carry_out(shard, command, now);
            }
        }
        while let Some((shard, anchor, due)) = self.timers.pop(now) {
            self.due(shard, anchor, due, now);
        }
        for (shard, thread) in self.threads.iter_mut().enumerate() {
            while let Some(event) = thread.events.pop(now) {
                self.heard.push_back((shard, event));
            }
        }
    }

    fn poll_timeout(&self) -> Option<Time> {
        let threads = self
            .threads
            .iter()
            .flat_map(|thread| [thread.commands.next_at(), thread.events.next_at()]);
        threads.chain([self.timers.next_at()]).flatten().min()
    }

    fn poll_event(&mut self) -> Option<(usize, ShardEvent)> {
        self.heard.pop_front()
    }

    fn anchors(&self) -> usize {
        self.threads.iter().map(|thread| thread.anchors.len()).sum()
    }

    fn report(&mut self, report: &mut Report) {
        report.merge(&std::mem::take(&mut self.counted));
    }

    fn take_mistakes(&mut self) -> Vec<String> {
        Vec::new()
    }
}
