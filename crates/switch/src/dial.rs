//! Ringing all devices of a user until one answer stands.

use std::collections::VecDeque;
use std::sync::Arc;

use ringtrip_model::{
    CallEventKind, CallSnapshot, CustomHeader, HangupCause, HangupSource, LegCommand, LegId,
    MediaCommand, NegotiatedMedia, OfferedMedia, SdpAnswer, SdpOffer, SnapshotLeg, Time,
};

use crate::ask::Ask;
use crate::call::{Call, Output, Settling, Snapshot, State, Step};
use crate::hangup::Ending;
use crate::leg::{Active, Answering, Attach, Leg, LegState, Profile, Role, Turn};
use crate::route::Plan;

/// The first change of home has number 1; calls do not move yet.
const EPOCH: u32 = 1;
/// How long any device may ring, whatever its connection says, in seconds.
const RING_SECS: std::ops::RangeInclusive<u32> = 1..=600;

/// The devices of one user, racing for a call.
#[derive(Debug)]
pub(crate) struct Race {
    /// What was offered to them.
    audio: Vec<ringtrip_model::AudioCodec>,
    video: bool,
    /// How long they may ring.
    ring_until: Time,
    /// The device whose answer is being tried.
    candidate: Option<LegId>,
    /// Devices that answered after it, in order.
    waiting: VecDeque<LegId>,
    /// What the caller is told if nobody is left.
    verdict: (HangupCause, HangupSource),
}

impl Race {
    fn new(plan: &Plan, ring_until: Time) -> Self {
        Self {
            audio: plan.audio.clone(),
            video: plan.video,
            ring_until,
            candidate: None,
            waiting: VecDeque::new(),
            verdict: (HangupCause::SubscriberAbsent, HangupSource::Server),
        }
    }

    /// Returns when the ringing ends: not while an answer is being tried.
    pub(crate) fn due(&self) -> Option<Time> {
        if self.candidate.is_none() {
            Some(self.ring_until)
        } else {
            None
        }
    }

    /// Takes a device out. Somebody who declined is what the caller hears of; else whatever ended the
    /// last device.
    pub(crate) fn lose(&mut self, leg: LegId, cause: HangupCause, source: HangupSource) {
        self.waiting.retain(|&other| other != leg);
        if self.candidate == Some(leg) {
            self.candidate = None;
        }
        if self.verdict.0 != HangupCause::UserBusy {
            self.verdict = (cause, source);
        }
    }
}

impl Call {
    /// Makes a leg for each device and has an offer made for it.
    pub(crate) fn dial(&mut self) {
        let State::Permitting { plan, .. } = &mut self.state else {
            return;
        };
        let devices = std::mem::take(&mut plan.devices);
        let party = Arc::clone(&plan.party);
        let secs = party
            .ring_timeout_secs
            .clamp(*RING_SECS.start(), *RING_SECS.end());
        let ring_until = self.now + std::time::Duration::from_secs(u64::from(secs));
        let race = Race::new(plan, ring_until);
        let (audio, video) = (race.audio.clone(), race.video);
        self.state = State::Dialing(race);
        let like = self.caller();
        self.legs.reserve_exact(devices.len());
        for session in devices {
            let leg = LegId::generate(&mut self.rng);
            let profile = Profile {
                id: leg,
                role: Role::Device,
                session,
                party: Arc::clone(&party),
                protocol_call_id: leg.to_string(),
                started: self.now,
            };
            self.add_leg(Arc::new(profile), LegState::Preparing);
            let offered = OfferedMedia {
                audio: audio.clone(),
                video,
            };
            self.tell_beginning(leg, Some(offered));
            let command = MediaCommand::MakeOffer {
                leg,
                like,
                audio: audio.clone(),
                video,
            };
            self.ask(leg, Ask::MakeOffer, command);
        }
    }

