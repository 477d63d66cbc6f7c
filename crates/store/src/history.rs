//! Forgetting the history of calls.

use ringtrip_model::Timestamp;

use crate::Store;
use crate::db::{self, Conn};
use crate::error::StoreError;
use crate::row::Columns;
use crate::writer::Kind;

const PRUNING: &str = "pruning the history of calls";
/// Rows deleted in one write.
const ROWS: u32 = 500;
/// Reports deleted in one write, in bytes; at least one.
const REPORT_BYTES: i64 = 16 * 1024 * 1024;

/// What was forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PrunedHistory {
    /// Call events.
    pub call_events: u64,
    /// Segments of call reports.
    pub call_reports: u64,
}

impl Store {
    /// Deletes call events and call reports of before `before`; call records stay. It does so in many
    /// small writes that let others pass, and what a write deleted stays deleted if a later one fails.
    /// The file does not shrink: the room is used again.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn prune_history(&self, before: Timestamp) -> Result<PrunedHistory, StoreError> {
        let mut pruned = PrunedHistory::default();
        loop {
            let deleted = self
                .write_as(
                    Kind::Large,
                    PRUNING,
                    move |conn| Box::pin(delete_call_events(conn, before)),
                    |_| {},
                )
                .await?;
            pruned.call_events += deleted;
            if deleted == 0 {
                break;
            }
        }
        loop {
            let deleted = self
                .write_as(
                    Kind::Large,
                    PRUNING,
                    move |conn| Box::pin(delete_call_reports(conn, before)),
                    |_| {},
                )
                .await?;
            pruned.call_reports += deleted;
            if deleted == 0 {
                break;
            }
        }
        Ok(pruned)
    }
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
