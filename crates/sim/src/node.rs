//! One node: signalling, switch and media control, wired as the product's driver wires them.
//!
//! One input goes in; then every engine is drained, and what one says to another is handed over on
//! the spot. What lies outside (sockets, store, media threads) is an [`Outside`].

use std::collections::BTreeSet;

use ringtrip_media::{Control, ControlOutput, ShardCommand, ShardEvent};
use ringtrip_model::{
    CallEvent, CallId, CallSnapshot, Identity, LegCommand, LegEvent, LegParty, LegRecord,
    LoginRefusal, LoginRequest, MediaCommand, MediaEvent, PermitRefusal, PermitRequest,
    RevokeScope, Route, RouteRequest, SessionId, SocketId, Time,
};
use ringtrip_verto::{CloseReason, Endpoint};

use crate::calls::Calls;

/// Something a node hears.
#[derive(Debug)]
pub enum Input {
    /// A WebSocket opened.
    Opened(SocketId),
    /// A text frame arrived.
    Frame(SocketId, String),
    /// A WebSocket closed.
    Closed(SocketId),
    /// A login was checked.
    Authenticated(SocketId, u64, Box<Result<Identity, LoginRefusal>>),
    /// A destination was looked up.
    Routed(CallId, Box<Route>),
    /// The limits for a call's place were read, or could not be.
    Limits(PermitRequest, Result<(), PermitRefusal>),
    /// A snapshot is written.
    Persisted(CallId),
    /// A media thread tells something.
    Shard(usize, ShardEvent),
    /// A credential or connection is no longer valid.
    Revoked(RevokeScope),
    /// The node goes down.
    Shutdown,
}

