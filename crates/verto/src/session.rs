//! One login: who it is, where it can be reached, and the legs it carries.

use std::collections::VecDeque;
use std::time::Duration;

use ringtrip_model::{
    CallerId, CredentialConnectionId, Digit, HangupCause, Identity, LegEvent, LegId, LegParty,
    SessionId, SocketId, TelephonyCredentialId, Time,
};
use serde::Serialize;

use crate::leg::{Leg, same_name};
use crate::message::{self, Refusal, RequestId};
use crate::outbox::{Outbox, Output};
use crate::socket::Allowance;
use crate::{Config, message::InfoBody};

/// Ended calls that a session remembers, so that crossing byes succeed.
const MAX_ENDED: usize = 64;

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) head: Head,
    pub(crate) identity: Identity,
    /// When its credential ends.
    pub(crate) expires: Option<Time>,
    /// How often it may place a call.
    pub(crate) calls: Allowance,
    pub(crate) call_report_id: String,
    /// In the order they began; few, so they are searched one by one.
    pub(crate) legs: Vec<Leg>,
    ended: VecDeque<Ended>,
    pub(crate) armed: Option<Time>,
}

/// What every frame of a session needs, apart from its legs so that both can be borrowed.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) id: SessionId,
    pub(crate) voice_sdk_id: String,
    pub(crate) presence: Presence,
}

/// Where the session's client is.
#[derive(Debug)]
pub(crate) enum Presence {
    /// Logged in on this socket, and bound.
    Current(SocketId),
    /// This socket has logged in as somebody else since; the calls go on over it.
    Former(SocketId),
    /// Without a socket.
    Away {
        /// When the last frame came.
        last_heard: Time,
        /// When the socket was found gone.
        since: Time,
        /// Calls that ended meanwhile, to be told on return.
        unheard: Vec<(Leg, HangupCause)>,
    },
}

#[derive(Debug)]
struct Ended {
    name: String,
    cause: HangupCause,
    at: Time,
}

/// Names a user: what all sessions of one login have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct UserKey {
    connection: CredentialConnectionId,
    credential: Option<TelephonyCredentialId>,
    user: String,
}

impl UserKey {
    pub(crate) fn new(party: &LegParty) -> Self {
        Self {
            connection: party.connection,
            credential: party.credential,
            user: party.user.clone(),
        }
    }
}

impl Session {
    pub(crate) const fn new(
        id: SessionId,
        voice_sdk_id: String,
        call_report_id: String,
        socket: SocketId,
        identity: Identity,
        expires: Option<Time>,
        calls: Allowance,
    ) -> Self {
        Self {
            head: Head {
                id,
                voice_sdk_id,
                presence: Presence::Current(socket),
            },
            identity,
            expires,
            calls,
            call_report_id,
            legs: Vec::new(),
            ended: VecDeque::new(),
            armed: None,
        }
    }

    /// Tells whether a login proves the same user, which alone gives a session back.
    pub(crate) fn belongs_to(&self, party: &LegParty) -> bool {
        let own = &self.identity.party;
        own.account == party.account
            && own.connection == party.connection
            && own.credential == party.credential
            && own.user == party.user
    }

    pub(crate) fn bind(&self, socket: SocketId) -> Output {
        Output::Bind {
            session: self.head.id,
            socket,
            party: self.identity.party.clone(),
            call_report_id: self.call_report_id.clone(),
        }
    }

    pub(crate) fn unbind(&self) -> Output {
        Output::Unbind {
            session: self.head.id,
            party: self.identity.party.clone(),
            call_report_id: self.call_report_id.clone(),
        }
    }

    /// Returns how the party itself is shown where a caller and a callee are.
    pub(crate) fn own_id(&self) -> CallerId {
        CallerId {
            name: String::new(),
            number: self.identity.party.user.clone(),
        }
    }

    /// Counts the requests that wait for an answer.
    pub(crate) fn outstanding(&self) -> usize {
        self.legs.iter().map(Leg::outstanding).sum()
    }

