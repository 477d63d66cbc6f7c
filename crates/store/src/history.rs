//! Forgetting the history of calls.

use ringtrip_model::Timestamp;

use crate::Store;
use crate::db::{self, Conn};
use crate::error::StoreError;
use crate::row::Columns;
use crate::writer::{Kind, Work};

const PRUNING: &str = "pruning the history of calls";
/// Rows deleted in one write.
const ROWS: u32 = 500;
/// Reports deleted in one write, in bytes; at least one.
const REPORT_BYTES: i64 = 16 * 1024 * 1024;

/// What is forgotten of each kind: all that is older than this. Nothing without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Forgotten {
    /// Call events, by when they happened.
    pub call_events: Option<Timestamp>,
    /// Segments of call reports, by when they came.
    pub call_reports: Option<Timestamp>,
    /// Call records, by when their leg ended.
    pub call_records: Option<Timestamp>,
    /// Webhook deliveries that are finished, by when they were queued.
    pub webhook_deliveries: Option<Timestamp>,
}

/// How much was forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PrunedHistory {
    /// Call events.
    pub call_events: u64,
    /// Segments of call reports.
    pub call_reports: u64,
    /// Call records.
    pub call_records: u64,
    /// Webhook deliveries.
    pub webhook_deliveries: u64,
}

impl Store {
    /// Deletes what is old of the history of calls. It does so in many small writes that let others
    /// pass, and what a write deleted stays deleted if a later one fails. The file does not shrink: the
    /// room is used again.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn prune_history(&self, forgotten: Forgotten) -> Result<PrunedHistory, StoreError> {
        let mut pruned = PrunedHistory::default();
        if let Some(before) = forgotten.call_events {
            pruned.call_events = self
                .prune(move |conn| Box::pin(delete_call_events(conn, before)))
                .await?;
        }
        if let Some(before) = forgotten.call_reports {
            pruned.call_reports = self
                .prune(move |conn| Box::pin(delete_call_reports(conn, before)))
                .await?;
        }
        if let Some(before) = forgotten.call_records {
            pruned.call_records = self
                .prune(move |conn| Box::pin(delete_call_records(conn, before)))
                .await?;
        }
        if let Some(before) = forgotten.webhook_deliveries {
            pruned.webhook_deliveries = self
                .prune(move |conn| Box::pin(delete_webhook_deliveries(conn, before)))
                .await?;
        }
        Ok(pruned)
    }

    /// Deletes again and again until there is nothing more to delete; returns how many rows that were.
    pub(crate) async fn prune<W>(&self, delete: W) -> Result<u64, StoreError>
    where
        W: for<'c> Fn(&'c mut Conn) -> Work<'c, u64> + Clone + Send + 'static,
    {
        let mut total = 0;
        loop {
            let deleted = self
                .write_as(Kind::Large, PRUNING, delete.clone(), |_| {})
                .await?;
            if deleted == 0 {
                return Ok(total);
            }
            total += deleted;
        }
    }
}

async fn delete_call_records(conn: &mut Conn, before: Timestamp) -> Result<u64, StoreError> {
    let done = db::query(
        "DELETE FROM call_records WHERE leg_id IN
             (SELECT leg_id FROM call_records WHERE ended_at < $1 ORDER BY ended_at LIMIT $2)",
    )
    .bind(before.as_micros())
    .bind(i64::from(ROWS))
    .execute(conn)
    .await
    .map_err(StoreError::while_doing(PRUNING))?;
    Ok(done.rows_affected())
}

async fn delete_call_events(conn: &mut Conn, before: Timestamp) -> Result<u64, StoreError> {
    let done = db::query(
        "DELETE FROM call_events WHERE id IN
             (SELECT id FROM call_events WHERE occurred_at < $1 ORDER BY occurred_at LIMIT $2)",
    )
    .bind(before.as_micros())
    .bind(i64::from(ROWS))
    .execute(conn)
    .await
    .map_err(StoreError::while_doing(PRUNING))?;
    Ok(done.rows_affected())
}

/// Their attempts go with them.
async fn delete_webhook_deliveries(conn: &mut Conn, before: Timestamp) -> Result<u64, StoreError> {
    let done = db::query(
        "DELETE FROM webhook_deliveries WHERE number IN
             (SELECT number FROM webhook_deliveries WHERE queued_at < $1 AND finished_at IS NOT NULL
              ORDER BY queued_at LIMIT $2)",
    )
    .bind(before.as_micros())
    .bind(i64::from(ROWS))
    .execute(conn)
    .await
    .map_err(StoreError::while_doing(PRUNING))?;
    Ok(done.rows_affected())
}

async fn delete_call_reports(conn: &mut Conn, before: Timestamp) -> Result<u64, StoreError> {
    let failed = StoreError::while_doing(PRUNING);
    let rows = db::query(
        "SELECT created_at, id, size_bytes FROM call_reports WHERE created_at < $1
         ORDER BY created_at, id LIMIT $2",
    )
    .bind(before.as_micros())
    .bind(i64::from(ROWS))
    .fetch_all(&mut *conn)
    .await
    .map_err(failed)?;
    let (mut last, mut bytes) = (None, 0);
    for row in &rows {
        let columns = Columns::new(row, "call_reports", PRUNING);
        bytes += columns.get::<i64>("size_bytes")?;
        if last.is_some() && bytes > REPORT_BYTES {
            break;
        }
        last = Some((columns.get::<i64>("created_at")?, columns.get::<i64>("id")?));
    }
    let Some((created_at, id)) = last else {
        return Ok(0);
    };
    let done = db::query("DELETE FROM call_reports WHERE (created_at, id) <= ($1, $2)")
        .bind(created_at)
        .bind(id)
        .execute(conn)
        .await
        .map_err(failed)?;
    Ok(done.rows_affected())
}
