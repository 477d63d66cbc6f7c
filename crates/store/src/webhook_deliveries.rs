//! What became of webhooks: every delivery that was begun, with its attempts.

use std::collections::BTreeMap;

use ringtrip_model::{
    AccountId, CredentialConnectionId, Timestamp, WebhookAnswer, WebhookAttempt, WebhookDelivery,
    WebhookDeliveryId, WebhookError, WebhookEventType, WebhookStatus,
};

use crate::Store;
use crate::accounts::{self, Counter};
use crate::db::{self, Conn, QueryBuilder, Reads, Row, reader};
use crate::error::StoreError;
use crate::page::{Listing, Page, contains_pattern};
use crate::row::{self, Columns};

const TABLE: &str = "webhook_deliveries";
const ATTEMPTS: &str = "webhook_attempts";
const READING: &str = "reading webhook deliveries";
const RESENDING: &str = "queueing a webhook again";
/// The longest text that deliveries are searched for; the databases take no pattern of any length.
const MAX_PART_BYTES: usize = 4096;
/// Ids in one statement.
const IDS: usize = 64;

/// What listed deliveries have in common; everything set must match.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WebhookDeliveryFilter {
    /// Whether it arrived.
    pub status: Option<WebhookStatus>,
    /// Any of these types.
    pub event_types: Option<Vec<WebhookEventType>>,
    /// A part of what was told, whatever the case of its ASCII letters.
    pub webhook_contains: Option<String>,
    /// A part of any attempt, whatever the case of its ASCII letters.
    pub attempts_contain: Option<String>,
    /// Begun then or later.
    pub started_from: Option<Timestamp>,
    /// Begun then or earlier.
    pub started_to: Option<Timestamp>,
    /// Finished then or later.
    pub finished_from: Option<Timestamp>,
    /// Finished then or earlier.
    pub finished_to: Option<Timestamp>,
}

impl Store {
    /// Lists an account's deliveries, the one that began last first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn list_webhook_deliveries(
        &self,
        account: AccountId,
        filter: WebhookDeliveryFilter,
        page: Page,
    ) -> Result<Listing<WebhookDelivery>, StoreError> {
        let failed = StoreError::while_doing(READING);
        let parts = [&filter.webhook_contains, &filter.attempts_contain];
        let endless = |text: &String| text.contains('\0') || text.len() > MAX_PART_BYTES;
        if filter.event_types.as_ref().is_some_and(Vec::is_empty)
            || parts.into_iter().flatten().any(endless)
        {
            return Ok(Listing::empty());
        }
        let mut snapshot = self.snapshot(READING, account, Reads::Several).await?;
        let total = if filter == WebhookDeliveryFilter::default() {
            accounts::counted(&mut snapshot, READING, account, Counter::WebhookDeliveries).await?
        } else {
            let mut query = QueryBuilder::new("SELECT COUNT(*) FROM webhook_deliveries d");
            narrow(&mut query, account, &filter);
            let total = query
                .build_query_scalar()
                .fetch_one(&mut snapshot)
                .await
                .map_err(failed)?;
            row::count(total)
        };
        let mut query = QueryBuilder::new("SELECT d.* FROM webhook_deliveries d");
        narrow(&mut query, account, &filter);
        query
            .push(" ORDER BY d.started_at DESC, d.number DESC LIMIT ")
            .push_bind(page.limit());
        query.push(" OFFSET ").push_bind(page.offset());
        let rows = query
            .build()
            .fetch_all(&mut snapshot)
            .await
            .map_err(failed)?;
        let items = read_all(&mut snapshot, &rows).await?;
        snapshot.end().await.map_err(failed)?;
        Ok(Listing { items, total })
    }

    /// Reads a delivery of an account that was begun.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn webhook_delivery(
        &self,
        account: AccountId,
        id: WebhookDeliveryId,
    ) -> Result<Option<WebhookDelivery>, StoreError> {
        let mut conn = reader(&self.inner.pool, READING).await?;
        find(&mut conn, account, id).await
    }

    /// Queues a delivery again, all attempts anew, unless it is in the queue; returns it as it then is.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn resend_webhook(
        &self,
        account: AccountId,
        id: WebhookDeliveryId,
        now: Timestamp,
    ) -> Result<Option<WebhookDelivery>, StoreError> {
        let inner = std::sync::Arc::clone(&self.inner);
        self.write(
            RESENDING,
            move |conn| {
                Box::pin(async move {
                    accounts::hold(conn, RESENDING, account).await?;
                    db::query(
                        "UPDATE webhook_deliveries
                         SET resend = TRUE, tries = 0, finished_at = NULL, queued_at = $3
                         WHERE id = $1 AND account_id = $2 AND finished_at IS NOT NULL",
                    )
                    .bind(id.to_string())
                    .bind(account.to_string())
                    .bind(now.as_micros())
                    .execute(conn)
                    .await
                    .map_err(StoreError::while_doing(RESENDING))?;
                    find(conn, account, id).await
                })
            },
            move |queued| {
                if let Some(Some(_)) = queued {
                    inner.webhook_resent.notify_one();
                }
            },
        )
        .await
    }
}

