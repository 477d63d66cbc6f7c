//! The record of every ended leg, written once.

use std::sync::Arc;

use ringtrip_model::{
    AccountId, AudioCodec, CallerId, CredentialConnectionId, Direction, HangupCause, HangupSource,
    LegQuality, LegRecord, NodeId, Timestamp, VideoCodec,
};
use serde::{Deserialize, Serialize};

use crate::Store;
use crate::db::{self, Conn, Row};
use crate::error::StoreError;
use crate::page::{Listing, Page};
use crate::row::Columns;

const TABLE: &str = "call_records";
const ADDING: &str = "writing call records";
const READING: &str = "reading call records";

impl Store {
    /// Writes the record of a leg, unless there is one. Returns whether it was written.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; the same record may then be written again.
    pub async fn insert_leg_record(&self, record: &LegRecord) -> Result<bool, StoreError> {
        let record = record.clone();
        self.write(
            ADDING,
            move |conn| Box::pin(async move { insert(conn, &record).await }),
            |_| {},
        )
        .await
    }

    /// Writes many records at once, passing over legs that have one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; then none is written, and the same records may be written again.
    pub async fn insert_leg_records(&self, records: &[LegRecord]) -> Result<(), StoreError> {
        if records.is_empty() {
            return Ok(());
        }
        let records: Arc<[LegRecord]> = records.into();
        self.write(
            ADDING,
            move |conn| {
                Box::pin(async move {
                    for record in records.iter() {
                        insert(conn, record).await?;
                    }
                    Ok(())
                })
            },
            |_| {},
        )
        .await
    }

    /// Lists an account's records, the latest call first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn list_leg_records(
        &self,
        account: AccountId,
        page: Page,
    ) -> Result<Listing<LegRecord>, StoreError> {
        let place = (TABLE, "started_at DESC, leg_id DESC");
        self.list_table(READING, account, place, page, |_| {}, read)
            .await
    }
}

async fn insert(conn: &mut Conn, record: &LegRecord) -> Result<bool, StoreError> {
    let done = db::query(
        "INSERT INTO call_records
             (leg_id, call_id, node_id, account_id, connection_id, credential_id, user_name,
              protocol_call_id, direction, caller_name, caller_number, destination, started_at,
              answered_at, ended_at, cause, hangup_source, audio_codec, video_codec, quality)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
              $20)
         ON CONFLICT (leg_id) DO NOTHING",
    )
    .bind(record.leg.to_string())
    .bind(record.call.to_string())
    .bind(i64::from(record.node.0))
    .bind(record.account.to_string())
    .bind(record.connection.as_i64())
    .bind(record.credential.map(|id| id.to_string()))
    .bind(plain(&record.user))
    .bind(plain(&record.protocol_call_id))
    .bind(direction_name(record.direction))
    .bind(plain(&record.caller.name))
    .bind(plain(&record.caller.number))
    .bind(plain(&record.destination))
    .bind(record.started_at.as_micros())
    .bind(record.answered_at.map(Timestamp::as_micros))
    .bind(record.ended_at.as_micros())
    .bind(record.cause.name())
    .bind(source_name(record.source))
    .bind(record.audio.map(AudioCodec::encoding_name))
    .bind(record.video.map(VideoCodec::encoding_name))
    .bind(record.quality.map(|quality| {
        serde_json::to_string(&StoredQuality::from(quality)).expect("numbers always serialize")
    }))
    .execute(conn)
    .await
    .map_err(StoreError::while_doing(ADDING))?;
    Ok(done.rows_affected() == 1)
}

/// Replaces U+0000, which came from a client and which Postgres cannot keep.
pub(crate) fn plain(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

pub(crate) const fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::Outbound => "outbound",
        Direction::Inbound => "inbound",
    }
}

pub(crate) const fn source_name(source: HangupSource) -> &'static str {
    match source {
        HangupSource::Caller => "caller",
        HangupSource::Callee => "callee",
        HangupSource::Server => "server",
    }
}

