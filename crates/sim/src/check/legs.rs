//! Legs and calls, as far as they can be seen from between the engines.

use ringtrip_model::{
    CallEvent, CallEventKind, CallId, Direction, HangupCause, HangupSource, LegCommand, LegEvent,
    LegId, MediaCommand, MediaEvent, Time,
};

use super::{CallTrack, Checks};
use crate::report::Fault;

/// One leg.
#[derive(Debug)]
pub(super) struct LegTrack {
    call: CallId,
    role: &'static str,
    state: &'static str,
    hold: &'static str,
    path: &'static str,
    signalling: &'static str,
    attach: &'static str,
    restart: &'static str,
    /// Its history has its end.
    pub(super) cause: Option<HangupCause>,
    pub(super) recorded: bool,
    answered_at: Option<Time>,
}

impl LegTrack {
    pub(super) fn is_alive(&self) -> bool {
        self.state != "ended"
    }

    /// Tells whether both sides should be able to speak over it.
    pub(super) fn talks(&self) -> bool {
        self.state == "active"
    }
}

impl Checks {
    fn leg_step(&mut self, leg: LegId, to: &'static str) {
        if let Some(track) = self.legs.get_mut(&leg)
            && track.state != to
        {
            self.report.step(track.role, track.state, to);
            track.state = to;
        }
    }

    /// Moves one of the smaller machines of a leg.
    fn part_step(
        &mut self,
        leg: LegId,
        part: &'static str,
        of: fn(&mut LegTrack) -> &mut &'static str,
        to: &'static str,
    ) {
        if let Some(track) = self.legs.get_mut(&leg).filter(|track| track.talks()) {
            let state = of(track);
            if *state != to {
                self.report.step(part, state, to);
                *state = to;
            }
        }
    }

    /// Watches a step of history: the first and the last of each leg.
    pub(crate) fn event(&mut self, event: &CallEvent) {
        let Some(leg) = event.leg else { return };
        match &event.kind {
            CallEventKind::Initiated(initiation) => {
                let caller = initiation.direction == Direction::Outbound;
                let (role, state) = if caller {
                    ("caller", "offered")
                } else {
                    ("device", "preparing")
                };
                let track = LegTrack {
                    call: event.call,
                    role,
                    state,
                    hold: "open",
                    path: "connecting",
                    signalling: "there",
                    attach: "idle",
                    restart: "idle",
                    cause: None,
                    recorded: false,
                    answered_at: None,
                };
                if self.legs.insert(leg, track).is_some() {
                    self.wrong(event.time, format!("{leg} begins twice"));
                }
                let permit = self.permits.contains(&event.call);
                let call = self.calls.entry(event.call).or_insert_with(|| CallTrack {
                    state: "reading",
                    caller: leg,
                    legs: Vec::new(),
                    accepted: None,
                    spoken: None,
                    permit,
                });
                call.legs.push(leg);
                if !caller {
                    if !call.permit {
                        self.wrong(event.time, format!("{leg} rings without a permit"));
                    }
                    self.call_step(event.call, "dialing");
                }
            }
            CallEventKind::Hangup { cause, source } => {
                let by_timer =
                    *cause == HangupCause::NormalClearing && *source == HangupSource::Server;
                let callee = self
                    .calls
                    .get(&event.call)
                    .filter(|call| call.caller == leg)
                    .and_then(|call| call.accepted);
                // Of two legs that end by the server's will the caller's is first.
                if by_timer && callee.is_some_and(|callee| !self.leg_is_over(callee)) {
                    self.report.fault(Fault::TooLong);
                }
                self.leg_over(event.call, leg, *cause, event.time);
            }
            CallEventKind::Bridged { .. } => self.call_step(event.call, "bridged"),
            CallEventKind::Ringing
            | CallEventKind::Answered
            | CallEventKind::MediaConnected
            | CallEventKind::MediaStalled
            | CallEventKind::MediaResumed
            | CallEventKind::Held
            | CallEventKind::Unheld
            | CallEventKind::Dtmf { .. }
            | CallEventKind::MediaRestarted
            | CallEventKind::SignallingLost
            | CallEventKind::SignallingReturned
            | CallEventKind::Attached => {}
        }
    }

