//! The numbered history of a call.

use ringtrip_model::{CallEvent, CallEventKind, CallId, LegId, Time};

/// Numbers the events of one call from 1.
#[derive(Debug, Default)]
pub(crate) struct History {
    last: u32,
}

impl History {
    /// Makes the next event.
    pub(crate) fn next(
        &mut self,
        call: CallId,
        leg: Option<LegId>,
        time: Time,
        kind: CallEventKind,
    ) -> CallEvent {
        self.last = self.last.saturating_add(1);
        CallEvent {
            call,
            leg,
            seq: self.last,
            time,
            kind,
        }
    }

    /// Goes on after an event that was numbered elsewhere.
    pub(crate) fn after(last: u32) -> Self {
        Self { last }
    }
}