/// What passes between the engines, for whoever watches.
#[derive(Debug, Clone, Copy)]
pub enum Seen<'a> {
    /// From a leg's protocol side to its call.
    LegEvent(&'a LegEvent),
    /// From a call to a leg's protocol side.
    LegCommand(&'a LegCommand),
    /// From a call to media.
    MediaCommand(&'a MediaCommand),
    /// From media to a call.
    MediaEvent(&'a MediaEvent),
}

/// What lies around a node.
pub trait Outside {
    /// Sends a frame; false if the client reads too slowly, which closes its socket.
    fn send(&mut self, socket: SocketId, frame: String, now: Time) -> bool;
    /// Closes a socket.
    fn close(&mut self, socket: SocketId, reason: CloseReason, now: Time);
    /// Finds out who logs in; answered by [`Input::Authenticated`].
    fn authenticate(&mut self, socket: SocketId, request: u64, login: &LoginRequest, now: Time);
    /// Makes a session reachable.
    fn bind(&mut self, session: SessionId, party: &LegParty, now: Time);
    /// Makes a session unreachable.
    fn unbind(&mut self, session: SessionId, party: &LegParty);
    /// Looks a user up; answered by [`Input::Routed`].
    fn look_up(&mut self, request: RouteRequest, now: Time);
    /// Reads limits; answered by [`Input::Limits`].
    fn read_limits(&mut self, request: PermitRequest, now: Time);
    /// Takes a place within the limits that were read.
    fn acquire(&mut self, request: &PermitRequest) -> Result<(), PermitRefusal>;
    /// Gives a place back.
    fn release(&mut self, call: CallId);
    /// Writes a snapshot. True if it is written at once; else [`Input::Persisted`] says so.
    fn persist(&mut self, snapshot: &CallSnapshot, now: Time) -> bool;
    /// Forgets a snapshot.
    fn forget(&mut self, call: CallId);
    /// Takes a step of a call's history.
    fn event(&mut self, event: &CallEvent);
    /// Takes a leg's record.
    fn record(&mut self, record: LegRecord);
    /// Hands a command to a media thread.
    fn shard(&mut self, shard: usize, command: ShardCommand, now: Time);
    /// Watches what the engines say to each other.
    fn saw(&mut self, seen: Seen<'_>, now: Time);
}

/// The engines of a node.
pub struct Node {
    endpoint: Endpoint,
    calls: Calls,
    control: Control,
    permits_asked: BTreeSet<CallId>,
}

impl Node {
    /// Puts the engines together.
    pub fn new(
        endpoint: Endpoint,
        settings: ringtrip_switch::Settings,
        control: Control,
        rng: ringtrip_model::Generator,
    ) -> Self {
        let calls = Calls::new(settings, rng);
        Self {
            endpoint,
            calls,
            control,
            permits_asked: BTreeSet::new(),
        }
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Time> {
        [
            self.endpoint.poll_timeout(),
            self.calls.poll_timeout(),
            self.control.poll_timeout(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Returns what is left of calls, legs with media, anchors, and deadlines of signalling: nothing
    /// of it may be left at the end.
    pub fn remains(&self) -> [(&'static str, usize); 4] {
        [
            ("calls", self.calls.len()),
            ("legs with media", self.control.legs()),
            ("anchors", self.control.anchors()),
            (
                "sockets or sessions",
                usize::from(self.endpoint.poll_timeout().is_some()),
            ),
        ]
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, outside: &mut impl Outside, now: Time) {
        if self.endpoint.poll_timeout().is_some_and(|due| due <= now) {
            self.endpoint.handle_timeout(now);
        }
        if self.control.poll_timeout().is_some_and(|due| due <= now) {
            self.control.handle_timeout(now);
        }
        self.calls.handle_timeout(now);
        self.drain(outside, now);
    }

    /// Handles one input and all that follows from it.
    pub fn handle(&mut self, input: Input, outside: &mut impl Outside, now: Time) {
        match input {
            Input::Opened(socket) => self.endpoint.handle_opened(socket, now),
            Input::Frame(socket, text) => self.endpoint.handle_frame(socket, &text, now),
            Input::Closed(socket) => self.endpoint.handle_closed(socket, now),
            Input::Authenticated(socket, request, result) => {
                self.endpoint
                    .handle_authenticated(socket, request, *result, now);
            }
            Input::Routed(call, route) => self.calls.handle_route(call, *route, now),
            Input::Limits(request, limits) => {
                // The call may have given its place back before it had one.
                if self.permits_asked.remove(&request.call) {
                    let result = limits.and_then(|()| outside.acquire(&request));
                    self.calls.handle_permit(request.call, result, now);
                }
            }
            Input::Persisted(call) => self.calls.handle_persisted(call, now),
            Input::Shard(shard, event) => self.control.handle_shard(shard, event, now),
            Input::Revoked(scope) => self.endpoint.handle_revoked(scope, now),
            Input::Shutdown => {
                self.calls.abort_all(now);
                self.drain(outside, now);
                self.endpoint.handle_shutdown(now);
            }
        }
        self.drain(outside, now);
    }

    /// Carries out what the engines ask until none of them asks for more.
    fn drain(&mut self, outside: &mut impl Outside, now: Time) {
        loop {
            if let Some(output) = self.endpoint.poll_output() {
                self.carry_out_verto(output, outside, now);
            } else if let Some(output) = self.calls.poll_output() {
                self.carry_out_switch(output, outside, now);
            } else if let Some(output) = self.control.poll_output() {
                match output {
                    ControlOutput::Event(event) => {
                        outside.saw(Seen::MediaEvent(&event), now);
                        self.calls.handle_media(event, now);
                    }
                    ControlOutput::Shard { shard, command } => outside.shard(shard, command, now),
                }
            } else {
                break;
            }
        }
    }

    fn carry_out_verto(
        &mut self,
        output: ringtrip_verto::Output,
        outside: &mut impl Outside,
        now: Time,
    ) {
        use ringtrip_verto::Output;
        match output {
            Output::Send { socket, frame } => {
                if !outside.send(socket, frame, now) {
                    self.endpoint.handle_closed(socket, now);
                }
            }
            Output::Close { socket, reason } => outside.close(socket, reason, now),
            Output::Authenticate {
                socket,
                request,
                login,
            } => {
                outside.authenticate(socket, request, &login, now);
            }
            Output::Bind { session, party, .. } => outside.bind(session, &party, now),
            Output::Unbind { session, party, .. } => outside.unbind(session, &party),
            Output::Leg(event) => {
                outside.saw(Seen::LegEvent(&event), now);
                self.calls.handle_leg(event, now);
            }
        }
    }

    fn carry_out_switch(
        &mut self,
        output: ringtrip_switch::Output,
        outside: &mut impl Outside,
        now: Time,
    ) {
        use ringtrip_switch::Output;
        match output {
            Output::Leg(command) => {
                outside.saw(Seen::LegCommand(&command), now);
                self.endpoint.handle_command(command, now);
            }
            Output::Media(command) => {
                outside.saw(Seen::MediaCommand(&command), now);
                self.control.handle_command(command, now);
            }
            Output::NeedRoute(request) => outside.look_up(request, now),
            Output::NeedPermit(request) => {
                self.permits_asked.insert(request.call);
                outside.read_limits(request, now);
            }
            Output::Release { call } => {
                self.permits_asked.remove(&call);
                outside.release(call);
            }
            Output::Persist(snapshot) => {
                let call = snapshot.call;
                if outside.persist(&snapshot, now) {
                    self.calls.handle_persisted(call, now);
                }
            }
            Output::Forget { call } => outside.forget(call),
            Output::Event(event) => outside.event(&event),
            Output::Record(record) => outside.record(record),
        }
    }
}
