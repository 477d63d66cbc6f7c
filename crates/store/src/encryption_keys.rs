//! Which keys the database is sealed with; the newest seals, the others open.
//!
//! A rotation puts a new key into the key file, then into the database, and only then is anything
//! sealed with it. From there every process that has the database open learns of it by itself: it asks
//! for the newest key every few seconds ([`Store::refresh_keys`]), and reads the key file again when it
//! meets a row whose key it does not know. What older keys have sealed is sealed anew in small batches
//! ([`Store::reseal`]) by whoever rotates and, for what was sealed while the news travelled, by the
//! process that serves. A key is *retired* once nothing is sealed with it, and leaves the file at a
//! rotation a day later, when again nothing is.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ringtrip_model::{Generator, Timestamp};

use crate::audit_events;
use crate::db::{self, Conn, QueryBuilder, reader};
use crate::error::StoreError;
use crate::row::{self, Columns};
use crate::seal::{EncryptionKey, KeyError, KeyRing, Place, Sealer, draw_nonce};
use crate::sealed_tables::{RowId, SEALED, SealedTable};
use crate::signing_keys;
use crate::writer::Kind;
use crate::{Inner, Store};

const TABLE: &str = "encryption_keys";
const READING: &str = "reading the ids of encryption keys";
const ADDING: &str = "registering the encryption key";
const RESEALING: &str = "sealing with a new key";
/// The migration that brought more than one key.
const RETIREMENT_SINCE: i64 = 6;
const PROOF: &[u8] = b"ringtrip";

/// Rows that are sealed anew in one transaction.
const BATCH: u32 = 100;
/// Pauses while the database is busy with others; about half a minute in all.
const RETRY: [Duration; 6] = [
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(10),
    Duration::from_secs(15),
];
/// Between two batches: long enough for others who wait for the lock to look again.
const BREATH: Duration = Duration::from_millis(5);
/// How long a key that seals nothing any more stays in the file.
const KEPT_RETIRED: Duration = Duration::from_secs(24 * 60 * 60);

/// Why a key was not rotated.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// A store in memory has no key file.
    #[error("a database in memory keeps no key")]
    InMemory,
    /// Somebody else is at it.
    #[error("another rotation is under way (it holds {path})")]
    UnderWay {
        /// The lock.
        path: PathBuf,
    },
    /// The lock cannot be taken.
    #[error("{path} cannot be locked")]
    Lock {
        /// The lock.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The key file cannot be used.
    #[error("the key file cannot be used")]
    Key(#[from] KeyError),
    /// The database failed.
    #[error("the database failed")]
    Store(#[from] StoreError),
}

/// A key of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptionKeyInfo {
    /// Its id: a fingerprint that tells nothing about it.
    pub id: String,
    /// Its place in the order of rotations; the highest seals.
    pub generation: i64,
    /// When it was registered, in microseconds since 1970; zero for the first.
    pub created_at: Timestamp,
    /// Since when nothing is sealed with it.
    pub retired_at: Option<Timestamp>,
    /// Whether the key file holds it.
    pub in_file: bool,
}

/// What sealing anew did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resealed {
    /// Rows that are sealed with the newest key now and were not before.
    pub rows: u64,
    /// Rows that could not be opened, because their key is missing or they were tampered with; they
    /// are as they were.
    pub unopened: u64,
}

impl Store {
    /// Brings in a new key that seals from now on; [`Store::reseal`] is for what others have sealed.
    /// Returns the new key's id.
    ///
    /// # Errors
    /// Then the key before still seals. A new key that is in the file already is taken up by the next
    /// call.
    pub async fn rotate_encryption_key(
        &self,
        now: Timestamp,
        rng: &mut Generator,
    ) -> Result<String, RotateError> {
        let Some(path) = self.inner.key_file.clone() else {
            return Err(RotateError::InMemory);
        };
        // Two rotations at once would write over each other's file.
        let _lock = lock(&path)?;
        let mut ring =
            KeyRing::load(&path)?.ok_or_else(|| KeyError::Missing { path: path.clone() })?;
        let registered = self.encryption_keys().await?;
        let forgotten = self.forget_retired(now).await?;
        ring.drop_keys(&forgotten);
        // A rotation that was broken off has left a key in the file that seals nothing yet.
        if registered.iter().any(|key| key.id == ring.newest().id()) {
            ring.add(EncryptionKey::generate(rng));
        }
        let id = ring.newest().id().to_owned();
        ring.replace(&path, rng)?;
        let sealer = Arc::new(Sealer::new(&ring, &id).expect("the ring's own key"));
        let (inner, registering) = (Arc::clone(&self.inner), Arc::clone(&sealer));
        self.write(
            ADDING,
            move |conn| {
                Box::pin(async move {
                    let nonce = inner.with_rng(draw_nonce);
                    register(conn, &registering, now, nonce).await?;
                    let id = registering.key_id();
                    audit_events::tell_all(conn, &inner, "rotate", "encryption_key", id, now).await
                })
            },
            {
                let inner = Arc::clone(&self.inner);
                move |done| {
                    if done.is_some() {
                        inner.set_sealer(sealer);
                    }
                }
            },
        )
        .await?;
        Ok(id)
    }

