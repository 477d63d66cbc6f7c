//! `/v2/call_events`: what happened in calls, as applications are told of it.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::State;
use ringtrip_model::{CallId, LegId, Timestamp, WebhookEventType};
use ringtrip_store::{CallEventFilter, ToldEvent};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::webhook_deliveries::time;
use crate::Api;
use crate::auth::Caller;
use crate::error::{ApiError, Place};
use crate::operation::Operation;
use crate::page::PageRequest;
use crate::query::Query;
use crate::respond::{List, Text, Word};
use crate::webhook;

/// Rows on a page unless asked otherwise.
const DEFAULT_PAGE_SIZE: u32 = 20;
/// How far a list goes back that names neither a call, nor a leg, nor a time.
const WINDOW: Duration = Duration::from_secs(24 * 3600);

/// An event as it is shown.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CallEvent")]
pub(crate) struct Event {
    #[schemars(extend("const" = "call_event"))]
    record_type: &'static str,
    call_leg_id: Text<LegId>,
    call_session_id: Text<CallId>,
    #[schemars(extend("format" = "date-time"))]
    event_timestamp: String,
    name: Word<WebhookEventType>,
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["command", "webhook"]))]
    kind: &'static str,
    metadata: Map<String, Value>,
}

pub(crate) mod operations {
    use serde_json::json;

    use super::{DEFAULT_PAGE_SIZE, Operation, Timestamp};
    use crate::schema::words;

    pub(crate) fn list() -> Operation {
        let mut operation = Operation::new("List call events")
            .description(
                "In the order in which they occurred. Without a leg, a session or a time, those of the last 24 \
                 hours.",
            )
            .paged(DEFAULT_PAGE_SIZE)
            .filter::<String>("leg_id", "Those of this leg.")
            .filter::<String>("application_session_id", "Those of this call session.")
            .filter::<String>("connection_id", "Those of legs of this connection.")
            .filter_by::<String>(
                "application_name",
                "contains",
                "Those of connections with this in their name, whatever its case.",
            )
            .filter::<String>(
                "outbound.outbound_voice_profile_id",
                "Those of connections with this outbound voice profile.",
            )
            .filter::<String>("from", "Those of legs whose shown caller this is.")
            .filter::<String>("to", "Those of legs that were dialled so.")
            .filter::<String>("name", "Those of this type, such as call.answered.")
            .query(
                "filter[type]",
                words(&["command", "webhook"]),
                "Commands or webhooks; there are no commands.",
            )
            .query(
                "filter[product]",
                words(&["call_control", "fax", "texml"]),
                "All there is counts as call_control.",
            )
            .query(
                "filter[status]",
                words(&["init", "in_progress", "completed"]),
                "Those that begin a leg, those that carry it on, or those that end it.",
            )
            .query(
                "filter[failed]",
                json!({"type": "boolean"}),
                "Whether a webhook of it failed to arrive.",
            );
        for operator in ["eq", "gt", "gte", "lt", "lte"] {
            operation =
                operation.filter_by::<Timestamp>("occurred_at", operator, "When it occurred.");
        }
        operation
    }
}

pub(crate) async fn list(
    caller: Caller,
    State(api): State<Api>,
    query: Query,
) -> Result<List<Event>, ApiError> {
    let page = PageRequest::read(&query, DEFAULT_PAGE_SIZE)?;
    let Some(filter) = read(&query, api.now())? else {
        return Ok(List {
            meta: page.meta(0),
            data: Vec::new(),
        });
    };
    let found = api
        .store()
        .list_call_events(caller.account, filter, page.into())
        .await?;
    Ok(List {
        meta: page.meta(found.total),
        data: show(&api, found.items).await?,
    })
}