    /// Hands our offer to the party it was made for: a new device, or one that re-attaches.
    pub(crate) fn offer_ready(&mut self, id: LegId, offer: SdpOffer) {
        let introduction = Arc::clone(&self.introduction);
        let call = self.id;
        let Some(leg) = self.leg_mut(id) else {
            return;
        };
        let session = leg.profile.session;
        match &mut leg.state {
            LegState::Preparing => {
                leg.state = LegState::Dialing;
                self.command(LegCommand::Offer {
                    leg: id,
                    call,
                    session,
                    offer,
                    caller: introduction.caller.clone(),
                    callee: introduction.callee.clone(),
                    custom_headers: introduction.custom_headers.clone(),
                    client_state: introduction.client_state.clone(),
                });
            }
            LegState::Active(active) => {
                if active.attach == Attach::Offering {
                    active.attach = Attach::Offered;
                    let remote = match leg.profile.role {
                        Role::Caller => introduction.callee.clone(),
                        Role::Device => introduction.caller.clone(),
                    };
                    self.command(LegCommand::Attach {
                        leg: id,
                        call,
                        offer,
                        remote,
                    });
                }
            }
            LegState::Offered
            | LegState::Dialing
            | LegState::Ringing
            | LegState::Answering(_)
            | LegState::Ended(_) => {}
        }
    }

    /// A device rings; the caller hears of the first.
    pub(crate) fn device_rings(&mut self, id: LegId) {
        let Some(leg) = self.leg_mut(id) else {
            return;
        };
        let LegState::Dialing = leg.state else {
            return;
        };
        leg.state = LegState::Ringing;
        self.tell(id, CallEventKind::Ringing);
        let caller = &mut self.legs[0];
        if let LegState::Offered = caller.state {
            caller.state = LegState::Ringing;
            let command = LegCommand::Ringing {
                leg: caller.id(),
                call: self.id,
                caller: self.introduction.caller.clone(),
                callee: self.introduction.callee.clone(),
            };
            self.command(command);
        }
    }

    /// A device is answered: its answer is tried, or waits for its turn.
    pub(crate) fn device_answers(
        &mut self,
        id: LegId,
        answer: SdpAnswer,
        headers: Vec<CustomHeader>,
    ) {
        let Some(leg) = self
            .leg_mut(id)
            .filter(|leg| leg.profile.role == Role::Device)
        else {
            return;
        };
        match &mut leg.state {
            LegState::Dialing | LegState::Ringing => {
                let turn = Turn::Waiting(answer);
                leg.state = LegState::Answering(Answering {
                    turn,
                    headers,
                    owed: 1,
                    returned: false,
                });
                if let State::Dialing(race) = &mut self.state {
                    race.waiting.push_back(id);
                    self.race_on();
                }
            }
            // It repeats itself: the answer it gave first counts, and each request gets its reply.
            LegState::Answering(answering) => answering.owed = answering.owed.saturating_add(1),
            LegState::Active(_) => self.command(LegCommand::Accepted { leg: id }),
            LegState::Offered | LegState::Preparing | LegState::Ended(_) => {}
        }
    }

    /// Tries the next answer that waits; without any device left, the race is lost.
    pub(crate) fn race_on(&mut self) {
        let State::Dialing(race) = &mut self.state else {
            return;
        };
        if race.candidate.is_some() {
            return;
        }
        while let Some(id) = race.waiting.pop_front() {
            let leg = self.legs.iter_mut().find(|leg| leg.id() == id);
            if let Some(LegState::Answering(answering)) = leg.map(|leg| &mut leg.state)
                && let Turn::Waiting(answer) = std::mem::replace(&mut answering.turn, Turn::Taken)
            {
                race.candidate = Some(id);
                self.ask(
                    id,
                    Ask::ApplyAnswer,
                    MediaCommand::ApplyAnswer { leg: id, answer },
                );
                return;
            }
        }
        let (cause, source) = race.verdict;
        let too_late = race.ring_until <= self.now;
        if !self.devices().any(Leg::is_alive) {
            self.end_all(cause, HangupCause::OriginatorCancel, source);
        } else if too_late {
            self.nobody_answers();
        }
    }

    /// The time to answer is over.
    pub(crate) fn nobody_answers(&mut self) {
        let rang = matches!(self.legs[0].state, LegState::Ringing);
        let cause = if rang {
            HangupCause::NoAnswer
        } else {
            HangupCause::NoUserResponse
        };
        self.end_all(cause, HangupCause::OriginatorCancel, HangupSource::Server);
    }

