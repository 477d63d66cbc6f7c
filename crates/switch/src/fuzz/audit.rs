//! The rules of a call, checked from outside.

use std::collections::BTreeMap;

use ringtrip_model::{
    CallEventKind, CallId, LegCommand, LegEvent, LegId, MediaCommand, MediaEvent, Time,
};

use crate::call::{Call, Output};

/// Watches what goes into a call and what comes out, and panics when a rule is broken. Meant for
/// tests, fuzzing and the simulator.
#[derive(Debug)]
pub struct Audit {
    call: CallId,
    caller: LegId,
    legs: BTreeMap<LegId, Track>,
    events: u32,
    asked_route: bool,
    permit: Once,
    permit_answered: bool,
    snapshot: Once,
    answered: bool,
}

/// Something that happens at most once and is undone at most once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Once {
    No,
    Done,
    Undone,
}

/// One leg as it looks from outside.
#[derive(Debug, Default)]
struct Track {
    begun: bool,
    ended: bool,
    anchored: bool,
    closed: bool,
    told_begin: bool,
    told_end: bool,
    recorded: bool,
    /// Requests that wait for their reply.
    answers: u32,
    holds: u32,
    updates: u32,
    attaches: u32,
}

impl Audit {
    /// Watches a call from its beginning, before any output was taken.
    pub fn new(call: &Call) -> Self {
        let caller = call
            .legs()
            .next()
            .expect("a call begins with its caller's leg");
        let track = Track {
            begun: true,
            ..Track::default()
        };
        Self {
            call: call.id(),
            caller,
            legs: BTreeMap::from([(caller, track)]),
            events: 0,
            asked_route: false,
            permit: Once::No,
            permit_answered: false,
            snapshot: Once::No,
            answered: false,
        }
    }

    /// Returns the legs whose protocol side carries them.
    pub fn alive(&self) -> Vec<LegId> {
        self.legs
            .iter()
            .filter(|(_, track)| track.begun && !track.ended)
            .map(|(leg, _)| *leg)
            .collect()
    }

    /// Notes an event that is about to be delivered.
    pub fn note_leg_event(&mut self, event: &LegEvent) {
        let Some(track) = self
            .legs
            .get_mut(&event.leg())
            .filter(|track| track.begun && !track.ended)
        else {
            return;
        };
        match event {
            LegEvent::Answered { .. } => track.answers += 1,
            LegEvent::HoldRequested { .. } => track.holds += 1,
            LegEvent::UpdateRequested { .. } => track.updates += 1,
            LegEvent::AttachAnswered { .. } => track.attaches += 1,
            LegEvent::Hangup { .. } => track.ended = true,
            LegEvent::Incoming { .. }
            | LegEvent::Ringing { .. }
            | LegEvent::Dtmf { .. }
            | LegEvent::Lost { .. }
            | LegEvent::Returned { .. } => {}
        }
    }

    /// Notes an event that is about to be delivered.
    pub fn note_media_event(&mut self, event: &MediaEvent) {
        if let MediaEvent::Closed { leg, .. } = event {
            let track = self
                .legs
                .get(leg)
                .expect("only a leg of the call is closed");
            assert!(track.closed, "{leg} is closed without having been told to");
        }
    }

    /// Notes an answer to the request for a place that is about to be delivered; the first counts.
    pub fn note_permit(&mut self, granted: bool) {
        if self.permit == Once::Done && !self.permit_answered {
            self.permit_answered = true;
            if !granted {
                self.permit = Once::Undone;
            }
        }
    }

