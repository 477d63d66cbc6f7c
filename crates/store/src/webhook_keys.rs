//! The keys that sign webhooks: one pair for each tenant, made when it is first asked for.

use std::sync::Arc;

use ringtrip_model::{AccountId, WebhookKey};

use crate::cache::Found;
use crate::db::{self, Conn, reader};
use crate::error::StoreError;
use crate::row::Columns;
use crate::seal::Place;
use crate::{Inner, Store};

const TABLE: &str = "webhook_keys";
const READING: &str = "reading a webhook key";
const ADDING: &str = "adding a webhook key";

impl Store {
    /// Returns the key pair of an account that exists. The first call makes it; it is stored when this
    /// returns.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn webhook_key(&self, account: AccountId) -> Result<WebhookKey, StoreError> {
        let ticket = match self.inner.webhook_keys.get(&account) {
            Found::Ready(key) => return Ok(key.as_ref().clone()),
            Found::Missing(ticket) => ticket,
        };
        let mut conn = reader(&self.inner.pool, READING).await?;
        let found = find(&mut conn, &self.inner, account).await?;
        drop(conn);
        let key = match found {
            Some(key) => key,
            None => self.add_webhook_key(account).await?,
        };
        let key = Arc::new(key);
        self.inner.webhook_keys.fill(&account, ticket, Some(&key));
        Ok(Arc::unwrap_or_clone(key))
    }

    /// Stores a fresh key, unless another request was faster, and returns the one that counts.
    async fn add_webhook_key(&self, account: AccountId) -> Result<WebhookKey, StoreError> {
        let key = self.inner.with_rng(WebhookKey::generate);
        let inner = Arc::clone(&self.inner);
        self.write(
            ADDING,
            move |conn| {
                Box::pin(async move {
                    let sealed = inner.seal(place(&account), key.seed());
                    db::query(
                        "INSERT INTO webhook_keys (account_id, seed, encryption_key_id)
                         VALUES ($1, $2, $3) ON CONFLICT (account_id) DO NOTHING",
                    )
                    .bind(account.to_string())
                    .bind(sealed.value)
                    .bind(sealed.key_id)
                    .execute(conn)
                    .await
                    .map_err(StoreError::while_doing(ADDING))?;
                    let found = find(conn, &inner, account).await?;
                    Ok(found.unwrap_or(key))
                })
            },
            |_| {},
        )
        .await
    }
}

fn place(account: &AccountId) -> Place<'_> {
    Place {
        table: TABLE,
        column: "seed",
        id: account,
    }
}

async fn find(
    conn: &mut Conn,
    inner: &Inner,
    account: AccountId,
) -> Result<Option<WebhookKey>, StoreError> {
    let row = db::query("SELECT seed, encryption_key_id FROM webhook_keys WHERE account_id = $1")
        .bind(account.to_string())
        .fetch_optional(conn)
        .await
        .map_err(StoreError::while_doing(READING))?;
    let Some(row) = row else {
        return Ok(None);
    };
    let columns = Columns::new(&row, TABLE, READING);
    let key_id = columns.get("encryption_key_id")?;
    let seed = inner.open_bytes(place(&account), key_id, columns.get("seed")?);
    seed.and_then(WebhookKey::from_seed)
        .map(Some)
        .ok_or_else(|| inner.unopened(columns, "seed", key_id))
}
