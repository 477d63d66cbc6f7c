//! The people of an account, as it manages them. Finding out who somebody is: see `identify_people`.

use ringtrip_model::{
    AccountId, FieldError, FieldErrorKind, HashedPassword, HashedToken, MAX_USERS, NewAccount,
    NewUser, Role, Timestamp, User, UserId,
};

use crate::accounts;
use crate::db::{self, Conn, Row, reader};
use crate::error::StoreError;
use crate::page::{Listing, Page, fold};
use crate::row::{self, Columns};
use crate::{NewPortalSession, SignedIn, Store, invitations, one_time_links, portal_sessions};

pub(crate) const TABLE: &str = "users";
pub(crate) const READING: &str = "reading people";
const ADDING: &str = "adding a person";
const CHANGING: &str = "changing a person";
const REMOVING: &str = "removing a person";

impl Store {
    /// Tells whether anybody can sign in.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn has_users(&self) -> Result<bool, StoreError> {
        let mut conn = reader(&self.inner.pool, READING).await?;
        any(&mut conn, READING).await
    }

    /// Makes the first person, who owns the account of their address; a new one, if there is none. Nobody
    /// if the token is not that of the link, which works once, or if there are people already.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn set_up(
        &self,
        token: HashedToken,
        account: NewAccount,
        user: NewUser,
        password: HashedPassword,
    ) -> Result<Option<User>, StoreError> {
        let (account, mut user) = (account.into_account(), user.into_user());
        self.write(
            ADDING,
            move |conn| {
                Box::pin(async move {
                    if !one_time_links::take_setup(conn, token).await? || any(conn, ADDING).await? {
                        return Ok(None);
                    }
                    match accounts::find_by_email(conn, ADDING, &account.email).await? {
                        Some(known) => user.account = known,
                        None => accounts::insert(conn, &account).await?,
                    }
                    insert(conn, &user, &password).await?;
                    Ok(Some(user))
                })
            },
            |_| {},
        )
        .await
    }

    /// Adds an account and the person who owns it.
    ///
    /// # Errors
    /// Refuses an address that an account or a person has.
    pub async fn sign_up(
        &self,
        account: NewAccount,
        user: NewUser,
        password: HashedPassword,
    ) -> Result<User, StoreError> {
        let (account, user) = (account.into_account(), user.into_user());
        self.write(
            ADDING,
            move |conn| {
                Box::pin(async move {
                    accounts::insert(conn, &account).await?;
                    insert(conn, &user, &password).await?;
                    Ok(user)
                })
            },
            |_| {},
        )
        .await
    }

    /// Reads a person of an account.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn user(&self, account: AccountId, id: UserId) -> Result<Option<User>, StoreError> {
        let mut conn = reader(&self.inner.pool, READING).await?;
        find(&mut conn, READING, account, id).await
    }

    /// Lists the people of an account, those first who came first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn list_users(
        &self,
        account: AccountId,
        page: Page,
    ) -> Result<Listing<User>, StoreError> {
        let place = (TABLE, "created_at, id");
        self.list_table(READING, account, place, page, |_| {}, read)
            .await
    }

    /// Changes what a person is called, which must have been checked.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn rename_user(
        &self,
        account: AccountId,
        id: UserId,
        name: String,
        now: Timestamp,
    ) -> Result<Option<User>, StoreError> {
        self.write(
            CHANGING,
            move |conn| {
                Box::pin(async move {
                    accounts::hold(conn, CHANGING, account).await?;
                    let row = db::query(
                        "UPDATE users SET name = $3, updated_at = $4
                         WHERE id = $1 AND account_id = $2 RETURNING *",
                    )
                    .bind(id.to_string())
                    .bind(account.to_string())
                    .bind(name)
                    .bind(now.as_micros())
                    .fetch_optional(conn)
                    .await
                    .map_err(StoreError::while_doing(CHANGING))?;
                    row.as_ref().map(read).transpose()
                })
            },
            |_| {},
        )
        .await
    }

    /// Gives a person another role, in the name of somebody who has a role themself, and ends the
    /// person's sessions: the next one begins with the new role. Whom they invited in the old one, and who has
    /// not come yet, is not invited any more.
    ///
    /// # Errors
    /// [`StoreError::NotAllowed`] if that role does not reach so far; refuses to take the last owner.
    pub async fn change_role(
        &self,
        account: AccountId,
        id: UserId,
        role: Role,
        manager: Role,
        now: Timestamp,
    ) -> Result<Option<User>, StoreError> {
        self.write(
            CHANGING,
            move |conn| {
                Box::pin(async move {
                    accounts::hold(conn, CHANGING, account).await?;
                    let Some(before) = find(conn, CHANGING, account, id).await? else {
                        return Ok(None);
                    };
                    if !manager.may(before.role.to_manage()) || !manager.may(role.to_manage()) {
                        return Err(StoreError::NotAllowed);
                    }
                    if role != Role::Owner {
                        keep_an_owner(conn, &before, "/role").await?;
                    }
                    db::query("UPDATE users SET role = $2, updated_at = $3 WHERE id = $1")
                        .bind(id.to_string())
                        .bind(role.name())
                        .bind(now.as_micros())
                        .execute(conn)
                        .await
                        .map_err(StoreError::while_doing(CHANGING))?;
                    portal_sessions::end_all(conn, CHANGING, id).await?;
                    invitations::withdraw(conn, CHANGING, account, id).await?;
                    Ok(Some(User {
                        role,
                        updated_at: now,
                        ..before
                    }))
                })
            },
            |_| {},
        )
        .await
    }

    /// Removes a person and ends their sessions and invitations, in the name of somebody who has a role
    /// themself.
    ///
    /// # Errors
    /// [`StoreError::NotAllowed`] if that role does not reach so far; refuses to take the last owner.
    pub async fn delete_user(
        &self,
        account: AccountId,
        id: UserId,
        manager: Role,
    ) -> Result<Option<User>, StoreError> {
        self.write(
            REMOVING,
            move |conn| {
                Box::pin(async move {
                    accounts::hold(conn, REMOVING, account).await?;
                    let Some(user) = find(conn, REMOVING, account, id).await? else {
                        return Ok(None);
                    };
                    if !manager.may(user.role.to_manage()) {
                        return Err(StoreError::NotAllowed);
                    }
                    keep_an_owner(conn, &user, "/").await?;
                    invitations::withdraw(conn, REMOVING, account, id).await?;
                    // Sessions, devices and links go with their person.
                    db::query("DELETE FROM users WHERE id = $1")
                        .bind(id.to_string())
                        .execute(conn)
                        .await
                        .map_err(StoreError::while_doing(REMOVING))?;
                    Ok(Some(user))
                })
            },
            |_| {},
        )
        .await
    }

    /// Gives a person another password, ends every session of theirs, and begins a new one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn change_password(
        &self,
        user: UserId,
        password: HashedPassword,
        session: NewPortalSession,
        now: Timestamp,
    ) -> Result<Option<SignedIn>, StoreError> {
        self.write(
            CHANGING,
            move |conn| {
                Box::pin(async move {
                    if set_password(conn, user, &password, now).await?.is_none() {
                        return Ok(None);
                    }
                    portal_sessions::begin(conn, user, None, &session, now).await
                })
            },
            |_| {},
        )
        .await
    }

    /// Gives the person whom a link names another password, and ends every session of theirs. Nobody if
    /// the link is unknown, used, or too old.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn reset_password(
        &self,
        token: HashedToken,
        password: HashedPassword,
        now: Timestamp,
    ) -> Result<Option<User>, StoreError> {
        self.write(
            CHANGING,
            move |conn| {
                Box::pin(async move {
                    match one_time_links::take_password_reset(conn, token, now).await? {
                        Some(user) => set_password(conn, user, &password, now).await,
                        None => Ok(None),
                    }
                })
            },
            |_| {},
        )
        .await
    }
}