    /// Lists the keys that the database was sealed with, the newest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn encryption_keys(&self) -> Result<Vec<EncryptionKeyInfo>, StoreError> {
        let mut conn = reader(&self.inner.pool, READING).await?;
        let registered = registered(&mut conn).await?;
        let sealer = self.inner.sealer();
        Ok(registered
            .into_iter()
            .map(|key| EncryptionKeyInfo {
                in_file: sealer.knows(&key.id),
                id: key.id,
                generation: key.generation,
                created_at: key.created_at,
                retired_at: key.retired_at,
            })
            .collect())
    }

    /// Learns of keys that another process has brought in: what seals, what signs. Returns whether
    /// anything was new.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; [`StoreError::Corrupt`] if the newest key is not in the key file.
    pub async fn refresh_keys(&self) -> Result<bool, StoreError> {
        let mut conn = reader(&self.inner.pool, READING).await?;
        let newest: Option<String> =
            db::query_scalar("SELECT id FROM encryption_keys ORDER BY generation DESC LIMIT 1")
                .fetch_optional(&mut conn)
                .await
                .map_err(StoreError::while_doing(READING))?;
        let mut news = false;
        if let Some(newest) = newest
            && newest != self.inner.sealer().key_id()
        {
            self.inner.read_key_file(&newest)?;
            news = true;
        }
        let ids = signing_keys::active_ids(&mut conn).await?;
        let known = self.signing_keys();
        if !ids.iter().eq(known.iter().map(|key| &key.id)) {
            let keys = signing_keys::load(&mut conn, &self.inner.sealer()).await?;
            self.inner.set_signing_keys(&keys);
            news = true;
        }
        Ok(news)
    }

    /// Seals with the newest key what older keys have sealed, in small writes that let others pass; a
    /// row that is changed meanwhile keeps the change. `progress` hears how many rows are done.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database stays busy; what was done stays done.
    pub async fn reseal(&self, mut progress: impl FnMut(u64)) -> Result<Resealed, StoreError> {
        let mut total = Resealed::default();
        for table in SEALED {
            let mut after = table.before_all();
            loop {
                let batch = self.reseal_batch(table, after.clone()).await?;
                total.rows += batch.resealed.rows;
                total.unopened += batch.resealed.unopened;
                if batch.resealed.rows > 0 {
                    progress(total.rows);
                }
                let Some(last) = batch.last else { break };
                after = last;
                tokio::time::sleep(BREATH).await;
            }
        }
        Ok(total)
    }

    async fn reseal_batch(
        &self,
        table: &'static SealedTable,
        after: RowId,
    ) -> Result<Batch, StoreError> {
        let mut pauses = RETRY.into_iter();
        loop {
            let (inner, after) = (Arc::clone(&self.inner), after.clone());
            let sealer = inner.sealer();
            let result = self
                .write_as(
                    Kind::Large,
                    RESEALING,
                    move |conn| {
                        Box::pin(
                            async move { reseal_some(conn, &inner, &sealer, table, &after).await },
                        )
                    },
                    |_| {},
                )
                .await;
            match result {
                Err(error) if error.is_unavailable() && !error.is_closed() => match pauses.next() {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => return Err(error),
                },
                other => return other,
            }
        }
    }

    /// Seals anew what older keys have sealed, and retires keys that seal nothing any more; for the
    /// process that serves. Does nothing, and asks little, while there is only one key.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn tidy_keys(&self, now: Timestamp) -> Result<Resealed, StoreError> {
        let keys = self.encryption_keys().await?;
        let older: Vec<String> = keys
            .into_iter()
            .skip(1)
            .filter(|key| key.retired_at.is_none())
            .map(|key| key.id)
            .collect();
        if older.is_empty() {
            return Ok(Resealed::default());
        }
        let resealed = self.reseal(|_| {}).await?;
        // Only a pass that finds nothing shows that nothing is left.
        if resealed == Resealed::default() {
            self.write(
                RESEALING,
                move |conn| Box::pin(async move { retire(conn, &older, now).await }),
                |_| {},
            )
            .await?;
        }
        Ok(resealed)
    }

    /// Strikes keys from the database that were retired long ago and seal nothing; returns their ids.
    async fn forget_retired(&self, now: Timestamp) -> Result<Vec<String>, StoreError> {
        let kept = i64::try_from(KEPT_RETIRED.as_micros()).unwrap_or(i64::MAX);
        let before = Timestamp::from_micros(now.as_micros().saturating_sub(kept));
        self.write(
            RESEALING,
            move |conn| Box::pin(async move { forget(conn, before).await }),
            |_| {},
        )
        .await
    }
}

