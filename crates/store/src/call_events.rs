//! The history of calls, event by event: written in bulk, read by whoever tells it on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringtrip_model::{
    AccountId, CallEvent, CallEventKind, CallId, CredentialConnectionId, Initiation, LegId,
    OfferedMedia, OutboundVoiceProfileId, Timestamp, VideoCodec, WebhookEventType,
};
use serde_json::{Value, json};

use crate::Store;
use crate::call_records::{direction_name, plain, source_name};
use crate::db::{self, Conn, QueryBuilder, reader};
use crate::error::StoreError;
use crate::page::{Length, Listing, Page, can_match, contains_pattern, fold};
use crate::row::Columns;
use crate::webhook_queue::{ToldEvent, read_event};

const TABLE: &str = "call_events";
const ADDING: &str = "writing call events";
const READING: &str = "reading call events";
/// Rows of one statement.
const ROWS: usize = 64;

/// What listed events have in common; everything set must match.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CallEventFilter {
    /// The leg.
    pub leg: Option<LegId>,
    /// The call.
    pub call: Option<CallId>,
    /// The connection of the leg.
    pub connection: Option<CredentialConnectionId>,
    /// A part of the connection's name, whatever the case.
    pub connection_name_contains: Option<String>,
    /// What the connection may dial.
    pub outbound_voice_profile: Option<OutboundVoiceProfileId>,
    /// Who calls, as shown.
    pub from_number: Option<String>,
    /// As dialled.
    pub to_number: Option<String>,
    /// Any of these types.
    pub types: Option<Vec<WebhookEventType>>,
    /// Whether a webhook of it failed to arrive.
    pub failed: Option<bool>,
    /// Occurred then or later.
    pub occurred_from: Option<Timestamp>,
    /// Occurred earlier.
    pub occurred_before: Option<Timestamp>,
}

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

impl Store {
    /// Lists an account's events that applications are told of, the earliest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn list_call_events(
        &self,
        account: AccountId,
        filter: CallEventFilter,
        page: Page,
    ) -> Result<Listing<ToldEvent>, StoreError> {
        let texts = [
            &filter.connection_name_contains,
            &filter.from_number,
            &filter.to_number,
        ];
        if texts.into_iter().flatten().any(|text| !can_match(text)) {
            return Ok(Listing::empty());
        }
        let mut query = QueryBuilder::new("SELECT COUNT(*) FROM call_events e");
        narrow(&mut query, account, &filter);
        let part = |_, _| {
            let mut query = QueryBuilder::new("SELECT e.* FROM call_events e");
            narrow(&mut query, account, &filter);
            query.push(" ORDER BY e.occurred_at, e.id");
            page.push_onto(&mut query);
            query
        };
        let read = |row: &_| read_event(row, READING);
        self.list(READING, account, Length::Query(query), page, part, read)
            .await
    }
}

fn narrow(query: &mut QueryBuilder, account: AccountId, filter: &CallEventFilter) {
    query
        .push(" WHERE e.account_id = ")
        .push_bind(account.to_string());
    query.push(
        " AND e.kind IN ('initiated', 'answered', 'bridged', 'hangup')
          AND e.connection_id IS NOT NULL AND e.leg_id IS NOT NULL",
    );
    if let Some(leg) = filter.leg {
        query.push(" AND e.leg_id = ").push_bind(leg.to_string());
    }
    if let Some(call) = filter.call {
        query.push(" AND e.call_id = ").push_bind(call.to_string());
    }
    if let Some(connection) = filter.connection {
        query
            .push(" AND e.connection_id = ")
            .push_bind(connection.as_i64());
    }
    if filter.connection_name_contains.is_some() || filter.outbound_voice_profile.is_some() {
        query.push(
            " AND e.connection_id IN (SELECT id FROM credential_connections WHERE account_id = ",
        );
        query.push_bind(account.to_string());
        if let Some(part) = &filter.connection_name_contains {
            query.push(" AND connection_name_folded LIKE ");
            query
                .push_bind(contains_pattern(&fold(part)))
                .push(" ESCAPE '\\'");
        }
        if let Some(profile) = filter.outbound_voice_profile {
            query
                .push(" AND outbound_voice_profile_id = ")
                .push_bind(profile.as_i64());
        }
        query.push(")");
    }
    for (text, number) in [
        (" AND b.from_number = ", &filter.from_number),
        (" AND b.to_number = ", &filter.to_number),
    ] {
        if let Some(number) = number {
            query.push(
                " AND EXISTS (SELECT 1 FROM call_events b
                  WHERE b.leg_id = e.leg_id AND b.kind = 'initiated'",
            );
            query.push(text).push_bind(number.clone()).push(")");
        }
    }
    if let Some(types) = &filter.types {
        query.push(" AND e.kind IN (");
        let mut kinds = query.separated(", ");
        for event_type in types {
            kinds.push_bind(kind_of(*event_type));
        }
        query.push(")");
    }
    if let Some(failed) = filter.failed {
        query.push(if failed { " AND " } else { " AND NOT " });
        query.push(
            "EXISTS (SELECT 1 FROM webhook_deliveries d
             WHERE d.call_event_id = e.id AND d.status = 'failed')",
        );
    }
    if let Some(from) = filter.occurred_from {
        query
            .push(" AND e.occurred_at >= ")
            .push_bind(from.as_micros());
    }
    if let Some(before) = filter.occurred_before {
        query
            .push(" AND e.occurred_at < ")
            .push_bind(before.as_micros());
    }
}

