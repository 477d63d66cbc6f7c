//! The queue of webhooks, of all tenants: for the one task that fills it from the log of events and
//! empties it.
//!
//! An event is queued in the same transaction that moves the cursor past it, so that each event of the
//! log is queued once, whenever the process dies.

use std::collections::BTreeMap;

use ringtrip_model::{
    AccountId, CallId, CallerId, CredentialConnectionId, CustomHeader, Direction, HangupCause,
    HangupSource, LegId, LegQuality, Timestamp, WebhookAttempt, WebhookDeliveryId, WebhookError,
    WebhookEventId, WebhookEventType, WebhookStatus,
};
use serde::Deserialize;

use crate::Store;
use crate::call_records::{direction_from_name, quality_from_text, source_from_name};
use crate::db::{self, Conn, QueryBuilder, Row, reader};
use crate::error::StoreError;
use crate::row::Columns;
use crate::writer::Kind;

const EVENTS: &str = "call_events";
const DELIVERIES: &str = "webhook_deliveries";
const LOOKING: &str = "looking for events to tell";
const QUEUEING: &str = "queueing webhooks";
const READING: &str = "reading the queue of webhooks";
const RECORDING: &str = "recording an attempt to deliver a webhook";
const DROPPING: &str = "dropping webhooks";
/// Ids in one statement.
const IDS: usize = 64;
/// Attempts that are kept of one delivery; resending adds to them.
const KEPT_ATTEMPTS: i64 = 8;

/// An event of the log that applications are told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldEvent {
    /// Its place in the log.
    pub id: i64,
    /// The tenant whose leg it is about.
    pub account: AccountId,
    /// The leg's connection.
    pub connection: CredentialConnectionId,
    /// The call.
    pub call: CallId,
    /// The leg.
    pub leg: LegId,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// What happened.
    pub step: ToldStep,
}

/// What happened to a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToldStep {
    /// It began.
    Initiated,
    /// It was answered.
    Answered,
    /// It was joined with another.
    Bridged,
    /// It ended.
    Hangup {
        /// Why.
        cause: HangupCause,
        /// Through whom.
        source: HangupSource,
    },
}

impl ToldStep {
    /// Returns what the event is called when it is told.
    pub const fn event_type(self) -> WebhookEventType {
        match self {
            Self::Initiated => WebhookEventType::CallInitiated,
            Self::Answered => WebhookEventType::CallAnswered,
            Self::Bridged => WebhookEventType::CallBridged,
            Self::Hangup { .. } => WebhookEventType::CallHangup,
        }
    }
}

/// How a leg began, as the log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegBeginning {
    /// When.
    pub started_at: Timestamp,
    /// Its direction.
    pub direction: Direction,
    /// Who calls.
    pub caller: CallerId,
    /// As dialled.
    pub to: String,
    /// Names of the codecs on offer; none if that is not known.
    pub offered: Option<Vec<String>>,
    /// Headers that the caller's application hands through.
    pub custom_headers: Vec<CustomHeader>,
    /// The caller's application's opaque text.
    pub client_state: Option<String>,
}

/// A webhook to be queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWebhook {
    /// The delivery.
    pub id: WebhookDeliveryId,
    /// The event's place in the log.
    pub call_event: i64,
    /// The tenant.
    pub account: AccountId,
    /// Whose URL it goes to.
    pub connection: CredentialConnectionId,
    /// The call.
    pub call: CallId,
    /// The event as receivers know it.
    pub event: WebhookEventId,
    /// Its type.
    pub event_type: WebhookEventType,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// Its facts, a JSON object.
    pub payload: String,
}

/// A webhook that waits in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueuedWebhook {
    /// Its place in the queue.
    pub number: i64,
    /// The tenant.
    pub account: AccountId,
    /// Whose URL it goes to.
    pub connection: CredentialConnectionId,
    /// The call.
    pub call: CallId,
    /// How often it was tried since it was queued, or queued again.
    pub tries: u32,
}

