//! The endpoint: all signalling sockets and sessions of a node.

use std::collections::{BTreeMap, BTreeSet};

use ringtrip_model::{
    Generator, HangupCause, Identity, LegCommand, LegEvent, LegId, LoginRefusal, RevokeScope,
    SessionId, SocketId, Time, Timestamp,
};
use tracing::{debug, warn};

use crate::config::Config;
use crate::login::Revocations;
use crate::message::{
    EmptyBody, Frame, GatewayBody, MessageBody, Method, PingBody, Refusal, Request, RequestId,
    SessionBody, error_frame, request_frame, result_frame,
};
use crate::outbox::{CloseReason, Outbox, Output};
use crate::session::{Presence, Session, UserKey, Wire};
use crate::socket::{Socket, Stage, next_ping};
use crate::timers::{Timer, Timers};

/// All signalling sockets and sessions of a node. See the crate's text for how to drive it.
#[derive(Debug)]
pub struct Endpoint {
    pub(crate) config: Config,
    pub(crate) rng: Generator,
    pub(crate) sockets: BTreeMap<SocketId, Socket>,
    /// Sockets that are not logged in, oldest first.
    pub(crate) half_open: BTreeSet<(Time, SocketId)>,
    pub(crate) sessions: BTreeMap<SessionId, Session>,
    pub(crate) users: BTreeMap<UserKey, BTreeSet<SessionId>>,
    /// Where each live leg is.
    pub(crate) legs: BTreeMap<LegId, SessionId>,
    pub(crate) timers: Timers,
    pub(crate) revocations: Revocations,
    pub(crate) last_login: u64,
    pub(crate) out: Outbox,
    life: Life,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Running,
    /// After [`Endpoint::handle_drain`]: live calls go on, and nothing else does.
    Draining,
    /// After [`Endpoint::handle_shutdown`]: every new socket is closed.
    Down,
}

impl Endpoint {
    /// Makes an endpoint without sockets.
    pub fn new(config: Config, rng: Generator) -> Self {
        Self {
            config,
            rng,
            sockets: BTreeMap::new(),
            half_open: BTreeSet::new(),
            sessions: BTreeMap::new(),
            users: BTreeMap::new(),
            legs: BTreeMap::new(),
            timers: Timers::default(),
            revocations: Revocations::default(),
            last_login: 0,
            out: Outbox::new(),
            life: Life::Running,
        }
    }

    /// Takes in a socket that was accepted. Its login is due from now on.
    pub fn handle_opened(&mut self, id: SocketId, now: Time) {
        if self.life == Life::Down {
            self.out.push(Output::Close {
                socket: id,
                reason: CloseReason::Shutdown,
            });
            return;
        }
        // A name that is used twice would mean that the driver missed a close.
        self.handle_closed(id, now);
        if self.half_open.len() >= self.config.max_half_open.max(1)
            && let Some(&(_, oldest)) = self.half_open.first()
        {
            self.close_socket(oldest, CloseReason::HalfOpen, now);
        }
        let voice_sdk_id = format!("VSDK{}", self.rng.alphanumeric(32));
        self.sockets
            .insert(id, Socket::new(voice_sdk_id, &self.config, now));
        self.half_open.insert((now, id));
        self.arm_socket(id);
    }

    /// Takes a text frame from a socket. Frames of a socket that is closed already are dropped.
    pub fn handle_frame(&mut self, id: SocketId, text: &str, now: Time) {
        let Some(socket) = self.sockets.get_mut(&id) else {
            return;
        };
        socket.last_heard = now;
        let guest = matches!(socket.stage, Stage::Guest { .. });
        let limit = if guest {
            self.config.max_guest_frame_bytes
        } else {
            self.config.max_frame_bytes
        };
        if text.len() > limit {
            return self.close_socket(id, CloseReason::FrameTooLarge, now);
        }
        // The speed test sends hundreds of frames at once, and they cost nothing.
        let free = !guest && text.starts_with("#SP");
        if !free && !socket.allowance.take(now) {
            return self.close_socket(id, CloseReason::Flood, now);
        }
        match Frame::read(text) {
            Frame::Request(request) => self.handle_request(id, &request, now),
            Frame::Response | Frame::SpeedTest => {}
            Frame::Malformed(request) => {
                self.out.push(Output::Send {
                    socket: id,
                    frame: error_frame(request.as_ref(), Refusal::Invalid, &socket.voice_sdk_id),
                });
            }
        }
    }

