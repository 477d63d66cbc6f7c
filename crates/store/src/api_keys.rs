//! REST keys, as their owner manages them. Finding out whose key it is: see `identify`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ringtrip_model::{
    AccountId, ApiKey, ApiKeyId, FieldError, FieldErrorKind, HashedApiKey, MAX_API_KEYS, NewApiKey,
    Timestamp,
};

use crate::db::{self, Conn, QueryBuilder, Row, reader};
use crate::error::StoreError;
use crate::page::{Listing, Page};
use crate::row::Columns;
use crate::{Store, accounts};

pub(crate) const TABLE: &str = "api_keys";
const READING: &str = "reading API keys";
const ADDING: &str = "adding an API key";
const CHANGING: &str = "changing an API key";
const REVOKING: &str = "revoking an API key";
const NOTING: &str = "noting when API keys were used";

/// A use of a key that follows another one sooner is not noted.
const NOTED_EVERY: Duration = Duration::from_secs(60);

/// A key that is not revoked, as it is remembered.
#[derive(Debug)]
pub(crate) struct ActiveKey {
    pub(crate) id: ApiKeyId,
    pub(crate) account: AccountId,
    pub(crate) name: Arc<str>,
    pub(crate) hashed: HashedApiKey,
    pub(crate) expires_at: Option<Timestamp>,
    /// The last use that was noted, in microseconds.
    pub(crate) noted_at: AtomicI64,
}

impl ActiveKey {
    /// Tells whether a use should be noted; it then counts as noted.
    pub(crate) fn must_note(&self, now: Timestamp) -> bool {
        let noted = self.noted_at.load(Ordering::Relaxed);
        now.since(Timestamp::from_micros(noted)) >= NOTED_EVERY
            && self
                .noted_at
                .compare_exchange(noted, now.as_micros(), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

/// When keys were used, until it is written.
#[derive(Debug, Default)]
pub(crate) struct KeyUses(Mutex<BTreeMap<ApiKeyId, Timestamp>>);

impl KeyUses {
    pub(crate) fn note(&self, key: ApiKeyId, now: Timestamp) {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        uses.insert(key, now);
    }

    pub(crate) fn take(&self) -> BTreeMap<ApiKeyId, Timestamp> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn give_back(&self, earlier: &BTreeMap<ApiKeyId, Timestamp>) {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, at) in earlier {
            uses.entry(*key).or_insert(*at);
        }
    }
}

impl Store {
    /// Adds a key to an account. Only the hash of its secret part is stored.
    ///
    /// # Errors
    /// [`StoreError::UnknownAccount`]; refuses one more than [`MAX_API_KEYS`].
    pub async fn insert_api_key(&self, new: NewApiKey) -> Result<ApiKey, StoreError> {
        self.write(
            ADDING,
            move |conn| {
                Box::pin(async move {
                    let NewApiKey { key, hashed } = new;
                    insert(conn, &key, hashed.secret_hash.to_vec()).await?;
                    Ok(key)
                })
            },
            |_| {},
        )
        .await
    }

    /// Reads a key of an account that is not revoked.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn api_key(
        &self,
        account: AccountId,
        id: ApiKeyId,
    ) -> Result<Option<ApiKey>, StoreError> {
        let mut conn = reader(&self.inner.pool, READING).await?;
        let row = db::query(
            "SELECT * FROM api_keys WHERE id = $1 AND account_id = $2 AND revoked_at IS NULL",
        )
        .bind(id.to_string())
        .bind(account.to_string())
        .fetch_optional(&mut conn)
        .await
        .map_err(StoreError::while_doing(READING))?;
        row.as_ref().map(read).transpose()
    }

    /// Changes the label of a key, which must have been checked.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn rename_api_key(
        &self,
        account: AccountId,
        id: ApiKeyId,
        name: String,
    ) -> Result<Option<ApiKey>, StoreError> {
        let inner = Arc::clone(&self.inner);
        self.write(
            CHANGING,
            move |conn| {
                Box::pin(async move {
                    accounts::hold(conn, CHANGING, account).await?;
                    let row = db::query(
                        "UPDATE api_keys SET name = $3
                         WHERE id = $1 AND account_id = $2 AND revoked_at IS NULL RETURNING *",
                    )
                    .bind(id.to_string())
                    .bind(account.to_string())
                    .bind(name)
                    .fetch_optional(conn)
                    .await
                    .map_err(StoreError::while_doing(CHANGING))?;
                    row.as_ref().map(read).transpose()
                })
            },
            move |renamed| inner.forget_key(account, renamed),
        )
        .await
    }

