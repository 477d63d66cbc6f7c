//! Statistics that a browser's SDK uploads about its call.

use ringtrip_model::{AccountId, FieldError, FieldErrorKind, Timestamp};

use crate::Store;
use crate::accounts::{self, Counter};
use crate::db::{self, Conn, QueryBuilder, Row, reader};
use crate::error::{ReportBudget, StoreError};
use crate::page::{Length, Listing, Page};
use crate::row::{self, Columns};
use crate::writer::Kind;

const TABLE: &str = "call_reports";
const ADDING: &str = "keeping a call report";
const READING: &str = "reading call reports";

/// Largest report, in bytes.
pub const MAX_REPORT_BYTES: usize = 4 * 1024 * 1024;
/// How many segments are kept for one call of an account. The client names the call, so this bounds
/// what an honest one sends; the budgets below bound everybody.
pub const MAX_REPORT_SEGMENTS: u32 = 20;
/// How many segments are kept under one call report id.
pub const MAX_REPORT_ID_SEGMENTS: u32 = 400;
/// How much is kept under one call report id, in bytes.
pub const MAX_REPORT_ID_BYTES: u64 = 64 * 1024 * 1024;
/// How much is kept of all reports of an account, in bytes.
pub const MAX_ACCOUNT_REPORTS_BYTES: u64 = 512 * 1024 * 1024;

/// What a segment counts for at least, in bytes: a row is not free, however small its body.
const MIN_SEGMENT_BYTES: usize = 1024;

/// One segment of a call's report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallReport {
    /// The id that the login handed out.
    pub call_report_id: String,
    /// The protocol's own name of the leg (`callID`).
    pub call_id: String,
    /// Counted from 1 in the order of arrival.
    pub segment: u32,
    /// The SDK's own id; may be empty.
    pub voice_sdk_id: String,
    /// The report, JSON as it came.
    pub body: String,
    /// When it came.
    pub created_at: Timestamp,
}

/// Where a segment is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallReportRow(i64);

impl Store {
    /// Keeps a segment of a call's report.
    ///
    /// # Errors
    /// Refuses a body of more than [`MAX_REPORT_BYTES`], and more than [`MAX_REPORT_SEGMENTS`]
    /// segments of one call. [`StoreError::ReportsFull`] beyond [`MAX_REPORT_ID_SEGMENTS`] and
    /// [`MAX_REPORT_ID_BYTES`] for the report id, and [`MAX_ACCOUNT_REPORTS_BYTES`] for the account; a
    /// segment of less than a kibibyte counts as one.
    pub async fn insert_call_report(
        &self,
        account: AccountId,
        call_report_id: &str,
        call_id: &str,
        voice_sdk_id: &str,
        body: impl Into<String>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let body = body.into();
        let texts = [call_report_id, call_id, voice_sdk_id];
        if body.len() > MAX_REPORT_BYTES || texts.iter().any(|text| text.len() > 256) {
            return Err(refused(
                FieldErrorKind::OutOfRange,
                "The report is too large.",
            ));
        }
        if body.contains('\0') || texts.iter().any(|text| text.contains('\0')) {
            return Err(refused(
                FieldErrorKind::Invalid,
                "The character U+0000 is not allowed.",
            ));
        }
        let report = CallReport {
            call_report_id: call_report_id.to_owned(),
            call_id: call_id.to_owned(),
            segment: 0,
            voice_sdk_id: voice_sdk_id.to_owned(),
            body,
            created_at: now,
        };
        self.write_as(
            Kind::Large,
            ADDING,
            move |conn| Box::pin(async move { insert(conn, account, report).await }),
            |_| {},
        )
        .await
    }

