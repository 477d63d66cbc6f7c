//! Creates that are carried out once, however often they are sent.
//!
//! A client may name a create by a key of its choosing. What it was answered is then written in the very
//! transaction that creates the row: both are there, or neither is, whatever breaks in between: the
//! process, the connection to the database, or the client's. When the same create comes again, its
//! answer is given again; one that comes while the first is still under way waits for the first in the
//! database, and is undone.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use ringtrip_model::{AccountId, Secret, Timestamp};

use crate::db::{self, Conn, reader};
use crate::error::{Corruption, StoreError};
use crate::row::Columns;
use crate::seal::{self, Place, Sealed};
use crate::writer::{Kind, Work};
use crate::{Inner, Store};

const TABLE: &str = "idempotency_keys";
const READING: &str = "looking for the answer to a create that is repeated";
const KEEPING: &str = "keeping the answer to a create";
const PRUNING: &str = "forgetting answers to creates";

/// How long an answer is kept, in microseconds: a day.
const KEPT: i64 = 24 * 3600 * 1_000_000;
/// Answers of an account that are kept; beyond it the oldest is forgotten.
const MAX_OF_AN_ACCOUNT: i64 = 100_000;
/// Rows forgotten in one write.
const ROWS: i64 = 1000;
/// Bytes of a SHA-256.
const HASH_LEN: usize = 32;

/// Names a create: by whom, what, under which key. Knows what its body was.
#[derive(Clone, PartialEq, Eq)]
pub struct NamedCreate {
    account: AccountId,
    id: String,
    body_hash: [u8; HASH_LEN],
}

impl NamedCreate {
    /// Names the create that `account` asks for with `method` and `path`, by `key`; `body` is what is to be
    /// created, in any form that is the same for what is the same.
    pub fn new(account: AccountId, method: &str, path: &str, key: &str, body: &[u8]) -> Self {
        let mut name = digest::Context::new(&digest::SHA256);
        for part in [account.to_string().as_str(), method, path, key] {
            // The length keeps parts apart.
            name.update(&(part.len() as u64).to_be_bytes());
            name.update(part.as_bytes());
        }
        let mut body_hash = [0; HASH_LEN];
        body_hash.copy_from_slice(digest::digest(&digest::SHA256, body).as_ref());
        Self {
            account,
            id: seal::hex(name.finish().as_ref()),
            body_hash,
        }
    }

    /// Returns the name: equal for the same owner, method, path and key.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Debug for NamedCreate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NamedCreate({})", self.id)
    }
}

/// What a create was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The body; it may hold secrets.
    pub body: Secret<Vec<u8>>,
}

/// What is known of a create that comes again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repeated {
    /// It was answered with this.
    Same(KeptAnswer),
    /// Its key belongs to a create with another body.
    OtherBody,
}

type Show = dyn Fn(&dyn Any) -> Option<KeptAnswer> + Send + Sync;

/// What is written beside what a create makes.
#[derive(Clone)]
pub(crate) struct Note {
    create: NamedCreate,
    now: Timestamp,
    show: Arc<Show>,
    inner: Arc<Inner>,
}

impl Store {
    /// Returns this store such that the write that yields a `T` also keeps what the create is answered,
    /// as `show` tells, in the same transaction. If the create was carried out already, that write is undone
    /// and fails with [`StoreError::Repeated`].
    #[must_use]
    pub fn noting<T: 'static>(
        &self,
        create: NamedCreate,
        now: Timestamp,
        show: impl Fn(&T) -> KeptAnswer + Send + Sync + 'static,
    ) -> Self {
        let show = move |made: &dyn Any| made.downcast_ref::<T>().map(&show);
        let note = Note {
            create,
            now,
            show: Arc::new(show),
            inner: Arc::clone(&self.inner),
        };
        Self {
            inner: Arc::clone(&self.inner),
            note: Some(note),
        }
    }

    /// Looks whether a create was carried out during the last day.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn repeated(
        &self,
        create: &NamedCreate,
        now: Timestamp,
    ) -> Result<Option<Repeated>, StoreError> {
        let mut conn = reader(&self.inner.pool, READING).await?;
        let row = db::query(
            "SELECT status, answer, encryption_key_id FROM idempotency_keys
             WHERE id = $1 AND account_id = $2 AND created_at > $3",
        )
        .bind(create.id.as_str())
        .bind(create.account.to_string())
        .bind(now.as_micros() - KEPT)
        .fetch_optional(&mut conn)
        .await
        .map_err(StoreError::while_doing(READING))?;
        let Some(row) = row else {
            return Ok(None);
        };
        let columns = Columns::new(&row, TABLE, READING);
        let (status, answer): (i64, Vec<u8>) = (columns.get("status")?, columns.get("answer")?);
        let key_id: String = columns.get("encryption_key_id")?;
        let unreadable = || {
            StoreError::corrupt(
                READING,
                Corruption::Unsealable {
                    table: TABLE,
                    column: "answer",
                },
            )
        };
        let opened = self.inner.open_bytes(place(&create.id), &key_id, &answer);
        let opened = opened.ok_or_else(unreadable)?;
        let (hash, body) = opened
            .expose()
            .split_at_checked(HASH_LEN)
            .ok_or_else(unreadable)?;
        if hash != create.body_hash {
            return Ok(Some(Repeated::OtherBody));
        }
        Ok(Some(Repeated::Same(KeptAnswer {
            status: u16::try_from(status).map_err(|_| unreadable())?,
            body: Secret::new(body.to_vec()),
        })))
    }

    /// Forgets answers that are older than a day, in many small writes that let others pass. Returns how
    /// many.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn prune_kept_answers(&self, now: Timestamp) -> Result<u64, StoreError> {
        let before = now.as_micros() - KEPT;
        let mut pruned = 0;
        loop {
            let deleted = self
                .write_as(
                    Kind::Large,
                    PRUNING,
                    move |conn| Box::pin(prune(conn, before)),
                    |_| {},
                )
                .await?;
            pruned += deleted;
            if deleted == 0 {
                return Ok(pruned);
            }
        }
    }
}

