//! The history of calls, event by event: written in bulk, read by whoever tells it on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringtrip_model::{AccountId, CallEvent, CallEventKind, CallId, LegId, Timestamp};
use serde_json::{Value, json};

use crate::Store;
use crate::call_records::{direction_name, plain, source_name};
use crate::db::{self, Conn, QueryBuilder, reader};
use crate::error::StoreError;
use crate::row::Columns;

const TABLE: &str = "call_events";
const ADDING: &str = "writing call events";
const READING: &str = "reading call events";
/// Rows of one statement.
const ROWS: usize = 64;

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredCallEvent {
    /// Rises with each event written; a reader goes on after the last one it saw.
    pub id: i64,
    /// The call.
    pub call: CallId,
    /// The leg it is about.
    pub leg: Option<LegId>,
    /// 1 for the call's first event.
    pub seq: u32,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// What happened, in one word such as `answered`.
    pub kind: String,
    /// The facts that belong to the kind, a JSON object.
    pub detail: Value,
}

impl Store {
    /// Writes events, passing over those that are there (the same call and number). An event belongs
    /// to the tenant whose leg it is about, and one about a call as a whole to the tenant who placed
    /// it; both are known from the events that began the legs, in this batch or before it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; then none is written, and the same events may be written again.
    pub async fn insert_call_events(
        &self,
        events: &[(CallEvent, Timestamp)],
    ) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        let events: Arc<[(CallEvent, Timestamp)]> = events.into();
        self.write(
            ADDING,
            move |conn| Box::pin(async move { insert(conn, &events).await }),
            |_| {},
        )
        .await
    }

    /// Lists an account's events after the one with the id `after` (0 for the first), at most `limit`,
    /// in the order in which they were written.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn call_events_after(
        &self,
        account: AccountId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<StoredCallEvent>, StoreError> {
        let mut conn = reader(&self.inner.pool, READING).await?;
        let rows = db::query(
            "SELECT * FROM call_events WHERE account_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        )
        .bind(account.to_string())
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&mut conn)
        .await
        .map_err(StoreError::while_doing(READING))?;
        let read = |row| {
            let columns = Columns::new(row, TABLE, READING);
            let seq: i64 = columns.get("seq")?;
            Ok(StoredCallEvent {
                id: columns.get("id")?,
                call: columns.parse("call_id")?,
                leg: columns.parse_optional("leg_id")?,
                seq: u32::try_from(seq).map_err(|_| columns.malformed("seq"))?,
                occurred_at: columns.time("occurred_at")?,
                kind: columns.get("kind")?,
                detail: columns.parse("detail")?,
            })
        };
        rows.iter().map(read).collect()
    }
}

async fn insert(conn: &mut Conn, events: &[(CallEvent, Timestamp)]) -> Result<(), StoreError> {
    let owners = Owners::find(conn, events).await?;
    for rows in events.chunks(ROWS) {
        let mut query = QueryBuilder::new(
            "INSERT INTO call_events (account_id, call_id, seq, leg_id, occurred_at, kind, detail) ",
        );
        query.push_values(rows, |mut row, (event, at)| {
            let (kind, detail) = describe(&event.kind);
            row.push_bind(owners.of(event).map(|account| account.to_string()))
                .push_bind(event.call.to_string())
                .push_bind(i64::from(event.seq))
                .push_bind(event.leg.map(|leg| leg.to_string()))
                .push_bind(at.as_micros())
                .push_bind(kind)
                .push_bind(detail.to_string());
        });
        query.push(" ON CONFLICT (call_id, seq) DO NOTHING");
        let done = query.build().persistent(false).execute(&mut *conn).await;
        done.map_err(StoreError::while_doing(ADDING))?;
    }
    Ok(())
}

/// Whose legs and calls a batch of events is about.
#[derive(Default)]
struct Owners {
    legs: BTreeMap<LegId, AccountId>,
    calls: BTreeMap<CallId, (u32, AccountId)>,
}

impl Owners {
    async fn find(conn: &mut Conn, events: &[(CallEvent, Timestamp)]) -> Result<Self, StoreError> {
        let mut owners = Self::default();
        for (event, _) in events {
            if let CallEventKind::Initiated { account, .. } = &event.kind {
                owners.learn(event.call, event.leg, event.seq, *account);
            }
        }
        // What began before this batch is in the table.
        let unknown: BTreeSet<CallId> = events
            .iter()
            .filter(|(event, _)| owners.of(event).is_none())
            .map(|(event, _)| event.call)
            .collect();
        let unknown: Vec<CallId> = unknown.into_iter().collect();
        for calls in unknown.chunks(ROWS) {
            let mut query = QueryBuilder::new(
                "SELECT call_id, leg_id, seq, account_id FROM call_events
                 WHERE kind = 'initiated' AND account_id IS NOT NULL AND call_id IN (",
            );
            let mut ids = query.separated(", ");
            for call in calls {
                ids.push_bind(call.to_string());
            }
            query.push(")");
            let rows = query.build().persistent(false).fetch_all(&mut *conn).await;
            for row in rows.map_err(StoreError::while_doing(ADDING))? {
                let columns = Columns::new(&row, TABLE, ADDING);
                let seq: i64 = columns.get("seq")?;
                let seq = u32::try_from(seq).map_err(|_| columns.malformed("seq"))?;
                let (call, leg) = (columns.parse("call_id")?, columns.parse_optional("leg_id")?);
                owners.learn(call, leg, seq, columns.parse("account_id")?);
            }
        }
        Ok(owners)
    }

    /// The first leg of a call is the caller's, and with it the call.
    fn learn(&mut self, call: CallId, leg: Option<LegId>, seq: u32, account: AccountId) {
        if let Some(leg) = leg {
            self.legs.insert(leg, account);
        }
        let first = self.calls.entry(call).or_insert((seq, account));
        if seq < first.0 {
            *first = (seq, account);
        }
    }

    fn of(&self, event: &CallEvent) -> Option<AccountId> {
        match event.leg {
            Some(leg) => self.legs.get(&leg).copied(),
            None => self.calls.get(&event.call).map(|(_, account)| *account),
        }
    }
}

/// Names an event and lists its facts.
fn describe(kind: &CallEventKind) -> (&'static str, Value) {
    match kind {
        CallEventKind::Initiated {
            account: _,
            direction,
            from,
            to,
        } => (
            "initiated",
            json!({ "direction": direction_name(*direction), "from": plain(from), "to": plain(to) }),
        ),
        CallEventKind::Ringing => ("ringing", json!({})),
        CallEventKind::Answered => ("answered", json!({})),
        CallEventKind::Bridged { with } => ("bridged", json!({ "with": with.to_string() })),
        CallEventKind::MediaConnected => ("media_connected", json!({})),
        CallEventKind::MediaStalled => ("media_stalled", json!({})),
        CallEventKind::MediaResumed => ("media_resumed", json!({})),
        CallEventKind::Held => ("held", json!({})),
        CallEventKind::Unheld => ("unheld", json!({})),
        CallEventKind::Dtmf { digit } => ("dtmf", json!({ "digit": digit.as_char().to_string() })),
        CallEventKind::MediaRestarted => ("media_restarted", json!({})),
        CallEventKind::SignallingLost => ("signalling_lost", json!({})),
        CallEventKind::SignallingReturned => ("signalling_returned", json!({})),
        CallEventKind::Attached => ("attached", json!({})),
        CallEventKind::Hangup { cause, source } => (
            "hangup",
            json!({ "cause": cause.name(), "source": source_name(*source) }),
        ),
    }
}
