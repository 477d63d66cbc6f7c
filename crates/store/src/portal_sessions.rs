//! Who is signed in, and from which browsers people have signed in.

use ringtrip_model::{
    HashedPassword, HashedToken, MAX_SESSIONS, PortalSession, PortalSessionId, SESSION_IDLE,
    SESSION_LIFETIME, Timestamp, User, UserId,
};

use crate::db::{self, Conn, Row, reader};
use crate::error::StoreError;
use crate::row::Columns;
use crate::{Store, users};

const TABLE: &str = "portal_sessions";
const READING: &str = "reading sessions";
const BEGINNING: &str = "signing in";
const ENDING: &str = "signing out";
const SWEEPING: &str = "sweeping sessions and links";

/// Browsers of one person that are remembered.
const MAX_DEVICES: i64 = 20;
/// More rows than any of these tables has for one person.
const ALL: i64 = 1_000_000;

/// A session that is about to begin.
#[derive(Debug, Clone)]
pub struct NewPortalSession {
    /// The session; whose it is, is told when it begins.
    pub session: PortalSession,
    /// What is stored of the token that opens it.
    pub token: HashedToken,
    /// What is stored of the token that the browser is known by.
    pub device: HashedToken,
    /// What the browser showed until now: that session ends.
    pub replaces: Option<HashedToken>,
}

/// A person and their session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// The person.
    pub user: User,
    /// The session.
    pub session: PortalSession,
}

impl Store {
    /// Begins a session. Nobody if the person is gone.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn begin_portal_session(
        &self,
        user: UserId,
        judged: Option<HashedPassword>,
        session: NewPortalSession,
        now: Timestamp,
    ) -> Result<Option<SignedIn>, StoreError> {
        self.write(
            BEGINNING,
            move |conn| {
                Box::pin(async move { begin(conn, user, judged.as_ref(), &session, now).await })
            },
            |_| {},
        )
        .await
    }

    /// Lists a person's sessions that may be used, the one first that was used last.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn list_portal_sessions(
        &self,
        user: UserId,
        now: Timestamp,
    ) -> Result<Vec<PortalSession>, StoreError> {
        let mut conn = reader(&self.inner.pool, READING).await?;
        let rows = db::query(
            "SELECT * FROM portal_sessions WHERE user_id = $1 ORDER BY last_seen_at DESC, id DESC",
        )
        .bind(user.to_string())
        .fetch_all(&mut conn)
        .await
        .map_err(StoreError::while_doing(READING))?;
        let mut sessions = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        sessions.retain(|session| session.alive_at(now));
        Ok(sessions)
    }

    /// Ends a session of a person; it opens nothing from the moment this returns.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn end_portal_session(
        &self,
        user: UserId,
        id: PortalSessionId,
    ) -> Result<Option<PortalSession>, StoreError> {
        self.write(
            ENDING,
            move |conn| {
                Box::pin(async move {
                    if !users::hold_account(conn, ENDING, user).await? {
                        return Ok(None);
                    }
                    let row = db::query(
                        "DELETE FROM portal_sessions WHERE id = $1 AND user_id = $2 RETURNING *",
                    )
                    .bind(id.to_string())
                    .bind(user.to_string())
                    .fetch_optional(conn)
                    .await
                    .map_err(StoreError::while_doing(ENDING))?;
                    row.as_ref().map(read).transpose()
                })
            },
            |_| {},
        )
        .await
    }

    /// Notes that a session is in use.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn touch_portal_session(
        &self,
        id: PortalSessionId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const TOUCHING: &str = "noting that a session is in use";
        self.write(
            TOUCHING,
            move |conn| {
                Box::pin(async move {
                    db::query("UPDATE portal_sessions SET last_seen_at = $2 WHERE id = $1")
                        .bind(id.to_string())
                        .bind(now.as_micros())
                        .execute(conn)
                        .await
                        .map(drop)
                        .map_err(StoreError::while_doing(TOUCHING))
                })
            },
            |_| {},
        )
        .await
    }

    /// Deletes sessions, invitations and links that have ended.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn sweep_people(&self, now: Timestamp) -> Result<(), StoreError> {
        self.write(
            SWEEPING,
            move |conn| {
                Box::pin(async move {
                    let failed = StoreError::while_doing(SWEEPING);
                    for (sql, before) in [
                        (
                            "DELETE FROM portal_sessions WHERE created_at <= $1",
                            ago(now, SESSION_LIFETIME),
                        ),
                        (
                            "DELETE FROM portal_sessions WHERE last_seen_at <= $1",
                            ago(now, SESSION_IDLE),
                        ),
                        (
                            "DELETE FROM invitations WHERE expires_at <= $1",
                            now.as_micros(),
                        ),
                        (
                            "DELETE FROM one_time_links WHERE expires_at <= $1",
                            now.as_micros(),
                        ),
                    ] {
                        db::query(sql)
                            .bind(before)
                            .execute(conn)
                            .await
                            .map_err(failed)?;
                    }
                    Ok(())
                })
            },
            |_| {},
        )
        .await
    }
}

