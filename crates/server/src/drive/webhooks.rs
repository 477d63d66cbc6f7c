//! Tells applications of calls: reads the log of events, queues what connections with a URL are told, and
//! sends it. Whose turn it is, [`Courier`] decides.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use ringtrip_api::webhook::{self, Attempt, Courier, Limits, Outcome, Output, goes_to_failover};
use ringtrip_model::{
    AccountId, CredentialConnection, CredentialConnectionId, Generator, LegId, Time, Timestamp,
    WebhookAnswer, WebhookAttempt, WebhookDeliveryId, WebhookError, WebhookEventId,
};
use ringtrip_store::{Corruption, NewWebhook, Store, StoreError, ToldEvent, ToldStep};
use tokio::sync::{Notify, mpsc, watch};

use crate::clock::Clock;
use crate::outbound::{Answer, Outbound, OutboundError};
use crate::telemetry::Metrics;

/// How often the log and the queue are looked at without being told to.
const PERIOD: Duration = Duration::from_secs(1);
/// Events, or webhooks, read at once.
const BATCH: u32 = 500;
/// How long the end of a leg waits for the record of the leg, which says how it sounded. The record
/// follows within 5 s unless the process died in between.
const RECORD_PATIENCE: Duration = Duration::from_secs(10);
/// Events without anybody to tell them to, after which the cursor is written down all the same.
const UNTOLD: i64 = 5_000;
/// How long an endpoint may take unless its connection says otherwise.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How much of an answer's body, and of headers, is kept.
const KEPT_BYTES: usize = 10_000;
/// Pause between attempts to write down what happened while the store is unavailable.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// How long requests under way may still take when the node stops.
const LAST_MOMENTS: Duration = Duration::from_secs(1);
/// Requests that end before anybody looks.
const RESULTS: usize = 256;

/// What the task stands on.
pub(crate) struct Webhooks {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) outbound: Outbound,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) rng: Generator,
}

/// The task's state.
struct Task {
    parts: Webhooks,
    courier: Courier,
    /// The last event that was looked at.
    cursor: i64,
    /// The last event of which the store knows that it was looked at.
    persisted: i64,
    /// The end of a leg that waits for its record, and since when.
    held: Option<(i64, Time)>,
    /// Webhooks that were dropped and are still in the stored queue.
    dropped: Vec<i64>,
    results: mpsc::Sender<(Attempt, Outcome)>,
}

/// Runs until `stop` turns true. `written` says that the log has grown.
pub(crate) async fn run(parts: Webhooks, written: Arc<Notify>, mut stop: watch::Receiver<bool>) {
    let (results, mut ended) = mpsc::channel(RESULTS);
    let mut task = Task {
        parts,
        courier: Courier::new(Limits::default()),
        cursor: 0,
        persisted: 0,
        held: None,
        dropped: Vec::new(),
        results,
    };
    let store = task.parts.store.clone();
    let mut period = tokio::time::interval(PERIOD);
    period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut begun = false;
    loop {
        let due = task.courier.poll_timeout();
        let due = due.map(|time| task.parts.clock.instant(time));
        let (mut grown, mut resent) = (false, false);
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            Some((attempt, outcome)) = ended.recv() => task.attempted(&attempt, outcome),
            () = written.notified(), if begun => grown = true,
            () = store.webhook_resent(), if begun => resent = true,
            _ = period.tick() => (grown, resent) = (true, true),
            () = super::sleep_until(due) => {}
        }
        task.courier.handle_timeout(task.parts.clock.now());
        let looked = task.look(&mut begun, grown, resent).await;
        if let Err(error) = looked {
            tracing::warn!(%error, "webhooks wait for the store");
        }
        task.carry_out().await;
    }
    task.shut_down(ended).await;
}

impl Task {
    /// Takes in what is new in the log and the stored queue.
    async fn look(
        &mut self,
        begun: &mut bool,
        grown: bool,
        resent: bool,
    ) -> Result<(), StoreError> {
        if !*begun {
            self.load().await?;
            *begun = true;
        }
        if resent {
            let mut last = 0;
            loop {
                let webhooks = self.parts.store.resent_webhooks(last, BATCH).await?;
                let Some(end) = webhooks.last() else {
                    break;
                };
                last = end.number;
                for webhook in webhooks {
                    self.courier.handle_queued(webhook);
                }
            }
        }
        if grown {
            self.read_log().await?;
        }
        Ok(())
    }

