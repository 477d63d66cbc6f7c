//! The calls of the node, kept as the product's driver keeps them, each watched by the switch's audit.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use ringtrip_model::{
    CallId, Generator, HangupCause, LegCommand, LegEvent, LegId, MediaEvent, PermitRefusal, Route,
    Time,
};
use ringtrip_switch::fuzz::Audit;
use ringtrip_switch::{Call, Output, Settings};

struct Live {
    call: Call,
    audit: Audit,
    timer: Option<Time>,
}

/// All calls of the node.
pub(crate) struct Calls {
    settings: Arc<Settings>,
    rng: Generator,
    calls: BTreeMap<CallId, Live>,
    legs: BTreeMap<LegId, CallId>,
    timers: BTreeSet<(Time, CallId)>,
    outputs: VecDeque<Output>,
}

impl Calls {
    pub(crate) fn new(settings: Settings, rng: Generator) -> Self {
        Self {
            settings: Arc::new(settings),
            rng,
            calls: BTreeMap::new(),
            legs: BTreeMap::new(),
            timers: BTreeSet::new(),
            outputs: VecDeque::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }

    fn call_of(&self, leg: LegId) -> Option<CallId> {
        self.legs.get(&leg).copied()
    }

    pub(crate) fn handle_leg(&mut self, event: LegEvent, now: Time) {
        if matches!(event, LegEvent::Incoming { .. }) {
            self.begin(event, now);
        } else if let Some(call) = self.call_of(event.leg()) {
            self.with(call, |live| {
                live.audit.note_leg_event(&event);
                live.call.handle_leg(event, now);
            });
        }
    }

    fn begin(&mut self, event: LegEvent, now: Time) {
        let leg = event.leg();
        let rng = self.rng.fork();
        match Call::incoming(event, &self.settings, rng, now) {
            Ok(call) => {
                let id = call.id();
                let audit = Audit::new(&call);
                self.calls.insert(
                    id,
                    Live {
                        call,
                        audit,
                        timer: None,
                    },
                );
                self.with(id, |_| ());
            }
            Err(_) => {
                let cause = HangupCause::NormalTemporaryFailure;
                self.outputs
                    .push_back(Output::Leg(LegCommand::Hangup { leg, cause }));
            }
        }
    }

    pub(crate) fn handle_media(&mut self, event: MediaEvent, now: Time) {
        if let Some(call) = self.call_of(event.leg()) {
            self.with(call, |live| {
                live.audit.note_media_event(&event);
                live.call.handle_media(event, now);
            });
        }
    }

    pub(crate) fn handle_route(&mut self, call: CallId, route: Route, now: Time) {
        self.with(call, |live| live.call.handle_route(route, now));
    }

    pub(crate) fn handle_permit(
        &mut self,
        call: CallId,
        result: Result<(), PermitRefusal>,
        now: Time,
    ) {
        self.with(call, |live| {
            live.audit.note_permit(result.is_ok());
            live.call.handle_permit(result, now);
        });
    }

    pub(crate) fn handle_persisted(&mut self, call: CallId, now: Time) {
        self.with(call, |live| live.call.handle_persisted(now));
    }

    pub(crate) fn handle_timeout(&mut self, now: Time) {
        while let Some((due, id)) = self.timers.first().copied().filter(|(due, _)| *due <= now) {
            self.with(id, |live| live.call.handle_timeout(now));
            let stuck = self.timers.contains(&(due, id));
            assert!(!stuck, "call {id} leaves its timer in the past");
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
        let ids: Vec<CallId> = self.calls.keys().copied().collect();
        for id in ids {
            let cause = HangupCause::NormalTemporaryFailure;
            self.with(id, |live| live.call.abort(cause, now));
        }
    }

    /// Gives a call an input, takes its outputs, moves its timer, and drops it once it is over.
    fn with(&mut self, id: CallId, input: impl FnOnce(&mut Live)) {
        let Some(live) = self.calls.get_mut(&id) else {
            return;
        };
        input(live);
        while let Some(output) = live.call.poll_output() {
            live.audit.note_output(&output);
            self.outputs.push_back(output);
        }
        live.audit.check_settled();
        let (timer, over) = (live.call.poll_timeout(), live.call.is_over());
        self.legs.extend(live.call.legs().map(|leg| (leg, id)));
        if over {
            live.audit.check_over(&live.call);
        }
        self.set_timer(id, timer.filter(|_| !over));
        if over && let Some(live) = self.calls.remove(&id) {
            for leg in live.call.legs() {
                self.legs.remove(&leg);
            }
        }
    }

    fn set_timer(&mut self, id: CallId, timer: Option<Time>) {
        let Some(live) = self.calls.get_mut(&id) else {
            return;
        };
        if live.timer == timer {
            return;
        }
        if let Some(old) = live.timer {
            self.timers.remove(&(old, id));
        }
        if let Some(new) = timer {
            self.timers.insert((new, id));
        }
        live.timer = timer;
    }
}
