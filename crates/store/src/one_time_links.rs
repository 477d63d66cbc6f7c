//! Links that work once: to the first person's sign-up, and to a new password. Their tokens are kept as
//! hashes.

use ringtrip_model::{HashedToken, PASSWORD_RESET_LIFETIME, Timestamp, User, UserId};

use crate::db::{self, Conn};
use crate::error::StoreError;
use crate::row::Columns;
use crate::{Store, users};

const TABLE: &str = "one_time_links";
const READING: &str = "reading a link";
const MAKING: &str = "making a link";
const TAKING: &str = "using a link";

impl Store {
    /// Makes the link to the first person's sign-up the one with this token; earlier ones work no more.
    /// False, and no link, if there are people already.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn renew_setup_link(&self, token: HashedToken) -> Result<bool, StoreError> {
        self.write(
            MAKING,
            move |conn| {
                Box::pin(async move {
                    let failed = StoreError::while_doing(MAKING);
                    db::query("DELETE FROM one_time_links WHERE purpose = 'setup'")
                        .execute(conn)
                        .await
                        .map_err(failed)?;
                    if users::any(conn, MAKING).await? {
                        return Ok(false);
                    }
                    db::query("INSERT INTO one_time_links (token, purpose) VALUES ($1, 'setup')")
                        .bind(token.as_bytes().to_vec())
                        .execute(conn)
                        .await
                        .map_err(failed)?;
                    Ok(true)
                })
            },
            |_| {},
        )
        .await
    }

    /// Makes the link to a new password of the person with this address the one with this token. Nobody if
    /// nobody has the address.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn renew_password_reset_link(
        &self,
        email: &str,
        token: HashedToken,
        now: Timestamp,
    ) -> Result<Option<User>, StoreError> {
        let folded = crate::page::fold(email.trim());
        self.write(
            MAKING,
            move |conn| {
                Box::pin(async move {
                    let failed = StoreError::while_doing(MAKING);
                    let row = db::query("SELECT * FROM users WHERE email_folded = $1")
                        .bind(folded)
                        .fetch_optional(conn)
                        .await
                        .map_err(failed)?;
                    let Some(user) = row.as_ref().map(users::read).transpose()? else {
                        return Ok(None);
                    };
                    db::query(
                        "INSERT INTO one_time_links (token, purpose, user_id, expires_at)
                         VALUES ($1, 'password_reset', $2, $3)
                         ON CONFLICT (user_id) DO UPDATE
                         SET token = excluded.token, expires_at = excluded.expires_at",
                    )
                    .bind(token.as_bytes().to_vec())
                    .bind(user.id.to_string())
                    .bind((now + PASSWORD_RESET_LIFETIME).as_micros())
                    .execute(conn)
                    .await
                    .map_err(failed)?;
                    Ok(Some(user))
                })
            },
            |_| {},
        )
        .await
    }

    /// Finds out what a link is for, if it still works, and leaves it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn one_time_link(
        &self,
        token: HashedToken,
        now: Timestamp,
    ) -> Result<Option<OneTimeLink>, StoreError> {
        let failed = StoreError::while_doing(READING);
        let mut conn = db::reader(&self.inner.pool, READING).await?;
        let row = db::query(
            "SELECT user_id FROM one_time_links
             WHERE token = $1 AND (expires_at IS NULL OR expires_at > $2)",
        )
        .bind(token.as_bytes().to_vec())
        .bind(now.as_micros())
        .fetch_optional(&mut conn)
        .await
        .map_err(failed)?;
        let Some(row) = row else {
            return Ok(None);
        };
        let user: Option<UserId> = Columns::new(&row, TABLE, READING).parse_optional("user_id")?;
        let Some(user) = user else {
            return Ok(Some(OneTimeLink::Setup));
        };
        let row = db::query("SELECT * FROM users WHERE id = $1")
            .bind(user.to_string())
            .fetch_optional(&mut conn)
            .await
            .map_err(failed)?;
        let user = row.as_ref().map(users::read).transpose()?;
        Ok(user.map(OneTimeLink::PasswordReset))
    }
}

/// What a link is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OneTimeLink {
    /// The first person's sign-up.
    Setup,
    /// A new password of this person.
    PasswordReset(User),
}

/// Uses up the link to the first sign-up; false if the token is not its.
pub(crate) async fn take_setup(conn: &mut Conn, token: HashedToken) -> Result<bool, StoreError> {
    let done = db::query("DELETE FROM one_time_links WHERE token = $1 AND purpose = 'setup'")
        .bind(token.as_bytes().to_vec())
        .execute(conn)
        .await
        .map_err(StoreError::while_doing(TAKING))?;
    Ok(done.rows_affected() > 0)
}

/// Uses up a link to a new password; nobody if there is none, or none any more.
pub(crate) async fn take_password_reset(
    conn: &mut Conn,
    token: HashedToken,
    now: Timestamp,
) -> Result<Option<UserId>, StoreError> {
    let user: Option<String> = db::query_scalar(
        "SELECT user_id FROM one_time_links WHERE token = $1 AND purpose = 'password_reset'",
    )
    .bind(token.as_bytes().to_vec())
    .fetch_optional(conn)
    .await
    .map_err(StoreError::while_doing(TAKING))?;
    let Some(user) = user.and_then(|user| user.parse().ok()) else {
        return Ok(None);
    };
    if !users::hold_account(conn, TAKING, user).await? {
        return Ok(None);
    }
    let row = db::query(
        "DELETE FROM one_time_links
         WHERE token = $1 AND purpose = 'password_reset' AND expires_at > $2 RETURNING user_id",
    )
    .bind(token.as_bytes().to_vec())
    .bind(now.as_micros())
    .fetch_optional(conn)
    .await
    .map_err(StoreError::while_doing(TAKING))?;
    row.map(|row| Columns::new(&row, TABLE, TAKING).parse("user_id"))
        .transpose()
}