    /// Takes up what an earlier process left in the queue.
    async fn load(&mut self) -> Result<(), StoreError> {
        self.cursor = self.parts.store.webhook_cursor().await?;
        self.persisted = self.cursor;
        let mut last = 0;
        loop {
            let webhooks = self.parts.store.queued_webhooks(last, BATCH).await?;
            let Some(end) = webhooks.last() else {
                return Ok(());
            };
            last = end.number;
            for webhook in webhooks {
                self.courier.handle_queued(webhook);
            }
        }
    }

    /// Queues what the log has to tell behind the cursor.
    async fn read_log(&mut self) -> Result<(), StoreError> {
        loop {
            let events = self
                .parts
                .store
                .told_events_after(self.cursor, BATCH)
                .await?;
            let full = events.len() == BATCH as usize;
            let Some(last) = events.last().map(|event| event.id) else {
                return Ok(());
            };
            let (new, until) = self.tell(events).await?;
            let until = until.unwrap_or(last);
            if !new.is_empty() || until - self.persisted > UNTOLD {
                let now = self.parts.clock.wall();
                let queued = self.parts.store.queue_webhooks(new, until, now).await?;
                self.persisted = until;
                for webhook in queued {
                    self.courier.handle_queued(webhook);
                }
            }
            self.cursor = until;
            if !full || until < last {
                return Ok(());
            }
        }
    }

    /// Makes webhooks of events. If one of them has to wait, says after which event to stop.
    async fn tell(
        &mut self,
        events: Vec<ToldEvent>,
    ) -> Result<(Vec<NewWebhook>, Option<i64>), StoreError> {
        let store = self.parts.store.clone();
        let mut connections: BTreeMap<
            (AccountId, CredentialConnectionId),
            Option<CredentialConnection>,
        > = BTreeMap::new();
        for event in &events {
            let key = (event.account, event.connection);
            if let Entry::Vacant(unknown) = connections.entry(key) {
                let connection = match store.credential_connection(key.0, key.1).await {
                    // The log goes on without what cannot be read for ever.
                    Err(error) if is_for_ever(&error) => {
                        tracing::error!(
                            connection = %key.1, %error,
                            "a connection cannot be read, so nobody is told of its calls"
                        );
                        None
                    }
                    found => found?,
                };
                unknown.insert(connection.filter(|found| url(found, 1).is_some()));
            }
        }
        // Each with the event before it, told or not.
        let mut before = self.cursor;
        let mut told = Vec::new();
        for event in events {
            let id = event.id;
            if let Some(Some(connection)) = connections.get(&(event.account, event.connection)) {
                told.push((before, event, connection));
            }
            before = id;
        }
        if told.is_empty() {
            return Ok((Vec::new(), None));
        }
        let legs: Vec<LegId> = told.iter().map(|(_, event, _)| event.leg).collect();
        let begun = store.leg_beginnings(&legs).await?;
        let over: Vec<LegId> = told
            .iter()
            .filter(|(_, event, _)| matches!(event.step, ToldStep::Hangup { .. }))
            .map(|(_, event, _)| event.leg)
            .collect();
        let qualities = store.leg_qualities(&over).await?;
        let mut new = Vec::with_capacity(told.len());
        for (before, event, connection) in told {
            let quality = qualities.get(&event.leg);
            let over = matches!(event.step, ToldStep::Hangup { .. });
            if over && quality.is_none() && self.must_wait(&event) {
                return Ok((new, Some(before)));
            }
            let payload = webhook::payload(
                &event,
                begun.get(&event.leg),
                Some(connection),
                quality.and_then(Option::as_ref),
            );
            new.push(NewWebhook {
                id: WebhookDeliveryId::generate(&mut self.parts.rng),
                call_event: event.id,
                account: event.account,
                connection: event.connection,
                call: event.call,
                event: WebhookEventId::generate(&mut self.parts.rng),
                event_type: event.step.event_type(),
                occurred_at: event.occurred_at,
                payload: serde_json::Value::Object(payload).to_string(),
            });
        }
        self.held = None;
        Ok((new, None))
    }

    /// Tells whether the record of a leg that ended may still come.
    fn must_wait(&mut self, event: &ToldEvent) -> bool {
        let now = self.parts.clock.now();
        let since = match self.held {
            Some((held, since)) if held == event.id => since,
            Some(_) | None => now,
        };
        self.held = Some((event.id, since));
        let age = self.parts.clock.wall().since(event.occurred_at);
        now.since(since) < RECORD_PATIENCE && age < RECORD_PATIENCE
    }

