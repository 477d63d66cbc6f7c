//! Whatever overtakes whatever between signalling and a media thread, both end up agreeing.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use proptest::prelude::*;
use ringtrip_media::plan::{AnchorId, Fingerprint, ShardCommand, ShardEvent};
use ringtrip_media::{Control, ControlConfig, ControlOutput};
use ringtrip_model::{
    AudioCodec, LegId, LegQuality, MediaCommand, MediaEvent, SdpAnswer, SdpOffer, Time,
};

use crate::support::{OPUS, leg, small_answer, small_offer};

const LEGS: [char; 4] = ['a', 'b', 'c', 'd'];

#[derive(Debug, Clone)]
enum Step {
    Read(usize),
    Answer(usize),
    Offer(usize),
    Apply(usize, bool),
    Restart(usize),
    Bridge(usize, usize),
    Hold(usize, bool),
    Close(usize),
    /// The shard takes in the oldest command.
    Work,
    /// Signalling hears the oldest event.
    Hear,
    /// One of the shard's anchors that has its remote half connects.
    Connect(usize),
    /// One of the shard's anchors falls silent for good.
    Fail(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let leg = 0..LEGS.len();
    prop_oneof![
        1 => leg.clone().prop_map(Step::Read),
        1 => leg.clone().prop_map(Step::Answer),
        3 => leg.clone().prop_map(Step::Offer),
        3 => (leg.clone(), any::<bool>()).prop_map(|(leg, good)| Step::Apply(leg, good)),
        1 => leg.clone().prop_map(Step::Restart),
        2 => (leg.clone(), leg.clone()).prop_map(|(a, b)| Step::Bridge(a, b)),
        1 => (leg.clone(), any::<bool>()).prop_map(|(leg, held)| Step::Hold(leg, held)),
        1 => leg.prop_map(Step::Close),
        8 => Just(Step::Work),
        8 => Just(Step::Hear),
        5 => any::<usize>().prop_map(Step::Connect),
        1 => any::<usize>().prop_map(Step::Fail),
    ]
}

#[derive(Default, Clone)]
struct Anchor {
    leg: Option<LegId>,
    replaces: Option<AnchorId>,
    agreed: bool,
    connected: bool,
    failed: bool,
    held: bool,
    partner: Option<AnchorId>,
}

/// A media thread as `plan` describes it, without media.
#[derive(Default)]
struct Thread {
    anchors: BTreeMap<AnchorId, Anchor>,
    commands: VecDeque<ShardCommand>,
    events: VecDeque<ShardEvent>,
}

impl Thread {
    fn work(&mut self) {
        let Some(command) = self.commands.pop_front() else {
            return;
        };
        match command {
            ShardCommand::Open {
                anchor,
                leg,
                replaces,
                ..
            } => {
                let taken = self.anchors.keys().any(|other| other.slot == anchor.slot);
                assert!(!taken, "slot {} is taken", anchor.slot);
                let new = Anchor {
                    leg: Some(leg),
                    replaces,
                    ..Anchor::default()
                };
                self.anchors.insert(anchor, new);
            }
            ShardCommand::SetRemote { anchor, .. } => {
                if let Some(anchor) = self.anchors.get_mut(&anchor) {
                    anchor.agreed = true;
                }
            }
            ShardCommand::Bridge { a, b } => {
                if self.anchors.contains_key(&a) && self.anchors.contains_key(&b) {
                    self.join(a, Some(b));
                    self.join(b, Some(a));
                }
            }
            ShardCommand::Hold { anchor, held } => {
                if let Some(anchor) = self.anchors.get_mut(&anchor) {
                    anchor.held = held;
                }
            }
            ShardCommand::Close { anchor } => {
                if self.anchors.contains_key(&anchor) {
                    self.join(anchor, None);
                    self.anchors.remove(&anchor);
                    let quality = LegQuality::default();
                    self.events
                        .push_back(ShardEvent::Closed { anchor, quality });
                }
            }
            ShardCommand::Restart { .. } | ShardCommand::SendDigit { .. } => {}
        }
    }

    fn join(&mut self, one: AnchorId, other: Option<AnchorId>) {
        let former = self
            .anchors
            .get_mut(&one)
            .and_then(|a| std::mem::replace(&mut a.partner, other));
        if let Some(former) = former.filter(|former| Some(*former) != other)
            && let Some(former) = self.anchors.get_mut(&former)
        {
            former.partner = None;
        }
    }

