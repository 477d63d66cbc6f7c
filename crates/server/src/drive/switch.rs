//! Owns the calls: hands each its inputs, keeps their timers, and cleans up after one that panics.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use ringtrip_cluster::Bus;
use ringtrip_model::{
    CallId, ChannelLimits, Generator, HangupCause, LegCommand, LegEvent, LegId, LiveLeg,
    MediaEvent, PermitRefusal, PermitRequest, Route, Time, Timestamp,
};
use ringtrip_store::Store;
use ringtrip_switch::{Call, Output, Settings};

/// A call and the timer it asked for.
struct Live {
    call: Call,
    timer: Option<Time>,
}

/// All calls of this task.
pub(crate) struct Calls {
    settings: Arc<Settings>,
    rng: Generator,
    calls: HashMap<CallId, Live>,
    legs: HashMap<LegId, CallId>,
    timers: BTreeSet<(Time, CallId)>,
    outputs: VecDeque<Output>,
    panics: u64,
}

impl Calls {
    pub(crate) fn new(settings: Settings, rng: Generator) -> Self {
        Self {
            settings: Arc::new(settings),
            rng,
            calls: HashMap::new(),
            legs: HashMap::new(),
            timers: BTreeSet::new(),
            outputs: VecDeque::new(),
            panics: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Returns what the bus is told of a leg that begins at `at`; nothing if its call is over already.
    pub(crate) fn live_leg(&self, call: CallId, leg: LegId, at: Timestamp) -> Option<LiveLeg> {
        let live = self.calls.get(&call)?;
        let party = live.call.party(leg)?;
        Some(LiveLeg {
            leg,
            call,
            account: party.account,
            connection: party.connection,
            started_at: at,
            client_state: live.call.client_state().map(str::to_owned),
        })
    }

    /// Returns how many calls were dropped because their engine panicked, since last asked.
    pub(crate) fn take_panics(&mut self) -> u64 {
        std::mem::take(&mut self.panics)
    }

    pub(crate) fn handle_leg(&mut self, event: LegEvent, now: Time) {
        if matches!(event, LegEvent::Incoming { .. }) {
            self.begin(event, now);
        } else if let Some(call) = self.legs.get(&event.leg()).copied() {
            self.with(call, now, |call| call.handle_leg(event, now));
        }
    }

    fn begin(&mut self, event: LegEvent, now: Time) {
        let leg = event.leg();
        let rng = self.rng.fork();
        let settings = &self.settings;
        match catch_unwind(AssertUnwindSafe(|| {
            Call::incoming(event, settings, rng, now)
        })) {
            Ok(Ok(call)) => {
                let id = call.id();
                self.calls.insert(id, Live { call, timer: None });
                self.with(id, now, |_| ());
            }
            refused => {
                self.panics += u64::from(refused.is_err());
                let cause = HangupCause::NormalTemporaryFailure;
                self.outputs
                    .push_back(Output::Leg(LegCommand::Hangup { leg, cause }));
            }
        }
    }

    pub(crate) fn handle_media(&mut self, event: MediaEvent, now: Time) {
        if let Some(call) = self.legs.get(&event.leg()).copied() {
            self.with(call, now, |call| call.handle_media(event, now));
        }
    }

    pub(crate) fn handle_route(&mut self, call: CallId, route: Route, now: Time) {
        self.with(call, now, |call| call.handle_route(route, now));
    }

    pub(crate) fn handle_permit(
        &mut self,
        call: CallId,
        result: Result<(), PermitRefusal>,
        now: Time,
    ) {
        self.with(call, now, |call| call.handle_permit(result, now));
    }

    pub(crate) fn handle_persisted(&mut self, call: CallId, now: Time) {
        self.with(call, now, |call| call.handle_persisted(now));
    }

    pub(crate) fn handle_timeout(&mut self, now: Time) {
        while let Some((_, id)) = self.timers.first().copied().filter(|(due, _)| *due <= now) {
            self.with(id, now, |call| call.handle_timeout(now));
            // An engine that leaves its timer in the past must not hold the task.
            if self
                .timers
                .first()
                .is_some_and(|(due, first)| *first == id && *due <= now)
            {
                self.set_timer(id, Some(now + Duration::from_millis(10)));
            }
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        self.timers.first().map(|(due, _)| *due)
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Ends every call: the node is going down.
    pub(crate) fn abort_all(&mut self, now: Time) {
        let ids: BTreeSet<CallId> = self.calls.keys().copied().collect();
        for id in ids {
            self.with(id, now, |call| {
                call.abort(HangupCause::NormalTemporaryFailure, now)
            });
        }
    }

    /// Gives a call an input, takes its outputs, and moves its timer. A call that panics ends with
    /// its last words; no other notices.
    fn with(&mut self, id: CallId, now: Time, input: impl FnOnce(&mut Call)) {
        let Some(live) = self.calls.get_mut(&id) else {
            return;
        };
        let outputs = &mut self.outputs;
        let handled = catch_unwind(AssertUnwindSafe(|| {
            input(&mut live.call);
            while let Some(output) = live.call.poll_output() {
                outputs.push_back(output);
            }
            (live.call.poll_timeout(), live.call.is_over())
        }));
        match handled {
            Ok((timer, over)) => {
                self.legs.extend(live.call.legs().map(|leg| (leg, id)));
                self.set_timer(id, timer);
                if over {
                    self.remove(id);
                }
            }
            Err(_) => {
                self.panics += 1;
                tracing::error!(call.id = %id, "call {id} panicked and is ended");
                if let Some(live) = self.remove(id) {
                    self.outputs.extend(live.call.last_words(now));
                }
            }
        }
    }

    fn set_timer(&mut self, id: CallId, timer: Option<Time>) {
        let Some(live) = self.calls.get_mut(&id) else {
            return;
        };
        if live.timer != timer {
            if let Some(old) = live.timer {
                self.timers.remove(&(old, id));
            }
            if let Some(new) = timer {
                self.timers.insert((new, id));
            }
            live.timer = timer;
        }
    }

    fn remove(&mut self, id: CallId) -> Option<Live> {
        self.set_timer(id, None);
        let live = self.calls.remove(&id)?;
        for leg in live.call.legs() {
            self.legs.remove(&leg);
        }
        Some(live)
    }
}

/// Finds out who stands behind a user name, and on which devices.
pub(crate) async fn look_up(store: &Store, bus: &Bus, user: &str, now: Timestamp) -> Route {
    match store.identify_user(user).await {
        Ok(Some(found)) => Route::User {
            enabled: found.usable_at(now),
            preference: found.preference,
            devices: bus.devices(&found.party.user),
            party: found.party,
        },
        Ok(None) => Route::Unknown,
        Err(error) => {
            tracing::error!(%error, "a destination cannot be looked up");
            Route::Unavailable
        }
    }
}

/// Reads the limits a call's place is taken within. Limits that cannot be read count as reached.
pub(crate) async fn limits(
    store: &Store,
    request: &PermitRequest,
) -> Result<ChannelLimits, PermitRefusal> {
    let from = store
        .channel_limits(request.from)
        .await
        .map_err(|_| PermitRefusal::Outbound)?;
    let to = store
        .channel_limits(request.to)
        .await
        .map_err(|_| PermitRefusal::Inbound)?;
    Ok(ChannelLimits {
        outbound: from.outbound,
        inbound: to.inbound,
    })
}