/// Reads what is asked for; nothing if nothing can match.
fn read(query: &Query, now: Timestamp) -> Result<Option<CallEventFilter>, ApiError> {
    let word = |field, names: &[&str]| match query.filter(field) {
        Some(text) if !names.contains(&text) => Err(ApiError::InvalidQuery {
            place: Place::Parameter(format!("filter[{field}]").into()),
            detail: format!("filter[{field}] must be one of {}.", names.join("; ")),
        }),
        other => Ok(other),
    };
    let is_webhook = word("type", &["command", "webhook"])? != Some("command");
    let product = word("product", &["call_control", "fax", "texml"])?;
    let failed = word("failed", &["true", "false"])?.map(|failed| failed == "true");
    let mut types: Vec<_> = match word("status", &["init", "in_progress", "completed"])? {
        None => WebhookEventType::ALL.to_vec(),
        Some("init") => vec![WebhookEventType::CallInitiated],
        Some("completed") => vec![WebhookEventType::CallHangup],
        Some(_) => vec![
            WebhookEventType::CallAnswered,
            WebhookEventType::CallBridged,
        ],
    };
    if let Some(name) = query.filter("name") {
        types.retain(|event_type| event_type.name() == name);
    }
    let mut filter = CallEventFilter {
        from_number: query.filter("from").map(str::to_owned),
        to_number: query.filter("to").map(str::to_owned),
        connection_name_contains: query
            .filter_by("application_name", "contains")
            .map(str::to_owned),
        failed,
        ..CallEventFilter::default()
    };
    let impossible = !is_webhook || product.is_some_and(|product| product != "call_control");
    // An id that is none belongs to nothing.
    let ids = filter_id(query, "leg_id", &mut filter.leg)
        && filter_id(query, "application_session_id", &mut filter.call)
        && filter_id(query, "connection_id", &mut filter.connection)
        && filter_id(
            query,
            "outbound.outbound_voice_profile_id",
            &mut filter.outbound_voice_profile,
        );
    let eq = time(query, "occurred_at", "eq")?;
    let instant = Duration::from_micros(1);
    let from = [
        time(query, "occurred_at", "gte")?,
        time(query, "occurred_at", "gt")?.map(|after| after + instant),
        eq,
    ];
    let before = [
        time(query, "occurred_at", "lt")?,
        time(query, "occurred_at", "lte")?.map(|to| to + instant),
        // Times are shown by the microsecond and often kept by the millisecond.
        eq.map(|at| at + Duration::from_millis(1)),
    ];
    filter.occurred_from = from.into_iter().flatten().max();
    filter.occurred_before = before.into_iter().flatten().min();
    let anytime = filter.leg.is_some()
        || filter.call.is_some()
        || filter.occurred_from.is_some()
        || filter.occurred_before.is_some();
    if !anytime {
        let window = i64::try_from(WINDOW.as_micros()).unwrap_or(i64::MAX);
        filter.occurred_from = Some(Timestamp::from_micros(now.as_micros() - window));
    }
    if types.len() < WebhookEventType::ALL.len() {
        filter.types = Some(types);
    }
    let possible =
        !impossible && ids && filter.types.as_ref().is_none_or(|types| !types.is_empty());
    Ok(possible.then_some(filter))
}

/// Reads an id; false if the text is none.
fn filter_id<T: std::str::FromStr>(query: &Query, field: &str, id: &mut Option<T>) -> bool {
    let text = query.filter(field);
    *id = text.and_then(|text| text.parse().ok());
    text.is_none() || id.is_some()
}

/// Puts together what is known of events: how their legs began and sounded, and what their connections
/// are.
async fn show(api: &Api, events: Vec<ToldEvent>) -> Result<Vec<Event>, ApiError> {
    let legs: Vec<LegId> = events.iter().map(|event| event.leg).collect();
    let begun = api.store().leg_beginnings(&legs).await?;
    let qualities = api.store().leg_qualities(&legs).await?;
    let mut connections = BTreeMap::new();
    for event in &events {
        if let std::collections::btree_map::Entry::Vacant(entry) =
            connections.entry(event.connection)
        {
            let connection = api
                .store()
                .credential_connection(event.account, event.connection)
                .await?;
            entry.insert(connection);
        }
    }
    let shown = events.into_iter().map(|event| Event {
        record_type: "call_event",
        call_leg_id: Text(event.leg),
        call_session_id: Text(event.call),
        event_timestamp: event.occurred_at.to_precise(),
        name: Word(event.step.event_type()),
        kind: "webhook",
        metadata: webhook::payload(
            &event,
            begun.get(&event.leg),
            connections.get(&event.connection).and_then(Option::as_ref),
            qualities.get(&event.leg).and_then(Option::as_ref),
        ),
    });
    Ok(shown.collect())
}
