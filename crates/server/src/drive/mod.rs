//! The signalling task: it owns the engines that decide, feeds them, and does what they ask.
//!
//! One input at a time goes in; then every engine is drained, and what one says to another is handed
//! over on the spot, so a call's messages keep their order without a queue between the engines. What
//! takes time (the store) runs in tasks of its own and comes back as an input.

pub(crate) mod expiry;
mod guesses;
mod history;
pub(crate) mod keys;
mod login;
mod media;
pub(crate) mod notes;
pub(crate) mod retention;
mod switch;
mod verto;
pub(crate) mod webhooks;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ringtrip_cluster::{Bus, Revocation};
use ringtrip_media::{Control, ControlOutput, ShardEvent};
use ringtrip_model::{
    CallEvent, CallEventKind, CallId, ChannelLimits, Generator, Identity, LegEvent, LoginRefusal,
    LoginRequest, MediaCommand, MediaEvent, MediaFailure, PermitRefusal, PermitRequest, Route,
    SessionId, SocketId, Time,
};
use ringtrip_store::Store;
use ringtrip_verto::CloseReason;
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use self::guesses::{Guess, Guesses};
pub(crate) use self::history::History;
pub(crate) use self::media::{MediaThreads, MediaThreadsConfig};
use self::switch::Calls;
pub(crate) use self::verto::{Origin, serve_socket, user_agent};
use self::verto::{Outbox, Sockets};
use crate::clock::{Clock, sleep_until};
use crate::http::websocket::MessageLimit;
use crate::telemetry::Metrics;

/// Inputs handled before the engines' timers get a turn.
const BATCH: usize = 64;

/// What the signalling task hears from sockets and from tasks that asked the store.
#[derive(Debug)]
pub(crate) enum Input {
    /// A WebSocket opened.
    Opened {
        socket: SocketId,
        origin: Origin,
        limit: MessageLimit,
        outbox: Outbox,
    },
    /// A text frame arrived.
    Frame { socket: SocketId, text: Utf8Bytes },
    /// A WebSocket closed.
    Closed { socket: SocketId },
    /// A login was checked.
    Authenticated {
        socket: SocketId,
        request: u64,
        guess: Option<Guess>,
        result: Result<Identity, LoginRefusal>,
    },
    /// A destination was looked up.
    Routed { call: CallId, route: Route },
    /// The limits for a call's place were read.
    Limits {
        request: PermitRequest,
        limits: Result<ChannelLimits, PermitRefusal>,
    },
    /// A media thread tells something.
    Shard { shard: usize, event: ShardEvent },
}

/// How far signalling is on its way to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Not at all.
    NotYet,
    /// Nothing new begins; the task ends with the last call.
    WhenIdle,
    /// Now; live calls are ended with a cause.
    Now,
}

/// What the signalling task stands on.
pub(crate) struct Parts {
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    pub(crate) bus: Bus,
    pub(crate) endpoint: ringtrip_verto::Endpoint,
    pub(crate) settings: ringtrip_switch::Settings,
    pub(crate) control: Control,
    pub(crate) threads: MediaThreads,
    pub(crate) history: History,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) rng: Generator,
}

/// The task's state.
pub(crate) struct Signalling {
    clock: Clock,
    store: Store,
    bus: Bus,
    endpoint: ringtrip_verto::Endpoint,
    sockets: Sockets,
    calls: Calls,
    control: Control,
    threads: MediaThreads,
    history: History,
    metrics: Arc<Metrics>,
    /// Who guessed passwords lately.
    guesses: Guesses,
    /// Sessions that can be called, for the count of them.
    bound: HashSet<SessionId>,
    /// Calls whose place is being looked up.
    permits_asked: HashSet<CallId>,
    /// For tasks that come back with an answer. Unbounded, but each task answers a request of a
    /// session or call, and those are bounded.
    results: mpsc::UnboundedSender<Input>,
}

