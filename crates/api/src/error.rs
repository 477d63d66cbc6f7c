//! Every error that leaves the API, and the envelope it leaves in.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use ringtrip_model::{FieldError, FieldErrorKind, FieldErrors, TokenError};
use ringtrip_store::{ReportBudget, StoreError};
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tracing::error;

use crate::operation::{common_headers, schema_of};
use crate::portal::PortalRefusal;

/// Why a request is not answered with what it asked for.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No usable key came with the request.
    #[error("the request is not authenticated: {0}")]
    Unauthenticated(#[from] AuthFailure),
    /// The thing does not exist, or belongs to someone else.
    #[error("there is no such resource")]
    NotFound,
    /// No route has this path.
    #[error("there is no such route")]
    UnknownRoute {
        /// Where the caller may have meant to go.
        hint: Option<String>,
    },
    /// The route exists, but not with this method.
    #[error("the route does not take this method")]
    MethodNotAllowed,
    /// The body is not JSON.
    #[error("the body is not JSON: {detail}")]
    InvalidJson {
        /// What is wrong with it, and where.
        detail: String,
    },
    /// A body or a query is not UTF-8.
    #[error("the request is not UTF-8")]
    NotUtf8,
    /// The body is declared to be, and is, something other than JSON.
    #[error("the body is not JSON and does not claim to be")]
    UnsupportedMediaType,
    /// The body is larger than the route takes.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The most the route takes, in bytes.
        limit: usize,
    },
    /// The body did not arrive in time.
    #[error("the body did not arrive in time")]
    BodyTimeout,
    /// The connection broke, or its framing, while the body was read.
    #[error("the body could not be read")]
    BodyBroken,
    /// A query parameter has an impossible value.
    #[error("a query parameter is not valid: {detail}")]
    InvalidQuery {
        /// Which.
        place: Place,
        /// What it must be.
        detail: String,
    },
    /// A query holds U+0000, which no stored text can.
    #[error("the query holds U+0000")]
    NulInQuery,
    /// A header is missing or has an impossible value.
    #[error("a header is not valid: {detail}")]
    InvalidHeader {
        /// What it must be.
        detail: &'static str,
    },
    /// Fields of the body are missing or impossible.
    #[error("{} field(s) are not valid", .0.len())]
    Fields(Vec<FieldError>),
    /// A key, or a source without one, has sent as many requests as it may.
    #[error("too many requests")]
    TooManyRequests {
        /// Seconds until the next one is taken.
        wait_secs: u64,
    },
    /// A create with the same `Idempotency-Key` is under way.
    #[error("the same create is under way")]
    BeingProcessed,
    /// The `Idempotency-Key` was used for a create with another body.
    #[error("the idempotency key was used with another body")]
    KeyReused,
    /// As many large bodies are being taken in as may be.
    #[error("too many large bodies at once")]
    TooManyBodies,
    /// As many call reports are being taken in as may be.
    #[error("too many call reports at once")]
    TooManyUploads,
    /// As many call reports are kept as may be.
    #[error("{0} has as many call reports as are kept")]
    ReportsFull(ReportBudget),
    /// The store could not do it.
    #[error("the store failed")]
    Store(#[source] StoreError),
    /// A token could not be signed.
    #[error("a token could not be signed")]
    Sign(#[source] TokenError),
    /// The portal refuses it.
    #[error(transparent)]
    Portal(PortalRefusal),
    /// A handler panicked.
    #[error("a handler panicked")]
    Panicked,
}

/// What is wrong with a request's key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthFailure {
    /// There is no `Authorization` header.
    #[error("no credentials")]
    Missing,
    /// The header holds something that is no key of ours.
    #[error("unreadable credentials")]
    Malformed,
    /// The key is unknown, revoked, or its secret part is wrong.
    #[error("unknown key {lookup}")]
    Unknown {
        /// The public part of the key.
        lookup: String,
    },
}

/// Where in the request an error lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "ErrorSource")]
pub enum Place {
    /// A JSON pointer into the body, or one of the pointers that stand for paging parameters.
    Pointer(Cow<'static, str>),
    /// A query parameter.
    Parameter(Cow<'static, str>),
}

impl From<FieldErrors> for ApiError {
    fn from(FieldErrors(fields): FieldErrors) -> Self {
        Self::Fields(fields)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Refused(field) => Self::Fields(vec![field]),
            StoreError::Invalid(FieldErrors(fields)) => Self::Fields(fields),
            StoreError::ReportsFull(budget) => Self::ReportsFull(budget),
            // The key's account is gone, and everything it owned with it.
            StoreError::UnknownAccount => Self::NotFound,
            StoreError::Repeated => Self::BeingProcessed,
            StoreError::NotAllowed => Self::Portal(PortalRefusal::Forbidden(None)),
            StoreError::Unavailable { .. } | StoreError::Corrupt { .. } => Self::Store(error),
        }
    }
}

/// Why a request is not answered with what it asked for.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ErrorResponse")]
struct Envelope<'a> {
    #[schemars(length(min = 1))]
    errors: Vec<Item<'a>>,
}