    /// Notes that a socket is gone, by the client's doing or the network's. That is no hang-up:
    /// answered calls wait for its return.
    pub fn handle_closed(&mut self, id: SocketId, now: Time) {
        let Some(socket) = self.sockets.remove(&id) else {
            return;
        };
        self.half_open.remove(&(socket.opened, id));
        self.timers.disarm(Timer::Socket(id), socket.armed);
        for session in socket.sessions() {
            self.lose_session(session, socket.last_heard, now);
        }
    }

    /// Takes the answer to [`Output::Authenticate`]. A refusal is told as "Login Incorrect" and no
    /// more; where there is no judgment, the client may come again. An answer that nobody waits for is dropped.
    pub fn handle_authenticated(
        &mut self,
        socket: SocketId,
        request: u64,
        result: Result<Identity, LoginRefusal>,
        now: Time,
    ) {
        self.finish_login(socket, request, result, now);
    }

    /// Does what a call says on a leg's wire. A command for a leg that ended is dropped; an offer to
    /// a session that cannot be reached ends its leg with
    /// [`HangupCause::SubscriberAbsent`].
    pub fn handle_command(&mut self, command: LegCommand, now: Time) {
        self.run_command(command, now);
    }

    /// Ends every session that falls under the scope: its calls, then, by a punt that keeps the SDK
    /// from coming back, its socket. Logins that are being verified right now are refused if it
    /// covers them.
    pub fn handle_revoked(&mut self, scope: RevokeScope, now: Time) {
        self.revocations.note(scope, self.last_login);
        self.prune_revocations();
        let covered = |session: &&Session| scope.covers(&session.identity.party);
        let sessions: Vec<SessionId> = self
            .sessions
            .values()
            .filter(covered)
            .map(|s| s.head.id)
            .collect();
        for session in sessions {
            self.revoke_session(session, now);
        }
    }

    /// Gives up work: from now on no login but one that belongs to a live call is accepted, and no call
    /// can be placed. Sessions without a call are punted; say it again when a call has ended, for those
    /// who were in it. A node without calls has nothing to wait for: shut it down instead, so that the
    /// SDKs come back.
    pub fn handle_drain(&mut self, now: Time) {
        if self.life == Life::Down {
            return;
        }
        self.life = Life::Draining;
        let idle = |session: &&Session| session.legs.is_empty();
        let idle = self.sessions.values().filter(idle);
        let idle: Vec<SessionId> = idle.map(|session| session.head.id).collect();
        for session in idle {
            self.punt(session, CloseReason::Shutdown, now);
        }
    }

    /// Tells whether the endpoint gives up work.
    pub(crate) fn is_draining(&self) -> bool {
        self.life == Life::Draining
    }

    /// Closes a socket that has not logged in, to make room for others; one that has is left alone.
    pub fn crowd_out(&mut self, id: SocketId, now: Time) {
        let guest = |socket: &Socket| matches!(socket.stage, Stage::Guest { .. });
        if self.sockets.get(&id).is_some_and(guest) {
            self.close_socket(id, CloseReason::HalfOpen, now);
        }
    }

    /// Ends all calls with a bye and closes all sockets, without a punt: the SDKs are to come back,
    /// here or elsewhere.
    pub fn handle_shutdown(&mut self, now: Time) {
        self.life = Life::Down;
        let sessions: Vec<SessionId> = self.sessions.keys().copied().collect();
        for session in sessions {
            self.end_legs(session, HangupCause::NormalTemporaryFailure, now);
            self.forget_session(session);
        }
        for (socket, _) in std::mem::take(&mut self.sockets) {
            self.out.push(Output::Close {
                socket,
                reason: CloseReason::Shutdown,
            });
        }
        self.half_open.clear();
        self.timers = Timers::default();
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(timer) = self.timers.pop(now) {
            match timer {
                Timer::Socket(id) => self.handle_socket_due(id, now),
                Timer::Session(id) => self.handle_session_due(id, now),
            }
        }
    }