    fn attempted(&mut self, attempt: &Attempt, outcome: Outcome) {
        let metrics = &self.parts.metrics;
        let ended = match outcome {
            Outcome::Accepted => Some(&metrics.webhooks_delivered_total),
            Outcome::Failed if !attempt.is_last() => None,
            Outcome::Failed | Outcome::Pointless => Some(&metrics.webhooks_failed_total),
        };
        if let Some(counter) = ended {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        self.courier
            .handle_attempted(attempt, outcome, self.parts.clock.now());
    }

    /// Does what the courier asks.
    async fn carry_out(&mut self) {
        while let Some(output) = self.courier.poll_output() {
            match output {
                Output::Attempt(attempt) => {
                    let sender = Sender {
                        store: self.parts.store.clone(),
                        outbound: self.parts.outbound.clone(),
                        clock: self.parts.clock,
                        metrics: Arc::clone(&self.parts.metrics),
                    };
                    let results = self.results.clone();
                    tokio::spawn(async move {
                        let outcome = sender.attempt_safely(&attempt).await;
                        // The task may have stopped; then the stored queue knows.
                        let _ = results.send((attempt, outcome)).await;
                    });
                }
                Output::Drop { number } => {
                    self.dropped.push(number);
                    self.parts
                        .metrics
                        .webhooks_dropped_total
                        .fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(
                        webhook = number,
                        "the queue of webhooks is full; one is dropped"
                    );
                }
            }
        }
        if !self.dropped.is_empty() {
            let (numbers, now) = (self.dropped.clone(), self.parts.clock.wall());
            match self.parts.store.drop_webhooks(numbers, now).await {
                Ok(()) => self.dropped.clear(),
                // It is tried again at the next turn.
                Err(error) => tracing::warn!(%error, "dropped webhooks wait for the store"),
            }
        }
        let queued = self.courier.len() as u64;
        self.parts
            .metrics
            .webhooks_queued
            .store(queued, Ordering::Relaxed);
    }

    /// Gives requests under way a moment to end, and notes how far the log was told.
    async fn shut_down(self, mut ended: mpsc::Receiver<(Attempt, Outcome)>) {
        drop(self.results);
        // Ends once every sender is gone, which is when every request has ended.
        let drained = async { while ended.recv().await.is_some() {} };
        let _ = tokio::time::timeout(LAST_MOMENTS, drained).await;
        if self.cursor > self.persisted {
            let now = self.parts.clock.wall();
            let noted = self
                .parts
                .store
                .queue_webhooks(Vec::new(), self.cursor, now)
                .await;
            if let Err(error) = noted {
                tracing::warn!(%error, "some events are looked at again after the next start");
            }
        }
    }
}

/// Returns where an attempt goes.
fn url(connection: &CredentialConnection, attempt: u32) -> Option<&str> {
    let settings = &connection.settings;
    let set = |url: &'_ Option<String>| url.as_deref().is_some_and(|url| !url.is_empty());
    if goes_to_failover(attempt) && set(&settings.webhook_event_failover_url) {
        return settings.webhook_event_failover_url.as_deref();
    }
    settings
        .webhook_event_url
        .as_deref()
        .filter(|url| !url.is_empty())
}

/// Sends one webhook once.
struct Sender {
    store: Store,
    outbound: Outbound,
    clock: Clock,
    metrics: Arc<Metrics>,
}

/// Tells whether what cannot be read today cannot be read tomorrow either. A key that is missing may come: after
/// a rotation on another machine the key file is still to be copied.
fn is_for_ever(error: &StoreError) -> bool {
    matches!(error, StoreError::Corrupt { cause, .. } if !matches!(cause, Corruption::KeyMissing { .. }))
}

/// An attempt without a place to send to.
fn nowhere(at: Timestamp) -> WebhookAttempt {
    WebhookAttempt {
        started_at: at,
        finished_at: at,
        error: Some(WebhookError::NoUrl),
        url: None,
        request_headers: Vec::new(),
        answer: None,
    }
}

impl Sender {
    /// A panic costs the attempt, and no more.
    async fn attempt_safely(&self, attempt: &Attempt) -> Outcome {
        match AssertUnwindSafe(self.attempt(attempt)).catch_unwind().await {
            Ok(outcome) => outcome,
            Err(_) => {
                self.metrics.panics_total.fetch_add(1, Ordering::Relaxed);
                tracing::error!(connection.id = %attempt.connection, "sending a webhook panicked");
                Outcome::Failed
            }
        }
    }