/// One reason.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Error")]
struct Item<'a> {
    /// Five digits that name the sort of the error.
    #[schemars(regex(pattern = "^[0-9]{5}$"))]
    code: &'static str,
    title: &'static str,
    detail: Cow<'a, str>,
    /// Where in the request; absent where no part of it is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Place")]
    source: Option<Cow<'a, Place>>,
}

/// The error answers that operations may have, and their names in the document.
const ANSWERS: &[(StatusCode, &str)] = &[
    (StatusCode::BAD_REQUEST, "BadRequest"),
    (StatusCode::UNAUTHORIZED, "Unauthorized"),
    (StatusCode::FORBIDDEN, "Forbidden"),
    (StatusCode::NOT_FOUND, "NotFound"),
    (StatusCode::REQUEST_TIMEOUT, "RequestTimeout"),
    (StatusCode::CONFLICT, "Conflict"),
    (StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLarge"),
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType"),
    (StatusCode::UNPROCESSABLE_ENTITY, "UnprocessableEntity"),
    (StatusCode::TOO_MANY_REQUESTS, "TooManyRequests"),
    (StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError"),
    (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
];

/// Returns the name that the answers with an error status have in the document.
pub(crate) fn answer_name(status: StatusCode) -> &'static str {
    let found = ANSWERS.iter().find(|(have, _)| *have == status);
    found
        .expect("an operation fails with listed statuses only")
        .1
}

/// Describes every error answer, by name.
pub(crate) fn answers(schemas: &mut SchemaGenerator) -> Map<String, Value> {
    let schema = schema_of::<Envelope<'static>>(schemas);
    ANSWERS
        .iter()
        .map(|(status, name)| {
            let mut headers = common_headers();
            match *status {
                StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                    headers["retry-after"] = json!({"$ref": "#/components/headers/RetryAfter"});
                }
                StatusCode::UNAUTHORIZED => {
                    headers["www-authenticate"] =
                        json!({"required": true, "schema": {"type": "string"}});
                }
                _ => {}
            }
            let answer = json!({
                "description": status.canonical_reason().unwrap_or_default(),
                "headers": headers,
                "content": {"application/json": {"schema": schema}},
            });
            ((*name).to_owned(), answer)
        })
        .collect()
}

impl<'a> Item<'a> {
    fn new(code: &'static str, title: &'static str, detail: impl Into<Cow<'a, str>>) -> Self {
        Self {
            code,
            title,
            detail: detail.into(),
            source: None,
        }
    }

    fn at(mut self, place: Place) -> Self {
        self.source = Some(Cow::Owned(place));
        self
    }
}

impl ApiError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Self::NotFound | Self::UnknownRoute { .. } => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::InvalidJson { .. }
            | Self::NotUtf8
            | Self::BodyBroken
            | Self::InvalidQuery { .. }
            | Self::InvalidHeader { .. } => StatusCode::BAD_REQUEST,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::BeingProcessed => StatusCode::CONFLICT,
            Self::Fields(_) | Self::NulInQuery | Self::KeyReused => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Self::TooManyRequests { .. } | Self::TooManyUploads | Self::ReportsFull(_) => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Self::Portal(refusal) => refusal.status(),
            Self::TooManyBodies | Self::Store(StoreError::Unavailable { .. }) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Store(_) | Self::Sign(_) | Self::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn items(&self) -> Vec<Item<'_>> {
        let item = match self {
            Self::Fields(fields) => return fields.iter().map(field_item).collect(),
            Self::Unauthenticated(failure) => {
                let detail: Cow<'_, str> = match failure {
                    AuthFailure::Missing => "Could not find any usable credentials.".into(),
                    AuthFailure::Malformed => {
                        "Could not understand the provided credentials.".into()
                    }
                    AuthFailure::Unknown { lookup } => {
                        format!("No key found matching the ID '{lookup}' with the provided secret.")
                            .into()
                    }
                };
                Item::new("10009", "Authentication failed", detail)
            }
            Self::NotFound => Item::new(
                "10005",
                "Resource not found",
                "The requested resource could not be found.",
            ),
            Self::UnknownRoute { hint } => {
                let detail: Cow<'_, str> = match hint {
                    Some(hint) => format!("The requested URL could not be found. {hint}").into(),
                    None => "The requested URL could not be found.".into(),
                };
                Item::new("10005", "Resource not found", detail)
            }
            Self::MethodNotAllowed => Item::new(
                "10015",
                "Method not allowed",
                "This URL does not take that method; the Allow header names those it takes.",
            ),
            Self::InvalidJson { detail } => Item::new(
                "10023",
                "Invalid JSON",
                format!("The supplied body is not valid JSON: {detail}."),
            )
            .at(Place::Pointer("/".into())),
            Self::NotUtf8 => Item::new(
                "10028",
                "Character encoding error",
                "The request must be encoded in UTF-8.",
            ),
            Self::UnsupportedMediaType => Item::new(
                "10014",
                "Unsupported Media Type",
                "The body must be JSON, sent with the content type application/json and not compressed.",
            ),
            Self::TooLarge { limit } => Item::new(
                "10015",
                "Request body too large",
                format!("The body must not be larger than {limit} bytes."),
            ),
            Self::BodyTimeout => Item::new(
                "10008",
                "Request timeout",
                "The body of the request did not arrive in time.",
            ),
            Self::BodyBroken => Item::new(
                "10015",
                "Bad Request",
                "The body of the request could not be read to its end.",
            ),
            Self::InvalidQuery { place, detail } => Item {
                source: Some(Cow::Borrowed(place)),
                ..Item::new("10015", "Bad Request", detail.as_str())
            },
            Self::NulInQuery => Item::new(
                "10015",
                "Bad Request",
                "A query must not hold the character U+0000.",
            ),
            Self::InvalidHeader { detail } => Item::new("10015", "Bad Request", *detail),
            Self::TooManyRequests { .. } => Item::new(
                "10011",
                "Too many requests",
                "You have sent more requests than you may. Try again when the time in retry-after is over.",
            ),
            Self::BeingProcessed => Item::new(
                "10036",
                "Resource is being processed",
                "A request with the same Idempotency-Key is being processed. Try again shortly.",
            ),
            Self::KeyReused => Item::new(
                "10015",
                "Bad Request",
                "This Idempotency-Key was used for a request with another body.",
            ),
            Self::TooManyBodies => Item::new(
                "10007",
                "Service unavailable",
                "Too many large requests are being read at once. Try again shortly.",
            ),
            Self::TooManyUploads => Item::new(
                "10011",
                "Too many requests",
                "Too many call reports are being uploaded at once. Try again shortly.",
            ),
            Self::ReportsFull(budget) => Item::new(
                "10011",
                "Too many requests",
                match budget {
                    ReportBudget::ReportId => {
                        "As many call reports are kept for this x-call-report-id as may be."
                    }
                    ReportBudget::Account => {
                        "As many call reports are kept for this account as may be; old ones are deleted in time."
                    }
                },
            ),
            Self::Portal(refusal) => {
                let (code, title, detail) = refusal.words();
                Item::new(code, title, detail)
            }
            Self::Store(StoreError::Unavailable { .. }) => Item::new(
                "10007",
                "Service unavailable",
                "The database cannot be used at the moment. Try again shortly.",
            ),
            Self::Store(_) | Self::Sign(_) | Self::Panicked => {
                Item::new("10007", "Unexpected error", "An unexpected error occurred.")
            }
        };
        vec![item]
    }
}