impl Inner {
    /// Reads the key file again, and seals from now on with the key of this id.
    fn read_key_file(&self, newest: &str) -> Result<(), StoreError> {
        let missing = || {
            StoreError::corrupt(
                READING,
                crate::error::Corruption::KeyMissing {
                    id: newest.to_owned(),
                },
            )
        };
        let ring = self.key_file.as_deref().map(KeyRing::load);
        match ring {
            Some(Ok(Some(ring))) => {
                let sealer = Sealer::new(&ring, newest).ok_or_else(missing)?;
                self.set_sealer(Arc::new(sealer));
                Ok(())
            }
            Some(Err(error)) => {
                tracing::error!(%error, "the key file cannot be read again");
                Err(missing())
            }
            Some(Ok(None)) | None => Err(missing()),
        }
    }

    /// Reads the key file again for a row whose key is unknown; what seals stays.
    pub(crate) fn meet_unknown_key(&self, id: &str) -> Option<Arc<Sealer>> {
        let ring = KeyRing::load(self.key_file.as_deref()?).ok()??;
        ring.key(id)?;
        let sealer = Arc::new(Sealer::new(&ring, self.sealer().key_id())?);
        self.set_sealer(Arc::clone(&sealer));
        Some(sealer)
    }
}

/// Takes the lock of a key file's rotation, for as long as the file lives.
fn lock(key_file: &Path) -> Result<File, RotateError> {
    let mut name = key_file.as_os_str().to_owned();
    name.push(".lock");
    let path = PathBuf::from(name);
    let failed = |source| RotateError::Lock {
        path: path.clone(),
        source,
    };
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(RotateError::UnderWay { path }),
        Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// A key that the database was sealed with, and a value only that key opens.
pub(crate) struct RegisteredKey {
    pub(crate) id: String,
    pub(crate) generation: i64,
    created_at: Timestamp,
    pub(crate) retired_at: Option<Timestamp>,
    proof: Vec<u8>,
}

/// Where a key's proof stands.
fn proof_place<'a>(id: &'a &'a str) -> Place<'a> {
    Place {
        table: TABLE,
        column: "proof",
        id,
    }
}

/// Tells whether a proof is one of the key with this id, and the sealer has that key.
fn proves(sealer: &Sealer, id: &str, proof: &[u8]) -> bool {
    sealer
        .open(proof_place(&id), id, proof)
        .is_some_and(|plain| plain.expose() == PROOF)
}

impl RegisteredKey {
    /// Tells whether the sealer has this key.
    pub(crate) fn is_known_to(&self, sealer: &Sealer) -> bool {
        proves(sealer, &self.id, &self.proof)
    }
}

/// Tells whether anything was ever sealed in a database, whatever the age of its tables.
pub(crate) async fn any(conn: &mut Conn) -> Result<bool, StoreError> {
    let keys: i64 = db::query_scalar("SELECT COUNT(*) FROM encryption_keys")
        .fetch_one(conn)
        .await
        .map_err(StoreError::while_doing(READING))?;
    Ok(keys > 0)
}

/// Tells whether a ring has any of the keys that a database was sealed with, whatever the age of its
/// tables: `Err` names one that is missing if it has none.
pub(crate) async fn check_some(
    conn: &mut Conn,
    ring: &KeyRing,
) -> Result<Result<(), String>, StoreError> {
    let rows = db::query("SELECT id, proof FROM encryption_keys ORDER BY id")
        .fetch_all(conn)
        .await
        .map_err(StoreError::while_doing(READING))?;
    let mut missing = None;
    for row in &rows {
        let columns = Columns::new(row, TABLE, READING);
        let (id, proof): (String, Vec<u8>) = (columns.get("id")?, columns.get("proof")?);
        if Sealer::new(ring, &id).is_some_and(|sealer| proves(&sealer, &id, &proof)) {
            return Ok(Ok(()));
        }
        missing = Some(id);
    }
    Ok(missing.map_or(Ok(()), Err))
}

/// Names a key that a ring lacks among these, which a database was sealed with.
pub(crate) async fn unproven(
    conn: &mut Conn,
    ring: &KeyRing,
    ids: &[String],
) -> Result<Option<String>, StoreError> {
    for id in ids {
        let proof: Option<Vec<u8>> =
            db::query_scalar("SELECT proof FROM encryption_keys WHERE id = $1")
                .bind(id.clone())
                .fetch_optional(&mut *conn)
                .await
                .map_err(StoreError::while_doing(READING))?;
        let sealer = Sealer::new(ring, id);
        if !sealer.is_some_and(|sealer| proof.is_some_and(|proof| proves(&sealer, id, &proof))) {
            return Ok(Some(id.clone()));
        }
    }
    Ok(None)
}

/// Reads the ids of the keys without which a database cannot be read, whatever the age of its tables.
pub(crate) async fn needed(conn: &mut Conn) -> Result<Vec<String>, StoreError> {
    let failed = StoreError::while_doing(READING);
    let newest: i64 = db::query_scalar("SELECT MAX(version) FROM _sqlx_migrations")
        .fetch_one(&mut *conn)
        .await
        .map_err(failed)?;
    let sql = if newest < RETIREMENT_SINCE {
        "SELECT id FROM encryption_keys ORDER BY id"
    } else {
        "SELECT id FROM encryption_keys WHERE retired_at IS NULL ORDER BY generation DESC"
    };
    db::query_scalar(sql).fetch_all(conn).await.map_err(failed)
}

/// Reads which keys a database was sealed with, the newest first.
pub(crate) async fn registered(conn: &mut Conn) -> Result<Vec<RegisteredKey>, StoreError> {
    let rows = db::query(
        "SELECT id, generation, proof, created_at, retired_at FROM encryption_keys
         ORDER BY generation DESC",
    )
    .fetch_all(conn)
    .await
    .map_err(StoreError::while_doing(READING))?;
    let read = |row| {
        let columns = Columns::new(row, TABLE, READING);
        Ok(RegisteredKey {
            id: columns.get("id")?,
            generation: columns.get("generation")?,
            created_at: columns.time("created_at")?,
            retired_at: columns.time_optional("retired_at")?,
            proof: columns.get("proof")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Writes down that a sealer's key is the newest, before anything is sealed with it.
pub(crate) async fn register(
    conn: &mut Conn,
    sealer: &Sealer,
    now: Timestamp,
    nonce: [u8; 12],
) -> Result<(), StoreError> {
    let id = sealer.key_id();
    let proof = sealer.seal(proof_place(&id), PROOF, nonce);
    db::query(
        "INSERT INTO encryption_keys (id, proof, generation, created_at)
         VALUES ($1, $2, (SELECT COALESCE(MAX(generation), 0) + 1 FROM encryption_keys), $3)",
    )
    .bind(proof.key_id)
    .bind(proof.value)
    .bind(now.as_micros())
    .execute(conn)
    .await
    .map(drop)
    .map_err(StoreError::while_doing(ADDING))
}

/// The sealed columns of a row, and what is in them.
type SealedValues = Vec<(&'static str, Option<Vec<u8>>)>;

/// What one write sealed anew, and the last row it looked at; none if there are no more.
struct Batch {
    resealed: Resealed,
    last: Option<RowId>,
}

async fn reseal_some(
    conn: &mut Conn,
    inner: &Inner,
    sealer: &Sealer,
    table: &'static SealedTable,
    after: &RowId,
) -> Result<Batch, StoreError> {
    let failed = StoreError::while_doing(RESEALING);
    let mut query = QueryBuilder::new("SELECT encryption_key_id, ");
    query.push(table.id);
    for column in table.columns {
        query.push(", ").push(column);
    }
    query.push(" FROM ").push(table.name);
    query
        .push(" WHERE encryption_key_id <> ")
        .push_bind(sealer.key_id().to_owned());
    query.push(" AND ").push(table.id).push(" > ");
    after.push_onto(&mut query);
    query.push(" ORDER BY ").push(table.id).push(" LIMIT ");
    query.push_bind(i64::from(BATCH));
    let rows = query.build().fetch_all(&mut *conn).await.map_err(failed)?;
    let mut batch = Batch {
        resealed: Resealed::default(),
        last: None,
    };
    for row in &rows {
        let columns = Columns::new(row, table.name, RESEALING);
        let id = table.read_id(columns)?;
        let key_id: String = columns.get("encryption_key_id")?;
        let mut before = SealedValues::new();
        for column in table.columns {
            before.push((*column, columns.get::<Option<Vec<u8>>>(column)?));
        }
        batch.last = Some(id.clone());
        let Some(after) = sealed_anew(inner, sealer, table, &id, &key_id, &before) else {
            tracing::error!(
                table = table.name,
                row = %id,
                key = key_id,
                "a sealed value cannot be opened, and is left as it is"
            );
            batch.resealed.unopened += 1;
            continue;
        };
        // Only what is still as it was read: another may have changed it meanwhile.
        let mut query = QueryBuilder::new("UPDATE ");
        query.push(table.name).push(" SET encryption_key_id = ");
        query.push_bind(sealer.key_id().to_owned());
        for (column, value) in after {
            query.push(", ").push(column).push(" = ").push_bind(value);
        }
        query.push(" WHERE ").push(table.id).push(" = ");
        id.push_onto(&mut query);
        for (column, value) in before {
            query.push(" AND ").push(column);
            match value {
                Some(value) => query.push(" = ").push_bind(value),
                None => query.push(" IS NULL"),
            };
        }
        let done = query.build().execute(&mut *conn).await.map_err(failed)?;
        batch.resealed.rows += done.rows_affected();
    }
    Ok(batch)
}

/// Opens a row's values and seals them with the newest key; nothing if one does not open.
fn sealed_anew(
    inner: &Inner,
    sealer: &Sealer,
    table: &'static SealedTable,
    id: &RowId,
    key_id: &str,
    before: &SealedValues,
) -> Option<SealedValues> {
    let seal = |(column, value): &(&'static str, Option<Vec<u8>>)| {
        let Some(value) = value else {
            return Some((*column, None));
        };
        let place = Place {
            table: table.name,
            column,
            id,
        };
        let plain = sealer.open(place, key_id, value)?;
        let nonce = inner.with_rng(draw_nonce);
        Some((
            *column,
            Some(sealer.seal(place, plain.expose(), nonce).value),
        ))
    };
    before.iter().map(seal).collect()
}

async fn retire(conn: &mut Conn, ids: &[String], now: Timestamp) -> Result<(), StoreError> {
    for id in ids {
        db::query(
            "UPDATE encryption_keys SET retired_at = $2 WHERE id = $1 AND retired_at IS NULL",
        )
        .bind(id.clone())
        .bind(now.as_micros())
        .execute(&mut *conn)
        .await
        .map_err(StoreError::while_doing(RESEALING))?;
    }
    Ok(())
}

async fn forget(conn: &mut Conn, before: Timestamp) -> Result<Vec<String>, StoreError> {
    let failed = StoreError::while_doing(RESEALING);
    let retired: Vec<String> =
        db::query_scalar("SELECT id FROM encryption_keys WHERE retired_at < $1")
            .bind(before.as_micros())
            .fetch_all(&mut *conn)
            .await
            .map_err(failed)?;
    let mut forgotten = Vec::new();
    for id in retired {
        if sealed_with(conn, &id).await? > 0 {
            continue;
        }
        db::query("DELETE FROM encryption_keys WHERE id = $1")
            .bind(id.clone())
            .execute(&mut *conn)
            .await
            .map_err(failed)?;
        forgotten.push(id);
    }
    Ok(forgotten)
}

/// Counts the rows that a key has sealed.
async fn sealed_with(conn: &mut Conn, id: &str) -> Result<u64, StoreError> {
    let mut count = 0;
    for table in SEALED {
        let mut query = QueryBuilder::new("SELECT COUNT(*) FROM ");
        query.push(table.name);
        query
            .push(" WHERE encryption_key_id = ")
            .push_bind(id.to_owned());
        let rows: i64 = query
            .build_query_scalar()
            .fetch_one(&mut *conn)
            .await
            .map_err(StoreError::while_doing(RESEALING))?;
        count += row::count(rows);
    }
    Ok(count)
}
