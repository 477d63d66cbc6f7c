//! A call: what it stands for, how it is driven, and how its legs end.

use std::collections::VecDeque;
use std::sync::Arc;

use ringtrip_model::{
    CallEvent, CallEventKind, CallId, CallSnapshot, CallerId, Destination, Generator, HangupCause,
    HangupSource, LegCommand, LegEvent, LegId, LegParty, LegRecord, MediaCommand, MediaEvent,
    OfferedMedia, PermitRefusal, PermitRequest, Route, RouteRequest, SdpAnswer, Time,
};

use crate::ask::Ask;
use crate::dial::Race;
use crate::event::History;
use crate::hangup::{Ending, cause_of_failure, cause_of_refusal};
use crate::ledger::Ledger;
use crate::leg::{Leg, LegState, Profile, Role};
use crate::record::{Introduction, initiation, shown_caller};
use crate::route::{Asker, MAX_DESTINATION_BYTES, Plan, parse_destination, plan};
use crate::settings::Settings;

/// The most headers an application may hand through.
const MAX_CUSTOM_HEADERS: usize = 32;
/// The most keys taken from one event.
pub(crate) const MAX_DIGITS: usize = 32;

/// What a call wants done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Tell a leg's protocol side.
    Leg(LegCommand),
    /// Tell the media engine.
    Media(MediaCommand),
    /// Look a user up, then [`Call::handle_route`].
    NeedRoute(RouteRequest),
    /// Take a place within the limits, then [`Call::handle_permit`].
    NeedPermit(PermitRequest),
    /// Give the place back. Comes at most once, and only after [`Output::NeedPermit`]; if the permit
    /// was never answered, the place may not have been taken.
    Release {
        /// The call.
        call: CallId,
    },
    /// Write the call down outside the node, then [`Call::handle_persisted`].
    Persist(CallSnapshot),
    /// The call is over and recorded: the snapshot can go.
    Forget {
        /// The call.
        call: CallId,
    },
    /// Something worth telling happened.
    Event(CallEvent),
    /// A leg is over: file its record, once.
    Record(LegRecord),
}

/// Why there is no call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SwitchError {
    /// A call begins with a leg that comes in.
    #[error("leg {leg} does not begin a call")]
    NotIncoming {
        /// The leg of the event.
        leg: LegId,
    },
}

/// All legs that belong together, and what they are about. See the crate's page for how to drive it.
#[derive(Debug)]
pub struct Call {
    pub(crate) id: CallId,
    pub(crate) settings: Arc<Settings>,
    pub(crate) rng: Generator,
    /// The latest time seen; never runs backwards.
    pub(crate) now: Time,
    pub(crate) introduction: Arc<Introduction>,
    destination: Destination,
    /// The caller's leg first, then the devices in the order they were dialled.
    pub(crate) legs: Vec<Leg>,
    pub(crate) state: State,
    pub(crate) permit: Permit,
    pub(crate) snapshot: Snapshot,
    history: History,
    outputs: VecDeque<Output>,
    ledger: Ledger,
}

/// Where a call stands.
#[derive(Debug)]
pub(crate) enum State {
    /// The caller's offer is being read.
    Reading,
    /// Somebody looks the callee up.
    Routing {
        /// What the caller offered.
        offered: OfferedMedia,
        /// When we stop waiting.
        by: Time,
    },
    /// Somebody looks for a place within the limits.
    Permitting {
        /// What comes next.
        plan: Plan,
        /// When we stop waiting.
        by: Time,
    },
    /// The callee's devices ring.
    Dialing(Race),
    /// A device was answered and its answer can be used; the caller is being connected to it.
    Settling(Settling),
    /// Both talk.
    Bridged {
        /// The callee's leg.
        callee: LegId,
        /// When the call has lasted long enough.
        until: Time,
    },
    /// No leg is alive.
    Ended,
}

/// The way from a usable answer to a conversation.
#[derive(Debug)]
pub(crate) struct Settling {
    /// The device that answered first.
    pub(crate) winner: LegId,
    /// What both legs will use.
    pub(crate) media: ringtrip_model::NegotiatedMedia,
    /// How far we are.
    pub(crate) step: Step,
}