fn narrow(query: &mut QueryBuilder, account: AccountId, filter: &WebhookDeliveryFilter) {
    query
        .push(" WHERE d.account_id = ")
        .push_bind(account.to_string());
    query.push(" AND d.started_at IS NOT NULL");
    if let Some(status) = filter.status {
        query.push(" AND d.status = ").push_bind(status.name());
    }
    if let Some(types) = &filter.event_types {
        query.push(" AND d.event_type IN (");
        let mut names = query.separated(", ");
        for event_type in types {
            names.push_bind(event_type.name());
        }
        query.push(")");
    }
    for (text, at) in [
        (" AND d.started_at >= ", filter.started_from),
        (" AND d.started_at <= ", filter.started_to),
        (" AND d.finished_at >= ", filter.finished_from),
        (" AND d.finished_at <= ", filter.finished_to),
    ] {
        if let Some(at) = at {
            query.push(text).push_bind(at.as_micros());
        }
    }
    let pattern = |text: &String| contains_pattern(&text.to_ascii_lowercase());
    if let Some(pattern) = filter.webhook_contains.as_ref().map(pattern) {
        query.push(" AND (");
        for (index, column) in ["d.payload", "d.event_type", "d.event_id"]
            .into_iter()
            .enumerate()
        {
            query.push(if index == 0 { "LOWER(" } else { " OR LOWER(" });
            query.push(column).push(") LIKE ");
            query.push_bind(pattern.clone()).push(" ESCAPE '\\'");
        }
        query.push(")");
    }
    if let Some(pattern) = filter.attempts_contain.as_ref().map(pattern) {
        query.push(
            " AND EXISTS (SELECT 1 FROM webhook_attempts a WHERE a.delivery = d.number AND (",
        );
        for (index, column) in [
            "a.url",
            "a.request_headers",
            "a.response_headers",
            "a.response_body",
        ]
        .into_iter()
        .enumerate()
        {
            query.push(if index == 0 { "LOWER(" } else { " OR LOWER(" });
            query.push(column).push(") LIKE ");
            query.push_bind(pattern.clone()).push(" ESCAPE '\\'");
        }
        query.push("))");
    }
}

async fn find(
    conn: &mut Conn,
    account: AccountId,
    id: WebhookDeliveryId,
) -> Result<Option<WebhookDelivery>, StoreError> {
    let row = db::query(
        "SELECT * FROM webhook_deliveries
         WHERE id = $1 AND account_id = $2 AND started_at IS NOT NULL",
    )
    .bind(id.to_string())
    .bind(account.to_string())
    .fetch_optional(conn)
    .await
    .map_err(StoreError::while_doing(READING))?;
    let rows: Vec<Row> = row.into_iter().collect();
    Ok(read_all(conn, &rows).await?.pop())
}

/// Reads deliveries together with their attempts.
async fn read_all(conn: &mut Conn, rows: &[Row]) -> Result<Vec<WebhookDelivery>, StoreError> {
    let numbers: Vec<i64> = rows
        .iter()
        .map(|row| Columns::new(row, TABLE, READING).get("number"))
        .collect::<Result<_, _>>()?;
    let mut attempts: BTreeMap<i64, Vec<WebhookAttempt>> = BTreeMap::new();
    for numbers in numbers.chunks(IDS) {
        let mut query = QueryBuilder::new("SELECT * FROM webhook_attempts WHERE delivery IN (");
        let mut ids = query.separated(", ");
        for number in numbers {
            ids.push_bind(*number);
        }
        query.push(") ORDER BY delivery, number DESC");
        let rows = query.build().persistent(false).fetch_all(conn).await;
        for row in &rows.map_err(StoreError::while_doing(READING))? {
            let columns = Columns::new(row, ATTEMPTS, READING);
            let delivery = columns.get("delivery")?;
            let attempt = read_attempt(columns)?;
            attempts.entry(delivery).or_default().push(attempt);
        }
    }
    let read = |(row, number)| {
        let columns = Columns::new(row, TABLE, READING);
        Ok(WebhookDelivery {
            id: columns.parse("id")?,
            account: columns.parse("account_id")?,
            connection: CredentialConnectionId::from_i64(columns.get("connection_id")?),
            call: columns.parse("call_id")?,
            event: columns.parse("event_id")?,
            event_type: columns.name("event_type", WebhookEventType::from_name)?,
            occurred_at: columns.time("occurred_at")?,
            payload: columns.get("payload")?,
            status: columns.name("status", WebhookStatus::from_name)?,
            started_at: columns.time("started_at")?,
            finished_at: columns.time_optional("finished_at")?,
            attempts: attempts.remove(number).unwrap_or_default(),
        })
    };
    rows.iter().zip(&numbers).map(read).collect()
}

fn read_attempt(columns: Columns<'_>) -> Result<WebhookAttempt, StoreError> {
    let headers = |column: &'static str| {
        serde_json::from_str::<Vec<(String, String)>>(columns.get(column)?)
            .map_err(|_| columns.malformed(column))
    };
    let error = match columns.get::<Option<i64>>("error")? {
        Some(code) => {
            Some(WebhookError::from_code(code).ok_or_else(|| columns.malformed("error"))?)
        }
        None => None,
    };
    let answer = match columns.get::<Option<i64>>("response_status")? {
        Some(status) => Some(WebhookAnswer {
            status: u16::try_from(status).map_err(|_| columns.malformed("response_status"))?,
            headers: headers("response_headers")?,
            body: columns.get("response_body")?,
        }),
        None => None,
    };
    Ok(WebhookAttempt {
        started_at: columns.time("started_at")?,
        finished_at: columns.time("finished_at")?,
        error,
        url: columns.get("url")?,
        request_headers: headers("request_headers")?,
        answer,
    })
}