pub(crate) fn direction_from_name(name: &str) -> Option<Direction> {
    [Direction::Outbound, Direction::Inbound]
        .into_iter()
        .find(|direction| direction_name(*direction) == name)
}

pub(crate) fn source_from_name(name: &str) -> Option<HangupSource> {
    [
        HangupSource::Caller,
        HangupSource::Callee,
        HangupSource::Server,
    ]
    .into_iter()
    .find(|source| source_name(*source) == name)
}

pub(crate) fn quality_from_text(text: &str) -> Option<LegQuality> {
    serde_json::from_str::<StoredQuality>(text)
        .ok()
        .map(Into::into)
}

pub(crate) fn read(row: &Row) -> Result<LegRecord, StoreError> {
    let columns = Columns::new(row, TABLE, READING);
    let node: i64 = columns.get("node_id")?;
    let quality = match columns.get::<Option<&str>>("quality")? {
        Some(text) => Some(quality_from_text(text).ok_or_else(|| columns.malformed("quality"))?),
        None => None,
    };
    Ok(LegRecord {
        leg: columns.parse("leg_id")?,
        call: columns.parse("call_id")?,
        node: NodeId(u32::try_from(node).map_err(|_| columns.malformed("node_id"))?),
        account: columns.parse("account_id")?,
        connection: CredentialConnectionId::from_i64(columns.get("connection_id")?),
        credential: columns.parse_optional("credential_id")?,
        user: columns.get("user_name")?,
        protocol_call_id: columns.get("protocol_call_id")?,
        direction: columns.name("direction", direction_from_name)?,
        caller: CallerId {
            name: columns.get("caller_name")?,
            number: columns.get("caller_number")?,
        },
        destination: columns.get("destination")?,
        started_at: columns.time("started_at")?,
        answered_at: columns.time_optional("answered_at")?,
        ended_at: columns.time("ended_at")?,
        cause: columns.name("cause", HangupCause::from_name)?,
        source: columns.name("hangup_source", source_from_name)?,
        audio: columns.name_optional("audio_codec", |name| {
            AudioCodec::ALL
                .into_iter()
                .find(|codec| codec.encoding_name() == name)
        })?,
        video: columns.name_optional("video_codec", |name| {
            (name == VideoCodec::Vp8.encoding_name()).then_some(VideoCodec::Vp8)
        })?,
        quality,
    })
}

/// [`LegQuality`] as it is stored; a number that an older version did not know is zero.
#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct StoredQuality {
    packets_sent: u64,
    packets_received: u64,
    bytes_sent: u64,
    bytes_received: u64,
    packets_lost: u64,
    packets_lost_remote: u64,
    jitter_us: u32,
    jitter_remote_us: u32,
    round_trip_us: Option<u32>,
}

impl From<LegQuality> for StoredQuality {
    fn from(quality: LegQuality) -> Self {
        Self {
            packets_sent: quality.packets_sent,
            packets_received: quality.packets_received,
            bytes_sent: quality.bytes_sent,
            bytes_received: quality.bytes_received,
            packets_lost: quality.packets_lost,
            packets_lost_remote: quality.packets_lost_remote,
            jitter_us: quality.jitter_us,
            jitter_remote_us: quality.jitter_remote_us,
            round_trip_us: quality.round_trip_us,
        }
    }
}

impl From<StoredQuality> for LegQuality {
    fn from(stored: StoredQuality) -> Self {
        Self {
            packets_sent: stored.packets_sent,
            packets_received: stored.packets_received,
            bytes_sent: stored.bytes_sent,
            bytes_received: stored.bytes_received,
            packets_lost: stored.packets_lost,
            packets_lost_remote: stored.packets_lost_remote,
            jitter_us: stored.jitter_us,
            jitter_remote_us: stored.jitter_remote_us,
            round_trip_us: stored.round_trip_us,
        }
    }
}