/// How far the caller's answer is.
#[derive(Debug)]
pub(crate) enum Step {
    /// In the making.
    Answering,
    /// Made; it goes out as soon as the call is written down.
    Persisting {
        /// For the caller.
        answer: SdpAnswer,
        /// When we stop waiting.
        by: Time,
    },
}

/// The call's place within the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permit {
    Unasked,
    Asked {
        by: Time,
    },
    Held,
    /// Given back, or never got.
    Gone,
}

/// What is written down outside the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Snapshot {
    /// Nothing yet.
    Unwritten,
    /// It may be written.
    Written,
    /// It may go.
    Forgotten,
}

impl Call {
    /// Begins a call with the leg of the party that placed it.
    ///
    /// # Errors
    /// Takes nothing but [`LegEvent::Incoming`].
    pub fn incoming(
        event: LegEvent,
        settings: &Arc<Settings>,
        mut rng: Generator,
        now: Time,
    ) -> Result<Self, SwitchError> {
        let leg = event.leg();
        let LegEvent::Incoming {
            leg: _,
            session,
            party,
            destination: mut dialled,
            caller,
            offer,
            protocol_call_id,
            mut custom_headers,
            client_state,
        } = event
        else {
            return Err(SwitchError::NotIncoming { leg });
        };
        let destination = parse_destination(&dialled, &settings.domains);
        truncate(&mut dialled, MAX_DESTINATION_BYTES);
        custom_headers.truncate(MAX_CUSTOM_HEADERS);
        let callee_number = match &destination {
            Destination::User(user) => user.clone(),
            Destination::Number(number) => number.clone(),
            Destination::Foreign | Destination::Invalid => dialled.clone(),
        };
        let introduction = Arc::new(Introduction {
            caller: shown_caller(caller, &party),
            callee: CallerId {
                name: "Outbound Call".to_owned(),
                number: callee_number,
            },
            destination: dialled,
            custom_headers,
            client_state,
        });
        let profile = Arc::new(Profile {
            id: leg,
            role: Role::Caller,
            session,
            party: Arc::new(party),
            protocol_call_id,
            started: now,
        });
        let id = CallId::generate(&mut rng);
        let mut call = Self {
            id,
            settings: Arc::clone(settings),
            rng,
            now,
            destination,
            ledger: Ledger::new(id, Arc::clone(settings), Arc::clone(&introduction)),
            introduction,
            legs: Vec::with_capacity(2),
            state: State::Reading,
            permit: Permit::Unasked,
            snapshot: Snapshot::Unwritten,
            history: History::default(),
            outputs: VecDeque::new(),
        };
        // What the caller offers belongs to the beginning that is told, and is not read yet.
        call.add_leg(profile, LegState::Offered);
        call.ask(leg, Ask::ReadOffer, MediaCommand::ReadOffer { leg, offer });
        Ok(call)
    }

    /// Returns the call's name.
    pub fn id(&self) -> CallId {
        self.id
    }

    /// Returns all legs, ended ones too: whatever is about one of these belongs to this call.
    pub fn legs(&self) -> impl Iterator<Item = LegId> {
        self.legs.iter().map(Leg::id)
    }

    /// Returns a leg's party.
    pub fn party(&self, leg: LegId) -> Option<&LegParty> {
        self.leg(leg).map(|leg| leg.profile.party.as_ref())
    }

    /// Returns the opaque text that the caller's application gave, if it did.
    pub fn client_state(&self) -> Option<&str> {
        self.introduction.client_state.as_deref()
    }

    /// Takes what happened on a leg's own wire.
    pub fn handle_leg(&mut self, event: LegEvent, now: Time) {
        self.enter(now);
        self.ledger.note_leg_event(&event);
        // An event can only come from a protocol side that knows of the leg.
        if !self.leg(event.leg()).is_some_and(Leg::is_known_outside) {
            return;
        }
        match event {
            // A leg begins once.
            LegEvent::Incoming { .. } => {}
            LegEvent::Ringing { leg } => self.device_rings(leg),
            LegEvent::Answered {
                leg,
                answer,
                custom_headers,
            } => self.device_answers(leg, answer, custom_headers),
            LegEvent::HoldRequested { leg, held } => self.hold(leg, held),
            LegEvent::UpdateRequested { leg, offer } => self.restart(leg, offer),
            LegEvent::Dtmf { leg, digits } => self.keys_pressed(leg, &digits),
            LegEvent::Lost { leg } => self.signalling_lost(leg),
            LegEvent::Returned { leg } => self.signalling_returned(leg),
            LegEvent::AttachAnswered { leg, answer } => self.attach_answered(leg, answer),
            LegEvent::Hangup { leg, cause } => {
                self.leg_ends(leg, cause.map_or(Ending::Party, Ending::Protocol));
            }
        }
        self.wind_up();
    }

