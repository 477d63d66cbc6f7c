//! Sweeps over all owners, for timers.

use ringtrip_model::{AccountId, TelephonyCredentialId, Timestamp};

use crate::Store;
use crate::db::{self, reader};
use crate::error::StoreError;
use crate::row::Columns;
use crate::telephony_credentials::TABLE;

const SWEEPING: &str = "looking for credentials that end";

/// A credential with an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpiringCredential {
    /// The credential.
    pub id: TelephonyCredentialId,
    /// The tenant.
    pub account: AccountId,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// A place in the order in which credentials end; many may end at the same instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    at: Timestamp,
    id: Option<TelephonyCredentialId>,
}

impl Expiry {
    /// The place behind every credential that ends at `at` or before.
    pub const fn after_all_at(at: Timestamp) -> Self {
        Self { at, id: None }
    }

    /// The place of a credential.
    pub const fn of(credential: &ExpiringCredential) -> Self {
        Self {
            at: credential.expires_at,
            id: Some(credential.id),
        }
    }
}

impl Store {
    /// Lists credentials that end behind `after` and not after `until`, in the order of their end, at
    /// most `limit`. A caller that got `limit` of them goes on from the place of the last one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn credentials_expiring(
        &self,
        after: Expiry,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<ExpiringCredential>, StoreError> {
        let mut conn = reader(&self.inner.pool, SWEEPING).await?;
        let rows = db::query(
            "SELECT id, account_id, expires_at FROM telephony_credentials
             WHERE (expires_at > $1 OR (expires_at = $1 AND id > $2)) AND expires_at <= $3
             ORDER BY expires_at, id LIMIT $4",
        )
        .bind(after.at.as_micros())
        // Behind every id there is: they are hexadecimal digits and hyphens.
        .bind(after.id.map_or_else(|| "~".to_owned(), |id| id.to_string()))
        .bind(until.as_micros())
        .bind(i64::from(limit))
        .fetch_all(&mut conn)
        .await
        .map_err(StoreError::while_doing(SWEEPING))?;
        let read = |row| {
            let columns = Columns::new(row, TABLE, SWEEPING);
            Ok(ExpiringCredential {
                id: columns.parse("id")?,
                account: columns.parse("account_id")?,
                expires_at: columns.time("expires_at")?,
            })
        };
        rows.iter().map(read).collect()
    }
}