    pub(crate) fn leg_index(&self, id: LegId) -> Option<usize> {
        self.legs.iter().position(|leg| leg.id() == id)
    }

    pub(crate) fn leg_named(&self, name: &str) -> Option<usize> {
        self.legs.iter().position(|leg| leg.is_named(name))
    }

    /// Takes a leg out and remembers that it ended.
    pub(crate) fn end_leg(
        &mut self,
        index: usize,
        cause: HangupCause,
        memory: Duration,
        now: Time,
    ) -> Leg {
        let leg = self.legs.remove(index);
        while self.ended.len() >= MAX_ENDED
            || self
                .ended
                .front()
                .is_some_and(|old| now.since(old.at) > memory)
        {
            self.ended.pop_front();
        }
        self.ended.push_back(Ended {
            name: leg.name().to_owned(),
            cause,
            at: now,
        });
        leg
    }

    /// Returns why a call of this name ended a short while ago.
    pub(crate) fn recently_ended(
        &self,
        name: &str,
        memory: Duration,
        now: Time,
    ) -> Option<HangupCause> {
        let of_that_name = |old: &&Ended| now.since(old.at) <= memory && same_name(&old.name, name);
        self.ended
            .iter()
            .rev()
            .find(of_that_name)
            .map(|old| old.cause)
    }

    /// Returns when something is due at the latest.
    pub(crate) fn deadline(&self, config: &Config) -> Option<Time> {
        let away = match &self.head.presence {
            Presence::Current(_) | Presence::Former(_) => None,
            Presence::Away { since, .. } if self.legs.is_empty() => {
                Some(*since + config.session_linger)
            }
            Presence::Away { last_heard, .. } => Some(*last_heard + config.grace),
        };
        match (self.expires, away) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}

impl Head {
    /// Returns the socket that carries its frames.
    pub(crate) const fn socket(&self) -> Option<SocketId> {
        match self.presence {
            Presence::Current(socket) | Presence::Former(socket) => Some(socket),
            Presence::Away { .. } => None,
        }
    }
}

/// Writes frames for one session; while it is away they go nowhere.
pub(crate) struct Wire<'a> {
    out: &'a mut Outbox,
    head: &'a Head,
}

impl<'a> Wire<'a> {
    pub(crate) const fn new(out: &'a mut Outbox, head: &'a Head) -> Self {
        Self { out, head }
    }

    pub(crate) const fn is_open(&self) -> bool {
        self.head.socket().is_some()
    }

    pub(crate) const fn sessid(&self) -> SessionId {
        self.head.id
    }

    /// Answers a request; nothing for a notification.
    pub(crate) fn result<T: Serialize>(&mut self, request: Option<&RequestId>, body: &T) {
        if let (Some(socket), Some(request)) = (self.head.socket(), request) {
            let frame = message::result_frame(request, body, &self.head.voice_sdk_id);
            self.out.push(Output::Send { socket, frame });
        }
    }

    /// Answers a request with an error; nothing for a notification.
    pub(crate) fn refuse(&mut self, request: Option<&RequestId>, refusal: Refusal) {
        if let (Some(socket), Some(_)) = (self.head.socket(), request) {
            let frame = message::error_frame(request, refusal, &self.head.voice_sdk_id);
            self.out.push(Output::Send { socket, frame });
        }
    }

    /// Sends a request of ours. Nobody waits for what comes back: most clients answer none.
    pub(crate) fn request<T: Serialize>(&mut self, method: &str, params: &T) {
        if let Some(socket) = self.head.socket() {
            let frame =
                message::request_frame(self.out.next_id(), method, params, &self.head.voice_sdk_id);
            self.out.push(Output::Send { socket, frame });
        }
    }

    pub(crate) fn info(&mut self, call_id: &str, digit: Digit) {
        self.request(
            "telnyx_rtc.info",
            &InfoBody {
                call_id,
                dtmf: digit.as_char(),
            },
        );
    }

    pub(crate) fn tell(&mut self, event: LegEvent) {
        self.out.push(Output::Leg(event));
    }
}
