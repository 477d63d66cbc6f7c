//! Takes records and events off the signalling task and writes them in bulk.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use ringtrip_model::{CallEvent, CallEventKind, LegRecord, Timestamp};
use ringtrip_store::{Store, StoreError};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::telemetry::Metrics;

/// Entries that may wait for the store.
const QUEUE: usize = 16_384;
/// Entries written at once.
const BULK: usize = 512;
/// How long entries gather before they are written. Nobody waits for them, and a transaction of its
/// own for each event would cost a call more than both its handshakes.
const GATHER: Duration = Duration::from_millis(100);
/// Pauses between attempts while the store is unavailable; the last one repeats.
const RETRY: [Duration; 3] = [
    Duration::from_millis(100),
    Duration::from_secs(1),
    Duration::from_secs(5),
];

#[derive(Debug)]
enum Entry {
    Record(Box<LegRecord>),
    Event(CallEvent, Timestamp),
}

/// The way into history. Bounded: when the store cannot keep up, what only explains a call is dropped
/// first, then its milestones, and its records last; everything dropped is counted.
#[derive(Debug, Clone)]
pub(crate) struct History {
    queue: mpsc::Sender<Entry>,
    metrics: Arc<Metrics>,
    /// The calendar time of the last event, in microseconds.
    latest: Arc<AtomicI64>,
}

impl History {
    /// Starts the writing task. It ends, with everything written, once every [`History`] is dropped.
    /// `written` is told whenever the store holds more.
    pub(crate) fn start(
        store: Store,
        metrics: Arc<Metrics>,
        written: Arc<Notify>,
    ) -> (Self, JoinHandle<()>) {
        let (queue, entries) = mpsc::channel(QUEUE);
        let writer = tokio::spawn(write(store, entries, Arc::clone(&metrics), written));
        let latest = Arc::default();
        let history = Self {
            queue,
            metrics,
            latest,
        };
        (history, writer)
    }

    /// Queues the record of an ended leg.
    pub(crate) fn record(&self, record: LegRecord) {
        self.push(Entry::Record(Box::new(record)));
    }

    /// Queues an event.
    pub(crate) fn event(&self, event: CallEvent, clock: Clock) {
        let reserved = if is_milestone(&event.kind) {
            QUEUE / 4
        } else {
            QUEUE / 2
        };
        if self.queue.capacity() > reserved {
            let at = self.in_order(clock.wall_at(event.time));
            self.push(Entry::Event(event, at));
        } else {
            self.metrics
                .history_dropped_total
                .fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Keeps the order of events in their calendar times: two clocks are read for each, a moment apart. A
    /// system clock that was set back goes its own way.
    fn in_order(&self, at: Timestamp) -> Timestamp {
        let latest = self.latest.load(Ordering::Relaxed);
        if (0..1_000_000).contains(&(latest - at.as_micros())) {
            return Timestamp::from_micros(latest);
        }
        self.latest.store(at.as_micros(), Ordering::Relaxed);
        at
    }

    fn push(&self, entry: Entry) {
        if let Err(error) = self.queue.try_send(entry) {
            self.metrics
                .history_dropped_total
                .fetch_add(1, Ordering::Relaxed);
            tracing::error!(%error, "call history cannot keep up; an entry is lost");
        }
    }
}

const fn is_milestone(kind: &CallEventKind) -> bool {
    match kind {
        CallEventKind::Initiated(_)
        | CallEventKind::Answered
        | CallEventKind::Bridged { .. }
        | CallEventKind::Hangup { .. } => true,
        CallEventKind::Ringing
        | CallEventKind::MediaConnected
        | CallEventKind::MediaStalled
        | CallEventKind::MediaResumed
        | CallEventKind::Held
        | CallEventKind::Unheld
        | CallEventKind::Dtmf { .. }
        | CallEventKind::MediaRestarted
        | CallEventKind::SignallingLost
        | CallEventKind::SignallingReturned
        | CallEventKind::Attached => false,
    }
}

async fn write(
    store: Store,
    mut entries: mpsc::Receiver<Entry>,
    metrics: Arc<Metrics>,
    written: Arc<Notify>,
) {
    let mut waiting = Vec::with_capacity(BULK);
    while entries.recv_many(&mut waiting, BULK).await > 0 {
        if waiting.len() < BULK && !entries.is_closed() {
            tokio::time::sleep(GATHER).await;
            while waiting.len() < BULK
                && let Ok(entry) = entries.try_recv()
            {
                waiting.push(entry);
            }
        }
        let (mut records, mut events) = (Vec::new(), Vec::new());
        for entry in waiting.drain(..) {
            match entry {
                Entry::Record(record) => records.push(*record),
                Entry::Event(event, at) => events.push((event, at)),
            }
        }
        // Both inserts pass over what is there already, so a repeated attempt writes nothing twice.
        retry("call records", || store.insert_leg_records(&records)).await;
        metrics
            .leg_records_total
            .fetch_add(records.len() as u64, Ordering::Relaxed);
        retry("call events", || store.insert_call_events(&events)).await;
        written.notify_one();
    }
}

async fn retry<F>(what: &str, attempt: impl Fn() -> F)
where
    F: Future<Output = Result<(), StoreError>>,
{
    let mut pauses = RETRY
        .into_iter()
        .chain(std::iter::repeat(RETRY[RETRY.len() - 1]));
    while let Err(error) = attempt().await {
        if !error.is_unavailable() {
            tracing::error!(%error, "{what} cannot be written and are lost");
            return;
        }
        tracing::warn!(%error, "{what} wait for the store");
        tokio::time::sleep(pauses.next().unwrap_or(Duration::from_secs(5))).await;
    }
}
