//! What lies around the node of a world.

use std::collections::BTreeMap;
use std::time::Duration;

use ringtrip_media::ShardCommand;
use ringtrip_model::{
    CallEvent, CallId, CallSnapshot, LegParty, LegRecord, LoginRefusal, LoginRequest, MediaEvent,
    MediaFailure, PermitRefusal, PermitRequest, Route, RouteRequest, SessionId, SocketId, Time,
};
use ringtrip_verto::CloseReason;
use serde_json::Value;

use super::parsed;
use crate::browser::Step;
use crate::check::Checks;
use crate::clock::Agenda;
use crate::dice::Dice;
use crate::facts::{Facts, STARTED_AT};
use crate::net::{Pipe, SocketNames};
use crate::node::{Input, Outside, Seen};
use crate::plane::MediaPlane;
use crate::report::Fault;

/// Longer than a call waits for any answer.
const TOO_SLOW: (u64, u64) = (5_200, 8_000);

/// Something that is going to happen.
#[derive(Debug)]
pub(super) enum Happening {
    Node(Input),
    Delete(usize),
    Unmute(usize),
    Step(usize, Step),
    BrowserOpened(usize, SocketId),
    BrowserFailed(usize),
    BrowserLost(usize, SocketId),
    BrowserFrame(usize, SocketId, Value),
}

/// What can be turned while a run goes on.
#[derive(Debug, Clone)]
pub struct Knobs {
    /// How long a frame takes, in milliseconds.
    pub latency: (u64, u64),
    /// How long the store takes, in milliseconds.
    pub store: (u64, u64),
    /// The store answers nothing until then.
    pub store_away_until: Time,
    /// Look-ups take longer than a call waits until then.
    pub slow_routes_until: Time,
    /// Limits take longer than a call waits until then.
    pub slow_permits_until: Time,
    /// Snapshots take longer than a call waits until then.
    pub slow_snapshots_until: Time,
    /// Snapshots are written in the background, not at once.
    pub background_snapshots: bool,
    /// Frames that find their reader too slow, in 10,000.
    pub slow_readers: usize,
    /// Logins whose credential is deleted while it is checked, in percent.
    pub deleted_at_login: u32,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            latency: (5, 40),
            store: (1, 10),
            store_away_until: Time::ZERO,
            slow_routes_until: Time::ZERO,
            slow_permits_until: Time::ZERO,
            slow_snapshots_until: Time::ZERO,
            background_snapshots: false,
            slow_readers: 0,
            deleted_at_login: 0,
        }
    }
}

/// Store, network and media threads.
pub struct Ground<P> {
    /// Media threads and peer connections.
    pub plane: P,
    /// What store and bus know.
    pub facts: Facts,
    /// Who watches.
    pub checks: Checks,
    /// What can be turned.
    pub knobs: Knobs,
    /// Which user each device belongs to.
    pub users: Vec<usize>,
    pub(super) agenda: Agenda<Happening>,
    pub(super) pipes: BTreeMap<SocketId, Pipe>,
    pub(super) names: SocketNames,
    /// Devices without a network, and until when.
    pub(super) offline: BTreeMap<usize, Time>,
    dice: Dice,
}

impl<P: MediaPlane> Ground<P> {
    pub(super) fn new(plane: P, facts: Facts, checks: Checks, dice: Dice) -> Self {
        Self {
            plane,
            facts,
            checks,
            knobs: Knobs::default(),
            users: Vec::new(),
            agenda: Agenda::default(),
            pipes: BTreeMap::new(),
            names: SocketNames::default(),
            offline: BTreeMap::new(),
            dice,
        }
    }

    fn store_delay(&mut self) -> Duration {
        self.dice.millis(self.knobs.store.0, self.knobs.store.1)
    }

    fn slow_or_not(&mut self, slow_until: Time, fault: Fault, now: Time) -> Duration {
        if now < slow_until {
            self.checks.report.fault(fault);
            self.dice.millis(TOO_SLOW.0, TOO_SLOW.1)
        } else {
            self.store_delay()
        }
    }

