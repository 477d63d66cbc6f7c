//! The look-ups that establish who a person is: by the address they sign in with, and by the token of
//! their session.

use ringtrip_model::{HashedPassword, HashedToken, PortalSession, Timestamp, User, UserId};

use crate::db::{self, reader};
use crate::error::StoreError;
use crate::page::fold;
use crate::row::Columns;
use crate::{SignedIn, Store, portal_sessions, users};

const IDENTIFYING: &str = "identifying a person";

/// Longest address that is looked for, in bytes.
const MAX_EMAIL_BYTES: usize = 1024;

impl Store {
    /// Finds out who signs in with an address, whatever the case, and what their password must match.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn identify_user_email(
        &self,
        email: &str,
    ) -> Result<Option<(User, HashedPassword)>, StoreError> {
        let email = email.trim();
        if email.is_empty() || email.len() > MAX_EMAIL_BYTES || email.contains('\0') {
            return Ok(None);
        }
        let mut conn = reader(&self.inner.pool, IDENTIFYING).await?;
        let row = db::query("SELECT * FROM users WHERE email_folded = $1")
            .bind(fold(email))
            .fetch_optional(&mut conn)
            .await
            .map_err(StoreError::while_doing(IDENTIFYING))?;
        let read = |row| {
            let password = Columns::new(&row, users::TABLE, IDENTIFYING).parse("password")?;
            Ok((users::read(&row)?, password))
        };
        row.map(read).transpose()
    }

    /// Finds out whose session a token opens; nobody's if it has ended.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn identify_portal_session(
        &self,
        token: HashedToken,
        now: Timestamp,
    ) -> Result<Option<SignedIn>, StoreError> {
        let failed = StoreError::while_doing(IDENTIFYING);
        let mut conn = reader(&self.inner.pool, IDENTIFYING).await?;
        let row = db::query("SELECT * FROM portal_sessions WHERE token = $1")
            .bind(token.as_bytes().to_vec())
            .fetch_optional(&mut conn)
            .await
            .map_err(failed)?;
        let session: Option<PortalSession> = row.as_ref().map(portal_sessions::read).transpose()?;
        let Some(session) = session.filter(|session| session.alive_at(now)) else {
            return Ok(None);
        };
        let row = db::query("SELECT * FROM users WHERE id = $1")
            .bind(session.user.to_string())
            .fetch_optional(&mut conn)
            .await
            .map_err(failed)?;
        let user = row.as_ref().map(users::read).transpose()?;
        Ok(user.map(|user| SignedIn { user, session }))
    }

    /// Tells whether a person has signed in from the browser that has this token.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn is_known_device(
        &self,
        user: UserId,
        device: HashedToken,
    ) -> Result<bool, StoreError> {
        let mut conn = reader(&self.inner.pool, IDENTIFYING).await?;
        let seen: Option<i64> = db::query_scalar(
            "SELECT last_seen_at FROM known_devices WHERE token = $1 AND user_id = $2",
        )
        .bind(device.as_bytes().to_vec())
        .bind(user.to_string())
        .fetch_optional(&mut conn)
        .await
        .map_err(StoreError::while_doing(IDENTIFYING))?;
        Ok(seen.is_some())
    }
}