async fn prune(conn: &mut Conn, before: i64) -> Result<u64, StoreError> {
    let done = db::query(
        "DELETE FROM idempotency_keys WHERE id IN
             (SELECT id FROM idempotency_keys WHERE created_at <= $1 ORDER BY created_at LIMIT $2)",
    )
    .bind(before)
    .bind(ROWS)
    .execute(conn)
    .await
    .map_err(StoreError::while_doing(PRUNING))?;
    Ok(done.rows_affected())
}

fn place(id: &dyn fmt::Display) -> Place<'_> {
    Place {
        table: TABLE,
        column: "answer",
        id,
    }
}

/// What a [`Note`] writes once it knows what was made.
struct Line {
    create: NamedCreate,
    now: Timestamp,
    status: u16,
    sealed: Sealed,
}

impl fmt::Debug for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Note").field(&self.create).finish()
    }
}

impl Note {
    /// Carries out a request, and writes beside what it made.
    pub(crate) fn beside<'c, T, W>(self, work: W, conn: &'c mut Conn) -> Work<'c, T>
    where
        T: Send + 'static,
        W: for<'w> FnOnce(&'w mut Conn) -> Work<'w, T> + Send + 'c,
    {
        Box::pin(async move {
            let made = work(&mut *conn).await?;
            if let Some(line) = self.line(&made) {
                line.write(conn).await?;
            }
            Ok(made)
        })
    }

    /// Returns what is to be written beside what a write made; nothing if that is not what was asked for.
    fn line(&self, made: &dyn Any) -> Option<Line> {
        let KeptAnswer { status, body } = (self.show)(made)?;
        let mut plain = self.create.body_hash.to_vec();
        plain.extend_from_slice(body.expose());
        let plain = Secret::new(plain);
        Some(Line {
            sealed: self.inner.seal(place(&self.create.id), plain.expose()),
            create: self.create.clone(),
            now: self.now,
            status,
        })
    }
}

impl Line {
    /// Writes it, unless there is one already that still counts.
    async fn write(self, conn: &mut Conn) -> Result<(), StoreError> {
        let failed = StoreError::while_doing(KEEPING);
        let account = self.create.account.to_string();
        let done = db::query(
            "INSERT INTO idempotency_keys (id, account_id, place, status, answer, encryption_key_id, created_at)
             VALUES ($1, $2,
                 (SELECT COALESCE(MAX(place), 0) + 1 FROM idempotency_keys WHERE account_id = $2),
                 $3, $4, $5, $6)
             ON CONFLICT (id) DO UPDATE SET place = excluded.place, status = excluded.status,
                 answer = excluded.answer, encryption_key_id = excluded.encryption_key_id,
                 created_at = excluded.created_at
             WHERE idempotency_keys.created_at <= $7",
        )
        .bind(self.create.id.as_str())
        .bind(account.as_str())
        .bind(i64::from(self.status))
        .bind(self.sealed.value)
        .bind(self.sealed.key_id)
        .bind(self.now.as_micros())
        .bind(self.now.as_micros() - KEPT)
        .execute(&mut *conn)
        .await
        .map_err(failed)?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Repeated);
        }
        db::query(
            "DELETE FROM idempotency_keys WHERE account_id = $1 AND place <=
                 (SELECT MAX(place) FROM idempotency_keys WHERE account_id = $1) - $2",
        )
        .bind(account)
        .bind(MAX_OF_AN_ACCOUNT)
        .execute(conn)
        .await
        .map(drop)
        .map_err(failed)
    }
}
