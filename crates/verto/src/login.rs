//! Logging in: asking who it is, giving a session or giving it back, refusing.

use std::collections::VecDeque;

use ringtrip_model::{
    HangupCause, Identity, LegEvent, LegParty, LoginRefusal, LoginRequest, RevokeScope, SessionId,
    SocketId, Time,
};
use tracing::debug;

use crate::endpoint::Endpoint;
use crate::leg::Leg;
use crate::message::{ClientReadyBody, EmptyBody, MessageBody, Refusal, Request, RequestId};
use crate::outbox::{CloseReason, Output};
use crate::session::{Presence, Session, UserKey, Wire};
use crate::socket::{
    Allowance, Login, LoginStep, MAX_LOGINS, MAX_SESSIONS, Socket, Stage, next_ping,
};
use crate::timers::Timer;

/// Revocations that a login under way could have missed.
///
/// Verifying a login takes time. One that was read before a revocation and answered after it would
/// bring a dead credential back to life; so each revocation is kept until every login asked before
/// it is answered.
#[derive(Debug, Default)]
pub(crate) struct Revocations {
    /// Scope, and the number of the last login asked before it.
    recent: VecDeque<(RevokeScope, u64)>,
    /// Logins up to this number are refused whoever they are: their revocations had to be dropped.
    refused_up_to: u64,
}

impl Revocations {
    const MAX: usize = 1024;

    pub(crate) fn note(&mut self, scope: RevokeScope, last_login: u64) {
        if self.recent.len() >= Self::MAX
            && let Some((_, number)) = self.recent.pop_front()
        {
            self.refused_up_to = self.refused_up_to.max(number);
        }
        self.recent.push_back((scope, last_login));
    }

    fn cover(&self, number: u64, party: &LegParty) -> bool {
        let hits = |(scope, last): &(RevokeScope, u64)| number <= *last && scope.covers(party);
        number <= self.refused_up_to || self.recent.iter().any(hits)
    }

    /// Forgets what no login can have missed any more.
    fn prune(&mut self, oldest_open: u64) {
        while self
            .recent
            .front()
            .is_some_and(|(_, last)| *last < oldest_open)
        {
            self.recent.pop_front();
        }
    }
}

/// How a login gets its session.
enum Grant {
    /// The session of the socket itself: a renewal.
    Renewed(SessionId),
    /// A session that had lost its socket, or has another.
    Returned(SessionId),
    /// A new one.
    Fresh(SessionId),
}

impl Endpoint {
    pub(crate) fn begin_login(&mut self, id: SocketId, request: &Request<'_>, now: Time) {
        let Some(socket) = self.sockets.get_mut(&id) else {
            return;
        };
        let params = request.login();
        let Some(login) = params.login else {
            return self.refuse_login(id, request.id.as_ref(), Refusal::LoginIncorrect, now);
        };
        if socket.logins.len() >= MAX_LOGINS {
            return self.refuse_login(id, request.id.as_ref(), Refusal::LoginIncorrect, now);
        }
        let step = LoginStep::Waiting(login);
        socket.logins.push_back(Login {
            request: request.id.clone(),
            sessid: params.sessid,
            step,
        });
        self.ask_login(id);
    }

    /// Asks who the first waiting login is, unless that is being asked already.
    fn ask_login(&mut self, id: SocketId) {
        let Some(login) = self
            .sockets
            .get_mut(&id)
            .and_then(|socket| socket.logins.front_mut())
        else {
            return;
        };
        let number = self.last_login + 1;
        match std::mem::replace(&mut login.step, LoginStep::Asked(number)) {
            LoginStep::Waiting(shown) => {
                self.last_login = number;
                self.out.push(authenticate(id, number, shown));
            }
            asked @ LoginStep::Asked(_) => login.step = asked,
        }
    }

