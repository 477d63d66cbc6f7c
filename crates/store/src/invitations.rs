//! Ways to join an account.

use ringtrip_model::{
    AccountId, FieldError, FieldErrorKind, HashedPassword, HashedToken, Invitation, InvitationId,
    MAX_INVITATIONS, NewInvitation, NewUser, Role, Timestamp, User, UserId,
};

use crate::accounts;
use crate::db::{self, Conn, QueryBuilder, Row};
use crate::error::StoreError;
use crate::page::{Listing, Page, fold};
use crate::row::Columns;
use crate::{Store, users};

const TABLE: &str = "invitations";
const READING: &str = "reading invitations";
const ADDING: &str = "inviting somebody";
const REVOKING: &str = "revoking an invitation";
const ACCEPTING: &str = "accepting an invitation";

impl Store {
    /// Invites somebody. An earlier invitation of theirs to the same account works no more.
    ///
    /// # Errors
    /// [`StoreError::UnknownAccount`]; refuses an address that somebody signs in with, and one more than
    /// [`MAX_INVITATIONS`].
    pub async fn insert_invitation(&self, new: NewInvitation) -> Result<Invitation, StoreError> {
        self.write(
            ADDING,
            move |conn| {
                Box::pin(async move {
                    insert(conn, &new).await?;
                    Ok(new.invitation)
                })
            },
            |_| {},
        )
        .await
    }

    /// Lists an account's invitations that can be accepted, the newest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn list_invitations(
        &self,
        account: AccountId,
        page: Page,
        now: Timestamp,
    ) -> Result<Listing<Invitation>, StoreError> {
        let place = (TABLE, "created_at DESC, id DESC");
        let narrow = |query: &mut QueryBuilder| {
            query.push(" AND expires_at > ").push_bind(now.as_micros());
        };
        self.list_table(READING, account, place, page, narrow, read)
            .await
    }

    /// Revokes an invitation, in the name of somebody who has a role themself.
    ///
    /// # Errors
    /// [`StoreError::NotAllowed`] if that role does not reach so far.
    pub async fn delete_invitation(
        &self,
        account: AccountId,
        id: InvitationId,
        manager: Role,
    ) -> Result<Option<Invitation>, StoreError> {
        self.write(
            REVOKING,
            move |conn| {
                Box::pin(async move {
                    accounts::hold(conn, REVOKING, account).await?;
                    let row = db::query(
                        "DELETE FROM invitations WHERE id = $1 AND account_id = $2 RETURNING *",
                    )
                    .bind(id.to_string())
                    .bind(account.to_string())
                    .fetch_optional(conn)
                    .await
                    .map_err(StoreError::while_doing(REVOKING))?;
                    let deleted = row.as_ref().map(read).transpose()?;
                    match deleted {
                        // Refusing undoes the deletion.
                        Some(invitation) if !manager.may(invitation.role.to_manage()) => {
                            Err(StoreError::NotAllowed)
                        }
                        deleted => Ok(deleted),
                    }
                })
            },
            |_| {},
        )
        .await
    }

    /// Reads the invitation that a token accepts, if it still can.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn invitation_by_token(
        &self,
        token: HashedToken,
        now: Timestamp,
    ) -> Result<Option<Invitation>, StoreError> {
        let mut conn = db::reader(&self.inner.pool, READING).await?;
        let row = db::query("SELECT * FROM invitations WHERE token = $1 AND expires_at > $2")
            .bind(token.as_bytes().to_vec())
            .bind(now.as_micros())
            .fetch_optional(&mut conn)
            .await
            .map_err(StoreError::while_doing(READING))?;
        row.as_ref().map(read).transpose()
    }

    /// Accepts an invitation: the person joins with the address and the role that it names, whatever
    /// `user` says. Nobody if the token is unknown, used, or too old.
    ///
    /// # Errors
    /// Refuses an address that somebody signs in with.
    pub async fn accept_invitation(
        &self,
        token: HashedToken,
        user: NewUser,
        password: HashedPassword,
        now: Timestamp,
    ) -> Result<Option<User>, StoreError> {
        self.write(
            ACCEPTING,
            move |conn| {
                Box::pin(async move {
                    let failed = StoreError::while_doing(ACCEPTING);
                    let sql = "SELECT account_id FROM invitations WHERE token = $1";
                    let account: Option<String> = db::query_scalar(sql)
                        .bind(token.as_bytes().to_vec())
                        .fetch_optional(conn)
                        .await
                        .map_err(failed)?;
                    let Some(account) = account.and_then(|account| account.parse().ok()) else {
                        return Ok(None);
                    };
                    accounts::hold(conn, ACCEPTING, account).await?;
                    let row = db::query(
                        "DELETE FROM invitations WHERE token = $1 AND expires_at > $2 RETURNING *",
                    )
                    .bind(token.as_bytes().to_vec())
                    .bind(now.as_micros())
                    .fetch_optional(conn)
                    .await
                    .map_err(StoreError::while_doing(ACCEPTING))?;
                    let Some(invitation) = row.as_ref().map(read).transpose()? else {
                        return Ok(None);
                    };
                    let user = User {
                        account: invitation.account,
                        email: invitation.email,
                        role: invitation.role,
                        ..user.into_user()
                    };
                    users::insert(conn, &user, &password).await?;
                    Ok(Some(user))
                })
            },
            |_| {},
        )
        .await
    }
}