fn ago(now: Timestamp, time: std::time::Duration) -> i64 {
    let micros = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    now.as_micros().saturating_sub(micros)
}

/// Begins a session in a transaction that may have done more.
pub(crate) async fn begin(
    conn: &mut Conn,
    user: UserId,
    judged: Option<&HashedPassword>,
    new: &NewPortalSession,
    now: Timestamp,
) -> Result<Option<SignedIn>, StoreError> {
    let failed = StoreError::while_doing(BEGINNING);
    if !users::hold_account(conn, BEGINNING, user).await? {
        return Ok(None);
    }
    let row = db::query(
        "UPDATE users SET last_sign_in_at = $2
         WHERE id = $1 AND password = COALESCE($3, password) RETURNING *",
    )
    .bind(user.to_string())
    .bind(now.as_micros())
    .bind(judged.map(HashedPassword::to_string))
    .fetch_optional(conn)
    .await
    .map_err(failed)?;
    let Some(person) = row.as_ref().map(users::read).transpose()? else {
        return Ok(None);
    };
    if let Some(token) = new.replaces {
        db::query("DELETE FROM portal_sessions WHERE token = $1")
            .bind(token.as_bytes().to_vec())
            .execute(conn)
            .await
            .map_err(failed)?;
    }
    db::query(
        "DELETE FROM portal_sessions WHERE user_id = $1 AND id IN
             (SELECT id FROM portal_sessions WHERE user_id = $1
              ORDER BY last_seen_at DESC, id DESC LIMIT $2 OFFSET $3)",
    )
    .bind(user.to_string())
    .bind(ALL)
    .bind(i64::from(MAX_SESSIONS) - 1)
    .execute(conn)
    .await
    .map_err(failed)?;
    let session = PortalSession {
        user,
        ..new.session.clone()
    };
    db::query(
        "INSERT INTO portal_sessions (token, id, user_id, source, user_agent, created_at, last_seen_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(new.token.as_bytes().to_vec())
    .bind(session.id.to_string())
    .bind(user.to_string())
    .bind(session.source.clone())
    .bind(session.user_agent.clone())
    .bind(session.created_at.as_micros())
    .bind(session.last_seen_at.as_micros())
    .execute(conn)
    .await
    .map_err(failed)?;
    db::query(
        "INSERT INTO known_devices (token, user_id, last_seen_at) VALUES ($1, $2, $3)
         ON CONFLICT (token, user_id) DO UPDATE SET last_seen_at = excluded.last_seen_at",
    )
    .bind(new.device.as_bytes().to_vec())
    .bind(user.to_string())
    .bind(now.as_micros())
    .execute(conn)
    .await
    .map_err(failed)?;
    db::query(
        "DELETE FROM known_devices WHERE user_id = $1 AND token IN
             (SELECT token FROM known_devices WHERE user_id = $1
              ORDER BY last_seen_at DESC, token LIMIT $2 OFFSET $3)",
    )
    .bind(user.to_string())
    .bind(ALL)
    .bind(MAX_DEVICES)
    .execute(conn)
    .await
    .map_err(failed)?;
    Ok(Some(SignedIn {
        user: person,
        session,
    }))
}

/// Ends all sessions of a person.
pub(crate) async fn end_all(
    conn: &mut Conn,
    doing: &'static str,
    user: UserId,
) -> Result<(), StoreError> {
    db::query("DELETE FROM portal_sessions WHERE user_id = $1")
        .bind(user.to_string())
        .execute(conn)
        .await
        .map(drop)
        .map_err(StoreError::while_doing(doing))
}

pub(crate) fn read(row: &Row) -> Result<PortalSession, StoreError> {
    let columns = Columns::new(row, TABLE, READING);
    Ok(PortalSession {
        id: columns.parse("id")?,
        user: columns.parse("user_id")?,
        created_at: columns.time("created_at")?,
        last_seen_at: columns.time("last_seen_at")?,
        source: columns.get("source")?,
        user_agent: columns.get("user_agent")?,
    })
}