    pub(crate) fn finish_login(
        &mut self,
        id: SocketId,
        number: u64,
        result: Result<Identity, LoginRefusal>,
        now: Time,
    ) {
        let Some(socket) = self.sockets.get_mut(&id) else {
            return;
        };
        let asked =
            |login: &Login| matches!(login.step, LoginStep::Asked(asked) if asked == number);
        if !socket.logins.front().is_some_and(asked) {
            return;
        }
        let Some(login) = socket.logins.pop_front() else {
            return;
        };
        let answer = login.request.as_ref();
        let is_guest = matches!(socket.stage, Stage::Guest { .. });
        match result {
            Ok(identity) if self.revocations.cover(number, &identity.party) => {
                debug!(
                    socket = id.0,
                    "login on socket {} refused: revoked while it was verified", id.0
                );
                self.refuse_login(id, answer, Refusal::LoginIncorrect, now);
            }
            Ok(identity)
                if identity
                    .expires_at
                    .is_some_and(|at| self.instant(at) <= now) =>
            {
                debug!(
                    socket = id.0,
                    "login on socket {} refused: {}",
                    id.0,
                    LoginRefusal::Expired
                );
                self.refuse_login(id, answer, Refusal::LoginIncorrect, now);
            }
            Ok(identity)
                if self.is_draining() && !self.has_calls(id, login.sessid, &identity.party) =>
            {
                debug!(
                    socket = id.0,
                    "login on socket {} refused: the node gives up work", id.0
                );
                self.refuse(id, answer, Refusal::ShuttingDown);
                self.close_socket(id, CloseReason::Shutdown, now);
            }
            Ok(identity) => match self.grant(id, login.sessid, &identity.party) {
                Some(grant) => self.establish(id, answer, grant, identity, now),
                None => self.refuse_login(id, answer, Refusal::TooManySessions, now),
            },
            Err(refusal @ LoginRefusal::Unavailable) => {
                debug!(
                    socket = id.0,
                    "login on socket {} not judged: {refusal}", id.0
                );
                if is_guest {
                    self.close_socket(id, CloseReason::Unavailable, now);
                } else {
                    // It goes on as whom it is known.
                    self.refuse(id, answer, Refusal::Unavailable);
                }
            }
            Err(refusal) => {
                debug!(socket = id.0, "login on socket {} refused: {refusal}", id.0);
                self.refuse_login(id, answer, Refusal::LoginIncorrect, now);
            }
        }
        self.ask_login(id);
        self.prune_revocations();
    }

    pub(crate) fn prune_revocations(&mut self) {
        if self.revocations.recent.is_empty() {
            return;
        }
        let first_asked = |socket: &Socket| match socket.logins.front()?.step {
            LoginStep::Asked(number) => Some(number),
            LoginStep::Waiting(_) => None,
        };
        let oldest = self.sockets.values().filter_map(first_asked).min();
        self.revocations
            .prune(oldest.unwrap_or(self.last_login + 1));
    }

    /// Refuses a login, never with −32000: the JS SDK would log in again at once, for ever.
    fn refuse_login(
        &mut self,
        id: SocketId,
        request: Option<&RequestId>,
        refusal: Refusal,
        now: Time,
    ) {
        self.refuse(id, request, refusal);
        let Some(socket) = self.sockets.get_mut(&id) else {
            return;
        };
        socket.refusals += 1;
        if socket.refusals >= self.config.max_refusals {
            return self.close_socket(id, CloseReason::LoginRefused, now);
        }
        if let Stage::Guest { deadline } = &mut socket.stage {
            *deadline = now + self.config.refusal_timeout;
            self.arm_socket(id);
        }
    }

    /// Tells whether a login belongs to live calls of the party's own: it renews their session, or
    /// returns to it.
    fn has_calls(&self, id: SocketId, sessid: Option<SessionId>, party: &LegParty) -> bool {
        let carried = self.sockets.get(&id).map(Socket::sessions);
        let mut sessions = carried.into_iter().flatten().chain(sessid);
        sessions.any(|session| {
            self.sessions
                .get(&session)
                .is_some_and(|session| session.belongs_to(party) && !session.legs.is_empty())
        })
    }

