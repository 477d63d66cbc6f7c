//! Takes records and events off the signalling task and writes them in bulk.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ringtrip_model::{CallEvent, LegRecord, Timestamp};
use ringtrip_store::{Store, StoreError};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::telemetry::Metrics;

/// Entries that may wait for the store.
const QUEUE: usize = 16_384;
/// Entries written at once.
const BULK: usize = 512;
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

/// The way into history. Bounded: when the store is away for long, events are dropped first (a
/// quarter of the queue is kept for records) and everything dropped is counted.
#[derive(Debug, Clone)]
pub(crate) struct History {
    queue: mpsc::Sender<Entry>,
    metrics: Arc<Metrics>,
}

impl History {
    /// Starts the writing task. It ends, with everything written, once every [`History`] is dropped.
    pub(crate) fn start(store: Store, metrics: Arc<Metrics>) -> (Self, JoinHandle<()>) {
        let (queue, entries) = mpsc::channel(QUEUE);
        let writer = tokio::spawn(write(store, entries, Arc::clone(&metrics)));
        (Self { queue, metrics }, writer)
    }

    /// Queues the record of an ended leg.
    pub(crate) fn record(&self, record: LegRecord) {
        self.push(Entry::Record(Box::new(record)));
    }

    /// Queues an event.
    pub(crate) fn event(&self, event: CallEvent, clock: Clock) {
        if self.queue.capacity() > QUEUE / 4 {
            let at = clock.wall_at(event.time);
            self.push(Entry::Event(event, at));
        } else {
            self.metrics
                .history_dropped_total
                .fetch_add(1, Ordering::Relaxed);
        }
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

async fn write(store: Store, mut entries: mpsc::Receiver<Entry>, metrics: Arc<Metrics>) {
    let mut waiting = Vec::with_capacity(BULK);
    while entries.recv_many(&mut waiting, BULK).await > 0 {
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