    /// Checks an output as it is taken.
    pub fn note_output(&mut self, output: &Output) {
        match output {
            Output::Leg(command) => self.leg_command(command),
            Output::Media(command) => self.media_command(command),
            Output::NeedRoute(request) => {
                assert!(!self.asked_route, "asks its way twice");
                assert_eq!(request.call, self.call);
                self.asked_route = true;
            }
            Output::NeedPermit(request) => {
                assert_eq!(self.permit, Once::No, "asks for a second place");
                assert_eq!(request.call, self.call);
                self.permit = Once::Done;
            }
            Output::Release { call } => {
                assert_eq!(
                    (self.permit, *call),
                    (Once::Done, self.call),
                    "gives back what it has not"
                );
                self.permit = Once::Undone;
            }
            Output::Persist(snapshot) => {
                assert_eq!(
                    (self.snapshot, snapshot.call),
                    (Once::No, self.call),
                    "is written twice"
                );
                assert_eq!(snapshot.legs.len(), 2);
                self.snapshot = Once::Done;
            }
            Output::Forget { call } => {
                assert_eq!(
                    (self.snapshot, *call),
                    (Once::Done, self.call),
                    "forgets what was not written"
                );
                assert!(
                    self.legs.values().all(|track| track.recorded),
                    "forgotten before it is recorded"
                );
                self.snapshot = Once::Undone;
            }
            Output::Event(event) => {
                assert_eq!(
                    (event.call, event.seq),
                    (self.call, self.events + 1),
                    "history has a gap"
                );
                self.events = event.seq;
                let Some(leg) = event.leg else {
                    return;
                };
                let track = self.legs.entry(leg).or_default();
                assert!(
                    !track.told_end,
                    "{leg} has a life after its end: {:?}",
                    event.kind
                );
                let begins = matches!(event.kind, CallEventKind::Initiated(_));
                assert_ne!(
                    begins, track.told_begin,
                    "{leg} begins with {:?}",
                    event.kind
                );
                track.told_begin = true;
                track.told_end = matches!(event.kind, CallEventKind::Hangup { .. });
            }
            Output::Record(record) => {
                assert_eq!(record.call, self.call);
                assert!(record.started_at <= record.answered_at.unwrap_or(record.ended_at));
                assert!(record.answered_at.unwrap_or(record.started_at) <= record.ended_at);
                assert_eq!(record.answered_at.is_some(), record.audio.is_some());
                let track = self
                    .legs
                    .get_mut(&record.leg)
                    .expect("only a leg of the call is recorded");
                assert!(
                    track.told_end && !track.recorded,
                    "{} is recorded out of turn",
                    record.leg
                );
                assert!(
                    track.ended || !track.begun,
                    "{} is recorded alive",
                    record.leg
                );
                track.recorded = true;
            }
        }
    }

    fn leg_command(&mut self, command: &LegCommand) {
        let leg = command.leg();
        let (snapshot, caller, answered) = (self.snapshot, self.caller, self.answered);
        let track = self
            .legs
            .get_mut(&leg)
            .expect("a leg is told of before it is commanded");
        assert!(!track.ended, "{leg} is over and gets {command:?}");
        match command {
            LegCommand::Offer { .. } => {
                assert!(!track.begun && leg != caller, "{leg} begins twice");
                track.begun = true;
                return;
            }
            LegCommand::Hangup { .. } => track.ended = true,
            LegCommand::Answer { .. } => {
                assert!(leg == caller && !answered, "{leg} gets an answer");
                assert_eq!(
                    snapshot,
                    Once::Done,
                    "an answer goes out before the call is written down"
                );
                self.answered = true;
            }
            LegCommand::Accepted { .. } => {
                assert!(answered, "a device is told before the caller");
                take_one(&mut track.answers, command);
            }
            LegCommand::Held { .. } => take_one(&mut track.holds, command),
            LegCommand::Updated { .. } | LegCommand::UpdateRefused { .. } => {
                take_one(&mut track.updates, command)
            }
            LegCommand::Attached { .. } => take_one(&mut track.attaches, command),
            LegCommand::Ringing { .. } => assert_eq!(leg, caller),
            LegCommand::Attach { .. } | LegCommand::Dtmf { .. } => {
                assert!(answered, "{leg} is not in a conversation")
            }
        }
        assert!(
            track.begun,
            "{leg} is unknown to its protocol side and gets {command:?}"
        );
    }

