//! `/v2/connections`: every kind of connection at once, to look at, and the calls on them. Credential
//! connections are the only kind there is.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use ringtrip_cluster::LegRange;
use ringtrip_model::{
    AnchorsiteOverride, CallId, CredentialConnection, CredentialConnectionId, LegId, LegPlace,
    LiveLeg, OutboundVoiceProfileId, Timestamp, WebhookApiVersion,
};
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;

use super::PathId;
use super::credential_connections::{DEFAULT_PAGE_SIZE, Listed, SORTS};
use crate::Api;
use crate::auth::Caller;
use crate::error::{ApiError, Place};
use crate::operation::{Answer, Operation, schema_of};
use crate::page::{MAX_SIZE, PageRequest};
use crate::query::Query;
use crate::respond::{Data, List, Text, Word, json};

/// Calls on a page unless asked otherwise.
const DEFAULT_CALLS: u32 = 20;

/// What all kinds of connections have in common.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Connection {
    id: Text<CredentialConnectionId>,
    #[schemars(extend("enum" = ["credential_connection"]))]
    record_type: &'static str,
    active: bool,
    anchorsite_override: Word<AnchorsiteOverride>,
    connection_name: String,
    outbound_voice_profile_id: Option<Text<OutboundVoiceProfileId>>,
    tags: Vec<String>,
    webhook_api_version: Word<WebhookApiVersion>,
    webhook_event_url: Option<String>,
    webhook_event_failover_url: Option<String>,
    created_at: Text<Timestamp>,
    updated_at: Text<Timestamp>,
}

impl Connection {
    fn new(connection: CredentialConnection) -> Self {
        let s = connection.settings;
        Self {
            id: Text(connection.id),
            record_type: "credential_connection",
            active: s.active,
            anchorsite_override: Word(s.anchorsite_override),
            connection_name: connection.connection_name,
            outbound_voice_profile_id: s.outbound.outbound_voice_profile_id.map(Text),
            tags: s.tags,
            webhook_api_version: Word(s.webhook_api_version),
            webhook_event_url: s.webhook_event_url,
            webhook_event_failover_url: s.webhook_event_failover_url,
            created_at: Text(connection.created_at),
            updated_at: Text(connection.updated_at),
        }
    }
}

/// A leg that has not ended: ringing or answered, placed or received by a user of the connection.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ActiveCall {
    #[schemars(extend("const" = "call"))]
    record_type: &'static str,
    call_control_id: String,
    call_leg_id: Text<LegId>,
    call_session_id: Text<CallId>,
    /// Since the leg began, in seconds.
    call_duration: i64,
    /// As the application gave it, base64; empty if it gave none.
    client_state: String,
}

impl ActiveCall {
    fn new(leg: LiveLeg, now: Timestamp) -> Self {
        let micros = now.as_micros() - leg.started_at.as_micros();
        Self {
            record_type: "call",
            call_control_id: leg.leg.call_control_id(),
            call_leg_id: Text(leg.leg),
            call_session_id: Text(leg.call),
            call_duration: micros.max(0) / 1_000_000,
            client_state: leg.client_state.unwrap_or_default(),
        }
    }
}

/// A list that is walked by cursors. It also tells of flat pages, since the SDKs ask for the next page
/// by its number, and without an end would ask for ever.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ActiveCalls {
    data: Vec<ActiveCall>,
    meta: CursorMeta,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CursorPaginationMeta")]
struct CursorMeta {
    cursors: Cursors,
    next: Option<String>,
    previous: Option<String>,
    total_items: u64,
    page_number: u32,
    page_size: u32,
    total_pages: u64,
    total_results: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Cursor")]
struct Cursors {
    after: Option<String>,
    before: Option<String>,
}

impl IntoResponse for ActiveCalls {
    fn into_response(self) -> Response {
        json(StatusCode::OK, 256 + 256 * self.data.len(), &self)
    }
}

impl Answer for ActiveCalls {
    fn describe(operation: &mut Operation, schemas: &mut SchemaGenerator) {
        operation.answers(
            StatusCode::OK,
            "application/json",
            schema_of::<Self>(schemas),
        );
    }
}

/// Which calls are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CallsRequest {
    range: LegRange,
    page: PageRequest,
}