    /// Sends, and writes down what came of it: when this returns, the next one of the call may go.
    async fn attempt(&self, attempt: &Attempt) -> Outcome {
        let (outcome, tried) = loop {
            let begun = self.clock.wall();
            match self.send(attempt).await {
                Ok(Some(result)) => break result,
                // It was forgotten while it waited.
                Ok(None) => return Outcome::Pointless,
                Err(error) if !is_for_ever(&error) => {
                    tracing::warn!(%error, "a webhook waits for the store");
                    tokio::time::sleep(STORE_PAUSE).await;
                }
                Err(error) => {
                    tracing::error!(%error, connection.id = %attempt.connection, "a webhook cannot be read");
                    break (Outcome::Pointless, nowhere(begun));
                }
            }
        };
        let last = outcome != Outcome::Failed || attempt.is_last();
        if last && outcome != Outcome::Accepted {
            tracing::info!(
                call.id = %attempt.call, connection.id = %attempt.connection,
                "a webhook of connection {} is given up", attempt.connection
            );
        }
        while let Err(error) = self
            .store
            .record_webhook_attempt(attempt.number, tried.clone(), last)
            .await
        {
            tracing::warn!(%error, "what came of a webhook waits for the store");
            if !error.is_unavailable() {
                break;
            }
            tokio::time::sleep(STORE_PAUSE).await;
        }
        outcome
    }

    async fn send(
        &self,
        attempt: &Attempt,
    ) -> Result<Option<(Outcome, WebhookAttempt)>, StoreError> {
        let content = self.store.webhook_content(attempt.number).await?;
        let connection = self
            .store
            .credential_connection(attempt.account, attempt.connection)
            .await?;
        let key = self.store.webhook_key(attempt.account).await?;
        let Some(content) = content else {
            return Ok(None);
        };
        let mut tried = nowhere(self.clock.wall());
        let found = connection
            .as_ref()
            .and_then(|found| Some((found, url(found, attempt.attempt)?)));
        let Some((connection, url)) = found else {
            return Ok(Some((Outcome::Pointless, tried)));
        };
        let Ok(body) = webhook::body(&content, attempt.attempt, url) else {
            tracing::error!(webhook = attempt.number, "a stored webhook is not JSON");
            return Ok(Some((Outcome::Pointless, tried)));
        };
        let timestamp = tried.started_at.as_secs();
        let headers = [
            ("content-type", "application/json".to_owned()),
            ("user-agent", "telnyx-webhooks".to_owned()),
            ("telnyx-timestamp", timestamp.to_string()),
            ("telnyx-signature-ed25519", key.sign(timestamp, &body)),
        ];
        let headers = headers
            .map(|(name, value)| (name.to_owned(), value))
            .to_vec();
        let timeout = match connection.settings.webhook_timeout_secs {
            None | Some(0) => TIMEOUT,
            Some(secs) => Duration::from_secs(secs.into()),
        };
        let result = self.outbound.post(url, &headers, body, timeout).await;
        tried.finished_at = self.clock.wall();
        tried.url = Some(url.to_owned());
        tried.request_headers = headers;
        tried.error = match &result {
            Ok(answer) if (200..300).contains(&answer.status) => None,
            Ok(_) => Some(WebhookError::NotAccepted),
            Err(error) => {
                tracing::debug!(%error, connection.id = %attempt.connection, "a webhook did not arrive");
                Some(what_failed(error))
            }
        };
        tried.answer = result.ok().map(kept);
        let outcome = match tried.error {
            None => Outcome::Accepted,
            Some(_) => Outcome::Failed,
        };
        Ok(Some((outcome, tried)))
    }
}

const fn what_failed(error: &OutboundError) -> WebhookError {
    match error {
        OutboundError::Url => WebhookError::NoUrl,
        OutboundError::Refused { .. } => WebhookError::TargetRefused,
        OutboundError::Resolve { .. } => WebhookError::NotResolved,
        OutboundError::Connect { .. } => WebhookError::NotConnected,
        OutboundError::Tls { .. } => WebhookError::TlsFailed,
        OutboundError::TimedOut => WebhookError::TimedOut,
        OutboundError::Answer(_) | OutboundError::Body(_) => WebhookError::BadAnswer,
    }
}

/// Cuts an answer to what is kept of it.
fn kept(answer: Answer) -> WebhookAnswer {
    let plain = |text: &str| text.replace('\0', "\u{fffd}");
    let mut bytes = 0;
    let headers = answer.headers.into_iter().take_while(|(name, value)| {
        bytes += name.len() + value.len();
        bytes <= KEPT_BYTES
    });
    let body = &answer.body[..answer.body.len().min(KEPT_BYTES)];
    WebhookAnswer {
        status: answer.status,
        headers: headers.map(|(name, value)| (name, plain(&value))).collect(),
        body: plain(&String::from_utf8_lossy(body)),
    }
}