    /// Returns the user that a login shows.
    fn user_of(&self, login: &LoginRequest) -> Option<usize> {
        self.facts.users.iter().position(|user| match login {
            LoginRequest::Token(token) => user.token() == *token.expose(),
            LoginRequest::Password { user: name, .. } => user.name == *name,
        })
    }
}

impl<P: MediaPlane> Outside for Ground<P> {
    fn send(&mut self, socket: SocketId, frame: String, now: Time) -> bool {
        self.checks
            .trace
            .note(now, format_args!("socket {} ← {frame}", socket.0));
        let value = parsed(&frame);
        self.checks.frame_leaves(socket, &value, now);
        let Some(pipe) = self.pipes.get_mut(&socket) else {
            return true;
        };
        if !pipe.at_node {
            return true;
        }
        let device = pipe.device;
        if self.knobs.slow_readers > 0 && self.dice.below(10_000) < self.knobs.slow_readers {
            self.checks.report.fault(Fault::SlowReader);
            self.checks.socket_dropped(socket);
            (pipe.up, pipe.at_node) = (false, false);
            // What was queued before still arrives; then the socket is closed.
            let at = pipe.downwards(now);
            self.agenda.add(at, Happening::BrowserLost(device, socket));
            return false;
        }
        if pipe.down {
            let at = pipe.downwards(now);
            self.agenda
                .add(at, Happening::BrowserFrame(device, socket, value));
        }
        true
    }

    fn close(&mut self, socket: SocketId, reason: CloseReason, now: Time) {
        self.checks.trace.note(
            now,
            format_args!("socket {} closed: {}", socket.0, reason.text()),
        );
        self.checks.server_closes(socket, reason, now);
        let Some(pipe) = self.pipes.get_mut(&socket) else {
            return;
        };
        let (device, open) = (pipe.device, pipe.down);
        (pipe.up, pipe.at_node) = (false, false);
        let at = pipe.downwards(now);
        if open {
            self.agenda.add(at, Happening::BrowserLost(device, socket));
        }
        // Its task says that it is gone, too.
        self.agenda.add(now, Happening::Node(Input::Closed(socket)));
        let user = self
            .users
            .get(device)
            .and_then(|user| self.facts.users.get(*user));
        let ended = |end| end <= STARTED_AT + now.since(Time::ZERO);
        if reason == CloseReason::Revoked
            && user.is_some_and(|user| !user.deleted && user.expires_at.is_some_and(ended))
        {
            self.checks.report.fault(Fault::Expired);
        }
    }

    fn authenticate(&mut self, socket: SocketId, request: u64, login: &LoginRequest, now: Time) {
        let delay = self.store_delay();
        let result = if now < self.knobs.store_away_until {
            self.checks.report.fault(Fault::StoreAwayAtLogin);
            Err(LoginRefusal::Unavailable)
        } else {
            // Read now, told later: what happens in between must not be overlooked.
            self.facts.authenticate(login, now)
        };
        if result.is_ok()
            && self.dice.percent(self.knobs.deleted_at_login)
            && let Some(user) = self.user_of(login)
        {
            self.checks.report.fault(Fault::RevokedAtLogin);
            self.agenda.add(now + delay / 2, Happening::Delete(user));
        }
        let input = Input::Authenticated(socket, request, Box::new(result));
        self.agenda.add(now + delay, Happening::Node(input));
    }

    fn bind(&mut self, session: SessionId, party: &LegParty, now: Time) {
        if !self.facts.may_log_in(party, now) {
            self.checks
                .wrong(now, format!("{} is logged in and must not be", party.user));
        }
        self.facts.bind(session, party);
        self.checks
            .report
            .step("session", "unreachable", "reachable");
    }

    fn unbind(&mut self, session: SessionId, party: &LegParty) {
        if self.facts.unbind(session, party) {
            self.checks
                .report
                .step("session", "reachable", "unreachable");
        }
    }