    fn media_command(&mut self, command: &MediaCommand) {
        let legs = match command {
            MediaCommand::MakeOffer {
                leg, like, audio, ..
            } => {
                assert!(!audio.is_empty() && leg != like);
                let like = self.legs.get(like).expect("the other leg is known");
                assert!(
                    like.anchored && !like.closed,
                    "an offer like that of a closed leg"
                );
                [Some(*leg), None]
            }
            MediaCommand::Bridge { a, b } => [Some(*a), Some(*b)],
            MediaCommand::ReadOffer { leg, .. }
            | MediaCommand::MakeAnswer { leg, .. }
            | MediaCommand::ApplyAnswer { leg, .. }
            | MediaCommand::Restart { leg, .. }
            | MediaCommand::Hold { leg, .. }
            | MediaCommand::SendDigit { leg, .. }
            | MediaCommand::Close { leg } => [Some(*leg), None],
        };
        for leg in legs.into_iter().flatten() {
            let track = self.legs.entry(leg).or_default();
            assert!(!track.closed, "{leg} is closed and gets {command:?}");
            track.anchored = true;
            track.closed = matches!(command, MediaCommand::Close { .. });
        }
    }

    /// Checks what the call would leave to do if it were dropped now.
    pub fn check_last_words(&self, call: &Call, now: Time) {
        let mut hang_up = Vec::new();
        let mut close = Vec::new();
        let mut record = Vec::new();
        let (mut events, mut release, mut forget) = (self.events, false, false);
        for word in call.last_words(now) {
            match word {
                Output::Leg(LegCommand::Hangup { leg, .. }) => hang_up.push(leg),
                Output::Media(MediaCommand::Close { leg }) => close.push(leg),
                Output::Record(written) => record.push(written.leg),
                Output::Event(event) => {
                    events += 1;
                    assert_eq!(event.seq, events, "the last words have a gap");
                }
                Output::Release { .. } => release = true,
                Output::Forget { .. } => forget = true,
                Output::Leg(_)
                | Output::Media(_)
                | Output::NeedRoute(_)
                | Output::NeedPermit(_)
                | Output::Persist(_) => unreachable!("{word:?} is no last word"),
            }
        }
        let of = |wanted: &dyn Fn(&Track) -> bool| {
            self.legs
                .iter()
                .filter(|(_, track)| wanted(track))
                .map(|(leg, _)| *leg)
                .collect::<Vec<_>>()
        };
        for list in [&mut hang_up, &mut close, &mut record] {
            list.sort();
        }
        assert_eq!(hang_up, self.alive(), "legs to hang up");
        assert_eq!(
            close,
            of(&|track| track.anchored && !track.closed),
            "anchors to close"
        );
        let unrecorded = of(&|track| (track.begun || track.told_begin) && !track.recorded);
        assert_eq!(record, unrecorded, "records to write");
        assert_eq!(
            (release, forget),
            (self.permit == Once::Done, self.snapshot == Once::Done)
        );
    }

    /// Checks a call once its inputs are delivered and its outputs taken: every hold has its reply.
    pub fn check_settled(&self) {
        for (leg, track) in &self.legs {
            assert!(
                track.ended || track.holds == 0,
                "{leg} waits for the reply to its hold"
            );
        }
    }

    /// Checks a call that is over: every leg ended, was closed if it had media, and left its record.
    pub fn check_over(&self, call: &Call) {
        assert!(call.is_over(), "the call is not over: {call:?}");
        assert_eq!(call.poll_timeout(), None);
        for (leg, track) in &self.legs {
            assert!(track.ended || !track.begun, "{leg} is left over");
            assert_eq!(track.anchored, track.closed, "{leg} has an anchor left");
            assert!(
                track.told_end && track.recorded,
                "{leg} has no end or no record"
            );
        }
        assert_ne!(self.permit, Once::Done, "the permit is kept");
        assert_ne!(self.snapshot, Once::Done, "the snapshot is kept");
        assert!(call.last_words(Time::ZERO).is_empty());
    }
}

fn take_one(owed: &mut u32, command: &LegCommand) {
    assert!(*owed > 0, "nobody asked for {command:?}");
    *owed -= 1;
}