    fn leg_over(&mut self, call: CallId, leg: LegId, cause: HangupCause, now: Time) {
        self.leg_step(leg, "ended");
        let Some(track) = self.legs.get_mut(&leg) else {
            return;
        };
        if track.cause.replace(cause).is_some() {
            self.wrong(now, format!("{leg} ends twice"));
        }
        let alive = |leg: &LegId| self.legs.get(leg).is_some_and(LegTrack::is_alive);
        if self
            .calls
            .get(&call)
            .is_some_and(|track| !track.legs.iter().any(alive))
        {
            self.call_step(call, "ended");
        }
    }

    pub(crate) fn leg_event(&mut self, event: &LegEvent, now: Time) {
        let leg = event.leg();
        match event {
            LegEvent::Incoming { .. } => {}
            LegEvent::Ringing { .. } => self.leg_step(leg, "ringing"),
            LegEvent::Answered { .. } => {
                let Some(track) = self.legs.get_mut(&leg).filter(|track| track.is_alive()) else {
                    return;
                };
                let (call, first) = (track.call, track.answered_at.is_none());
                track.answered_at.get_or_insert(now);
                self.leg_step(leg, "answering");
                let rival = |other: &LegId| {
                    *other != leg
                        && self
                            .legs
                            .get(other)
                            .is_some_and(|track| track.answered_at.is_some())
                };
                if first
                    && self
                        .calls
                        .get(&call)
                        .is_some_and(|call| call.legs.iter().any(rival))
                {
                    self.report.fault(Fault::AnswersAtOnce);
                }
            }
            LegEvent::HoldRequested { .. } | LegEvent::Dtmf { .. } => {}
            LegEvent::UpdateRequested { .. } => {
                self.part_step(leg, "restart", |t| &mut t.restart, "asked")
            }
            LegEvent::Lost { .. } => {
                self.part_step(leg, "signalling", |t| &mut t.signalling, "lost")
            }
            LegEvent::Returned { .. } => {
                self.part_step(leg, "signalling", |t| &mut t.signalling, "there")
            }
            LegEvent::AttachAnswered { .. } => {
                self.part_step(leg, "attach", |t| &mut t.attach, "answered")
            }
            LegEvent::Hangup { cause, .. } => {
                let Some(track) = self.legs.get(&leg).filter(|track| track.is_alive()) else {
                    return;
                };
                if cause.is_none()
                    && track.role == "caller"
                    && matches!(track.state, "offered" | "ringing")
                {
                    let answering = |other: &LegId| {
                        self.legs
                            .get(other)
                            .is_some_and(|other| other.state == "answering")
                    };
                    if self
                        .calls
                        .get(&track.call)
                        .is_some_and(|call| call.legs.iter().any(answering))
                    {
                        self.report.fault(Fault::CancelCrossesAnswer);
                    }
                }
                if *cause == Some(HangupCause::BearerCapabilityNotAuth) && track.talks() {
                    self.report.fault(Fault::RevokedInCall);
                }
                if *cause == Some(HangupCause::RecoveryOnTimerExpire) {
                    self.report.fault(Fault::BeyondGrace);
                }
                // The call says so too, in its history; until then no command may go out.
                self.leg_step(leg, "ended");
            }
        }
    }

    pub(crate) fn leg_command(&mut self, command: &LegCommand, now: Time) {
        let leg = command.leg();
        match command {
            LegCommand::Offer { .. } => self.leg_step(leg, "dialing"),
            LegCommand::Ringing { .. } => self.leg_step(leg, "ringing"),
            LegCommand::Answer { .. } => self.leg_step(leg, "active"),
            LegCommand::Accepted { .. } => self.accepted(leg, now),
            LegCommand::Held { held, .. } => {
                self.part_step(
                    leg,
                    "hold",
                    |t| &mut t.hold,
                    if *held { "held" } else { "open" },
                );
            }
            LegCommand::Updated { .. } => {
                self.part_step(leg, "restart", |t| &mut t.restart, "idle")
            }
            LegCommand::UpdateRefused { .. } => {
                self.part_step(leg, "restart", |t| &mut t.restart, "refused");
                self.part_step(leg, "restart", |t| &mut t.restart, "idle");
            }
            LegCommand::Attach { .. } => {
                self.part_step(leg, "attach", |t| &mut t.attach, "offered")
            }
            LegCommand::Attached { .. } => self.part_step(leg, "attach", |t| &mut t.attach, "idle"),
            LegCommand::Dtmf { .. } => {}
            LegCommand::Hangup { cause, .. } => {
                let Some(track) = self.legs.get(&leg) else {
                    return;
                };
                let answered = track.answered_at.is_some() && track.state == "answering";
                let caller = track.role == "caller";
                let unanswered = [HangupCause::NoAnswer, HangupCause::NoUserResponse];
                if caller && unanswered.contains(cause) {
                    self.report.fault(Fault::NoAnswer);
                }
                let read = self
                    .calls
                    .get(&track.call)
                    .is_some_and(|call| call.state != "reading");
                if *cause == HangupCause::IncompatibleDestination && (answered || caller && read) {
                    self.report.fault(Fault::NoCommonCodec);
                }
                self.leg_step(leg, "ended");
            }
        }
    }