/// Runs signalling until it is told to stop.
pub(crate) async fn run(
    parts: Parts,
    mut inputs: mpsc::Receiver<Input>,
    (results, mut answers): (mpsc::UnboundedSender<Input>, mpsc::UnboundedReceiver<Input>),
    mut stop: watch::Receiver<Stop>,
) {
    let mut revocations = parts.bus.subscribe_revocations();
    let mut signalling = Signalling {
        calls: Calls::new(parts.settings, parts.rng),
        clock: parts.clock,
        store: parts.store,
        bus: parts.bus,
        endpoint: parts.endpoint,
        sockets: Sockets::default(),
        control: parts.control,
        threads: parts.threads,
        history: parts.history,
        metrics: parts.metrics,
        guesses: Guesses::default(),
        bound: HashSet::new(),
        permits_asked: HashSet::new(),
        results,
    };
    // How many calls the sessions have been told to outlive, once the node gives up work.
    let mut waiting_for = None;
    loop {
        if *stop.borrow() != Stop::NotYet && signalling.wait_no_longer(&mut waiting_for) {
            break;
        }
        let due = signalling
            .poll_timeout()
            .map(|time| signalling.clock.instant(time));
        tokio::select! {
            biased;
            Some(revocation) = revocations.recv() => signalling.revoke(revocation),
            Some(input) = answers.recv() => signalling.handle(input),
            Some(input) = inputs.recv() => {
                signalling.handle(input);
                for _ in 1..BATCH {
                    let Ok(input) = inputs.try_recv() else { break };
                    signalling.handle(input);
                }
            }
            () = sleep_until(due) => {}
            changed = stop.changed() => {
                if changed.is_err() || *stop.borrow() == Stop::Now {
                    break;
                }
            }
        }
        signalling.handle_timeout();
    }
    signalling.shut_down();
    // Give the sockets' tasks a moment to write the last frames, and media its last words.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(1);
    while !signalling.calls.is_empty() {
        match tokio::time::timeout_at(deadline, answers.recv()).await {
            Ok(Some(input)) => signalling.handle(input),
            Ok(None) | Err(_) => break,
        }
    }
    signalling.threads.stop();
}

