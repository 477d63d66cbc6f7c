//! `/v2/webhook_deliveries`: what became of webhooks, attempt by attempt, and sending them again.

use axum::extract::State;
use ringtrip_model::{
    AccountId, Timestamp, WebhookAnswer, WebhookAttempt, WebhookDelivery, WebhookDeliveryId,
    WebhookEventId, WebhookEventType, WebhookStatus,
};
use ringtrip_store::WebhookDeliveryFilter;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::PathId;
use crate::Api;
use crate::auth::Caller;
use crate::error::{ApiError, Place};
use crate::json::IgnoredBody;
use crate::operation::Operation;
use crate::page::PageRequest;
use crate::query::Query;
use crate::respond::{Data, List, Text, Word};

/// Rows on a page unless asked otherwise.
const DEFAULT_PAGE_SIZE: u32 = 20;

/// A delivery as it is shown.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "WebhookDelivery")]
pub(crate) struct Delivery {
    id: Text<WebhookDeliveryId>,
    #[schemars(extend("const" = "webhook_delivery"))]
    record_type: &'static str,
    user_id: Text<AccountId>,
    status: Word<WebhookStatus>,
    started_at: Text<Timestamp>,
    finished_at: Option<Text<Timestamp>>,
    webhook: Webhook,
    attempts: Vec<Attempt>,
}

/// What was told.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "WebhookDeliveryWebhook")]
struct Webhook {
    #[schemars(extend("const" = "event"))]
    record_type: &'static str,
    event_type: Word<WebhookEventType>,
    id: Text<WebhookEventId>,
    #[schemars(extend("format" = "date-time"))]
    occurred_at: String,
    payload: Map<String, Value>,
}

/// One request to the endpoint, and how it was answered.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "WebhookDeliveryAttempt")]
struct Attempt {
    status: Word<WebhookStatus>,
    started_at: Text<Timestamp>,
    finished_at: Text<Timestamp>,
    errors: Vec<i64>,
    http: Exchange,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "WebhookDeliveryHttp")]
struct Exchange {
    request: Request,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<Response>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "WebhookDeliveryRequest")]
struct Request {
    url: Option<String>,
    headers: Vec<Vec<String>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "WebhookDeliveryResponse")]
struct Response {
    status: u16,
    headers: Vec<Vec<String>>,
    body: String,
}

impl Delivery {
    fn new(delivery: WebhookDelivery) -> Self {
        Self {
            id: Text(delivery.id),
            record_type: "webhook_delivery",
            user_id: Text(delivery.account),
            status: Word(delivery.status),
            started_at: Text(delivery.started_at),
            finished_at: delivery.finished_at.map(Text),
            webhook: Webhook {
                record_type: "event",
                event_type: Word(delivery.event_type),
                id: Text(delivery.event),
                occurred_at: delivery.occurred_at.to_precise(),
                payload: serde_json::from_str(&delivery.payload).unwrap_or_default(),
            },
            attempts: delivery.attempts.into_iter().map(Attempt::new).collect(),
        }
    }
}

impl Attempt {
    fn new(attempt: WebhookAttempt) -> Self {
        let status = match attempt.error {
            None => WebhookStatus::Delivered,
            Some(_) => WebhookStatus::Failed,
        };
        Self {
            status: Word(status),
            started_at: Text(attempt.started_at),
            finished_at: Text(attempt.finished_at),
            errors: attempt
                .error
                .into_iter()
                .map(|error| error.code())
                .collect(),
            http: Exchange {
                request: Request {
                    url: attempt.url,
                    headers: pairs(attempt.request_headers),
                },
                response: attempt.answer.map(Response::new),
            },
        }
    }
}

impl Response {
    fn new(answer: WebhookAnswer) -> Self {
        Self {
            status: answer.status,
            headers: pairs(answer.headers),
            body: answer.body,
        }
    }
}

/// Headers as Telnyx shows them: a list of name and value.
fn pairs(headers: Vec<(String, String)>) -> Vec<Vec<String>> {
    let headers = headers.into_iter();
    headers.map(|(name, value)| vec![name, value]).collect()
}

