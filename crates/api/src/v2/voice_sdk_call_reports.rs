//! `/v2/voice_sdk_call_reports`: what browsers measured during calls, as their SDK uploaded it to
//! `/call_report`.
//!
//! A report may have megabytes, and a page a hundred reports: they are read one after the other while the
//! answer goes out.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use ringtrip_model::AccountId;
use ringtrip_store::{CallReport, CallReportRow};
use schemars::SchemaGenerator;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use tracing::error;

use super::{PathId, joined};
use crate::Api;
use crate::auth::Caller;
use crate::error::{ApiError, Place};
use crate::operation::{Answer, Operation, schema_of};
use crate::page::{Meta, PageRequest};
use crate::query::Query;
use crate::schema::Printed;

/// Rows on a page unless asked otherwise.
const DEFAULT_PAGE_SIZE: u32 = 20;
/// The largest page.
const MAX_PAGE_SIZE: u32 = 100;

/// What a list can be sorted by, and whether the oldest is first then.
const SORTS: &[(&str, bool)] = &[
    ("asc", true),
    ("created_at", true),
    ("desc", false),
    ("-created_at", false),
];

/// The longest name that an SDK gives a call.
const MAX_NAME_BYTES: usize = 128;

/// A report of more bytes is taken apart on a thread that nobody waits for.
const LARGE: usize = 64 << 10;

/// The name that an SDK gave a call.
#[derive(Debug, Clone)]
pub(crate) struct CallName(String);