/// What a webhook says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookContent {
    /// The event as receivers know it.
    pub event: WebhookEventId,
    /// Its type.
    pub event_type: WebhookEventType,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// Its facts, a JSON object.
    pub payload: String,
}

impl Store {
    /// Returns the place in the log up to which events are queued.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn webhook_cursor(&self) -> Result<i64, StoreError> {
        let mut conn = reader(&self.inner.pool, LOOKING).await?;
        db::query_scalar("SELECT call_event_id FROM webhook_cursor WHERE one = 1")
            .fetch_one(&mut conn)
            .await
            .map_err(StoreError::while_doing(LOOKING))
    }

    /// Lists events that applications are told of, after a place in the log, at most `limit`, in its
    /// order.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn told_events_after(
        &self,
        after: i64,
        limit: u32,
    ) -> Result<Vec<ToldEvent>, StoreError> {
        let mut conn = reader(&self.inner.pool, LOOKING).await?;
        let rows = db::query(
            "SELECT id, account_id, connection_id, call_id, leg_id, occurred_at, kind, detail
             FROM call_events
             WHERE id > $1 AND kind IN ('initiated', 'answered', 'bridged', 'hangup')
                 AND connection_id IS NOT NULL AND account_id IS NOT NULL AND leg_id IS NOT NULL
             ORDER BY id LIMIT $2",
        )
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&mut conn)
        .await
        .map_err(StoreError::while_doing(LOOKING))?;
        rows.iter().map(|row| read_event(row, LOOKING)).collect()
    }

    /// Reads how legs began; those of which the log says nothing (any more) are left out.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn leg_beginnings(
        &self,
        legs: &[LegId],
    ) -> Result<BTreeMap<LegId, LegBeginning>, StoreError> {
        let mut beginnings = BTreeMap::new();
        let mut conn = reader(&self.inner.pool, LOOKING).await?;
        for legs in legs.chunks(IDS) {
            let rows = of_legs(
                "SELECT leg_id, occurred_at, detail FROM call_events
                 WHERE kind = 'initiated' AND leg_id IN (",
                legs,
            )
            .build()
            .persistent(false)
            .fetch_all(&mut conn)
            .await
            .map_err(StoreError::while_doing(LOOKING))?;
            for row in &rows {
                let columns = Columns::new(row, EVENTS, LOOKING);
                beginnings.insert(columns.parse("leg_id")?, read_beginning(columns)?);
            }
        }
        Ok(beginnings)
    }

    /// Reads what was measured of legs that are recorded: those without a record are left out, and
    /// nothing was measured where there was nothing to measure.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn leg_qualities(
        &self,
        legs: &[LegId],
    ) -> Result<BTreeMap<LegId, Option<LegQuality>>, StoreError> {
        let mut qualities = BTreeMap::new();
        let mut conn = reader(&self.inner.pool, LOOKING).await?;
        for legs in legs.chunks(IDS) {
            let rows = of_legs(
                "SELECT leg_id, quality FROM call_records WHERE leg_id IN (",
                legs,
            )
            .build()
            .persistent(false)
            .fetch_all(&mut conn)
            .await
            .map_err(StoreError::while_doing(LOOKING))?;
            for row in &rows {
                let columns = Columns::new(row, "call_records", LOOKING);
                let quality = match columns.get::<Option<&str>>("quality")? {
                    Some(text) => {
                        Some(quality_from_text(text).ok_or_else(|| columns.malformed("quality"))?)
                    }
                    None => None,
                };
                qualities.insert(columns.parse("leg_id")?, quality);
            }
        }
        Ok(qualities)
    }

    /// Queues webhooks and notes that the log is told up to `cursor`, both or neither. Returns what waits of
    /// them, in order: an event that had been queued before is not queued again.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; the same may then be queued again.
    pub async fn queue_webhooks(
        &self,
        new: Vec<NewWebhook>,
        cursor: i64,
        now: Timestamp,
    ) -> Result<Vec<QueuedWebhook>, StoreError> {
        self.write(
            QUEUEING,
            move |conn| Box::pin(async move { queue(conn, &new, cursor, now).await }),
            |_| {},
        )
        .await
    }

    /// Lists what waits in the queue after a place in it, at most `limit`, in its order.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn queued_webhooks(
        &self,
        after: i64,
        limit: u32,
    ) -> Result<Vec<QueuedWebhook>, StoreError> {
        let mut conn = reader(&self.inner.pool, READING).await?;
        let rows = db::query(
            "SELECT number, account_id, connection_id, call_id, tries FROM webhook_deliveries
             WHERE finished_at IS NULL AND number > $1 ORDER BY number LIMIT $2",
        )
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&mut conn)
        .await
        .map_err(StoreError::while_doing(READING))?;
        rows.iter().map(|row| read_queued(row, READING)).collect()
    }

    /// Waits until somebody asks for a webhook to be sent again; what was asked for before the first call
    /// counts.
    pub async fn webhook_resent(&self) {
        self.inner.webhook_resent.notified().await;
    }

    /// Lists what waits because it is to be sent again and was not tried since, after a place in the queue, at
    /// most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn resent_webhooks(
        &self,
        after: i64,
        limit: u32,
    ) -> Result<Vec<QueuedWebhook>, StoreError> {
        let mut conn = reader(&self.inner.pool, READING).await?;
        let rows = db::query(
            "SELECT number, account_id, connection_id, call_id, tries FROM webhook_deliveries
             WHERE resend = TRUE AND number > $1 ORDER BY number LIMIT $2",
        )
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&mut conn)
        .await
        .map_err(StoreError::while_doing(READING))?;
        rows.iter().map(|row| read_queued(row, READING)).collect()
    }

    /// Reads what a webhook says; nothing if it is gone.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn webhook_content(&self, number: i64) -> Result<Option<WebhookContent>, StoreError> {
        let mut conn = reader(&self.inner.pool, READING).await?;
        let row = db::query(
            "SELECT event_id, event_type, occurred_at, payload FROM webhook_deliveries
             WHERE number = $1",
        )
        .bind(number)
        .fetch_optional(&mut conn)
        .await
        .map_err(StoreError::while_doing(READING))?;
        let read = |row: &Row| {
            let columns = Columns::new(row, DELIVERIES, READING);
            Ok(WebhookContent {
                event: columns.parse("event_id")?,
                event_type: columns.name("event_type", WebhookEventType::from_name)?,
                occurred_at: columns.time("occurred_at")?,
                payload: columns.get("payload")?,
            })
        };
        row.as_ref().map(read).transpose()
    }

    /// Writes down what came of an attempt, and whether it was the last: then the webhook leaves the
    /// queue.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; the attempt may then be written again.
    pub async fn record_webhook_attempt(
        &self,
        number: i64,
        attempt: WebhookAttempt,
        last: bool,
    ) -> Result<(), StoreError> {
        self.write(
            RECORDING,
            move |conn| Box::pin(async move { record(conn, number, &attempt, last).await }),
            |_| {},
        )
        .await
    }

    /// Takes webhooks out of the queue that it has no room for. They can be sent again.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn drop_webhooks(&self, numbers: Vec<i64>, now: Timestamp) -> Result<(), StoreError> {
        self.write_as(
            Kind::Large,
            DROPPING,
            move |conn| {
                Box::pin(async move {
                    for number in numbers {
                        let attempt = WebhookAttempt {
                            started_at: now,
                            finished_at: now,
                            error: Some(WebhookError::Dropped),
                            url: None,
                            request_headers: Vec::new(),
                            answer: None,
                        };
                        record(conn, number, &attempt, true).await?;
                    }
                    Ok(())
                })
            },
            |_| {},
        )
        .await
    }
}