/// Tells whether anybody can sign in.
pub(crate) async fn any(conn: &mut Conn, doing: &'static str) -> Result<bool, StoreError> {
    let first: Option<String> = db::query_scalar("SELECT id FROM users LIMIT 1")
        .fetch_optional(conn)
        .await
        .map_err(StoreError::while_doing(doing))?;
    Ok(first.is_some())
}

async fn count(conn: &mut Conn, account: AccountId) -> Result<u64, StoreError> {
    let count = db::query_scalar("SELECT COUNT(*) FROM users WHERE account_id = $1")
        .bind(account.to_string())
        .fetch_one(conn)
        .await
        .map_err(StoreError::while_doing(ADDING))?;
    Ok(row::count(count))
}

async fn find(
    conn: &mut Conn,
    doing: &'static str,
    account: AccountId,
    id: UserId,
) -> Result<Option<User>, StoreError> {
    let row = db::query("SELECT * FROM users WHERE id = $1 AND account_id = $2")
        .bind(id.to_string())
        .bind(account.to_string())
        .fetch_optional(conn)
        .await
        .map_err(StoreError::while_doing(doing))?;
    row.as_ref().map(read).transpose()
}

/// Refuses to take an account's last owner away. Whoever asks holds the account.
async fn keep_an_owner(
    conn: &mut Conn,
    user: &User,
    pointer: &'static str,
) -> Result<(), StoreError> {
    if user.role != Role::Owner {
        return Ok(());
    }
    let others: i64 = db::query_scalar(
        "SELECT COUNT(*) FROM users WHERE account_id = $1 AND role = 'owner' AND id <> $2",
    )
    .bind(user.account.to_string())
    .bind(user.id.to_string())
    .fetch_one(conn)
    .await
    .map_err(StoreError::while_doing(CHANGING))?;
    if others > 0 {
        return Ok(());
    }
    Err(StoreError::Refused(FieldError::new(
        pointer,
        FieldErrorKind::LimitReached,
        "The last owner of an account stays its owner. Make somebody else an owner first.",
    )))
}