const fn kind_of(event_type: WebhookEventType) -> &'static str {
    match event_type {
        WebhookEventType::CallInitiated => "initiated",
        WebhookEventType::CallAnswered => "answered",
        WebhookEventType::CallBridged => "bridged",
        WebhookEventType::CallHangup => "hangup",
    }
}

async fn insert(conn: &mut Conn, events: &[(CallEvent, Timestamp)]) -> Result<(), StoreError> {
    let owners = Owners::find(conn, events).await?;
    for rows in events.chunks(ROWS) {
        let mut query = QueryBuilder::new(
            "INSERT INTO call_events
                 (account_id, connection_id, call_id, seq, leg_id, occurred_at, kind, from_number,
                  to_number, detail) ",
        );
        query.push_values(rows, |mut row, (event, at)| {
            let (kind, detail) = describe(&event.kind);
            let owner = owners.of(event);
            let begun = if let CallEventKind::Initiated(begun) = &event.kind {
                Some(begun)
            } else {
                None
            };
            row.push_bind(owner.map(|(account, _)| account.to_string()))
                .push_bind(
                    owner
                        .and_then(|(_, connection)| connection)
                        .map(|id| id.as_i64()),
                )
                .push_bind(event.call.to_string())
                .push_bind(i64::from(event.seq))
                .push_bind(event.leg.map(|leg| leg.to_string()))
                .push_bind(at.as_micros())
                .push_bind(kind)
                .push_bind(begun.map(|begun| plain(&begun.caller.number)))
                .push_bind(begun.map(|begun| plain(&begun.to)))
                .push_bind(detail.to_string());
        });
        query.push(" ON CONFLICT (call_id, seq) DO NOTHING");
        let done = query.build().persistent(false).execute(&mut *conn).await;
        done.map_err(StoreError::while_doing(ADDING))?;
    }
    Ok(())
}

/// Whose legs and calls a batch of events is about, and which connections the legs came through.
#[derive(Default)]
struct Owners {
    legs: BTreeMap<LegId, (AccountId, Option<CredentialConnectionId>)>,
    calls: BTreeMap<CallId, (u32, AccountId)>,
}

impl Owners {
    async fn find(conn: &mut Conn, events: &[(CallEvent, Timestamp)]) -> Result<Self, StoreError> {
        let mut owners = Self::default();
        for (event, _) in events {
            if let CallEventKind::Initiated(begun) = &event.kind {
                let connection = Some(begun.connection);
                owners.learn(event.call, event.leg, event.seq, begun.account, connection);
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
                "SELECT call_id, leg_id, seq, account_id, connection_id FROM call_events
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
                let connection: Option<i64> = columns.get("connection_id")?;
                let connection = connection.map(CredentialConnectionId::from_i64);
                owners.learn(call, leg, seq, columns.parse("account_id")?, connection);
            }
        }
        Ok(owners)
    }

    /// The first leg of a call is the caller's, and with it the call.
    fn learn(
        &mut self,
        call: CallId,
        leg: Option<LegId>,
        seq: u32,
        account: AccountId,
        connection: Option<CredentialConnectionId>,
    ) {
        if let Some(leg) = leg {
            self.legs.insert(leg, (account, connection));
        }
        let first = self.calls.entry(call).or_insert((seq, account));
        if seq < first.0 {
            *first = (seq, account);
        }
    }

    fn of(&self, event: &CallEvent) -> Option<(AccountId, Option<CredentialConnectionId>)> {
        match event.leg {
            Some(leg) => self.legs.get(&leg).copied(),
            None => self
                .calls
                .get(&event.call)
                .map(|(_, account)| (*account, None)),
        }
    }
}

/// Names an event and lists its facts.
fn describe(kind: &CallEventKind) -> (&'static str, Value) {
    match kind {
        CallEventKind::Initiated(begun) => ("initiated", beginning(begun)),
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

fn beginning(begun: &Initiation) -> Value {
    let headers = begun.custom_headers.iter();
    let headers: Vec<Value> = headers
        .map(|header| json!({ "name": plain(&header.name), "value": plain(&header.value) }))
        .collect();
    json!({
        "direction": direction_name(begun.direction),
        "from": plain(&begun.caller.number),
        "to": plain(&begun.to),
        "caller_name": plain(&begun.caller.name),
        "offered": begun.offered.as_ref().map(codec_names),
        "custom_headers": headers,
        "client_state": begun.client_state.as_deref().map(plain),
    })
}

/// Names what is offered, audio first.
fn codec_names(offered: &OfferedMedia) -> Vec<&'static str> {
    let video = offered.video.then_some(VideoCodec::Vp8.encoding_name());
    let audio = offered.audio.iter().map(|codec| codec.encoding_name());
    audio.chain(video).collect()
}