    /// Returns the next effect, or [`None`] when all is said.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop()
    }

    /// Returns when [`Endpoint::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timers.next()
    }

    /// Gives up a socket whose frame made [`Endpoint::handle_frame`] panic, with its sessions, whose
    /// state cannot be trusted: their calls end, their other state is dropped.
    pub fn remove_socket_after_panic(&mut self, id: SocketId, now: Time) {
        warn!(socket = id.0, "socket {} given up after a fault", id.0);
        let on_it = |session: &&Session| session.head.socket() == Some(id);
        let sessions: Vec<SessionId> = self
            .sessions
            .values()
            .filter(on_it)
            .map(|s| s.head.id)
            .collect();
        for session in sessions {
            self.end_legs(session, HangupCause::NormalTemporaryFailure, now);
            let orphans: Vec<LegId> = self
                .legs
                .iter()
                .filter(|(_, at)| **at == session)
                .map(|(leg, _)| *leg)
                .collect();
            for leg in orphans {
                self.legs.remove(&leg);
                let cause = Some(HangupCause::NormalTemporaryFailure);
                self.out.push(Output::Leg(LegEvent::Hangup { leg, cause }));
            }
            self.forget_session(session);
        }
        if let Some(socket) = self.sockets.remove(&id) {
            self.half_open.remove(&(socket.opened, id));
            self.timers.disarm(Timer::Socket(id), socket.armed);
        }
        self.out.push(Output::Close {
            socket: id,
            reason: CloseReason::Fault,
        });
    }

    fn handle_request(&mut self, id: SocketId, request: &Request<'_>, now: Time) {
        let Some(socket) = self.sockets.get(&id) else {
            return;
        };
        match (request.method, socket.current()) {
            (Method::Login, _) => self.begin_login(id, request, now),
            // Also for a guest: on −32000 the SDK would try to log in as somebody.
            (Method::AnonymousLogin, _) => self.refuse(id, request.id.as_ref(), Refusal::Denied),
            (Method::Debug, _) => self.reply(id, request.id.as_ref(), &EmptyBody {}),
            (_, None) => self.refuse(id, request.id.as_ref(), Refusal::NotLoggedIn),
            (_, Some(session)) => self.handle_member_request(id, session, request, now),
        }
    }

    fn handle_member_request(
        &mut self,
        id: SocketId,
        sessid: SessionId,
        request: &Request<'_>,
        now: Time,
    ) {
        let answer = request.id.as_ref();
        match request.method {
            Method::Login | Method::AnonymousLogin | Method::Debug => {}
            Method::GatewayState => {
                let (Some(session), Some(socket)) =
                    (self.sessions.get(&sessid), self.sockets.get(&id))
                else {
                    return;
                };
                let (dc, region) = (&self.config.datacenter, &self.config.region);
                let body = GatewayBody::registered(&session.call_report_id, dc, region, sessid);
                if let Some(answer) = answer {
                    let frame = result_frame(answer, &body, &socket.voice_sdk_id);
                    self.out.push(Output::Send { socket: id, frame });
                }
            }
            Method::Ping => self.reply(
                id,
                answer,
                &MessageBody {
                    message: "PONG",
                    sessid,
                },
            ),
            // Our media engine learns the client's addresses from its checks (ICE-lite), so
            // candidates need no keeping; they may also come for a call that is over.
            Method::Candidate
            | Method::EndOfCandidates
            | Method::AttachCalls
            | Method::RingingAck => {
                self.reply(id, answer, &SessionBody { sessid });
            }
            Method::DisablePush => {
                let message = "disable push notification success";
                self.reply(id, answer, &MessageBody { message, sessid });
            }
            Method::Unknown => self.refuse(id, answer, Refusal::UnknownMethod),
            Method::Invite
            | Method::Answer
            | Method::Bye
            | Method::Modify
            | Method::Info
            | Method::Attach => self.handle_call_request(id, sessid, request, now),
        }
    }

    /// Answers a request on a socket; nothing for a notification.
    pub(crate) fn reply<T: serde::Serialize>(
        &mut self,
        id: SocketId,
        request: Option<&RequestId>,
        body: &T,
    ) {
        if let (Some(socket), Some(request)) = (self.sockets.get(&id), request) {
            let frame = result_frame(request, body, &socket.voice_sdk_id);
            self.out.push(Output::Send { socket: id, frame });
        }
    }

    /// Answers a request on a socket with an error; nothing for a notification.
    pub(crate) fn refuse(&mut self, id: SocketId, request: Option<&RequestId>, refusal: Refusal) {
        if let (Some(socket), Some(_)) = (self.sockets.get(&id), request) {
            let frame = error_frame(request, refusal, &socket.voice_sdk_id);
            self.out.push(Output::Send { socket: id, frame });
        }
    }

    /// Sends a request of ours to a socket.
    pub(crate) fn request<T: serde::Serialize>(&mut self, id: SocketId, method: &str, params: &T) {
        if let Some(socket) = self.sockets.get(&id) {
            let frame = request_frame(self.out.next_id(), method, params, &socket.voice_sdk_id);
            self.out.push(Output::Send { socket: id, frame });
        }
    }

    /// Closes a socket and forgets it.
    pub(crate) fn close_socket(&mut self, id: SocketId, reason: CloseReason, now: Time) {
        if self.sockets.contains_key(&id) {
            debug!(socket = id.0, "socket {} closed: {}", id.0, reason.text());
            self.out.push(Output::Close { socket: id, reason });
            self.handle_closed(id, now);
        }
    }

    fn handle_socket_due(&mut self, id: SocketId, now: Time) {
        let Some(socket) = self.sockets.get_mut(&id) else {
            return;
        };
        socket.armed = None;
        match &mut socket.stage {
            Stage::Guest { deadline } => {
                if *deadline <= now {
                    return self.close_socket(id, CloseReason::LoginTimeout, now);
                }
            }
            Stage::Member { next_ping: at, .. } => {
                if now.since(socket.last_heard) >= self.config.silence {
                    return self.close_socket(id, CloseReason::Silent, now);
                }
                if *at <= now {
                    *at = next_ping(&self.config, now);
                    let serno = self.wall_clock(now).as_secs();
                    self.request(id, "telnyx_rtc.ping", &PingBody { serno });
                }
            }
        }
        self.arm_socket(id);
    }

    fn handle_session_due(&mut self, id: SessionId, now: Time) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        session.armed = None;
        if session.expires.is_some_and(|at| at <= now) {
            return self.revoke_session(id, now);
        }
        if let Presence::Away {
            last_heard, since, ..
        } = session.head.presence
        {
            if !session.legs.is_empty() && last_heard + self.config.grace <= now {
                self.end_legs(id, HangupCause::RecoveryOnTimerExpire, now);
            }
            let idle = self
                .sessions
                .get(&id)
                .is_some_and(|session| session.legs.is_empty());
            if idle && since + self.config.session_linger <= now {
                self.forget_session(id);
            }
        }
        self.arm_session(id);
    }

    pub(crate) fn arm_socket(&mut self, id: SocketId) {
        if let Some(socket) = self.sockets.get_mut(&id) {
            let at = socket.deadline(&self.config);
            self.timers.arm(Timer::Socket(id), &mut socket.armed, at);
        }
    }

    pub(crate) fn arm_session(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(&id)
            && let Some(at) = session.deadline(&self.config)
        {
            self.timers.arm(Timer::Session(id), &mut session.armed, at);
        }
    }

    /// Takes a session's socket away: it cannot be called, unanswered legs end, answered ones wait.
    pub(crate) fn lose_session(&mut self, id: SessionId, last_heard: Time, now: Time) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        if matches!(session.head.presence, Presence::Current(_)) {
            self.out.push(session.unbind());
        }
        let gone = |socket| !self.sockets.contains_key(&socket);
        if session.head.socket().is_none_or(gone) {
            // There is nobody to answer any more.
            session.head.presence = Presence::Away {
                last_heard,
                since: now,
                unheard: Vec::new(),
            };
        }
        let mut unheard = Vec::new();
        let mut index = 0;
        while let Some(leg) = session.legs.get_mut(index) {
            let id = leg.id();
            let mut wire = Wire::new(&mut self.out, &session.head);
            if leg.is_answered() {
                leg.lose_socket(&mut wire);
                wire.tell(LegEvent::Lost { leg: id });
                index += 1;
            } else {
                let cause = HangupCause::DestinationOutOfOrder;
                leg.refuse_waiting(&mut wire);
                wire.tell(LegEvent::Hangup {
                    leg: id,
                    cause: Some(cause),
                });
                self.legs.remove(&id);
                let leg = session.end_leg(index, cause, self.config.ended_memory, now);
                unheard.push((leg, cause));
            }
        }
        session.head.presence = Presence::Away {
            last_heard,
            since: now,
            unheard,
        };
        self.arm_session(id);
    }

    /// Ends all legs of a session, with a bye if its client can be reached.
    pub(crate) fn end_legs(&mut self, id: SessionId, cause: HangupCause, now: Time) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        while !session.legs.is_empty() {
            let leg_id = session.legs[0].id();
            self.out.push(Output::Leg(LegEvent::Hangup {
                leg: leg_id,
                cause: Some(cause),
            }));
            self.legs.remove(&leg_id);
            let mut leg = session.end_leg(0, cause, self.config.ended_memory, now);
            let mut wire = Wire::new(&mut self.out, &session.head);
            leg.refuse_waiting(&mut wire);
            leg.bye(cause, &mut wire);
            if let Presence::Away { unheard, .. } = &mut session.head.presence {
                unheard.push((leg, cause));
            }
        }
    }

    /// Ends a session whose credential is no longer valid.
    fn revoke_session(&mut self, id: SessionId, now: Time) {
        debug!(session.id = %id, "session {id} revoked");
        self.end_legs(id, HangupCause::BearerCapabilityNotAuth, now);
        self.punt(id, CloseReason::Revoked, now);
    }

    /// Forgets a session without legs, and closes its socket by a punt, after which the SDK does not
    /// come back by itself.
    fn punt(&mut self, id: SessionId, reason: CloseReason, now: Time) {
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        let socket = match session.head.presence {
            Presence::Current(socket) => Some(socket),
            // The socket belongs to another login by now.
            Presence::Former(_) | Presence::Away { .. } => None,
        };
        self.forget_session(id);
        if let Some(socket) = socket {
            self.request(socket, "telnyx_rtc.punt", &EmptyBody {});
            self.close_socket(socket, reason, now);
        }
    }

    /// Drops a session that has no legs.
    pub(crate) fn forget_session(&mut self, id: SessionId) {
        let Some(session) = self.sessions.remove(&id) else {
            return;
        };
        match session.head.presence {
            Presence::Current(_) => self.out.push(session.unbind()),
            Presence::Former(socket) => {
                if let Some(Socket {
                    stage: Stage::Member { former, .. },
                    ..
                }) = self.sockets.get_mut(&socket)
                {
                    former.retain(|other| *other != id);
                }
            }
            Presence::Away { .. } => {}
        }
        let user = UserKey::new(&session.identity.party);
        if let Some(sessions) = self.users.get_mut(&user) {
            sessions.remove(&id);
            if sessions.is_empty() {
                self.users.remove(&user);
            }
        }
        self.timers.disarm(Timer::Session(id), session.armed);
    }

    /// Puts a session in order after one of its legs ended.
    pub(crate) fn settle(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        if session.legs.is_empty() && matches!(session.head.presence, Presence::Former(_)) {
            self.forget_session(id);
        } else {
            self.arm_session(id);
        }
    }

    fn wall_clock(&self, now: Time) -> Timestamp {
        self.config.started_at + now.since(Time::ZERO)
    }

    /// Returns the instant of a wall time; one that lies before the node's start is its start.
    pub(crate) fn instant(&self, at: Timestamp) -> Time {
        Time::ZERO + at.since(self.config.started_at)
    }
}