pub(crate) mod operations {
    use super::{DEFAULT_PAGE_SIZE, Operation, Timestamp, WebhookStatus};

    pub(crate) fn list() -> Operation {
        Operation::new("List webhook deliveries")
            .description(
                "Those of which at least one attempt has ended, the one that began last first. One that is \
                 failed and not finished will be tried again.",
            )
            .paged(DEFAULT_PAGE_SIZE)
            .filter::<WebhookStatus>("status", "Those in this state.")
            .filter::<String>(
                "event_type",
                "Those of one of these types, with commas between; one that is not known matches none.",
            )
            .filter_by::<String>("webhook", "contains", "Those that tell this, whatever its case.")
            .filter_by::<String>(
                "attempts",
                "contains",
                "Those with this in a request or an answer, whatever its case.",
            )
            .filter_by::<Timestamp>("started_at", "gte", "Those that began then or later.")
            .filter_by::<Timestamp>("started_at", "lte", "Those that began then or earlier.")
            .filter_by::<Timestamp>("finished_at", "gte", "Those that ended then or later.")
            .filter_by::<Timestamp>("finished_at", "lte", "Those that ended then or earlier.")
    }

    pub(crate) fn retrieve() -> Operation {
        Operation::new("Retrieve a webhook delivery")
    }

    pub(crate) fn resend() -> Operation {
        Operation::new("Send a webhook again").description(
            "Queues it with all its attempts anew, to the URLs that its connection has now. The event keeps its \
             id. One that is still in the queue stays as it is.",
        )
    }
}

pub(crate) async fn list(
    caller: Caller,
    State(api): State<Api>,
    query: Query,
) -> Result<List<Delivery>, ApiError> {
    let page = PageRequest::read(&query, DEFAULT_PAGE_SIZE)?;
    let contains = |field| query.filter_by(field, "contains").map(str::to_owned);
    let filter = WebhookDeliveryFilter {
        status: query.filter_word("status")?,
        event_types: query.filter("event_type").map(|types| {
            let types = types.split(',').map(str::trim);
            types.filter_map(WebhookEventType::from_name).collect()
        }),
        webhook_contains: contains("webhook"),
        attempts_contain: contains("attempts"),
        started_from: time(&query, "started_at", "gte")?,
        started_to: time(&query, "started_at", "lte")?,
        finished_from: time(&query, "finished_at", "gte")?,
        finished_to: time(&query, "finished_at", "lte")?,
    };
    let found = api
        .store()
        .list_webhook_deliveries(caller.account, filter, page.into())
        .await?;
    Ok(List {
        meta: page.meta(found.total),
        data: found.items.into_iter().map(Delivery::new).collect(),
    })
}

/// Reads `filter[<field>][<operator>]` as a time.
pub(super) fn time(
    query: &Query,
    field: &str,
    operator: &str,
) -> Result<Option<Timestamp>, ApiError> {
    let Some(text) = query.filter_by(field, operator) else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|error| {
        let name = format!("filter[{field}][{operator}]");
        ApiError::InvalidQuery {
            detail: format!("{name} {error}."),
            place: Place::Parameter(name.into()),
        }
    })
}

pub(crate) async fn retrieve(
    caller: Caller,
    State(api): State<Api>,
    PathId(id): PathId<WebhookDeliveryId>,
) -> Result<Data<Delivery>, ApiError> {
    let found = api.store().webhook_delivery(caller.account, id).await?;
    Ok(Data {
        data: Delivery::new(found.ok_or(ApiError::NotFound)?),
    })
}

pub(crate) async fn resend(
    caller: Caller,
    State(api): State<Api>,
    PathId(id): PathId<WebhookDeliveryId>,
    _: IgnoredBody,
) -> Result<Data<Delivery>, ApiError> {
    let queued = api
        .store()
        .resend_webhook(caller.account, id, api.now())
        .await?;
    Ok(Data {
        data: Delivery::new(queued.ok_or(ApiError::NotFound)?),
    })
}