/// Deletes the open invitations that a person made.
pub(crate) async fn withdraw(
    conn: &mut Conn,
    doing: &'static str,
    account: AccountId,
    by: UserId,
) -> Result<(), StoreError> {
    db::query("DELETE FROM invitations WHERE account_id = $1 AND invited_by = $2")
        .bind(account.to_string())
        .bind(by.to_string())
        .execute(conn)
        .await
        .map_err(StoreError::while_doing(doing))?;
    Ok(())
}

async fn insert(conn: &mut Conn, new: &NewInvitation) -> Result<(), StoreError> {
    let failed = StoreError::while_doing(ADDING);
    let NewInvitation { invitation, token } = new;
    accounts::hold(conn, ADDING, invitation.account).await?;
    if users::is_taken(conn, ADDING, &invitation.email).await? {
        return Err(users::taken());
    }
    // Ended ones make room, and one of the same person.
    db::query(
        "DELETE FROM invitations WHERE account_id = $1 AND (expires_at <= $2 OR email_folded = $3)",
    )
    .bind(invitation.account.to_string())
    .bind(invitation.created_at.as_micros())
    .bind(fold(&invitation.email))
    .execute(conn)
    .await
    .map_err(failed)?;
    let held: i64 = db::query_scalar("SELECT COUNT(*) FROM invitations WHERE account_id = $1")
        .bind(invitation.account.to_string())
        .fetch_one(conn)
        .await
        .map_err(failed)?;
    if held >= i64::from(MAX_INVITATIONS) {
        return Err(StoreError::Refused(FieldError::new(
            "/",
            FieldErrorKind::LimitReached,
            format!("An account can have at most {MAX_INVITATIONS} open invitations."),
        )));
    }
    db::query(
        "INSERT INTO invitations
             (id, account_id, email, email_folded, role, token, invited_by, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(invitation.id.to_string())
    .bind(invitation.account.to_string())
    .bind(invitation.email.clone())
    .bind(fold(&invitation.email))
    .bind(invitation.role.name())
    .bind(token.as_bytes().to_vec())
    .bind(invitation.invited_by.map(|user| user.to_string()))
    .bind(invitation.created_at.as_micros())
    .bind(invitation.expires_at.as_micros())
    .execute(conn)
    .await
    .map_err(failed)?;
    Ok(())
}

fn read(row: &Row) -> Result<Invitation, StoreError> {
    let columns = Columns::new(row, TABLE, READING);
    Ok(Invitation {
        id: columns.parse("id")?,
        account: columns.parse("account_id")?,
        email: columns.get("email")?,
        role: columns.name("role", Role::from_name)?,
        invited_by: columns.parse_optional("invited_by")?,
        created_at: columns.time("created_at")?,
        expires_at: columns.time("expires_at")?,
    })
}