    /// The first answer that can be used wins: whoever answered earlier must be out by now.
    fn accepted(&mut self, leg: LegId, now: Time) {
        self.leg_step(leg, "active");
        let Some(track) = self.legs.get(&leg) else {
            return;
        };
        let (id, at) = (track.call, track.answered_at);
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let winner = *call.accepted.get_or_insert(leg);
        let caller = call.caller;
        let earlier = call.legs.iter().find(|other| {
            let track = self.legs.get(*other);
            **other != leg
                && track
                    .is_some_and(|t| t.is_alive() && t.answered_at.is_some() && t.answered_at < at)
        });
        let earlier = earlier.copied();
        if winner != leg {
            self.wrong(now, format!("{leg} is accepted after {winner}"));
        }
        if let Some(earlier) = earlier {
            self.wrong(
                now,
                format!("{leg} is accepted though {earlier} answered before"),
            );
        }
        if self.legs.get(&caller).is_none_or(|caller| !caller.talks()) {
            self.wrong(
                now,
                format!("{leg} is accepted before its caller is answered"),
            );
        }
    }

    pub(crate) fn media_command(&mut self, command: &MediaCommand) {
        let Some(call) = self.legs.get(&command.leg()).map(|track| track.call) else {
            return;
        };
        if let MediaCommand::MakeAnswer { .. } = command {
            self.call_step(call, "answering");
        }
    }

    pub(crate) fn asks_route(&mut self, call: CallId) {
        self.call_step(call, "routing");
    }

    pub(crate) fn asks_permit(&mut self, call: CallId) {
        self.call_step(call, "permitting");
    }

    pub(crate) fn persists(&mut self, call: CallId) {
        self.call_step(call, "persisting");
    }

    pub(crate) fn media_event(&mut self, event: &MediaEvent) {
        let leg = event.leg();
        let path = match event {
            MediaEvent::Connected { .. } | MediaEvent::Resumed { .. } => "up",
            MediaEvent::Stalled { .. } => "stalled",
            MediaEvent::Failed { .. } => "dead",
            MediaEvent::OfferRead { .. }
            | MediaEvent::AnswerReady { .. }
            | MediaEvent::OfferReady { .. }
            | MediaEvent::AnswerApplied { .. }
            | MediaEvent::Refused { .. }
            | MediaEvent::RestartReady { .. }
            | MediaEvent::RestartRefused { .. }
            | MediaEvent::Digit { .. }
            | MediaEvent::Closed { .. } => return,
        };
        // Media may be up before the leg is answered.
        if let Some(track) = self.legs.get_mut(&leg).filter(|track| track.is_alive())
            && track.path != path
        {
            self.report.step("media", track.path, path);
            track.path = path;
        }
    }

    /// Checks what a media thread does for a leg against what its party was told.
    pub(crate) fn check_forwarding(
        &mut self,
        leg: LegId,
        held: bool,
        partner: Option<LegId>,
        now: Time,
    ) {
        let Some(track) = self.legs.get(&leg).filter(|track| track.talks()) else {
            return;
        };
        let told = track.hold == "held";
        let far = self
            .calls
            .get(&track.call)
            .filter(|call| call.state == "bridged")
            .and_then(|call| {
                if call.caller == leg {
                    call.accepted
                } else {
                    Some(call.caller)
                }
            });
        if held != told {
            self.wrong(now, format!("{leg} is held: {told}, but for media: {held}"));
        }
        if far.is_some() && partner != far {
            self.wrong(
                now,
                format!("{leg} talks to {far:?}, but for media to {partner:?}"),
            );
        }
    }

    pub(crate) fn leg_is_over(&self, leg: LegId) -> bool {
        self.legs.get(&leg).is_some_and(|track| !track.is_alive())
    }

    /// Returns how many calls are in conversation.
    pub fn conversations(&self) -> usize {
        self.calls
            .values()
            .filter(|call| call.state == "bridged")
            .count()
    }
}
