//! The resources under `/v2`, one file each, named as the path segment is.

pub(crate) mod account;
pub(crate) mod api_keys;
pub(crate) mod audit_events;
pub(crate) mod balance;
pub(crate) mod call_events;
pub(crate) mod connections;
pub(crate) mod credential_connections;
pub(crate) mod detail_records;
pub(crate) mod mobile_push_credentials;
pub(crate) mod outbound_voice_profiles;
pub(crate) mod phone_numbers;
pub(crate) mod public_key;
pub(crate) mod sip_registration_status;
pub(crate) mod telephony_credentials;
pub(crate) mod trunks;
pub(crate) mod voice_sdk_call_reports;
pub(crate) mod webhook_deliveries;
pub(crate) mod whoami;

use std::future::Future;
use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::StatusCode;
use axum::http::request::Parts;
use ringtrip_store::inherited;
use tokio::task::JoinHandle;

use crate::error::ApiError;
use crate::operation::{Input, Operation};
use crate::schema::Printed;

/// The id in a path. What no id looks like is as unknown as an id that nothing has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PathId<T>(pub(crate) T);

impl<S: Send + Sync, T: FromStr> FromRequestParts<S> for PathId<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| ApiError::NotFound)?;
        let id = params.iter().find(|(name, _)| *name == "id");
        id.and_then(|(_, text)| text.parse().ok())
            .map(Self)
            .ok_or(ApiError::NotFound)
    }
}

impl<T: Printed> Input for PathId<T> {
    fn describe(operation: &mut Operation) {
        operation.in_path("id", T::schema());
        operation.fails(StatusCode::NOT_FOUND);
    }
}

/// Runs a change together with what must follow from it to the end, even if the client goes away in
/// between: a revocation must not be lost with the connection that asked for it.
pub(crate) async fn to_the_end<T: Send + 'static>(
    change: impl Future<Output = Result<T, ApiError>> + Send + 'static,
) -> Result<T, ApiError> {
    joined(tokio::spawn(inherited(change))).await
}

/// Waits for a task; a panic in it goes on here.
pub(crate) async fn joined<T>(task: JoinHandle<Result<T, ApiError>>) -> Result<T, ApiError> {
    match task.await {
        Ok(result) => result,
        Err(failure) => match failure.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Nothing aborts the task; the runtime drops it only when the node stops.
            Err(_) => Err(ApiError::Panicked),
        },
    }
}