/// Takes the account of a person; false if the person is gone.
pub(crate) async fn hold_account(
    conn: &mut Conn,
    doing: &'static str,
    user: UserId,
) -> Result<bool, StoreError> {
    let account: Option<String> = db::query_scalar("SELECT account_id FROM users WHERE id = $1")
        .bind(user.to_string())
        .fetch_optional(conn)
        .await
        .map_err(StoreError::while_doing(doing))?;
    match account.and_then(|account| account.parse().ok()) {
        Some(account) => accounts::hold(conn, doing, account).await.map(|()| true),
        None => Ok(false),
    }
}

/// Sets a password. Whatever was proved by the old one is worth nothing any more.
async fn set_password(
    conn: &mut Conn,
    user: UserId,
    password: &HashedPassword,
    now: Timestamp,
) -> Result<Option<User>, StoreError> {
    let failed = StoreError::while_doing(CHANGING);
    if !hold_account(conn, CHANGING, user).await? {
        return Ok(None);
    }
    let row =
        db::query("UPDATE users SET password = $2, updated_at = $3 WHERE id = $1 RETURNING *")
            .bind(user.to_string())
            .bind(password.to_string())
            .bind(now.as_micros())
            .fetch_optional(conn)
            .await
            .map_err(failed)?;
    portal_sessions::end_all(conn, CHANGING, user).await?;
    for sql in [
        "DELETE FROM known_devices WHERE user_id = $1",
        "DELETE FROM one_time_links WHERE user_id = $1",
    ] {
        db::query(sql)
            .bind(user.to_string())
            .execute(conn)
            .await
            .map_err(failed)?;
    }
    row.as_ref().map(read).transpose()
}

pub(crate) async fn insert(
    conn: &mut Conn,
    user: &User,
    password: &HashedPassword,
) -> Result<(), StoreError> {
    accounts::hold(conn, ADDING, user.account).await?;
    if count(conn, user.account).await? >= u64::from(MAX_USERS) {
        return Err(StoreError::Refused(FieldError::new(
            "/",
            FieldErrorKind::LimitReached,
            format!("An account can have at most {MAX_USERS} people."),
        )));
    }
    let result = db::query(
        "INSERT INTO users (id, account_id, email, email_folded, name, role, password, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(user.id.to_string())
    .bind(user.account.to_string())
    .bind(user.email.clone())
    .bind(fold(&user.email))
    .bind(user.name.clone())
    .bind(user.role.name())
    .bind(password.to_string())
    .bind(user.created_at.as_micros())
    .bind(user.updated_at.as_micros())
    .execute(conn)
    .await;
    match result {
        Ok(_) => Ok(()),
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Err(taken()),
        Err(error) => Err(StoreError::while_doing(ADDING)(error)),
    }
}

/// The refusal of an address that somebody signs in with.
pub(crate) fn taken() -> StoreError {
    StoreError::Refused(FieldError::new(
        "/email",
        FieldErrorKind::Duplicate,
        "Somebody signs in with this e-mail address already.",
    ))
}

/// Tells whether somebody signs in with an address.
pub(crate) async fn is_taken(
    conn: &mut Conn,
    doing: &'static str,
    email: &str,
) -> Result<bool, StoreError> {
    let id: Option<String> = db::query_scalar("SELECT id FROM users WHERE email_folded = $1")
        .bind(fold(email))
        .fetch_optional(conn)
        .await
        .map_err(StoreError::while_doing(doing))?;
    Ok(id.is_some())
}

pub(crate) fn read(row: &Row) -> Result<User, StoreError> {
    let columns = Columns::new(row, TABLE, READING);
    Ok(User {
        id: columns.parse("id")?,
        account: columns.parse("account_id")?,
        email: columns.get("email")?,
        name: columns.get("name")?,
        role: columns.name("role", Role::from_name)?,
        created_at: columns.time("created_at")?,
        updated_at: columns.time("updated_at")?,
        last_sign_in_at: columns.time_optional("last_sign_in_at")?,
    })
}