    fn look_up(&mut self, request: RouteRequest, now: Time) {
        self.checks.trace.note(
            now,
            format_args!("{} looks {} up", request.call, request.user),
        );
        self.checks.asks_route(request.call);
        let delay = self.slow_or_not(self.knobs.slow_routes_until, Fault::SlowRoute, now);
        let route = if now < self.knobs.store_away_until {
            self.checks.report.fault(Fault::StoreAwayAtRoute);
            Route::Unavailable
        } else {
            self.facts.route(&request.user, now)
        };
        let input = Input::Routed(request.call, Box::new(route));
        self.agenda.add(now + delay, Happening::Node(input));
    }

    fn read_limits(&mut self, request: PermitRequest, now: Time) {
        self.checks
            .trace
            .note(now, format_args!("{} wants a place", request.call));
        self.checks.asks_permit(request.call);
        let delay = self.slow_or_not(self.knobs.slow_permits_until, Fault::SlowPermit, now);
        // Limits that cannot be read count as reached.
        let away = now < self.knobs.store_away_until;
        let limits = if away {
            Err(PermitRefusal::Outbound)
        } else {
            Ok(())
        };
        self.agenda
            .add(now + delay, Happening::Node(Input::Limits(request, limits)));
    }

    fn acquire(&mut self, request: &PermitRequest) -> Result<(), PermitRefusal> {
        let result = self.facts.acquire(request);
        match result {
            Ok(()) => self.checks.permitted(request.call),
            Err(PermitRefusal::Outbound) => self.checks.report.fault(Fault::LimitOutbound),
            Err(PermitRefusal::Inbound) => self.checks.report.fault(Fault::LimitInbound),
            Err(PermitRefusal::Node) => self.checks.report.fault(Fault::LimitNode),
        }
        result
    }

    fn release(&mut self, call: CallId) {
        self.facts.release(call);
        self.checks.released(call);
    }

    fn persist(&mut self, snapshot: &CallSnapshot, now: Time) -> bool {
        self.checks.trace.note(now, format_args!("{snapshot:?}"));
        self.checks.persists(snapshot.call);
        self.facts.persist(snapshot.call);
        if now >= self.knobs.slow_snapshots_until && !self.knobs.background_snapshots {
            return true;
        }
        let delay = self.slow_or_not(self.knobs.slow_snapshots_until, Fault::SlowSnapshot, now);
        self.agenda.add(
            now + delay,
            Happening::Node(Input::Persisted(snapshot.call)),
        );
        false
    }

    fn forget(&mut self, call: CallId) {
        if !self.facts.forget(call) {
            self.checks
                .wrong(Time::ZERO, format!("{call} forgets a snapshot it has not"));
        }
    }

    fn event(&mut self, event: &CallEvent) {
        self.checks
            .trace
            .note(event.time, format_args!("{event:?}"));
        self.checks.event(event);
    }

    fn record(&mut self, record: LegRecord) {
        let now = Time::ZERO + record.ended_at.since(STARTED_AT);
        self.checks.trace.note(now, format_args!("{record:?}"));
        self.checks.record(&record, now);
    }

    fn shard(&mut self, shard: usize, command: ShardCommand, now: Time) {
        self.checks
            .trace
            .note(now, format_args!("shard {shard} ← {command:?}"));
        self.plane.command(shard, command, now);
    }

    fn saw(&mut self, seen: Seen<'_>, now: Time) {
        match seen {
            Seen::LegEvent(event) => self.checks.leg_event(event, now),
            Seen::LegCommand(command) => self.checks.leg_command(command, now),
            Seen::MediaCommand(command) => self.checks.media_command(command),
            Seen::MediaEvent(event) => {
                if let MediaEvent::Refused {
                    failure: MediaFailure::Full,
                    ..
                } = event
                {
                    self.checks.report.fault(Fault::MediaFull);
                }
                self.checks.media_event(event);
            }
        }
    }
}