    /// An answer can be used: a device's first, or one to a re-attachment.
    pub(crate) fn answer_applied(&mut self, id: LegId, media: NegotiatedMedia) {
        if self.leg(id).is_some_and(|leg| leg.active().is_some()) {
            self.attach_applied(id, media);
            return;
        }
        let State::Dialing(race) = &self.state else {
            return;
        };
        if race.candidate != Some(id) {
            return;
        }
        if !race.audio.contains(&media.audio) {
            self.leg_ends(id, Ending::Call(HangupCause::IncompatibleDestination));
            return;
        }
        let media = NegotiatedMedia {
            audio: media.audio,
            video: media.video.filter(|_| race.video),
        };
        let caller = self.caller();
        self.state = State::Settling(Settling {
            winner: id,
            media,
            step: Step::Answering,
        });
        self.ask(
            caller,
            Ask::MakeAnswer,
            MediaCommand::MakeAnswer { leg: caller, media },
        );
    }

    /// The caller's answer is made: write the call down before it goes out.
    pub(crate) fn caller_answer_ready(&mut self, answer: SdpAnswer) {
        let by = self.now + self.settings.lookup_timeout;
        let State::Settling(settling) = &mut self.state else {
            return;
        };
        let Step::Answering = settling.step else {
            return;
        };
        settling.step = Step::Persisting { answer, by };
        let (winner, audio) = (settling.winner, settling.media.audio);
        let caller = self.caller();
        let legs = self
            .legs
            .iter()
            .filter(|leg| leg.id() == caller || leg.id() == winner);
        let legs = legs.map(|leg| SnapshotLeg {
            leg: leg.id(),
            account: leg.profile.party.account,
            connection: leg.profile.party.connection,
            session: leg.profile.session,
            protocol_call_id: leg.profile.protocol_call_id.clone(),
            user: leg.profile.party.user.clone(),
            direction: leg.profile.role.direction(),
            audio: Some(audio),
        });
        let snapshot = CallSnapshot {
            call: self.id,
            node: self.settings.node,
            epoch: EPOCH,
            legs: legs.collect(),
        };
        self.snapshot = Snapshot::Written;
        self.output(Output::Persist(snapshot));
    }

    /// The call is written down: the caller gets its answer, then the winner its confirmation, the
    /// others their cause, and both talk.
    pub(crate) fn connect_parties(&mut self) {
        let State::Settling(settling) = &mut self.state else {
            return;
        };
        let Step::Persisting { answer, .. } = &mut settling.step else {
            return;
        };
        let answer = SdpAnswer(std::mem::take(&mut answer.0));
        let (winner, media) = (settling.winner, settling.media);
        let (caller, call) = (self.caller(), self.id);
        self.state = State::Bridged {
            callee: winner,
            until: self.now + self.settings.max_call,
        };

        let (headers, owed, returned) = self.activate(winner, media);
        self.activate(caller, media);
        self.command(LegCommand::Answer {
            leg: caller,
            call,
            answer,
            custom_headers: headers,
        });
        for _ in 0..owed {
            self.command(LegCommand::Accepted { leg: winner });
        }
        let losers: Vec<_> = self
            .devices()
            .map(Leg::id)
            .filter(|&leg| leg != winner)
            .collect();
        for loser in losers {
            self.end_leg(loser, HangupCause::LoseRace, HangupSource::Callee, true);
        }
        self.media(MediaCommand::Bridge {
            a: caller,
            b: winner,
        });
        self.tell(caller, CallEventKind::Answered);
        self.tell(winner, CallEventKind::Answered);
        self.tell(caller, CallEventKind::Bridged { with: winner });
        self.tell(winner, CallEventKind::Bridged { with: caller });
        if returned {
            self.begin_attach(winner);
        }
    }

    /// Makes a leg active; returns what its answer left to do.
    fn activate(&mut self, id: LegId, media: NegotiatedMedia) -> (Vec<CustomHeader>, u32, bool) {
        let now = self.now;
        let by = now + self.settings.connect_timeout;
        let Some(leg) = self.leg_mut(id) else {
            return (Vec::new(), 0, false);
        };
        let active = Active::new(now, media, leg.connected, by);
        match std::mem::replace(&mut leg.state, LegState::Active(active)) {
            LegState::Answering(answering) => {
                (answering.headers, answering.owed, answering.returned)
            }
            LegState::Offered
            | LegState::Preparing
            | LegState::Dialing
            | LegState::Ringing
            | LegState::Active(_)
            | LegState::Ended(_) => (Vec::new(), 0, false),
        }
    }
}
