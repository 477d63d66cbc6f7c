//! Keys that sign access tokens: stored before their first use, at most two active.

use std::sync::{Arc, PoisonError};

use ringtrip_model::{Generator, SigningKey, Timestamp};
use uuid::Uuid;

use crate::audit_events;
use crate::db::{self, Conn};
use crate::error::StoreError;
use crate::row::Columns;
use crate::seal::{Place, Sealer, draw_nonce};
use crate::{Inner, Store};

const TABLE: &str = "signing_keys";
const READING: &str = "reading the signing keys";
const ADDING: &str = "adding a signing key";

impl Store {
    /// Returns the active keys, the newest first: the first signs, all verify.
    pub fn signing_keys(&self) -> Arc<[SigningKey]> {
        Arc::clone(
            &self
                .inner
                .signing_keys
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Adds a key that signs from now on. The one before still verifies; older ones no more.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; then the keys are as they were.
    pub async fn rotate_signing_key(
        &self,
        now: Timestamp,
        rng: &mut Generator,
    ) -> Result<(), StoreError> {
        let key = SigningKey::generate(rng);
        let inner = Arc::clone(&self.inner);
        let settling = Arc::clone(&self.inner);
        self.write(
            ADDING,
            move |conn| {
                Box::pin(async move {
                    let sealer = inner.sealer();
                    insert(conn, &sealer, &key, inner.with_rng(draw_nonce)).await?;
                    let id = key.id.to_string();
                    audit_events::tell_all(conn, &inner, "rotate", "signing_key", &id, now).await?;
                    load(conn, &sealer).await
                })
            },
            move |keys| {
                if let Some(keys) = keys {
                    settling.set_signing_keys(keys);
                }
            },
        )
        .await
        .map(drop)
    }
}

impl Inner {
    pub(crate) fn set_signing_keys(&self, keys: &[SigningKey]) {
        let mut current = self
            .signing_keys
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *current = keys.into();
    }
}

/// Reads the ids of the active keys, the newest first.
pub(crate) async fn active_ids(conn: &mut Conn) -> Result<Vec<Uuid>, StoreError> {
    let rows = db::query(
        "SELECT id FROM signing_keys WHERE retired = FALSE ORDER BY generation DESC LIMIT 2",
    )
    .fetch_all(conn)
    .await
    .map_err(StoreError::while_doing(READING))?;
    rows.iter()
        .map(|row| Columns::new(row, TABLE, READING).parse("id"))
        .collect()
}

/// Reads the active keys; makes and stores the first one if there is none.
pub(crate) async fn load_or_create(
    conn: &mut Conn,
    sealer: &Sealer,
    rng: &mut Generator,
) -> Result<Vec<SigningKey>, StoreError> {
    let keys = load(conn, sealer).await?;
    if !keys.is_empty() {
        return Ok(keys);
    }
    let key = SigningKey::generate(rng);
    insert(conn, sealer, &key, draw_nonce(rng)).await?;
    load(conn, sealer).await
}

pub(crate) async fn load(conn: &mut Conn, sealer: &Sealer) -> Result<Vec<SigningKey>, StoreError> {
    let rows = db::query(
        "SELECT id, secret, encryption_key_id FROM signing_keys
         WHERE retired = FALSE ORDER BY generation DESC LIMIT 2",
    )
    .fetch_all(conn)
    .await
    .map_err(StoreError::while_doing(READING))?;
    let read = |row| {
        let columns = Columns::new(row, TABLE, READING);
        let id: Uuid = columns.parse("id")?;
        let place = Place {
            table: TABLE,
            column: "secret",
            id: &id,
        };
        let key_id = columns.get("encryption_key_id")?;
        if !sealer.knows(key_id) {
            return Err(columns.key_missing(key_id));
        }
        sealer
            .open(place, key_id, columns.get("secret")?)
            .and_then(|secret| SigningKey::from_parts(id, secret))
            .ok_or_else(|| columns.unsealable("secret"))
    };
    rows.iter().map(read).collect()
}

async fn insert(
    conn: &mut Conn,
    sealer: &Sealer,
    key: &SigningKey,
    nonce: [u8; 12],
) -> Result<(), StoreError> {
    let failed = StoreError::while_doing(ADDING);
    let newest: i64 = db::query_scalar("SELECT COALESCE(MAX(generation), 0) FROM signing_keys")
        .fetch_one(&mut *conn)
        .await
        .map_err(failed)?;
    db::query("UPDATE signing_keys SET retired = TRUE WHERE generation < $1")
        .bind(newest)
        .execute(&mut *conn)
        .await
        .map_err(failed)?;
    let place = Place {
        table: TABLE,
        column: "secret",
        id: &key.id,
    };
    let sealed = sealer.seal(place, key.secret(), nonce);
    db::query(
        "INSERT INTO signing_keys (generation, id, secret, encryption_key_id, retired)
         VALUES ($1, $2, $3, $4, FALSE)",
    )
    .bind(newest + 1)
    .bind(key.id.to_string())
    .bind(sealed.value)
    .bind(sealed.key_id)
    .execute(conn)
    .await
    .map(drop)
    .map_err(failed)
}
