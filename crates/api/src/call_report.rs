//! `/call_report`: what a browser measured during a call, uploaded by the SDK without a key.
//!
//! The id in `x-call-report-id` is the authority: a session is given one at login, and it ends ten
//! minutes after the session. A body is only read for an id that is known, and only some at a time;
//! the store bounds what is kept for an id and for an account.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::json;
use tokio::task::spawn_blocking;

use crate::Api;
use crate::error::ApiError;
use crate::json;
use crate::operation::Operation;
use crate::respond::Data;
use crate::v2::joined;

/// The largest report; the SDK sends at most half of it.
const MAX_REPORT_BYTES: usize = 4 << 20;

/// The longest id or session name in a header.
const MAX_HEADER_BYTES: usize = 128;

/// Says that a report was kept.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CallReport")]
pub(crate) struct Kept {
    #[schemars(extend("const" = "call_report"))]
    record_type: &'static str,
    call_id: String,
}

pub(crate) mod operations {
    use super::{MAX_HEADER_BYTES, Operation, StatusCode, json};

    pub(crate) fn create() -> Operation {
        let text = json!({"type": "string", "minLength": 1, "maxLength": MAX_HEADER_BYTES});
        Operation::new("Upload what was measured during a call")
            .description(
                "The WebRTC SDKs do this by themselves. The id in x-call-report-id, which a session is given \
                 at login, stands in for a key.",
            )
            .header("x-call-report-id", true, text.clone(), "Whose report it is.")
            .header("x-call-id", true, text.clone(), "Which call it is about.")
            .header("x-voice-sdk-id", false, text, "The session of the SDK.")
            .raw_body(json!({}))
            .may_fail(StatusCode::BAD_REQUEST)
            .may_fail(StatusCode::NOT_FOUND)
            .may_fail(StatusCode::REQUEST_TIMEOUT)
            .may_fail(StatusCode::PAYLOAD_TOO_LARGE)
            .may_fail(StatusCode::UNPROCESSABLE_ENTITY)
            .may_fail(StatusCode::TOO_MANY_REQUESTS)
    }
}

pub(crate) async fn create(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Body,
) -> Result<Data<Kept>, ApiError> {
    let report_id = header(&headers, "x-call-report-id")?.ok_or(ApiError::InvalidHeader {
        detail: "The header x-call-report-id is required.",
    })?;
    let account = api
        .bus()
        .report_owner(report_id)
        .ok_or(ApiError::NotFound)?;
    let call_id = header(&headers, "x-call-id")?.ok_or(ApiError::InvalidHeader {
        detail: "The header x-call-id is required.",
    })?;
    let voice_sdk_id = header(&headers, "x-voice-sdk-id")?.unwrap_or_default();

    let upload = api.uploads().begin(report_id);
    let upload = upload.ok_or(ApiError::TooManyUploads)?;
    let bytes = json::read(body, MAX_REPORT_BYTES).await?;
    let _turn = upload.turn().await;
    // Milliseconds for the largest: too long for a thread that others wait for.
    let text = joined(spawn_blocking(move || check(&bytes))).await?;
    api.store()
        .insert_call_report(account, report_id, call_id, voice_sdk_id, text, api.now())
        .await?;
    Ok(Data {
        data: Kept {
            record_type: "call_report",
            call_id: call_id.to_owned(),
        },
    })
}

fn check(bytes: &[u8]) -> Result<String, ApiError> {
    let text = json::check_text(bytes)?;
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| ApiError::InvalidJson {
        detail: error.to_string(),
    })?;
    Ok(text.to_owned())
}

/// Reads a header that names something: visible ASCII, not blank, at most 128 bytes.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, ApiError> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let text = value.to_str().map(str::trim).unwrap_or_default();
    if text.is_empty() || text.len() > MAX_HEADER_BYTES {
        return Err(ApiError::InvalidHeader {
            detail: "The x-… headers of a call report must hold 1 to 128 visible ASCII characters.",
        });
    }
    Ok(Some(text))
}
