//! REST keys, as their owner manages them. Finding out whose key it is: see `identify`.

use std::sync::Arc;

use ringtrip_model::{
    AccountId, ApiKey, ApiKeyId, FieldError, FieldErrorKind, Generator, HashedApiKey,
    MAX_LABEL_CHARS, Timestamp,
};

use crate::Store;
use crate::db::{self, Conn, Row, reader};
use crate::error::StoreError;
use crate::row::Columns;

pub(crate) const TABLE: &str = "api_keys";
const READING: &str = "reading API keys";
const ADDING: &str = "adding an API key";
const REVOKING: &str = "revoking an API key";

/// A key that is not revoked, as it is remembered.
#[derive(Debug)]
pub(crate) struct ActiveKey {
    pub(crate) account: AccountId,
    pub(crate) hashed: HashedApiKey,
}

impl Store {
    /// Adds a key to an account. Only the hash of its secret part is stored.
    ///
    /// # Errors
    /// [`StoreError::UnknownAccount`]; refuses a name that is too long or holds U+0000.
    pub async fn insert_api_key(
        &self,
        account: AccountId,
        name: &str,
        key: &HashedApiKey,
        now: Timestamp,
        rng: &mut Generator,
    ) -> Result<ApiKey, StoreError> {
        if name.contains('\0') || name.chars().count() > MAX_LABEL_CHARS {
            return Err(StoreError::Refused(FieldError::new(
                "/name",
                FieldErrorKind::Invalid,
                format!("Must be at most {MAX_LABEL_CHARS} characters long, without U+0000."),
            )));
        }
        let added = ApiKey {
            id: ApiKeyId::generate(rng),
            account,
            name: name.to_owned(),
            lookup: key.lookup.clone(),
            created_at: now,
        };
        let secret_hash = key.secret_hash.to_vec();
        self.write(
            ADDING,
            move |conn| {
                Box::pin(async move {
                    insert(conn, &added, secret_hash).await?;
                    Ok(added)
                })
            },
            |_| {},
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
            move |revoked| match revoked {
                Some(Some(key)) => inner.api_keys.remove(&key.lookup),
                Some(None) => {}
                // Not known whether it was revoked: ask again.
                None => inner.api_keys.retain(|key| key.account != account),
            },
        )
        .await
    }

    /// Lists an account's keys that are not revoked, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn list_api_keys(&self, account: AccountId) -> Result<Vec<ApiKey>, StoreError> {
        let mut conn = reader(&self.inner.pool, READING).await?;
        let rows = db::query(
            "SELECT id, account_id, name, lookup, created_at FROM api_keys
             WHERE account_id = $1 AND revoked_at IS NULL ORDER BY created_at, id",
        )
        .bind(account.to_string())
        .fetch_all(&mut conn)
        .await
        .map_err(StoreError::while_doing(READING))?;
        rows.iter().map(read).collect()
    }
}

async fn insert(conn: &mut Conn, key: &ApiKey, secret_hash: Vec<u8>) -> Result<(), StoreError> {
    let result = db::query(
        "INSERT INTO api_keys (id, account_id, name, lookup, secret_hash, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(key.id.to_string())
    .bind(key.account.to_string())
    .bind(key.name.clone())
    .bind(key.lookup.clone())
    .bind(secret_hash)
    .bind(key.created_at.as_micros())
    .execute(conn)
    .await;
    match result {
        Ok(_) => Ok(()),
        Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => {
            Err(StoreError::UnknownAccount)
        }
        Err(error) => Err(StoreError::while_doing(ADDING)(error)),
    }
}

async fn revoke(
    conn: &mut Conn,
    account: AccountId,
    id: ApiKeyId,
    now: Timestamp,
) -> Result<Option<ApiKey>, StoreError> {
    let row = db::query(
        "UPDATE api_keys SET revoked_at = $3
         WHERE id = $1 AND account_id = $2 AND revoked_at IS NULL
         RETURNING id, account_id, name, lookup, created_at",
    )
    .bind(id.to_string())
    .bind(account.to_string())
    .bind(now.as_micros())
    .fetch_optional(conn)
    .await
    .map_err(StoreError::while_doing(REVOKING))?;
    row.as_ref().map(read).transpose()
}

fn read(row: &Row) -> Result<ApiKey, StoreError> {
    let columns = Columns::new(row, TABLE, READING);
    Ok(ApiKey {
        id: columns.parse("id")?,
        account: columns.parse("account_id")?,
        name: columns.get("name")?,
        lookup: columns.get("lookup")?,
        created_at: columns.time("created_at")?,
    })
}