    /// Takes what the media engine tells.
    pub fn handle_media(&mut self, event: MediaEvent, now: Time) {
        self.enter(now);
        if let MediaEvent::Closed { leg, quality } = event {
            self.file(leg, quality);
            self.wind_up();
            return;
        }
        if !self.is_alive(event.leg()) {
            return;
        }
        match event {
            MediaEvent::OfferRead { leg, offered } => {
                if self.heard(leg, Ask::ReadOffer) {
                    self.offer_read(offered);
                }
            }
            MediaEvent::AnswerReady { leg, answer } => {
                if self.heard(leg, Ask::MakeAnswer) {
                    self.caller_answer_ready(answer);
                }
            }
            MediaEvent::OfferReady { leg, offer } => {
                if self.heard(leg, Ask::MakeOffer) {
                    self.offer_ready(leg, offer);
                }
            }
            MediaEvent::AnswerApplied { leg, media } => {
                if self.heard(leg, Ask::ApplyAnswer) {
                    self.answer_applied(leg, media);
                }
            }
            MediaEvent::Refused { leg, failure } => {
                let pending = self.leg_mut(leg).and_then(|leg| leg.asks.take_refused());
                if let Some(pending) = pending.filter(|pending| !pending.superseded) {
                    self.refused(leg, pending.ask, cause_of_failure(failure));
                }
            }
            MediaEvent::RestartReady { leg, answer } => {
                if self.heard(leg, Ask::Restart) {
                    self.restart_done(leg, Some(answer));
                }
            }
            MediaEvent::RestartRefused { leg } => {
                if self.heard(leg, Ask::Restart) {
                    self.restart_done(leg, None);
                }
            }
            MediaEvent::Connected { leg } => self.media_connected(leg),
            MediaEvent::Stalled { leg } => self.media_stalled(leg),
            MediaEvent::Resumed { leg } => self.media_resumed(leg),
            MediaEvent::Failed { leg, failure } => self.media_failed(leg, failure),
            MediaEvent::Digit { leg, digit } => self.key_heard(leg, digit),
            MediaEvent::Closed { .. } => {}
        }
        self.wind_up();
    }

    /// Takes the answer to [`Output::NeedRoute`].
    pub fn handle_route(&mut self, route: Route, now: Time) {
        self.enter(now);
        let State::Routing { offered, .. } = &self.state else {
            return;
        };
        let caller = &self.legs[0].profile;
        let asker = Asker {
            party: &caller.party,
            session: caller.session,
            offered,
        };
        match plan(&asker, route, self.settings.max_devices) {
            Ok(plan) => {
                let request = PermitRequest {
                    call: self.id,
                    account: caller.party.account,
                    from: caller.party.connection,
                    to: plan.party.connection,
                };
                let by = self.now + self.settings.lookup_timeout;
                self.outputs.push_back(Output::NeedPermit(request));
                self.permit = Permit::Asked { by };
                self.state = State::Permitting { plan, by };
            }
            Err(cause) => self.refuse(cause),
        }
        self.wind_up();
    }

    /// Takes the answer to [`Output::NeedPermit`], however late.
    pub fn handle_permit(&mut self, result: Result<(), PermitRefusal>, now: Time) {
        self.enter(now);
        let Permit::Asked { .. } = self.permit else {
            return;
        };
        self.permit = if result.is_ok() {
            Permit::Held
        } else {
            Permit::Gone
        };
        self.ledger.note_permit(result.is_ok());
        if let State::Permitting { .. } = self.state {
            match result {
                Ok(()) => self.dial(),
                Err(refusal) => self.refuse(cause_of_refusal(refusal)),
            }
        }
        self.wind_up();
    }

