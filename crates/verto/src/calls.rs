//! Calls: what clients ask about them, and what the calls have done on the wire.

use ringtrip_model::{
    HangupCause, LegCommand, LegEvent, LegId, SdpAnswer, SdpOffer, SessionId, SocketId, Time,
};

use crate::endpoint::Endpoint;
use crate::leg::Leg;
use crate::message::{
    CallBody, CallParams, EndedBody, InviteBody, MessageBody, Method, Refusal, Request, RequestId,
    SpokenAction, TelnyxIds,
};
use crate::outbox::Output;
use crate::session::{Presence, Session, Wire};
use crate::socket::Socket;

impl Endpoint {
    pub(crate) fn handle_call_request(
        &mut self,
        id: SocketId,
        sessid: SessionId,
        request: &Request<'_>,
        now: Time,
    ) {
        let answer = request.id.as_ref();
        let outcome = match request.call() {
            Err(refusal) => Err(refusal),
            Ok(params) => match request.method {
                Method::Invite => self.invite((id, sessid), answer, &params, now),
                Method::Bye => self.bye(id, answer, &params, now),
                Method::Answer => self.answer(id, answer, &params),
                Method::Modify => self.modify(id, answer, &params),
                Method::Info => self.info(id, answer, &params),
                Method::Attach => self.attach(id, answer, &params),
                Method::Login
                | Method::AnonymousLogin
                | Method::GatewayState
                | Method::Ping
                | Method::Candidate
                | Method::EndOfCandidates
                | Method::AttachCalls
                | Method::DisablePush
                | Method::RingingAck
                | Method::Debug
                | Method::Unknown => Err(Refusal::UnknownMethod),
            },
        };
        if let Err(refusal) = outcome {
            self.refuse(id, answer, refusal);
        }
    }

    /// Finds a call by its name among the sessions of the socket that speaks, and nowhere else.
    fn find(&self, id: SocketId, name: &str) -> Option<(SessionId, usize)> {
        let carried = self.sockets.get(&id).map(Socket::sessions)?;
        carried
            .into_iter()
            .find_map(|session| Some((session, self.sessions.get(&session)?.leg_named(name)?)))
    }

    /// Finds the call that a request is about, if there is room for one more unanswered request.
    fn find_called(
        &mut self,
        id: SocketId,
        params: &CallParams<'_>,
    ) -> Result<(&mut Session, usize), Refusal> {
        let name = params.call_id()?;
        let (session, index) = self.find(id, &name).ok_or(Refusal::NoSuchCall)?;
        let session = self.sessions.get_mut(&session).ok_or(Refusal::NoSuchCall)?;
        Ok((session, index))
    }

    fn room(session: &Session, limit: usize) -> Result<(), Refusal> {
        if session.outstanding() < limit {
            Ok(())
        } else {
            Err(Refusal::TooManyRequests)
        }
    }

    fn invite(
        &mut self,
        (id, sessid): (SocketId, SessionId),
        request: Option<&RequestId>,
        params: &CallParams<'_>,
        now: Time,
    ) -> Result<(), Refusal> {
        params.require_dialog()?;
        let name = params.call_id()?;
        let offer = SdpOffer(params.sdp()?);
        let destination = params.destination()?;
        let custom_headers = params.custom_headers()?;
        let client_state = params.client_state()?;
        if self.find(id, &name).is_some() {
            return Err(Refusal::CallError);
        }
        let draining = self.is_draining();
        let session = self.sessions.get_mut(&sessid).ok_or(Refusal::CallError)?;
        let leg = LegId::generate(&mut self.rng);
        // The result goes before anything else about the call: it would drag the SDK back to
        // "trying" if it came after an answer.
        let mut wire = Wire::new(&mut self.out, &session.head);
        wire.result(
            request,
            &CallBody {
                call_id: &name,
                message: Some("CALL CREATED"),
                sessid,
            },
        );
        let crowded = session.legs.len() >= self.config.max_legs;
        if draining || crowded || !session.calls.take(now) {
            // An error here would be shown as a busy callee, whatever was meant.
            Leg::calling(leg, name, client_state).bye(HangupCause::SwitchCongestion, &mut wire);
            return Ok(());
        }
        wire.tell(LegEvent::Incoming {
            leg,
            session: sessid,
            party: session.identity.party.clone(),
            destination,
            caller: params.caller(),
            offer,
            protocol_call_id: name.clone(),
            custom_headers,
            client_state: client_state.clone(),
        });
        session.legs.push(Leg::calling(leg, name, client_state));
        self.legs.insert(leg, sessid);
        Ok(())
    }

    fn answer(
        &mut self,
        id: SocketId,
        request: Option<&RequestId>,
        params: &CallParams<'_>,
    ) -> Result<(), Refusal> {
        let limit = self.config.max_outstanding;
        let (session, index) = self.find_called(id, params)?;
        Self::room(session, limit)?;
        let answer = SdpAnswer(params.sdp()?);
        let headers = params.custom_headers()?;
        let event = session.legs[index].answer(request, answer, headers)?;
        self.out.push(Output::Leg(event));
        Ok(())
    }

    fn attach(
        &mut self,
        id: SocketId,
        request: Option<&RequestId>,
        params: &CallParams<'_>,
    ) -> Result<(), Refusal> {
        let limit = self.config.max_outstanding;
        let (session, index) = self.find_called(id, params)?;
        Self::room(session, limit)?;
        let answer = SdpAnswer(params.sdp()?);
        let event = session.legs[index].attach(request, answer)?;
        self.out.push(Output::Leg(event));
        Ok(())
    }