impl Signalling {
    fn poll_timeout(&self) -> Option<Time> {
        [
            self.endpoint.poll_timeout(),
            self.calls.poll_timeout(),
            self.control.poll_timeout(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn handle_timeout(&mut self) {
        let now = self.clock.now();
        if self.endpoint.poll_timeout().is_some_and(|due| due <= now) {
            self.endpoint(|endpoint| endpoint.handle_timeout(now));
        }
        if self.control.poll_timeout().is_some_and(|due| due <= now) {
            self.control(|control| control.handle_timeout(now));
        }
        self.calls.handle_timeout(now);
        self.drain(now);
    }

    fn handle(&mut self, input: Input) {
        let now = self.clock.now();
        match input {
            Input::Opened {
                socket,
                origin,
                limit,
                outbox,
            } => {
                let crowded_out = self.sockets.insert(socket, (origin, limit), outbox);
                if let Some(oldest) = crowded_out {
                    self.metrics
                        .sockets_crowded_out_total
                        .fetch_add(1, Ordering::Relaxed);
                    self.endpoint(|endpoint| endpoint.crowd_out(oldest, now));
                }
                self.endpoint(|endpoint| endpoint.handle_opened(socket, now));
            }
            Input::Frame { socket, text } => self.handle_frame(socket, &text, now),
            Input::Closed { socket } => {
                self.sockets.remove(socket);
                self.endpoint(|endpoint| endpoint.handle_closed(socket, now));
            }
            Input::Authenticated {
                socket,
                request,
                guess,
                result,
            } => {
                match (&guess, &result) {
                    (Some(guess), Ok(_)) => self.guesses.right(guess, now),
                    (Some(guess), Err(LoginRefusal::Unavailable)) => self.guesses.unjudged(guess),
                    (Some(guess), Err(_)) => self.guesses.wrong(guess, now),
                    (None, _) => {}
                }
                if result.is_ok() {
                    self.sockets.prove(socket);
                }
                self.endpoint(|endpoint| {
                    endpoint.handle_authenticated(socket, request, result, now);
                });
            }
            Input::Routed { call, route } => self.calls.handle_route(call, route, now),
            Input::Limits { request, limits } => {
                // The call may have given its place back before it had one.
                if self.permits_asked.remove(&request.call) {
                    let result = limits.and_then(|limits| self.bus.acquire(&request, limits));
                    self.calls.handle_permit(request.call, result, now);
                }
            }
            Input::Shard { shard, event } => {
                self.control(|control| control.handle_shard(shard, event, now));
            }
        }
        self.drain(now);
    }

    /// A frame that brings the engine down costs its sender the session, and nobody else anything.
    fn handle_frame(&mut self, socket: SocketId, text: &str, now: Time) {
        let handled = catch_unwind(AssertUnwindSafe(|| {
            self.endpoint.handle_frame(socket, text, now)
        }));
        if handled.is_err() {
            self.metrics.panics_total.fetch_add(1, Ordering::Relaxed);
            tracing::error!(
                socket = socket.0,
                "a frame made signalling panic; its session is dropped"
            );
            self.endpoint.remove_socket_after_panic(socket, now);
            self.sockets.close(socket, CloseReason::Fault);
        }
    }

    /// Runs a step of the signalling engine; a panic in it is counted and costs that step alone.
    fn endpoint(&mut self, step: impl FnOnce(&mut ringtrip_verto::Endpoint)) {
        if catch_unwind(AssertUnwindSafe(|| step(&mut self.endpoint))).is_err() {
            self.metrics.panics_total.fetch_add(1, Ordering::Relaxed);
            tracing::error!("a step of signalling panicked");
        }
    }

    /// Runs a step of media's control; false if it panicked.
    fn control(&mut self, step: impl FnOnce(&mut Control)) -> bool {
        let done = catch_unwind(AssertUnwindSafe(|| step(&mut self.control))).is_ok();
        if !done {
            self.metrics.panics_total.fetch_add(1, Ordering::Relaxed);
            tracing::error!("a step of media control panicked");
        }
        done
    }

    /// A description that brings control down costs its own leg, and nobody else anything.
    fn command_media(&mut self, command: MediaCommand, now: Time) {
        let leg = command.leg();
        if !self.control(|control| control.handle_command(command, now)) {
            self.control(|control| control.abandon(leg, now));
            let failure = Some(MediaFailure::BadDescription);
            self.calls
                .handle_media(MediaEvent::Failed { leg, failure }, now);
        }
    }

    fn revoke(&mut self, revocation: Revocation) {
        let now = self.clock.now();
        self.endpoint(|endpoint| endpoint.handle_revoked(revocation.scope, now));
        self.drain(now);
        // Whoever asked may have given up waiting.
        let _ = revocation.done.send(());
    }

    /// Gives up work, as often as there are fewer calls to wait for; true once there are none.
    fn wait_no_longer(&mut self, waiting_for: &mut Option<usize>) -> bool {
        let calls = self.calls.len();
        if calls == 0 {
            return true;
        }
        if waiting_for.is_none_or(|before| calls < before) {
            *waiting_for = Some(calls);
            let now = self.clock.now();
            self.endpoint(|endpoint| endpoint.handle_drain(now));
            self.drain(now);
        }
        false
    }

    fn shut_down(&mut self) {
        let now = self.clock.now();
        self.calls.abort_all(now);
        self.drain(now);
        self.endpoint(|endpoint| endpoint.handle_shutdown(now));
        self.drain(now);
    }

    /// Carries out what the engines ask until none of them asks for more.
    fn drain(&mut self, now: Time) {
        loop {
            if let Some(output) = self.endpoint.poll_output() {
                self.carry_out_verto(output, now);
            } else if let Some(output) = self.calls.poll_output() {
                self.carry_out_switch(output, now);
            } else if let Some(output) = self.control.poll_output() {
                match output {
                    ControlOutput::Event(event) => self.calls.handle_media(event, now),
                    ControlOutput::Shard { shard, command } => self.threads.send(shard, command),
                }
            } else {
                break;
            }
        }
        self.metrics
            .panics_total
            .fetch_add(self.calls.take_panics(), Ordering::Relaxed);
        self.metrics
            .sockets
            .store(self.sockets.len() as u64, Ordering::Relaxed);
        self.metrics
            .calls
            .store(self.calls.len() as u64, Ordering::Relaxed);
    }

    fn carry_out_verto(&mut self, output: ringtrip_verto::Output, now: Time) {
        use ringtrip_verto::Output;
        match output {
            Output::Send { socket, frame } => {
                if !self.sockets.send(socket, frame) {
                    self.metrics
                        .slow_readers_total
                        .fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(
                        socket = socket.0,
                        "a client reads too slowly; its socket is closed"
                    );
                    self.endpoint(|endpoint| endpoint.handle_closed(socket, now));
                }
            }
            Output::Close { socket, reason } => self.sockets.close(socket, reason),
            Output::Authenticate {
                socket,
                request,
                login,
            } => {
                let guess = match &login {
                    LoginRequest::Token(_) => None,
                    LoginRequest::Password { user, .. } => {
                        let source = self.sockets.source(socket);
                        source.map(|source| Guess::new(source, user))
                    }
                };
                let admitted = guess
                    .as_ref()
                    .is_none_or(|guess| self.guesses.admit(guess, now));
                if !admitted {
                    let refused = Err(LoginRefusal::WrongPassword);
                    return self.endpoint(|endpoint| {
                        endpoint.handle_authenticated(socket, request, refused, now);
                    });
                }
                let (store, clock) = (self.store.clone(), self.clock);
                let results = self.results.clone();
                tokio::spawn(async move {
                    let result = login::check(&store, login, clock.wall()).await;
                    // Signalling may have stopped meanwhile.
                    let _ = results.send(Input::Authenticated {
                        socket,
                        request,
                        guess,
                        result,
                    });
                });
            }
            Output::Bind {
                session,
                socket,
                party,
                call_report_id,
            } => {
                // A socket that was closed meanwhile takes its session along: the unbinding follows.
                let Some(origin) = self.sockets.origin(socket) else {
                    return;
                };
                self.bound.insert(session);
                self.metrics
                    .sessions
                    .store(self.bound.len() as u64, Ordering::Relaxed);
                let contact = origin.contact(self.clock.wall_at(now));
                self.bus.bind(session, &party, &call_report_id, contact);
            }
            Output::Unbind {
                session,
                party,
                call_report_id,
            } => {
                self.bound.remove(&session);
                self.metrics
                    .sessions
                    .store(self.bound.len() as u64, Ordering::Relaxed);
                let at = self.clock.wall_at(now);
                self.bus.unbind(session, &party, &call_report_id, at);
            }
            Output::Leg(event) => {
                if matches!(event, LegEvent::Incoming { .. }) {
                    self.metrics.calls_total.fetch_add(1, Ordering::Relaxed);
                }
                self.calls.handle_leg(event, now);
            }
        }
    }

    fn carry_out_switch(&mut self, output: ringtrip_switch::Output, now: Time) {
        use ringtrip_switch::Output;
        match output {
            Output::Leg(command) => {
                self.endpoint(|endpoint| endpoint.handle_command(command, now));
            }
            Output::Media(command) => self.command_media(command, now),
            Output::NeedRoute(request) => {
                let (store, bus, clock) = (self.store.clone(), self.bus.clone(), self.clock);
                let results = self.results.clone();
                tokio::spawn(async move {
                    let route = switch::look_up(&store, &bus, &request.user, clock.wall()).await;
                    let _ = results.send(Input::Routed {
                        call: request.call,
                        route,
                    });
                });
            }
            Output::NeedPermit(request) => {
                self.permits_asked.insert(request.call);
                let (store, results) = (self.store.clone(), self.results.clone());
                tokio::spawn(async move {
                    let limits = switch::limits(&store, &request).await;
                    let _ = results.send(Input::Limits { request, limits });
                });
            }
            Output::Release { call } => {
                self.permits_asked.remove(&call);
                self.bus.release(call);
            }
            Output::Persist(snapshot) => {
                let call = snapshot.call;
                self.bus.persist(snapshot);
                self.calls.handle_persisted(call, now);
            }
            Output::Forget { call } => self.bus.forget(call),
            Output::Event(event) => {
                self.tell_bus(&event);
                self.history.event(event, self.clock);
            }
            Output::Record(record) => {
                self.bus.end_leg(record.leg);
                self.history.record(record);
            }
        }
    }

    /// Keeps the bus informed of which legs live. One that leaves no event of its end, since its call broke off,
    /// has its record all the same.
    fn tell_bus(&self, event: &CallEvent) {
        let Some(leg) = event.leg else { return };
        if matches!(event.kind, CallEventKind::Initiated { .. }) {
            let at = self.clock.wall_at(event.time);
            if let Some(live) = self.calls.live_leg(event.call, leg, at) {
                self.bus.begin_leg(live);
            }
        } else if matches!(event.kind, CallEventKind::Hangup { .. }) {
            self.bus.end_leg(leg);
        }
    }
}