    /// Takes the confirmation of [`Output::Persist`].
    pub fn handle_persisted(&mut self, now: Time) {
        self.enter(now);
        self.connect_parties();
        self.wind_up();
    }

    /// Ends the call: every leg that is alive gets this cause.
    pub fn abort(&mut self, cause: HangupCause, now: Time) {
        self.enter(now);
        self.end_all(cause, cause, HangupSource::Server);
        self.wind_up();
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time) {
        self.enter(now);
        for index in 0..self.legs.len() {
            self.leg_timeout(index);
        }
        let now = self.now;
        match &self.state {
            State::Routing { by, .. } | State::Permitting { by, .. } if *by <= now => {
                self.refuse(HangupCause::NormalTemporaryFailure);
            }
            State::Dialing(race) if race.due().is_some_and(|due| due <= now) => {
                self.nobody_answers()
            }
            State::Settling(Settling {
                step: Step::Persisting { by, .. },
                ..
            }) if *by <= now => {
                let cause = HangupCause::NormalTemporaryFailure;
                self.end_all(cause, cause, HangupSource::Server);
            }
            State::Bridged { until, .. } if *until <= now => {
                let cause = HangupCause::NormalClearing;
                self.end_all(cause, cause, HangupSource::Server);
            }
            State::Reading
            | State::Routing { .. }
            | State::Permitting { .. }
            | State::Dialing(_)
            | State::Settling(_)
            | State::Bridged { .. }
            | State::Ended => {}
        }
        self.wind_up();
    }

    /// Returns the next thing to do; drain it to `None` after every input.
    pub fn poll_output(&mut self) -> Option<Output> {
        let output = self.outputs.pop_front()?;
        self.ledger.note_output(&output);
        Some(output)
    }

    /// Returns when [`Call::handle_timeout`] is wanted next.
    pub fn poll_timeout(&self) -> Option<Time> {
        let own = match &self.state {
            State::Routing { by, .. }
            | State::Permitting { by, .. }
            | State::Settling(Settling {
                step: Step::Persisting { by, .. },
                ..
            })
            | State::Bridged { until: by, .. } => Some(*by),
            State::Dialing(race) => race.due(),
            State::Ended => match self.permit {
                Permit::Asked { by } => Some(by),
                Permit::Unasked | Permit::Held | Permit::Gone => None,
            },
            State::Reading
            | State::Settling(Settling {
                step: Step::Answering,
                ..
            }) => None,
        };
        own.into_iter()
            .chain(self.legs.iter().filter_map(Leg::due))
            .min()
    }