    /// Decides which session a proven party gets on a socket; none if it has too many.
    fn grant(
        &mut self,
        id: SocketId,
        sessid: Option<SessionId>,
        party: &LegParty,
    ) -> Option<Grant> {
        let own = |session: &SessionId| {
            self.sessions
                .get(session)
                .is_some_and(|s| s.belongs_to(party))
        };
        let carried = self
            .sockets
            .get(&id)
            .map(Socket::sessions)
            .unwrap_or_default();
        if let Some(session) = carried.into_iter().find(own) {
            return Some(Grant::Renewed(session));
        }
        // An unknown session, or somebody else's, is no error: the mobile SDKs always name one, and
        // two clients in one browser tab share what is stored.
        if let Some(session) = sessid.filter(own) {
            return Some(Grant::Returned(session));
        }
        let user = UserKey::new(party);
        let count = self.users.get(&user).map_or(0, |sessions| sessions.len());
        if count >= self.config.max_sessions_per_user {
            // Each page reload leaves a session behind for a while: the oldest such makes room.
            let left_behind = |session: &SessionId| {
                let session = self.sessions.get(session)?;
                match session.head.presence {
                    Presence::Away { since, .. } if session.legs.is_empty() => {
                        Some((since, session.head.id))
                    }
                    Presence::Away { .. } | Presence::Current(_) | Presence::Former(_) => None,
                }
            };
            let (_, oldest) = self
                .users
                .get(&user)?
                .iter()
                .filter_map(left_behind)
                .min()?;
            debug!(session.id = %oldest, "session {oldest} makes room for a new one");
            self.forget_session(oldest);
        }
        Some(Grant::Fresh(SessionId::generate(&mut self.rng)))
    }

    fn establish(
        &mut self,
        id: SocketId,
        request: Option<&RequestId>,
        grant: Grant,
        identity: Identity,
        now: Time,
    ) {
        let expires = identity.expires_at.map(|at| self.instant(at));
        let (Grant::Renewed(sessid) | Grant::Returned(sessid) | Grant::Fresh(sessid)) = grant;
        let mut announce = true;
        match grant {
            Grant::Fresh(_) => {
                let Some(socket) = self.sockets.get(&id) else {
                    return;
                };
                let voice_sdk_id = socket.voice_sdk_id.clone();
                let report = self.rng.alphanumeric(32);
                self.users
                    .entry(UserKey::new(&identity.party))
                    .or_default()
                    .insert(sessid);
                let calls = Allowance::new(self.config.call_rate(), now);
                let session =
                    Session::new(sessid, voice_sdk_id, report, id, identity, expires, calls);
                self.sessions.insert(sessid, session);
            }
            Grant::Renewed(_) | Grant::Returned(_) => {
                if matches!(grant, Grant::Returned(_)) {
                    self.take_over(sessid, now);
                }
                let Some(session) = self.sessions.get_mut(&sessid) else {
                    return;
                };
                let bound = matches!(session.head.presence, Presence::Current(_));
                announce = !bound || session.identity.party != identity.party;
                session.identity = identity;
                session.expires = expires;
            }
        }
        self.seat(id, sessid, now);
        debug!(session.id = %sessid, socket = id.0, "session {sessid} logged in on socket {}", id.0);
        self.greet(
            id,
            sessid,
            request,
            announce,
            matches!(grant, Grant::Returned(_)),
        );
        self.arm_session(sessid);
        self.arm_socket(id);
    }

    /// Frees a session from a socket that is still there: the newest wins, the older is punted. For
    /// its calls this is loss and return in one.
    fn take_over(&mut self, sessid: SessionId, now: Time) {
        let Some(session) = self.sessions.get(&sessid) else {
            return;
        };
        let (older, current) = match session.head.presence {
            Presence::Current(older) => (older, true),
            Presence::Former(older) => (older, false),
            Presence::Away { .. } => return,
        };
        let Some(socket) = self.sockets.get_mut(&older) else {
            return;
        };
        let last_heard = socket.last_heard;
        if current {
            debug!(session.id = %sessid, socket = older.0, "session {sessid} taken over by a newer socket");
            self.request(older, "telnyx_rtc.punt", &EmptyBody {});
            self.close_socket(older, CloseReason::TakenOver, now);
        } else {
            if let Stage::Member { former, .. } = &mut socket.stage {
                former.retain(|other| *other != sessid);
            }
            self.lose_session(sessid, last_heard, now);
        }
    }