impl FromStr for CallName {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let plain = text.bytes().all(|b| (b' '..=b'~').contains(&b));
        if text.is_empty() || text.len() > MAX_NAME_BYTES || !plain {
            return Err(());
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for CallName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Printed for CallName {
    fn schema() -> Value {
        json!({"type": "string", "minLength": 1, "maxLength": MAX_NAME_BYTES})
    }
}

/// Some reports, yet to be read.
pub(crate) struct Reports {
    api: Api,
    account: AccountId,
    rows: Vec<CallReportRow>,
    /// What stands before the first report, and behind the last one.
    frame: (&'static str, String),
}

/// A page of reports.
pub(crate) struct ReportList(Reports);

/// The segments of one call's report, in a bare list.
pub(crate) struct ReportArray(Reports);

impl Reports {
    /// Reads one report after the other. One that is forgotten meanwhile is left out; one that cannot be read
    /// breaks the answer off.
    fn stream(self) -> Response {
        let Self {
            api,
            account,
            rows,
            frame: (before, behind),
        } = self;
        let state = (rows.into_iter(), Some(before.to_owned()), Some(behind), api);
        let parts = stream::unfold(
            state,
            move |(mut rows, mut lead, mut behind, api)| async move {
                for row in rows.by_ref() {
                    let read = async {
                        match api.store().call_report(account, row).await? {
                            Some(report) => shown(account, report).await.map(Some),
                            None => Ok(None),
                        }
                    };
                    match read.await {
                        Ok(Some(report)) => {
                            // A comma stands between two reports.
                            let mut part = lead.unwrap_or_else(|| ",".to_owned()).into_bytes();
                            part.extend_from_slice(&report);
                            return Some((Ok(Bytes::from(part)), (rows, None, behind, api)));
                        }
                        Ok(None) => {}
                        Err(failure) => {
                            let error: &(dyn std::error::Error + 'static) = &failure;
                            error!(error, "an answer with call reports is broken off");
                            return Some((Err(failure), (Vec::new().into_iter(), None, None, api)));
                        }
                    }
                }
                let end = behind.take()?;
                let part = format!("{}{end}", lead.take().unwrap_or_default());
                Some((Ok(Bytes::from(part)), (rows, None, None, api)))
            },
        );
        let mut response = Response::new(Body::from_stream(parts));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        response
    }
}

impl IntoResponse for ReportList {
    fn into_response(self) -> Response {
        self.0.stream()
    }
}

impl IntoResponse for ReportArray {
    fn into_response(self) -> Response {
        self.0.stream()
    }
}

impl Answer for ReportList {
    fn describe(operation: &mut Operation, schemas: &mut SchemaGenerator) {
        let schema = json!({
            "type": "object",
            "properties": {
                "data": {"type": "array", "items": report_schema()},
                "meta": schema_of::<Meta>(schemas),
            },
            "required": ["data", "meta"],
        });
        operation.answers(StatusCode::OK, "application/json", schema);
    }
}

impl Answer for ReportArray {
    fn describe(operation: &mut Operation, _: &mut SchemaGenerator) {
        let schema = json!({"type": "array", "items": report_schema()});
        operation.answers(StatusCode::OK, "application/json", schema);
    }
}

/// Describes a report: what ringtrip says of it is certain, the rest is the SDK's.
fn report_schema() -> Value {
    let time = json!({"type": "string", "format": "date-time"});
    let id = json!({"type": "string", "format": "uuid"});
    json!({
        "type": "object",
        "properties": {
            "call_id": {"type": "string"},
            "call_report_id": {"type": "string"},
            "voice_sdk_id": {"type": ["string", "null"]},
            "user_id": id,
            "organization_id": id,
            "stored_at": time,
        },
        "required": ["call_id", "call_report_id", "voice_sdk_id", "user_id", "organization_id", "stored_at"],
        "additionalProperties": true,
    })
}

/// Prints a report: what the SDK sent, as it sent it, and what ringtrip knows of it. What it knows wins.
async fn shown(account: AccountId, report: CallReport) -> Result<Vec<u8>, ApiError> {
    if report.body.len() <= LARGE {
        return Ok(print(account, &report));
    }
    joined(spawn_blocking(move || Ok(print(account, &report)))).await
}

fn print(account: AccountId, report: &CallReport) -> Vec<u8> {
    let mut members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&report.body)
        .unwrap_or_else(|_| {
            // Not an object: no SDK sends that, but it was taken in.
            let whole = RawValue::from_string(report.body.clone());
            whole
                .into_iter()
                .map(|whole| ("report".to_owned(), whole))
                .collect()
        });
    let stored_at = report.created_at.to_string();
    members
        .entry("created_at".to_owned())
        .or_insert_with(|| raw(&stored_at));
    members
        .entry("segment".to_owned())
        .or_insert_with(|| raw(&report.segment.saturating_sub(1)));
    let sdk = (!report.voice_sdk_id.is_empty()).then_some(&report.voice_sdk_id);
    let account = account.to_string();
    for (key, value) in [
        ("call_id", raw(&report.call_id)),
        ("call_report_id", raw(&report.call_report_id)),
        ("voice_sdk_id", raw(&sdk)),
        ("user_id", raw(&account)),
        ("organization_id", raw(&account)),
        ("stored_at", raw(&stored_at)),
    ] {
        members.insert(key.to_owned(), value);
    }
    serde_json::to_vec(&members).expect("JSON texts by name serialize into memory")
}

fn raw(value: &impl Serialize) -> Box<RawValue> {
    to_raw_value(value).expect("texts and numbers serialize into memory")
}

pub(crate) mod operations {
    use super::{DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, Operation, SORTS};
    use crate::schema::words;

    pub(crate) fn list() -> Operation {
        let names: Vec<_> = SORTS.iter().map(|(name, _)| *name).collect();
        Operation::new("List the call reports of browsers")
            .description("Each as its SDK uploaded it, the newest first.")
            .paged_up_to(DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
            .query(
                "sort",
                words(&names),
                "asc or created_at: the oldest first; desc or -created_at: the newest.",
            )
    }

    pub(crate) fn retrieve() -> Operation {
        Operation::new("Retrieve the call reports of a call").description(
            "A bare list of what the SDK uploaded for the call, in the order in which it came.",
        )
    }
}

pub(crate) async fn list(
    caller: Caller,
    State(api): State<Api>,
    query: Query,
) -> Result<ReportList, ApiError> {
    let page = PageRequest::read_up_to(&query, DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)?;
    let oldest_first = match query.get("sort") {
        None => false,
        Some(text) => {
            let found = SORTS.iter().find(|(name, _)| *name == text);
            let found = found.ok_or_else(|| ApiError::InvalidQuery {
                place: Place::Pointer("/sort".into()),
                detail: "sort must be asc, desc, created_at or -created_at.".to_owned(),
            });
            found?.1
        }
    };
    let found = api
        .store()
        .list_call_report_rows(caller.account, oldest_first, page.into())
        .await?;
    let meta = serde_json::to_string(&page.meta(found.total))
        .expect("numbers by name serialize into memory");
    Ok(ReportList(Reports {
        api,
        account: caller.account,
        rows: found.items,
        frame: ("{\"data\":[", format!("],\"meta\":{meta}}}")),
    }))
}

pub(crate) async fn retrieve(
    caller: Caller,
    State(api): State<Api>,
    PathId(CallName(call)): PathId<CallName>,
) -> Result<ReportArray, ApiError> {
    let rows = api.store().call_report_rows(caller.account, &call).await?;
    if rows.is_empty() {
        return Err(ApiError::NotFound);
    }
    Ok(ReportArray(Reports {
        api,
        account: caller.account,
        rows,
        frame: ("[", "]".to_owned()),
    }))
}