    fn modify(
        &mut self,
        id: SocketId,
        request: Option<&RequestId>,
        params: &CallParams<'_>,
    ) -> Result<(), Refusal> {
        let limit = self.config.max_outstanding;
        let (session, index) = self.find_called(id, params)?;
        let action = params.action()?;
        Self::room(session, limit)?;
        let leg = &mut session.legs[index];
        let event = match action {
            SpokenAction::Hold => Some(leg.hold(request, action, Some(true))?),
            SpokenAction::Unhold => Some(leg.hold(request, action, Some(false))?),
            SpokenAction::ToggleHold => Some(leg.hold(request, action, None)?),
            SpokenAction::UpdateMedia => leg.update(request, SdpOffer(params.sdp()?))?,
        };
        if let Some(event) = event {
            self.out.push(Output::Leg(event));
        }
        Ok(())
    }

    fn info(
        &mut self,
        id: SocketId,
        request: Option<&RequestId>,
        params: &CallParams<'_>,
    ) -> Result<(), Refusal> {
        let (session, index) = self.find_called(id, params)?;
        let digits = params.digits()?;
        let leg = session.legs[index].id();
        let sessid = session.head.id;
        self.reply(
            id,
            request,
            &MessageBody {
                message: "SENT",
                sessid,
            },
        );
        self.out.push(Output::Leg(LegEvent::Dtmf { leg, digits }));
        Ok(())
    }

    fn bye(
        &mut self,
        id: SocketId,
        request: Option<&RequestId>,
        params: &CallParams<'_>,
        now: Time,
    ) -> Result<(), Refusal> {
        let name = params.call_id()?;
        let memory = self.config.ended_memory;
        let Some((sessid, index)) = self.find(id, &name) else {
            let carried = self
                .sockets
                .get(&id)
                .map(Socket::sessions)
                .unwrap_or_default();
            // Byes cross: one for a call that ended a moment ago is no error.
            let ended = carried.into_iter().find_map(|sessid| {
                Some((
                    sessid,
                    self.sessions
                        .get(&sessid)?
                        .recently_ended(&name, memory, now)?,
                ))
            });
            let (sessid, cause) = ended.ok_or(Refusal::NoSuchCall)?;
            self.reply(id, request, &EndedBody::new(&name, cause, sessid));
            return Ok(());
        };
        let session = self.sessions.get_mut(&sessid).ok_or(Refusal::NoSuchCall)?;
        let cause = session.legs[index].own_cause();
        let mut leg = session.end_leg(index, cause, memory, now);
        self.legs.remove(&leg.id());
        let mut wire = Wire::new(&mut self.out, &session.head);
        leg.refuse_waiting(&mut wire);
        wire.result(request, &EndedBody::new(leg.name(), cause, sessid));
        wire.tell(LegEvent::Hangup {
            leg: leg.id(),
            cause: None,
        });
        self.settle(sessid);
        Ok(())
    }

    pub(crate) fn run_command(&mut self, command: LegCommand, now: Time) {
        let LegCommand::Offer {
            leg,
            call,
            session,
            offer,
            caller,
            callee,
            custom_headers,
            client_state,
        } = command
        else {
            return self.run_leg_command(command, now);
        };
        if self.legs.contains_key(&leg) {
            return;
        }
        let absent = |cause| {
            Output::Leg(LegEvent::Hangup {
                leg,
                cause: Some(cause),
            })
        };
        let Some(session) = self.sessions.get_mut(&session) else {
            return self.out.push(absent(HangupCause::SubscriberAbsent));
        };
        match session.head.presence {
            Presence::Current(_) => {}
            Presence::Former(_) | Presence::Away { .. } => {
                return self.out.push(absent(HangupCause::SubscriberAbsent));
            }
        }
        if session.legs.len() >= self.config.max_legs {
            return self.out.push(absent(HangupCause::UserBusy));
        }
        let new = Leg::ringing(leg, client_state);
        let ids = TelnyxIds::new(call, leg);
        let body = InviteBody::new(
            new.name(),
            &offer.0,
            (&caller, &callee),
            &custom_headers,
            ids,
            new.client_state(),
        );
        let mut wire = Wire::new(&mut self.out, &session.head);
        wire.request("telnyx_rtc.invite", &body);
        wire.tell(LegEvent::Ringing { leg });
        self.legs.insert(leg, session.head.id);
        session.legs.push(new);
    }

    fn run_leg_command(&mut self, command: LegCommand, now: Time) {
        let Some(&sessid) = self.legs.get(&command.leg()) else {
            return;
        };
        let Some(session) = self.sessions.get_mut(&sessid) else {
            return;
        };
        let Some(index) = session.leg_index(command.leg()) else {
            return;
        };
        if let LegCommand::Hangup { leg, cause } = command {
            let mut ended = session.end_leg(index, cause, self.config.ended_memory, now);
            self.legs.remove(&leg);
            let mut wire = Wire::new(&mut self.out, &session.head);
            ended.refuse_waiting(&mut wire);
            ended.bye(cause, &mut wire);
            if let Presence::Away { unheard, .. } = &mut session.head.presence {
                unheard.push((ended, cause));
            }
            self.settle(sessid);
        } else {
            let own = session.own_id();
            let mut wire = Wire::new(&mut self.out, &session.head);
            session.legs[index].handle_command(command, &own, &mut wire);
        }
    }
}