async fn queue(
    conn: &mut Conn,
    new: &[NewWebhook],
    cursor: i64,
    now: Timestamp,
) -> Result<Vec<QueuedWebhook>, StoreError> {
    let failed = StoreError::while_doing(QUEUEING);
    let mut queued = Vec::with_capacity(new.len());
    for webhook in new {
        let number: Option<i64> = db::query_scalar(
            "INSERT INTO webhook_deliveries
                 (id, account_id, connection_id, call_id, call_event_id, event_id, event_type,
                  occurred_at, payload, queued_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
             ON CONFLICT (call_event_id) DO NOTHING RETURNING number",
        )
        .bind(webhook.id.to_string())
        .bind(webhook.account.to_string())
        .bind(webhook.connection.as_i64())
        .bind(webhook.call.to_string())
        .bind(webhook.call_event)
        .bind(webhook.event.to_string())
        .bind(webhook.event_type.name())
        .bind(webhook.occurred_at.as_micros())
        .bind(webhook.payload.clone())
        .bind(now.as_micros())
        .fetch_optional(conn)
        .await
        .map_err(failed)?;
        if let Some(number) = number {
            queued.push(QueuedWebhook {
                number,
                account: webhook.account,
                connection: webhook.connection,
                call: webhook.call,
                tries: 0,
            });
            continue;
        }
        // It was queued before, and nobody may have heard of that: the commit's answer was lost.
        let waiting = db::query(
            "SELECT number, account_id, connection_id, call_id, tries FROM webhook_deliveries
             WHERE call_event_id = $1 AND finished_at IS NULL",
        )
        .bind(webhook.call_event)
        .fetch_optional(conn)
        .await
        .map_err(failed)?;
        if let Some(row) = &waiting {
            queued.push(read_queued(row, QUEUEING)?);
        }
    }
    db::query("UPDATE webhook_cursor SET call_event_id = $1 WHERE one = 1 AND call_event_id < $1")
        .bind(cursor)
        .execute(conn)
        .await
        .map_err(failed)?;
    Ok(queued)
}

async fn record(
    conn: &mut Conn,
    number: i64,
    attempt: &WebhookAttempt,
    last: bool,
) -> Result<(), StoreError> {
    let failed = StoreError::while_doing(RECORDING);
    let status = match attempt.error {
        None => WebhookStatus::Delivered,
        Some(_) => WebhookStatus::Failed,
    };
    let finished_at = last.then_some(attempt.finished_at.as_micros());
    // A webhook may have been dropped, and finished, while it was tried.
    let done = db::query(
        "UPDATE webhook_deliveries
         SET status = $2, tries = tries + 1, resend = FALSE, started_at = COALESCE(started_at, $3),
             finished_at = COALESCE(CAST($4 AS BIGINT), finished_at)
         WHERE number = $1",
    )
    .bind(number)
    .bind(status.name())
    .bind(attempt.started_at.as_micros())
    .bind(finished_at)
    .execute(conn)
    .await
    .map_err(failed)?;
    if done.rows_affected() == 0 {
        return Ok(());
    }
    let headers = |headers: &[(String, String)]| {
        serde_json::to_string(headers).expect("texts always serialize")
    };
    let answer = attempt.answer.as_ref();
    let latest: i64 = db::query_scalar(
        "INSERT INTO webhook_attempts
             (delivery, number, started_at, finished_at, error, url, request_headers,
              response_status, response_headers, response_body)
         VALUES ($1, (SELECT COALESCE(MAX(number), 0) + 1 FROM webhook_attempts WHERE delivery = $1),
              $2, $3, $4, $5, $6, $7, $8, $9)
         RETURNING number",
    )
    .bind(number)
    .bind(attempt.started_at.as_micros())
    .bind(attempt.finished_at.as_micros())
    .bind(attempt.error.map(WebhookError::code))
    .bind(attempt.url.clone())
    .bind(headers(&attempt.request_headers))
    .bind(answer.map(|answer| i64::from(answer.status)))
    .bind(answer.map_or_else(|| "[]".to_owned(), |answer| headers(&answer.headers)))
    .bind(answer.map_or_else(String::new, |answer| answer.body.clone()))
    .fetch_one(conn)
    .await
    .map_err(failed)?;
    if latest > KEPT_ATTEMPTS {
        db::query("DELETE FROM webhook_attempts WHERE delivery = $1 AND number <= $2")
            .bind(number)
            .bind(latest - KEPT_ATTEMPTS)
            .execute(conn)
            .await
            .map_err(failed)?;
    }
    Ok(())
}

fn of_legs(sql: &'static str, legs: &[LegId]) -> QueryBuilder {
    let mut query = QueryBuilder::new(sql);
    let mut ids = query.separated(", ");
    for leg in legs {
        ids.push_bind(leg.to_string());
    }
    query.push(")");
    query
}

fn read_queued(row: &Row, doing: &'static str) -> Result<QueuedWebhook, StoreError> {
    let columns = Columns::new(row, DELIVERIES, doing);
    let tries: i64 = columns.get("tries")?;
    Ok(QueuedWebhook {
        number: columns.get("number")?,
        account: columns.parse("account_id")?,
        connection: CredentialConnectionId::from_i64(columns.get("connection_id")?),
        call: columns.parse("call_id")?,
        tries: u32::try_from(tries).unwrap_or(u32::MAX),
    })
}

/// Reads an event that is told; the row has an owner, a connection and a leg.
pub(crate) fn read_event(row: &Row, doing: &'static str) -> Result<ToldEvent, StoreError> {
    #[derive(Deserialize)]
    struct End {
        cause: String,
        source: String,
    }
    let columns = Columns::new(row, EVENTS, doing);
    let step = match columns.get::<&str>("kind")? {
        "initiated" => ToldStep::Initiated,
        "answered" => ToldStep::Answered,
        "bridged" => ToldStep::Bridged,
        "hangup" => {
            let malformed = || columns.malformed("detail");
            let end: End = serde_json::from_str(columns.get("detail")?).map_err(|_| malformed())?;
            ToldStep::Hangup {
                cause: HangupCause::from_name(&end.cause).ok_or_else(malformed)?,
                source: source_from_name(&end.source).ok_or_else(malformed)?,
            }
        }
        _ => return Err(columns.malformed("kind")),
    };
    Ok(ToldEvent {
        id: columns.get("id")?,
        account: columns.parse("account_id")?,
        connection: CredentialConnectionId::from_i64(columns.get("connection_id")?),
        call: columns.parse("call_id")?,
        leg: columns.parse("leg_id")?,
        occurred_at: columns.time("occurred_at")?,
        step,
    })
}

fn read_beginning(columns: Columns<'_>) -> Result<LegBeginning, StoreError> {
    #[derive(Deserialize)]
    struct Header {
        name: String,
        value: String,
    }
    #[derive(Deserialize)]
    struct Beginning {
        direction: String,
        from: String,
        to: String,
        #[serde(default)]
        caller_name: String,
        #[serde(default)]
        offered: Option<Vec<String>>,
        #[serde(default)]
        custom_headers: Vec<Header>,
        #[serde(default)]
        client_state: Option<String>,
    }
    let malformed = || columns.malformed("detail");
    let stored: Beginning =
        serde_json::from_str(columns.get("detail")?).map_err(|_| malformed())?;
    let headers = stored.custom_headers.into_iter();
    Ok(LegBeginning {
        started_at: columns.time("occurred_at")?,
        direction: direction_from_name(&stored.direction).ok_or_else(malformed)?,
        caller: CallerId {
            name: stored.caller_name,
            number: stored.from,
        },
        to: stored.to,
        offered: stored.offered,
        custom_headers: headers
            .map(|Header { name, value }| CustomHeader { name, value })
            .collect(),
        client_state: stored.client_state,
    })
}
