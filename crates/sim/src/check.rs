//! What must be true of every run, and is watched while it happens.

mod legs;
mod sockets;

use std::collections::{BTreeMap, BTreeSet};

use ringtrip_model::{AudioCodec, CallId, LegId, LegRecord, SocketId, Time};

use self::legs::LegTrack;
use self::sockets::SocketTrack;
use crate::report::Report;
use crate::trace::Trace;

/// Mistakes kept; one usually has more in its wake.
const MAX_MISTAKES: usize = 20;

/// Watches a run.
#[derive(Debug)]
pub struct Checks {
    /// Counts faults and steps.
    pub report: Report,
    /// Every output, in order.
    pub trace: Trace,
    mistakes: Vec<String>,
    legs: BTreeMap<LegId, LegTrack>,
    calls: BTreeMap<CallId, CallTrack>,
    sockets: BTreeMap<SocketId, SocketTrack>,
    /// What each party's own descriptions said, by the name it gave the leg.
    callers: BTreeMap<String, AudioCodec>,
    callees: BTreeMap<String, Vec<AudioCodec>>,
    permits: BTreeSet<CallId>,
    /// Nothing is wrong with sessions that end with the node.
    pub(crate) going_down: bool,
}

#[derive(Debug)]
struct CallTrack {
    state: &'static str,
    caller: LegId,
    legs: Vec<LegId>,
    accepted: Option<LegId>,
    spoken: Option<AudioCodec>,
    permit: bool,
}

impl Checks {
    /// Starts watching; keeps a readable trace if told to.
    pub fn new(keep_trace: bool) -> Self {
        Self {
            report: Report::default(),
            trace: Trace::new(keep_trace),
            mistakes: Vec::new(),
            legs: BTreeMap::new(),
            calls: BTreeMap::new(),
            sockets: BTreeMap::new(),
            callers: BTreeMap::new(),
            callees: BTreeMap::new(),
            permits: BTreeSet::new(),
            going_down: false,
        }
    }

    /// Notes that a rule was broken.
    pub fn wrong(&mut self, now: Time, what: String) {
        self.trace.remark(now, format_args!("WRONG: {what}"));
        if self.mistakes.len() < MAX_MISTAKES {
            self.mistakes
                .push(format!("at {} us: {what}", now.as_micros()));
        }
    }

    /// Returns which rules were broken.
    pub fn mistakes(&self) -> &[String] {
        &self.mistakes
    }

    /// Notes what the answer that a caller got says.
    pub fn caller_speaks(&mut self, name: &str, codec: AudioCodec) {
        self.callers.insert(name.to_owned(), codec);
    }

    /// Notes what a callee's own answer says.
    pub fn callee_offers(&mut self, name: &str, codecs: Vec<AudioCodec>) {
        self.callees.insert(name.to_owned(), codecs);
    }

    /// Notes that a call got its place.
    pub fn permitted(&mut self, call: CallId) {
        self.permits.insert(call);
        if let Some(track) = self.calls.get_mut(&call) {
            track.permit = true;
        }
    }

    /// Notes that a call gave its place back.
    pub fn released(&mut self, call: CallId) {
        self.permits.remove(&call);
    }

    /// Checks a leg's record: the only one, and what it says is what both parties were told.
    pub fn record(&mut self, record: &LegRecord, now: Time) {
        let Some(leg) = self.legs.get_mut(&record.leg) else {
            return self.wrong(now, format!("a record of an unknown leg: {record:?}"));
        };
        let twice = std::mem::replace(&mut leg.recorded, true);
        let (cause, alive) = (leg.cause, leg.is_alive());
        if twice || alive || cause != Some(record.cause) {
            self.wrong(
                now,
                format!("a record out of turn (its leg ended with {cause:?}): {record:?}"),
            );
        }
        self.report.cause(record.cause);
        let Some(audio) = record.audio else { return };
        let told = self.callers.get(&record.protocol_call_id);
        if told.is_some_and(|codec| *codec != audio) {
            self.wrong(now, format!("the caller was told {told:?}: {record:?}"));
        }
        let could = self.callees.get(&record.protocol_call_id);
        if could.is_some_and(|codecs| !codecs.contains(&audio)) {
            self.wrong(now, format!("the callee can {could:?}: {record:?}"));
        }
        if let Some(call) = self.calls.get_mut(&record.call) {
            let far = *call.spoken.get_or_insert(audio);
            if far != audio {
                self.wrong(now, format!("the far side speaks {far:?}: {record:?}"));
            }
        }
    }

    fn call_step(&mut self, call: CallId, to: &'static str) {
        if let Some(track) = self.calls.get_mut(&call)
            && track.state != to
        {
            self.report.step("call", track.state, to);
            track.state = to;
        }
    }

    /// Checks that nothing waits for anything and nothing is left of any leg.
    pub fn check_end(&mut self, now: Time) {
        let mut left = Vec::new();
        for (id, leg) in &self.legs {
            if leg.is_alive() || !leg.recorded {
                left.push(format!("{id} is left over: {leg:?}"));
            }
        }
        for (id, call) in &self.calls {
            if call.state != "ended" {
                left.push(format!("{id} is left over: {call:?}"));
            }
        }
        for what in left {
            self.wrong(now, what);
        }
    }
}