    /// Revokes a key; it is refused from the moment this returns. Returns it as it was, or nothing if
    /// the account has no such key (any more).
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn revoke_api_key(
        &self,
        account: AccountId,
        id: ApiKeyId,
        now: Timestamp,
    ) -> Result<Option<ApiKey>, StoreError> {
        let inner = Arc::clone(&self.inner);
        self.write(
            REVOKING,
            move |conn| Box::pin(async move { revoke(conn, account, id, now).await }),
            move |revoked| inner.forget_key(account, revoked),
        )
        .await
    }

    /// Lists an account's keys that are not revoked, the newest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn list_api_keys(
        &self,
        account: AccountId,
        page: Page,
    ) -> Result<Listing<ApiKey>, StoreError> {
        let place = (TABLE, "created_at DESC, id DESC");
        let narrow = |query: &mut QueryBuilder| {
            query.push(" AND revoked_at IS NULL");
        };
        self.list_table(READING, account, place, page, narrow, read)
            .await
    }
}

impl crate::Inner {
    /// Lets a key that was changed be read anew.
    fn forget_key(&self, account: AccountId, changed: Option<&Option<ApiKey>>) {
        match changed {
            Some(Some(key)) => self.api_keys.remove(&key.lookup),
            Some(None) => {}
            // Not known whether it was changed: ask again.
            None => self.api_keys.retain(|key| key.account != account),
        }
    }
}

async fn insert(conn: &mut Conn, key: &ApiKey, secret_hash: Vec<u8>) -> Result<(), StoreError> {
    let failed = StoreError::while_doing(ADDING);
    accounts::hold(conn, ADDING, key.account).await?;
    let held: i64 = db::query_scalar(
        "SELECT COUNT(*) FROM api_keys WHERE account_id = $1 AND revoked_at IS NULL",
    )
    .bind(key.account.to_string())
    .fetch_one(conn)
    .await
    .map_err(failed)?;
    if held >= i64::from(MAX_API_KEYS) {
        return Err(StoreError::Refused(FieldError::new(
            "/",
            FieldErrorKind::LimitReached,
            format!("An account can have at most {MAX_API_KEYS} API keys."),
        )));
    }
    let result = db::query(
        "INSERT INTO api_keys (id, account_id, name, lookup, secret_hash, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(key.id.to_string())
    .bind(key.account.to_string())
    .bind(key.name.clone())
    .bind(key.lookup.clone())
    .bind(secret_hash)
    .bind(key.created_at.as_micros())
    .bind(key.expires_at.map(Timestamp::as_micros))
    .execute(conn)
    .await;
    match result {
        Ok(_) => Ok(()),
        Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => {
            Err(StoreError::UnknownAccount)
        }
        Err(error) => Err(failed(error)),
    }
}

async fn revoke(
    conn: &mut Conn,
    account: AccountId,
    id: ApiKeyId,
    now: Timestamp,
) -> Result<Option<ApiKey>, StoreError> {
    accounts::hold(conn, REVOKING, account).await?;
    let row = db::query(
        "UPDATE api_keys SET revoked_at = $3
         WHERE id = $1 AND account_id = $2 AND revoked_at IS NULL RETURNING *",
    )
    .bind(id.to_string())
    .bind(account.to_string())
    .bind(now.as_micros())
    .fetch_optional(conn)
    .await
    .map_err(StoreError::while_doing(REVOKING))?;
    row.as_ref().map(read).transpose()
}

/// Writes when keys were used.
pub(crate) async fn keep_uses(
    conn: &mut Conn,
    uses: &BTreeMap<ApiKeyId, Timestamp>,
) -> Result<(), StoreError> {
    for (key, at) in uses {
        db::query("UPDATE api_keys SET last_used_at = $2 WHERE id = $1")
            .bind(key.to_string())
            .bind(at.as_micros())
            .execute(conn)
            .await
            .map_err(StoreError::while_doing(NOTING))?;
    }
    Ok(())
}

fn read(row: &Row) -> Result<ApiKey, StoreError> {
    let columns = Columns::new(row, TABLE, READING);
    Ok(ApiKey {
        id: columns.parse("id")?,
        account: columns.parse("account_id")?,
        name: columns.get("name")?,
        lookup: columns.get("lookup")?,
        created_at: columns.time("created_at")?,
        expires_at: columns.time_optional("expires_at")?,
        last_used_at: columns.time_optional("last_used_at")?,
    })
}