    /// Makes a session the current one of a socket. The one that was current before keeps its calls
    /// over the socket, or is forgotten if it has none.
    fn seat(&mut self, id: SocketId, sessid: SessionId, now: Time) {
        let Some(socket) = self.sockets.get_mut(&id) else {
            return;
        };
        self.half_open.remove(&(socket.opened, id));
        let ping = next_ping(&self.config, now);
        let mut outgoing = None;
        match &mut socket.stage {
            stage @ Stage::Guest { .. } => {
                // The login's deadline is the one that would come for nothing.
                self.timers.disarm(Timer::Socket(id), socket.armed.take());
                *stage = Stage::Member {
                    current: sessid,
                    former: Vec::new(),
                    next_ping: ping,
                };
            }
            Stage::Member { current, .. } if *current == sessid => {}
            Stage::Member {
                current, former, ..
            } => {
                former.retain(|other| *other != sessid);
                former.push(*current);
                outgoing = Some(std::mem::replace(current, sessid));
            }
        }
        if let Some(session) = self.sessions.get(&sessid) {
            socket.voice_sdk_id.clone_from(&session.head.voice_sdk_id);
        }
        let Some(outgoing) = outgoing else { return };
        if let Some(session) = self.sessions.get_mut(&outgoing) {
            self.out.push(session.unbind());
            session.head.presence = Presence::Former(id);
        }
        self.settle(outgoing);
        if let Some(Socket {
            stage: Stage::Member { former, .. },
            ..
        }) = self.sockets.get_mut(&id)
            && former.len() >= MAX_SESSIONS
        {
            let crowded_out = former.remove(0);
            self.end_legs(crowded_out, HangupCause::SwitchCongestion, now);
            self.forget_session(crowded_out);
        }
    }

    /// Says all that follows a login, in the order that the SDKs expect.
    fn greet(
        &mut self,
        id: SocketId,
        sessid: SessionId,
        request: Option<&RequestId>,
        announce: bool,
        returned: bool,
    ) {
        self.reply(
            id,
            request,
            &MessageBody {
                message: "logged in",
                sessid,
            },
        );
        let carried = self
            .sockets
            .get(&id)
            .map(Socket::sessions)
            .unwrap_or_default();
        let Some(session) = self.sessions.get_mut(&sessid) else {
            return;
        };
        let before = std::mem::replace(&mut session.head.presence, Presence::Current(id));
        // Before clientReady: when no call is left, the SDK would report a lost session instead of
        // the cause that each call ended with.
        if let Presence::Away { unheard, .. } = before {
            let mut wire = Wire::new(&mut self.out, &session.head);
            for (leg, cause) in unheard {
                leg.bye(cause, &mut wire);
            }
        }
        let legs = carried
            .iter()
            .filter_map(|session| self.sessions.get(session))
            .flat_map(|s| &s.legs);
        let reattached_sessions = legs.map(Leg::name).collect();
        if let Some(session) = self.sessions.get(&sessid) {
            let mut wire = Wire::new(&mut self.out, &session.head);
            wire.request(
                "telnyx_rtc.clientReady",
                &ClientReadyBody {
                    reattached_sessions,
                },
            );
            if announce {
                self.out.push(session.bind(id));
            }
            if returned {
                for leg in session.legs.iter().map(Leg::id) {
                    self.out.push(Output::Leg(LegEvent::Returned { leg }));
                }
            }
        }
    }
}

fn authenticate(socket: SocketId, request: u64, login: LoginRequest) -> Output {
    Output::Authenticate {
        socket,
        request,
        login,
    }
}