    /// Tells whether nothing is left to do or to wait for: every leg ended, closed and recorded, the
    /// permit given back, all outputs taken.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Ended)
            && self.all_filed()
            && matches!(self.permit, Permit::Unasked | Permit::Gone)
            && self.snapshot != Snapshot::Written
            && self.outputs.is_empty()
    }

    /// Returns what is still to be done for the call if it must be dropped as it is, because a
    /// handler unwound: hang up the legs that are alive, close their anchors, write their records
    /// (without what the anchors measured), give the permit back, forget the snapshot.
    ///
    /// It rests on a ledger of the outputs taken and the events delivered, kept beside the state
    /// machine and written before anything else runs, so it is right whatever the rest looks like.
    /// Outputs that were not taken are void; the cause is `NORMAL_TEMPORARY_FAILURE`. A permit that
    /// is granted after this must be given back by whoever grants it.
    pub fn last_words(&self, now: Time) -> Vec<Output> {
        self.ledger.last_words(self.now.max(now))
    }

    // ---- inside ----

    fn enter(&mut self, now: Time) {
        self.now = self.now.max(now);
    }

    pub(crate) fn leg(&self, id: LegId) -> Option<&Leg> {
        self.legs.iter().find(|leg| leg.id() == id)
    }

    pub(crate) fn leg_mut(&mut self, id: LegId) -> Option<&mut Leg> {
        self.legs.iter_mut().find(|leg| leg.id() == id)
    }

    pub(crate) fn is_alive(&self, id: LegId) -> bool {
        self.leg(id).is_some_and(Leg::is_alive)
    }

    /// Returns the caller's leg, which stands first.
    pub(crate) fn caller(&self) -> LegId {
        self.legs[0].id()
    }

    pub(crate) fn devices(&self) -> impl Iterator<Item = &Leg> {
        self.legs.iter().skip(1)
    }

    pub(crate) fn add_leg(&mut self, profile: Arc<Profile>, state: LegState) {
        self.ledger.open(Arc::clone(&profile));
        self.legs.push(Leg::new(profile, state));
    }

    pub(crate) fn command(&mut self, command: LegCommand) {
        self.outputs.push_back(Output::Leg(command));
    }

    pub(crate) fn media(&mut self, command: MediaCommand) {
        self.outputs.push_back(Output::Media(command));
    }

    pub(crate) fn output(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    /// Tells a step of a leg; its beginning comes first, with or without what it offers.
    pub(crate) fn tell(&mut self, leg: LegId, kind: CallEventKind) {
        self.tell_beginning(leg, None);
        let event = self.history.next(self.id, Some(leg), self.now, kind);
        self.outputs.push_back(Output::Event(event));
    }

    /// Tells that a leg begins, unless it was told.
    pub(crate) fn tell_beginning(&mut self, leg: LegId, offered: Option<OfferedMedia>) {
        let Some(leg) = self.legs.iter_mut().find(|other| other.id() == leg) else {
            return;
        };
        if std::mem::replace(&mut leg.begun, true) {
            return;
        }
        let initiation = initiation(&self.introduction, &leg.profile, offered);
        let kind = CallEventKind::Initiated(Box::new(initiation));
        let event = self.history.next(self.id, Some(leg.id()), self.now, kind);
        self.outputs.push_back(Output::Event(event));
    }

    /// Sends the media engine a command that it will answer.
    pub(crate) fn ask(&mut self, leg: LegId, ask: Ask, command: MediaCommand) {
        let by = self.now + self.settings.media_timeout;
        if let Some(leg) = self.leg_mut(leg) {
            leg.has_media = true;
            leg.asks.push(ask, by);
            self.media(command);
        }
    }

    /// Takes the question that an answer belongs to; tells whether the answer matters.
    fn heard(&mut self, leg: LegId, ask: Ask) -> bool {
        let pending = self.leg_mut(leg).and_then(|leg| leg.asks.take(ask));
        pending.is_some_and(|pending| !pending.superseded)
    }

    fn offer_read(&mut self, offered: OfferedMedia) {
        let State::Reading = self.state else {
            return;
        };
        self.tell_beginning(self.caller(), Some(offered.clone()));
        match &self.destination {
            Destination::User(user) => {
                let request = RouteRequest {
                    call: self.id,
                    user: user.clone(),
                };
                let by = self.now + self.settings.lookup_timeout;
                self.outputs.push_back(Output::NeedRoute(request));
                self.state = State::Routing { offered, by };
            }
            // There is no way out to the telephone network.
            Destination::Number(_) => self.refuse(HangupCause::NoRouteDestination),
            Destination::Foreign => self.refuse(HangupCause::BearerCapabilityNotAuth),
            Destination::Invalid => self.refuse(HangupCause::InvalidNumberFormat),
        }
    }

    /// The media engine cannot do what a leg needs.
    fn refused(&mut self, leg: LegId, ask: Ask, cause: HangupCause) {
        let active = self.leg(leg).is_some_and(|leg| leg.active().is_some());
        if active && ask == Ask::MakeOffer {
            // No room for a second anchor: the first goes on, and if it is dead its silence ends the leg.
            self.attach_impossible(leg);
        } else {
            self.leg_ends(leg, Ending::Call(cause));
        }
    }

    /// Ends a call that has rung nobody.
    fn refuse(&mut self, cause: HangupCause) {
        self.end_all(cause, HangupCause::OriginatorCancel, HangupSource::Server);
    }
}

/// Cuts a text to at most `max` bytes, between characters.
fn truncate(text: &mut String, max: usize) {
    if text.len() > max {
        let cut = (0..=max)
            .rev()
            .find(|&at| text.is_char_boundary(at))
            .unwrap_or(0);
        text.truncate(cut);
    }
}