fn field_item(field: &FieldError) -> Item<'_> {
    let (code, title) = match field.kind {
        FieldErrorKind::Missing => ("10004", "Missing required parameter"),
        FieldErrorKind::Invalid
        | FieldErrorKind::NotListed
        | FieldErrorKind::OutOfRange
        | FieldErrorKind::LimitReached
        | FieldErrorKind::Terminal => ("10015", "Bad Request"),
        FieldErrorKind::InvalidUrl => ("10003", "Invalid URL"),
        FieldErrorKind::InvalidNumber => ("10002", "Invalid phone number"),
        FieldErrorKind::NotE164 => ("10016", "Phone number must be in +E.164 format"),
        FieldErrorKind::Duplicate => ("10012", "Duplicate resource"),
        FieldErrorKind::InUse => ("10021", "Resource in use"),
        FieldErrorKind::NoSuchResource => ("10017", "Associated resource does not exist"),
    };
    Item::new(code, title, field.detail.as_ref()).at(Place::Pointer(field.pointer.clone()))
}

/// Prints an error with what caused it, in one line.
fn chain(error: &ApiError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if let Self::Store(_) | Self::Sign(_) = &self {
            error!("a request cannot be answered: {}", chain(&self));
        }
        let body = serde_json::to_vec(&Envelope {
            errors: self.items(),
        })
        .expect("strings serialize into memory");
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match self {
            Self::Unauthenticated(_) => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            // What is left of the body is not worth waiting for.
            Self::TooLarge { .. } | Self::BodyTimeout | Self::BodyBroken => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Self::Store(StoreError::Unavailable { .. })
            | Self::TooManyBodies
            | Self::TooManyUploads
            | Self::BeingProcessed => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Self::TooManyRequests { wait_secs } => {
                headers.insert(RETRY_AFTER, HeaderValue::from(wait_secs));
            }
            Self::Portal(refusal) => {
                if let Some(seconds) = refusal.retry_after() {
                    headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
                }
            }
            // Room comes when old reports are deleted, but clients honour no more than a minute.
            Self::ReportsFull(_) => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("60"));
            }
            Self::NotFound
            | Self::UnknownRoute { .. }
            | Self::MethodNotAllowed
            | Self::InvalidJson { .. }
            | Self::NotUtf8
            | Self::UnsupportedMediaType
            | Self::InvalidQuery { .. }
            | Self::NulInQuery
            | Self::InvalidHeader { .. }
            | Self::Fields(_)
            | Self::KeyReused
            | Self::Store(_)
            | Self::Sign(_)
            | Self::Panicked => {}
        }
        response
    }
}