impl CallsRequest {
    /// Reads `page[after]` or `page[before]` with `page[limit]`, or else a flat page.
    fn read(query: &Query) -> Result<Self, ApiError> {
        let mut page = PageRequest::read(query, DEFAULT_CALLS)?;
        if let Some(text) = query.get("page[limit]") {
            page.size = read_limit(text)?;
        }
        let range = match (query.get("page[after]"), query.get("page[before]")) {
            (None, None) => {
                let before = u64::from(page.number) - 1;
                LegRange::Skip(before * u64::from(page.size))
            }
            (Some(after), None) => LegRange::After(read_cursor(after, "page/after")?),
            (None, Some(before)) => LegRange::Before(read_cursor(before, "page/before")?),
            (Some(_), Some(_)) => {
                return Err(ApiError::InvalidQuery {
                    place: Place::Pointer("page/before".into()),
                    detail: "page[after] and page[before] exclude each other.".to_owned(),
                });
            }
        };
        Ok(Self { range, page })
    }
}

fn read_limit(text: &str) -> Result<u32, ApiError> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(limit) if plain && (1..=MAX_SIZE).contains(&limit) => Ok(limit),
        _ => Err(ApiError::InvalidQuery {
            place: Place::Pointer("page/limit".into()),
            detail: format!("page[limit] must be a whole number from 1 to {MAX_SIZE}."),
        }),
    }
}

fn read_cursor(text: &str, pointer: &'static str) -> Result<LegPlace, ApiError> {
    text.parse().map_err(|_| ApiError::InvalidQuery {
        place: Place::Pointer(pointer.into()),
        detail: "A cursor must be one that an answer has given.".to_owned(),
    })
}

pub(crate) mod operations {
    use serde_json::json;

    use super::super::credential_connections::operations::filtered;
    use super::{DEFAULT_CALLS, DEFAULT_PAGE_SIZE, MAX_SIZE, Operation, SORTS};

    pub(crate) fn list() -> Operation {
        filtered(Operation::new("List connections of every kind"))
            .paged(DEFAULT_PAGE_SIZE)
            .sorted(SORTS)
    }

    pub(crate) fn retrieve() -> Operation {
        Operation::new("Retrieve a connection of any kind")
    }

    pub(crate) fn list_active_calls() -> Operation {
        Operation::new("List the calls on a connection")
            .description(
                "Every leg of its users that has not ended, the oldest first. Walked by cursors or by \
                 the number of a page.",
            )
            .query("page[after]", json!({"type": "string"}), "Those behind this cursor.")
            .query(
                "page[before]",
                json!({"type": "string"}),
                "The last ones before this cursor.",
            )
            .query(
                "page[limit]",
                json!({"type": "integer", "minimum": 1, "maximum": MAX_SIZE, "default": DEFAULT_CALLS}),
                "How many. Wins over page[size].",
            )
            .paged(DEFAULT_CALLS)
    }
}

pub(crate) async fn list(
    caller: Caller,
    State(api): State<Api>,
    query: Query,
) -> Result<List<Connection>, ApiError> {
    let page = PageRequest::read(&query, DEFAULT_PAGE_SIZE)?;
    let found = Listed::read(&query)?
        .find(&api, caller.account, page)
        .await?;
    Ok(List {
        meta: page.meta(found.total),
        data: found.items.into_iter().map(Connection::new).collect(),
    })
}