    /// Lists where an account's reports are kept, without reading them: they are large.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn list_call_report_rows(
        &self,
        account: AccountId,
        oldest_first: bool,
        page: Page,
    ) -> Result<Listing<CallReportRow>, StoreError> {
        let part = |_, _| {
            let mut query = QueryBuilder::new("SELECT id FROM call_reports WHERE account_id = ");
            query.push_bind(account.to_string()).push(if oldest_first {
                " ORDER BY created_at, id"
            } else {
                " ORDER BY created_at DESC, id DESC"
            });
            page.push_onto(&mut query);
            query
        };
        let length = Length::Counted(Counter::CallReports);
        let read = |row: &_| Ok(CallReportRow(Columns::new(row, TABLE, READING).get("id")?));
        self.list(READING, account, length, page, part, read).await
    }

    /// Lists where the segments of a call's report are kept, in their order.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn call_report_rows(
        &self,
        account: AccountId,
        call_id: &str,
    ) -> Result<Vec<CallReportRow>, StoreError> {
        let mut conn = reader(&self.inner.pool, READING).await?;
        let ids: Vec<i64> = db::query_scalar(
            "SELECT id FROM call_reports WHERE account_id = $1 AND call_id = $2 ORDER BY segment",
        )
        .bind(account.to_string())
        .bind(call_id)
        .fetch_all(&mut conn)
        .await
        .map_err(StoreError::while_doing(READING))?;
        Ok(ids.into_iter().map(CallReportRow).collect())
    }

    /// Reads one segment; nothing if it has been forgotten meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn call_report(
        &self,
        account: AccountId,
        row: CallReportRow,
    ) -> Result<Option<CallReport>, StoreError> {
        let mut conn = reader(&self.inner.pool, READING).await?;
        let row = db::query("SELECT * FROM call_reports WHERE id = $1 AND account_id = $2")
            .bind(row.0)
            .bind(account.to_string())
            .fetch_optional(&mut conn)
            .await
            .map_err(StoreError::while_doing(READING))?;
        row.as_ref().map(read).transpose()
    }

    /// Lists the segments of a call's report.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn list_call_reports(
        &self,
        account: AccountId,
        call_id: &str,
    ) -> Result<Vec<CallReport>, StoreError> {
        let mut conn = reader(&self.inner.pool, READING).await?;
        let rows = db::query(
            "SELECT * FROM call_reports WHERE account_id = $1 AND call_id = $2 ORDER BY segment",
        )
        .bind(account.to_string())
        .bind(call_id.to_owned())
        .fetch_all(&mut conn)
        .await
        .map_err(StoreError::while_doing(READING))?;
        rows.iter().map(read).collect()
    }
}

fn read(row: &Row) -> Result<CallReport, StoreError> {
    let columns = Columns::new(row, TABLE, READING);
    let segment: i64 = columns.get("segment")?;
    Ok(CallReport {
        call_report_id: columns.get("call_report_id")?,
        call_id: columns.get("call_id")?,
        segment: u32::try_from(segment).map_err(|_| columns.malformed("segment"))?,
        voice_sdk_id: columns.get("voice_sdk_id")?,
        body: columns.get("body")?,
        created_at: columns.time("created_at")?,
    })
}

async fn insert(conn: &mut Conn, account: AccountId, report: CallReport) -> Result<(), StoreError> {
    let failed = StoreError::while_doing(ADDING);
    // Two segments must not both see room for one.
    accounts::hold(conn, ADDING, account).await?;
    let row = db::query(
        "SELECT call_report_bytes AS account_bytes,
             (SELECT COUNT(*) FROM call_reports
              WHERE account_id = $1 AND call_report_id = $2) AS report_id_segments,
             (SELECT CAST(COALESCE(SUM(size_bytes), 0) AS BIGINT) FROM call_reports
              WHERE account_id = $1 AND call_report_id = $2) AS report_id_bytes,
             (SELECT COALESCE(MAX(segment), 0) FROM call_reports
              WHERE account_id = $1 AND call_id = $3) AS last_segment
         FROM accounts WHERE id = $1",
    )
    .bind(account.to_string())
    .bind(report.call_report_id.clone())
    .bind(report.call_id.clone())
    .fetch_optional(&mut *conn)
    .await
    .map_err(failed)?
    .ok_or(StoreError::UnknownAccount)?;
    let columns = Columns::new(&row, TABLE, ADDING);
    let last_segment: i64 = columns.get("last_segment")?;
    if last_segment >= i64::from(MAX_REPORT_SEGMENTS) {
        return Err(refused(
            FieldErrorKind::LimitReached,
            "The call has as many segments of a report as are kept.",
        ));
    }
    let size = report.body.len().max(MIN_SEGMENT_BYTES) as u64;
    let used = |column| columns.get(column).map(row::count);
    if used("report_id_segments")? >= u64::from(MAX_REPORT_ID_SEGMENTS)
        || used("report_id_bytes")? + size > MAX_REPORT_ID_BYTES
    {
        return Err(StoreError::ReportsFull(ReportBudget::ReportId));
    }
    if used("account_bytes")? + size > MAX_ACCOUNT_REPORTS_BYTES {
        return Err(StoreError::ReportsFull(ReportBudget::Account));
    }
    db::query(
        "INSERT INTO call_reports
             (account_id, call_report_id, call_id, segment, voice_sdk_id, size_bytes, created_at, body)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(account.to_string())
    .bind(report.call_report_id)
    .bind(report.call_id)
    .bind(last_segment + 1)
    .bind(report.voice_sdk_id)
    .bind(i64::try_from(size).unwrap_or(i64::MAX))
    .bind(report.created_at.as_micros())
    .bind(report.body)
    .execute(conn)
    .await
    .map(drop)
    .map_err(failed)
}

fn refused(kind: FieldErrorKind, detail: &'static str) -> StoreError {
    StoreError::Refused(FieldError::new("/", kind, detail))
}