    fn connect(&mut self, pick: usize) {
        let able = |a: &Anchor| a.agreed && !a.connected && !a.failed;
        let ids: Vec<_> = self
            .anchors
            .iter()
            .filter(|(_, a)| able(a))
            .map(|(id, _)| *id)
            .collect();
        if ids.is_empty() {
            return;
        }
        let id = ids[pick % ids.len()];
        let replaces = self.anchors.get(&id).and_then(|anchor| anchor.replaces);
        if let Some(old) = replaces.and_then(|old| Some((old, self.anchors.get(&old)?.clone()))) {
            self.join(old.0, None);
            self.anchors.remove(&old.0);
            if let Some(partner) = old.1.partner {
                self.join(id, Some(partner));
                self.join(partner, Some(id));
            }
            self.anchors.get_mut(&id).unwrap().held = old.1.held;
        }
        self.anchors.get_mut(&id).unwrap().connected = true;
        self.events.push_back(ShardEvent::Connected { anchor: id });
    }

    fn fail(&mut self, pick: usize) {
        let able = |a: &Anchor| a.agreed && !a.failed;
        let ids: Vec<_> = self
            .anchors
            .iter()
            .filter(|(_, a)| able(a))
            .map(|(id, _)| *id)
            .collect();
        if !ids.is_empty() {
            let anchor = ids[pick % ids.len()];
            self.anchors.get_mut(&anchor).unwrap().failed = true;
            self.events.push_back(ShardEvent::Failed {
                anchor,
                failure: None,
            });
        }
    }
}

struct World {
    control: Control,
    thread: Thread,
    closing: BTreeMap<LegId, u32>,
    /// What a call would believe.
    partners: BTreeMap<LegId, LegId>,
    held: BTreeMap<LegId, bool>,
}

impl World {
    fn new() -> Self {
        let config = ControlConfig {
            shards: vec![vec![SocketAddr::from(([127, 0, 0, 1], 3478))]],
            fingerprint: Fingerprint([1; 32]),
            max_anchors_per_shard: 12,
        };
        Self {
            control: Control::new(config, ringtrip_model::Generator::from_seed([4; 32])),
            thread: Thread::default(),
            closing: BTreeMap::new(),
            partners: BTreeMap::new(),
            held: BTreeMap::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        let id = |i: usize| leg(LEGS[i]);
        let now = Time::ZERO;
        let command = match step {
            Step::Read(i) => MediaCommand::ReadOffer {
                leg: id(*i),
                offer: SdpOffer(small_offer()),
            },
            Step::Answer(i) => MediaCommand::MakeAnswer {
                leg: id(*i),
                media: OPUS,
            },
            Step::Offer(i) => MediaCommand::MakeOffer {
                leg: id(*i),
                like: id(0),
                audio: vec![AudioCodec::Opus],
                video: false,
            },
            Step::Apply(i, good) => {
                let answer = if *good { small_answer() } else { String::new() };
                MediaCommand::ApplyAnswer {
                    leg: id(*i),
                    answer: SdpAnswer(answer),
                }
            }
            Step::Restart(i) => MediaCommand::Restart {
                leg: id(*i),
                offer: SdpOffer(small_offer()),
            },
            Step::Bridge(a, b) => MediaCommand::Bridge {
                a: id(*a),
                b: id(*b),
            },
            Step::Hold(i, held) => MediaCommand::Hold {
                leg: id(*i),
                held: *held,
            },
            Step::Close(i) => MediaCommand::Close { leg: id(*i) },
            Step::Work => return self.thread.work(),
            Step::Hear => {
                if let Some(event) = self.thread.events.pop_front() {
                    self.control.handle_shard(0, event, now);
                }
                return self.drain();
            }
            Step::Connect(pick) => return self.thread.connect(*pick),
            Step::Fail(pick) => return self.thread.fail(*pick),
        };
        // A leg that was closed is never commanded again: calls keep this rule.
        let legs = match &command {
            MediaCommand::Bridge { a, b } => vec![*a, *b],
            MediaCommand::ReadOffer { leg, .. }
            | MediaCommand::MakeAnswer { leg, .. }
            | MediaCommand::MakeOffer { leg, .. }
            | MediaCommand::ApplyAnswer { leg, .. }
            | MediaCommand::Restart { leg, .. }
            | MediaCommand::Hold { leg, .. }
            | MediaCommand::SendDigit { leg, .. }
            | MediaCommand::Close { leg } => vec![*leg],
        };
        if legs.iter().any(|leg| self.closing.contains_key(leg)) {
            return;
        }
        if let MediaCommand::Close { leg } = command {
            self.closing.insert(leg, 0);
        }
        self.control.handle_command(command, now);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.control.poll_output() {
            match output {
                ControlOutput::Shard { shard, command } => {
                    assert_eq!(shard, 0);
                    self.thread.commands.push_back(command);
                }
                ControlOutput::Event(event) => {
                    let leg = event.leg();
                    let words = self.closing.get_mut(&leg);
                    match (event, words) {
                        (MediaEvent::Closed { .. }, Some(words)) => {
                            *words += 1;
                            assert_eq!(*words, 1, "closed twice");
                        }
                        (MediaEvent::Closed { .. }, None) => panic!("closed unasked"),
                        (other, Some(_)) => panic!("{other:?} of a leg that was told to close"),
                        (_, None) => {}
                    }
                }
            }
        }
    }

    fn settle(&mut self) {
        while !self.thread.commands.is_empty() || !self.thread.events.is_empty() {
            self.step(&Step::Work);
            self.step(&Step::Hear);
        }
    }
}

/// Remembers bridges and holds as a call would that speaks only of open legs.
fn believe(world: &mut World, step: &Step) {
    let id = |i: usize| leg(LEGS[i]);
    if let Step::Hold(i, held) = step {
        world.held.insert(id(*i), *held);
    }
    if let Step::Bridge(a, b) = step
        && a != b
    {
        world.partners.insert(id(*a), id(*b));
        world.partners.insert(id(*b), id(*a));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_leg_closes_once_and_every_anchor_is_closed(steps in prop::collection::vec(step(), 0..120)) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        for i in 0..LEGS.len() {
            world.step(&Step::Close(i));
        }
        world.settle();
        prop_assert_eq!(world.closing.values().copied().collect::<Vec<_>>(), vec![1; LEGS.len()]);
        prop_assert!(world.thread.anchors.is_empty());
        prop_assert_eq!((world.control.legs(), world.control.anchors()), (0, 0));
        prop_assert_eq!(world.control.poll_timeout(), None);
    }

    /// Two legs with anchors, replaced over and over, both ways round: joined and held as said.
    #[test]
    fn bridges_and_holds_survive_replacement(steps in prop::collection::vec(step(), 0..120)) {
        let mut world = World::new();
        for i in 0..2 {
            world.step(&Step::Offer(i));
            world.step(&Step::Apply(i, true));
        }
        for step in [Step::Bridge(0, 1)].iter().chain(&steps) {
            let index = match step {
                Step::Read(_) | Step::Answer(_) | Step::Close(_) => continue,
                Step::Bridge(a, b) if *a > 1 || *b > 1 => continue,
                Step::Offer(i) | Step::Apply(i, _) | Step::Restart(i) | Step::Hold(i, _) => *i,
                Step::Bridge(..) | Step::Work | Step::Hear | Step::Connect(_) | Step::Fail(_) => 0,
            };
            if index < 2 {
                believe(&mut world, step);
                world.step(step);
            }
        }
        world.settle();
        // Whatever is offered is answered and connects in the end.
        for i in 0..2 {
            world.step(&Step::Offer(i));
            world.step(&Step::Apply(i, true));
        }
        world.settle();
        while world.thread.anchors.values().any(|a| a.agreed && !a.connected && !a.failed) {
            world.thread.connect(0);
            world.settle();
        }
        let anchors = &world.thread.anchors;
        let of = |leg: LegId| anchors.iter().filter(move |(_, a)| a.leg == Some(leg) && !a.failed);
        for (leg, partner) in &world.partners {
            let mains: Vec<_> = of(*leg).collect();
            prop_assert_eq!(mains.len(), 1);
            let (_, main) = mains[0];
            let joined = main.partner.and_then(|p| anchors.get(&p)).and_then(|p| p.leg);
            prop_assert_eq!(joined, Some(*partner));
            prop_assert_eq!(main.held, world.held.get(leg).copied().unwrap_or(false));
        }
    }
}