pub(crate) async fn retrieve(
    caller: Caller,
    State(api): State<Api>,
    PathId(id): PathId<CredentialConnectionId>,
) -> Result<Data<Connection>, ApiError> {
    let found = api
        .store()
        .credential_connection(caller.account, id)
        .await?;
    let connection = found.ok_or(ApiError::NotFound)?;
    Ok(Data {
        data: Connection::new(connection),
    })
}

pub(crate) async fn list_active_calls(
    caller: Caller,
    State(api): State<Api>,
    PathId(id): PathId<CredentialConnectionId>,
    query: Query,
) -> Result<ActiveCalls, ApiError> {
    let request = CallsRequest::read(&query)?;
    let found = api
        .store()
        .credential_connection(caller.account, id)
        .await?;
    if found.is_none() {
        return Err(ApiError::NotFound);
    }
    let size = request.page.size;
    let limit = usize::try_from(size).unwrap_or(usize::MAX);
    let page = api.bus().live_legs(id, request.range, limit);
    let path = |side: &str, cursor: &LegPlace| {
        format!("/v2/connections/{id}/active_calls?page[{side}]={cursor}&page[limit]={size}")
    };
    let before = page.legs.first().map(LiveLeg::place);
    let after = page.legs.last().map(LiveLeg::place);
    // To a client that asks for flat pages, what a cursor leads to is all there is.
    let (page_number, total_pages) = match request.range {
        LegRange::Skip(_) => (request.page.number, page.total.div_ceil(u64::from(size))),
        LegRange::After(_) | LegRange::Before(_) => (1, 1),
    };
    let now = api.now();
    Ok(ActiveCalls {
        meta: CursorMeta {
            next: after
                .filter(|_| page.later)
                .map(|place| path("after", &place)),
            previous: before
                .filter(|_| page.earlier)
                .map(|place| path("before", &place)),
            cursors: Cursors {
                after: after.map(|place| place.to_string()),
                before: before.map(|place| place.to_string()),
            },
            total_items: page.total,
            page_number,
            page_size: size,
            total_pages,
            total_results: page.total,
        },
        data: page
            .legs
            .into_iter()
            .map(|leg| ActiveCall::new(leg, now))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_asked_for_by_cursor_or_by_page() {
        let place = "5b8d80.c215ade3-0d39-418e-94be-c5f780760199";
        let read = |raw: &str| {
            let read = CallsRequest::read(&Query::parse(raw).unwrap());
            if let Err(ApiError::InvalidQuery {
                place: Place::Pointer(pointer),
                ..
            }) = read
            {
                return Err(pointer.into_owned());
            }
            let request = read.unwrap();
            Ok((request.range, request.page.size))
        };
        let cursor: LegPlace = place.parse().unwrap();
        for (raw, expected) in [
            (String::new(), Ok((LegRange::Skip(0), 20))),
            (
                "page_number=3&page_size=7".to_owned(),
                Ok((LegRange::Skip(14), 7)),
            ),
            (
                "page[number]=4294967295&page[size]=250".to_owned(),
                Ok((LegRange::Skip(4_294_967_294 * 250), 250)),
            ),
            ("page[limit]=5".to_owned(), Ok((LegRange::Skip(0), 5))),
            (
                format!("page[after]={place}"),
                Ok((LegRange::After(cursor), 20)),
            ),
            (
                format!("page%5Bbefore%5D={place}&page[limit]=250"),
                Ok((LegRange::Before(cursor), 250)),
            ),
            ("page[after]=x".to_owned(), Err("page/after".to_owned())),
            ("page[before]=".to_owned(), Err("page/before".to_owned())),
            ("page[limit]=0".to_owned(), Err("page/limit".to_owned())),
            ("page[limit]=251".to_owned(), Err("page/limit".to_owned())),
            ("page[limit]=+1".to_owned(), Err("page/limit".to_owned())),
            (
                format!("page[after]={place}&page[before]={place}"),
                Err("page/before".to_owned()),
            ),
        ] {
            assert_eq!(read(&raw), expected, "{raw}");
        }
    }
}
