//! Generated SIP users.

use std::sync::Arc;

use ringtrip_model::{
    AccountId, CredentialConnectionId, FieldError, FieldErrorKind, MAX_CREDENTIALS_PER_TAG,
    NewTelephonyCredential, TelephonyCredential, TelephonyCredentialId, TelephonyCredentialPatch,
    TelephonyCredentialStatus, Timestamp,
};

use crate::accounts::{self, Counter};
use crate::cache::Found;
use crate::db::{self, Conn, QueryBuilder, Row, reader};
use crate::error::StoreError;
use crate::page::{Length, Listing, NARROW, Page, Walk, can_match, fold, page_query};
use crate::row::{self, Columns};
use crate::seal::{Place, Sealed};
use crate::writer::Kind;
use crate::{Inner, Store};

pub(crate) const TABLE: &str = "telephony_credentials";
const READING: &str = "reading telephony credentials";
const ADDING: &str = "adding a telephony credential";
const CHANGING: &str = "changing a telephony credential";
const DELETING: &str = "deleting a telephony credential";

/// What listed credentials have in common. Texts match exactly; everything set must match.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TelephonyCredentialFilter {
    /// The tag.
    pub tag: Option<String>,
    /// The name.
    pub name: Option<String>,
    /// The SIP user name.
    pub sip_username: Option<String>,
    /// The connection.
    pub connection: Option<CredentialConnectionId>,
    /// The state.
    pub status: Option<StatusFilter>,
}

/// Which states of credentials are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusFilter {
    /// One.
    Only(TelephonyCredentialStatus),
    /// The other two.
    AllBut(TelephonyCredentialStatus),
}

/// A tag, and how many credentials hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelephonyCredentialTag {
    /// The tag.
    pub tag: String,
    /// How many hold it.
    pub amount: u64,
}

/// A credential before and after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedCredential {
    /// As it was.
    pub before: TelephonyCredential,
    /// As it is.
    pub after: TelephonyCredential,
}

impl Store {
    /// Adds a credential.
    ///
    /// # Errors
    /// Refuses a connection that does not exist or is somebody else's, and a tag that holds
    /// [`MAX_CREDENTIALS_PER_TAG`] credentials already.
    pub async fn insert_telephony_credential(
        &self,
        new: NewTelephonyCredential,
    ) -> Result<TelephonyCredential, StoreError> {
        let credential = new.into_credential();
        let sealed = self.inner.seal(
            Place {
                table: TABLE,
                column: "sip_password",
                id: &credential.id,
            },
            credential.sip_password.expose().as_bytes(),
        );
        let settling = Arc::clone(&self.inner);
        let kind = match credential.tag {
            Some(_) => Kind::Several,
            None => Kind::One,
        };
        self.write_as(
            kind,
            ADDING,
            move |conn| {
                Box::pin(async move {
                    insert(conn, &credential, sealed).await?;
                    Ok(credential)
                })
            },
            move |added| {
                if let Some(added) = added {
                    settling.credentials.put(added.id, Arc::new(added.clone()));
                }
            },
        )
        .await
    }

    /// Reads a credential of an account.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn telephony_credential(
        &self,
        account: AccountId,
        id: TelephonyCredentialId,
    ) -> Result<Option<TelephonyCredential>, StoreError> {
        let ticket = match self.inner.credentials.get(&id) {
            Found::Ready(known) => {
                return Ok((known.account == account).then(|| known.as_ref().clone()));
            }
            Found::Missing(ticket) => ticket,
        };
        let mut conn = reader(&self.inner.pool, READING).await?;
        let found = find(&mut conn, &self.inner, account, id)
            .await?
            .map(Arc::new);
        self.inner.credentials.fill(&id, ticket, found.as_ref());
        Ok(found.map(Arc::unwrap_or_clone))
    }

    /// Changes a credential of an account, and returns it as it was and as it is then.
    ///
    /// # Errors
    /// Refuses any change of an expired credential, a connection that does not exist or is somebody
    /// else's, and a tag that is full. [`StoreError::Invalid`] for values that are not valid by
    /// themselves.
    pub async fn update_telephony_credential(
        &self,
        account: AccountId,
        id: TelephonyCredentialId,
        patch: TelephonyCredentialPatch,
        now: Timestamp,
    ) -> Result<Option<ChangedCredential>, StoreError> {
        patch.check().map_err(StoreError::Invalid)?;
        let (reading, settling) = (Arc::clone(&self.inner), Arc::clone(&self.inner));
        self.write(
            CHANGING,
            move |conn| {
                Box::pin(async move { update(conn, &reading, account, id, &patch, now).await })
            },
            move |changed| match changed {
                Some(Some(changed)) => settling
                    .credentials
                    .put(id, Arc::new(changed.after.clone())),
                Some(None) => {}
                None => settling.credentials.remove(&id),
            },
        )
        .await
    }

    /// Switches a credential of an account on or off, and returns it as it is then.
    ///
    /// # Errors
    /// Refuses any change of an expired credential.
    pub async fn switch_telephony_credential(
        &self,
        account: AccountId,
        id: TelephonyCredentialId,
        active: bool,
        now: Timestamp,
    ) -> Result<Option<TelephonyCredential>, StoreError> {
        let (reading, settling) = (Arc::clone(&self.inner), Arc::clone(&self.inner));
        self.write(
            CHANGING,
            move |conn| {
                Box::pin(async move { switch(conn, &reading, account, id, active, now).await })
            },
            move |changed| match changed {
                Some(Some(after)) => settling.credentials.put(id, Arc::new(after.clone())),
                Some(None) => {}
                None => settling.credentials.remove(&id),
            },
        )
        .await
    }

    /// Deletes a credential of an account and returns it as it was. From the moment this returns it
    /// is found nowhere.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn delete_telephony_credential(
        &self,
        account: AccountId,
        id: TelephonyCredentialId,
    ) -> Result<Option<TelephonyCredential>, StoreError> {
        let (reading, settling) = (Arc::clone(&self.inner), Arc::clone(&self.inner));
        self.write(
            DELETING,
            move |conn| Box::pin(async move { delete(conn, &reading, account, id).await }),
            // Only a deletion that found its credential may touch the entry: an id is a name that
            // another tenant may try.
            move |deleted| match deleted {
                Some(Some(_)) | None => settling.credentials.remove(&id),
                Some(None) => {}
            },
        )
        .await
    }

    /// Lists an account's credentials, the newest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn list_telephony_credentials(
        &self,
        account: AccountId,
        filter: TelephonyCredentialFilter,
        page: Page,
        now: Timestamp,
    ) -> Result<Listing<TelephonyCredential>, StoreError> {
        let texts = [&filter.tag, &filter.name, &filter.sip_username];
        if texts.into_iter().flatten().any(|text| !can_match(text)) {
            return Ok(Listing::empty());
        }
        let wanted = Wanted {
            account,
            filter: &filter,
            now,
        };
        let length = if filter == TelephonyCredentialFilter::default() {
            Length::Counted(Counter::TelephonyCredentials)
        } else if wanted.by_state_alone() {
            Length::First(wanted.count_query())
        } else {
            Length::Query(wanted.count_query())
        };
        let part = |total, walk| wanted.list_query(total, walk);
        let read = |row: &_| read(row, &self.inner);
        self.list(READING, account, length, page, part, read).await
    }

    /// Lists the tags of an account's credentials, in the order of their text, and how many hold each.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn list_telephony_credential_tags(
        &self,
        account: AccountId,
        page: Page,
    ) -> Result<Listing<TelephonyCredentialTag>, StoreError> {
        let read = |row: &_| {
            let columns = Columns::new(row, TABLE, READING);
            Ok(TelephonyCredentialTag {
                tag: columns.get("tag")?,
                amount: row::count(columns.get("amount")?),
            })
        };
        let length = Length::Query(tag_count_query(account));
        let part = |_, _| tag_list_query(account, page);
        self.list(READING, account, length, page, part, read).await
    }
}

/// What is asked for, as the parts of queries.
///
/// One condition chooses the index, the one that fewest rows meet: user name, then tag, then name, then connection,
/// then state. It is written as it stands; the others so that no index has them (`x + 0`, `x || ''`), for the
/// database does not know how many rows meet which. All the columns they look at are in that index too.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) account: AccountId,
    pub(crate) filter: &'a TelephonyCredentialFilter,
    pub(crate) now: Timestamp,
}

impl Wanted<'_> {
    /// Tells whether the state is all there is to narrow by.
    fn by_state_alone(&self) -> bool {
        *self.filter
            == TelephonyCredentialFilter {
                status: self.filter.status,
                ..TelephonyCredentialFilter::default()
            }
    }

    pub(crate) fn count_query(&self) -> QueryBuilder {
        if let Some(status) = self.filter.status
            && self.by_state_alone()
        {
            return self.count_by_state(status);
        }
        let mut query = QueryBuilder::new("SELECT COUNT(*) FROM telephony_credentials");
        self.narrow(&mut query);
        query
    }

    /// Counts those that are switched off and those that have expired, which are few as a rule and have indexes.
    /// The rest of what the account has is active.
    fn count_by_state(&self, status: StatusFilter) -> QueryBuilder {
        use StatusFilter::{AllBut, Only};
        use TelephonyCredentialStatus::{Active, Expired, Inactive};
        let mut query = QueryBuilder::new("SELECT ");
        let few = i64::try_from(NARROW).unwrap_or(i64::MAX);
        // Where few are active, they are counted themselves.
        if status == Only(Active) {
            query.push("CASE WHEN few.n <= ").push_bind(few);
            query.push(" THEN few.n ELSE ");
        }
        let (counted, sign): (&[_], _) = match status {
            Only(Inactive) => (&[Inactive], " + "),
            Only(Expired) => (&[Expired], " + "),
            AllBut(Active) => (&[Inactive, Expired], " + "),
            Only(Active) => (&[Inactive, Expired], " - "),
            AllBut(Inactive) => (&[Inactive], " - "),
            AllBut(Expired) => (&[Expired], " - "),
        };
        if sign == " - " {
            query
                .push("(SELECT telephony_credential_count FROM accounts WHERE id = ")
                .push_bind(self.account.to_string())
                .push(")");
        } else {
            query.push("0");
        }
        for status in counted {
            let filter = TelephonyCredentialFilter {
                status: Some(Only(*status)),
                ..TelephonyCredentialFilter::default()
            };
            query
                .push(sign)
                .push("(SELECT COUNT(*) FROM telephony_credentials");
            let wanted = Wanted {
                filter: &filter,
                ..*self
            };
            wanted.narrow(&mut query);
            query.push(")");
        }
        if status == Only(Active) {
            query.push(" END FROM (SELECT (SELECT COUNT(*) FROM (SELECT 1 AS one");
            self.active_without_end(&mut query);
            query.push(" LIMIT ").push_bind(few.saturating_add(1));
            query.push(") AS a) + (SELECT COUNT(*) FROM (SELECT 1 AS one");
            self.active_before_end(&mut query);
            query.push(" LIMIT ").push_bind(few.saturating_add(1));
            query.push(") AS b) AS n) AS few");
        }
        query
    }

    pub(crate) fn list_query(&self, total: u64, walk: Walk) -> QueryBuilder {
        const NEWEST_FIRST: &str = " ORDER BY created_at DESC, id DESC";
        let few = self.by_state_alone() && total <= NARROW;
        let (walked, sorted) = if walk.backwards {
            (" ORDER BY created_at, id", " ORDER BY created_at + 0, id")
        } else {
            (
                NEWEST_FIRST,
                // No index has this order: the few are found by their state, and sorted then.
                " ORDER BY created_at + 0 DESC, id DESC",
            )
        };
        match self.filter.status {
            Some(StatusFilter::Only(TelephonyCredentialStatus::Active)) if few => {
                let mut query = QueryBuilder::new(
                    "SELECT * FROM telephony_credentials WHERE id IN
                     (SELECT id FROM (SELECT id, created_at",
                );
                self.active_without_end(&mut query);
                query.push(" UNION ALL SELECT id, created_at");
                self.active_before_end(&mut query);
                query.push(") AS active").push(walked);
                query.push(" LIMIT ").push_bind(walk.limit);
                query.push(" OFFSET ").push_bind(walk.offset).push(")");
                query.push(NEWEST_FIRST);
                query
            }
            Some(StatusFilter::Only(TelephonyCredentialStatus::Expired)) if few => {
                page_query(TABLE, sorted, NEWEST_FIRST, walk, false, |query| {
                    self.narrow(query)
                })
            }
            Some(_) | None => {
                // With any condition, Postgres may take the index of the account and pass over the rest.
                let exact = *self.filter == TelephonyCredentialFilter::default();
                page_query(TABLE, walked, NEWEST_FIRST, walk, exact, |query| {
                    self.narrow(query)
                })
            }
        }
    }

    fn active_without_end(&self, query: &mut QueryBuilder) {
        query
            .push(" FROM telephony_credentials WHERE account_id = ")
            .push_bind(self.account.to_string())
            .push(" AND expires_at IS NULL AND active = TRUE");
    }

    fn active_before_end(&self, query: &mut QueryBuilder) {
        query
            .push(" FROM telephony_credentials WHERE account_id = ")
            .push_bind(self.account.to_string());
        query
            .push(" AND expires_at > ")
            .push_bind(self.now.as_micros())
            .push(" AND active = TRUE");
    }

    fn narrow(&self, query: &mut QueryBuilder) {
        query
            .push(" WHERE account_id = ")
            .push_bind(self.account.to_string());
        let mut chosen = false;
        let mut choose = |first: &'static str, further: &'static str| {
            if std::mem::replace(&mut chosen, true) {
                further
            } else {
                first
            }
        };
        if let Some(name) = &self.filter.sip_username {
            query
                .push(choose(" AND sip_username_folded = ", ""))
                .push_bind(fold(name));
            query.push(" AND sip_username = ").push_bind(name.clone());
        }
        if let Some(tag) = &self.filter.tag {
            query
                .push(choose(" AND tag = ", " AND tag || '' = "))
                .push_bind(tag.clone());
        }
        if let Some(name) = &self.filter.name {
            query
                .push(choose(" AND name = ", " AND name || '' = "))
                .push_bind(name.clone());
        }
        if let Some(connection) = self.filter.connection {
            query
                .push(choose(" AND connection_id = ", " AND connection_id + 0 = "))
                .push_bind(connection.as_i64());
        }
        let now = self.now.as_micros();
        match self.filter.status {
            Some(StatusFilter::Only(TelephonyCredentialStatus::Active)) => {
                query
                    .push(" AND active = TRUE AND (expires_at IS NULL OR expires_at > ")
                    .push_bind(now)
                    .push(")");
            }
            Some(StatusFilter::Only(TelephonyCredentialStatus::Expired)) => {
                query
                    .push(choose(" AND expires_at <= ", " AND expires_at + 0 <= "))
                    .push_bind(now);
            }
            Some(StatusFilter::Only(TelephonyCredentialStatus::Inactive)) => {
                query
                    .push(choose(" AND active = FALSE", " AND active <> TRUE"))
                    .push(" AND (expires_at IS NULL OR expires_at > ")
                    .push_bind(now)
                    .push(")");
            }
            // Two of three states are many rows; the index in the order of the list is walked.
            Some(StatusFilter::AllBut(TelephonyCredentialStatus::Active)) => {
                query
                    .push(" AND (active <> TRUE OR expires_at + 0 <= ")
                    .push_bind(now)
                    .push(")");
            }
            Some(StatusFilter::AllBut(TelephonyCredentialStatus::Inactive)) => {
                query
                    .push(" AND (active = TRUE OR expires_at + 0 <= ")
                    .push_bind(now)
                    .push(")");
            }
            Some(StatusFilter::AllBut(TelephonyCredentialStatus::Expired)) => {
                query
                    .push(" AND (expires_at IS NULL OR expires_at > ")
                    .push_bind(now)
                    .push(")");
            }
            None => {}
        }
    }
}

pub(crate) fn tag_count_query(account: AccountId) -> QueryBuilder {
    let mut query = QueryBuilder::new(
        "SELECT COUNT(DISTINCT tag) FROM telephony_credentials WHERE account_id = ",
    );
    query
        .push_bind(account.to_string())
        .push(" AND tag IS NOT NULL");
    query
}

pub(crate) fn tag_list_query(account: AccountId, page: Page) -> QueryBuilder {
    let mut query = QueryBuilder::new(
        "SELECT tag, COUNT(*) AS amount FROM telephony_credentials WHERE account_id = ",
    );
    query
        .push_bind(account.to_string())
        .push(" AND tag IS NOT NULL GROUP BY tag ORDER BY tag LIMIT ")
        .push_bind(page.limit());
    query.push(" OFFSET ").push_bind(page.offset());
    query
}

pub(crate) async fn find(
    conn: &mut Conn,
    inner: &Inner,
    account: AccountId,
    id: TelephonyCredentialId,
) -> Result<Option<TelephonyCredential>, StoreError> {
    let row = db::query("SELECT * FROM telephony_credentials WHERE id = $1 AND account_id = $2")
        .bind(id.to_string())
        .bind(account.to_string())
        .fetch_optional(conn)
        .await
        .map_err(StoreError::while_doing(READING))?;
    row.as_ref().map(|row| read(row, inner)).transpose()
}

pub(crate) fn read(row: &Row, inner: &Inner) -> Result<TelephonyCredential, StoreError> {
    let columns = Columns::new(row, TABLE, READING);
    let id: TelephonyCredentialId = columns.parse("id")?;
    let place = Place {
        table: TABLE,
        column: "sip_password",
        id: &id,
    };
    let key_id = columns.get("encryption_key_id")?;
    let sip_password = inner
        .open_text(place, key_id, columns.get("sip_password")?)
        .ok_or_else(|| inner.unopened(columns, "sip_password", key_id))?;
    Ok(TelephonyCredential {
        id,
        account: columns.parse("account_id")?,
        connection: CredentialConnectionId::from_i64(columns.get("connection_id")?),
        name: columns.get("name")?,
        tag: columns.get("tag")?,
        sip_username: columns.get("sip_username")?,
        sip_password,
        active: columns.get("active")?,
        expires_at: columns.time_optional("expires_at")?,
        created_at: columns.time("created_at")?,
        updated_at: columns.time("updated_at")?,
    })
}

async fn insert(
    conn: &mut Conn,
    credential: &TelephonyCredential,
    password: Sealed,
) -> Result<(), StoreError> {
    let account = credential.account;
    accounts::hold(conn, ADDING, account).await?;
    if let Some(tag) = &credential.tag {
        check_tag(conn, ADDING, account, tag).await?;
    }
    // The connection is looked up by its owner; if there is none, the null violates the column.
    let result = db::query(
        "INSERT INTO telephony_credentials
             (id, account_id, connection_id, name, tag, sip_username, sip_username_folded,
              sip_password, encryption_key_id, expires_at, created_at, updated_at)
         VALUES ($1, $2, (SELECT id FROM credential_connections WHERE id = $3 AND account_id = $2),
              $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(credential.id.to_string())
    .bind(account.to_string())
    .bind(credential.connection.as_i64())
    .bind(credential.name.clone())
    .bind(credential.tag.clone())
    .bind(credential.sip_username.clone())
    .bind(fold(&credential.sip_username))
    .bind(password.value)
    .bind(password.key_id)
    .bind(credential.expires_at.map(Timestamp::as_micros))
    .bind(credential.created_at.as_micros())
    .bind(credential.updated_at.as_micros())
    .execute(conn)
    .await;
    known_connection(ADDING, result.map(drop))
}

async fn update(
    conn: &mut Conn,
    inner: &Inner,
    account: AccountId,
    id: TelephonyCredentialId,
    patch: &TelephonyCredentialPatch,
    now: Timestamp,
) -> Result<Option<ChangedCredential>, StoreError> {
    accounts::hold(conn, CHANGING, account).await?;
    let Some(before) = find(conn, inner, account, id).await? else {
        return Ok(None);
    };
    check_not_expired(&before, now)?;
    let after = patch.applied_to(&before, now);
    if let Some(tag) = &after.tag
        && before.tag.as_ref() != Some(tag)
    {
        check_tag(conn, CHANGING, account, tag).await?;
    }
    let result = db::query(
        "UPDATE telephony_credentials
         SET connection_id = (SELECT id FROM credential_connections WHERE id = $3 AND account_id = $2),
             name = $4, tag = $5, expires_at = $6, updated_at = $7
         WHERE id = $1 AND account_id = $2",
    )
    .bind(id.to_string())
    .bind(account.to_string())
    .bind(after.connection.as_i64())
    .bind(after.name.clone())
    .bind(after.tag.clone())
    .bind(after.expires_at.map(Timestamp::as_micros))
    .bind(after.updated_at.as_micros())
    .execute(conn)
    .await;
    known_connection(CHANGING, result.map(drop))?;
    Ok(Some(ChangedCredential { before, after }))
}

async fn switch(
    conn: &mut Conn,
    inner: &Inner,
    account: AccountId,
    id: TelephonyCredentialId,
    active: bool,
    now: Timestamp,
) -> Result<Option<TelephonyCredential>, StoreError> {
    accounts::hold(conn, CHANGING, account).await?;
    let Some(before) = find(conn, inner, account, id).await? else {
        return Ok(None);
    };
    check_not_expired(&before, now)?;
    if before.active == active {
        return Ok(Some(before));
    }
    db::query(
        "UPDATE telephony_credentials SET active = $3, updated_at = $4
         WHERE id = $1 AND account_id = $2",
    )
    .bind(id.to_string())
    .bind(account.to_string())
    .bind(active)
    .bind(now.as_micros())
    .execute(conn)
    .await
    .map_err(StoreError::while_doing(CHANGING))?;
    Ok(Some(TelephonyCredential {
        active,
        updated_at: now,
        ..before
    }))
}

fn check_not_expired(credential: &TelephonyCredential, now: Timestamp) -> Result<(), StoreError> {
    if credential.expired_at(now) {
        return Err(StoreError::Refused(FieldError::new(
            "/status",
            FieldErrorKind::Terminal,
            "can't update credentials in expired status",
        )));
    }
    Ok(())
}

async fn delete(
    conn: &mut Conn,
    inner: &Inner,
    account: AccountId,
    id: TelephonyCredentialId,
) -> Result<Option<TelephonyCredential>, StoreError> {
    accounts::hold(conn, DELETING, account).await?;
    let row = db::query(
        "DELETE FROM telephony_credentials WHERE id = $1 AND account_id = $2 RETURNING *",
    )
    .bind(id.to_string())
    .bind(account.to_string())
    .fetch_optional(&mut *conn)
    .await
    .map_err(StoreError::while_doing(DELETING))?;
    row.map(|row| read(&row, inner)).transpose()
}

/// Refuses a tag that is full.
async fn check_tag(
    conn: &mut Conn,
    doing: &'static str,
    account: AccountId,
    tag: &str,
) -> Result<(), StoreError> {
    let held: i64 = db::query_scalar(
        "SELECT COUNT(*) FROM telephony_credentials WHERE account_id = $1 AND tag = $2",
    )
    .bind(account.to_string())
    .bind(tag.to_owned())
    .fetch_one(conn)
    .await
    .map_err(StoreError::while_doing(doing))?;
    if held < i64::from(MAX_CREDENTIALS_PER_TAG) {
        return Ok(());
    }
    Err(StoreError::Refused(FieldError::new(
        "/tag",
        FieldErrorKind::LimitReached,
        format!("A tag can hold at most {MAX_CREDENTIALS_PER_TAG} credentials."),
    )))
}

fn known_connection(
    doing: &'static str,
    result: Result<(), sqlx::Error>,
) -> Result<(), StoreError> {
    match result {
        Err(sqlx::Error::Database(error))
            if error.kind() == sqlx::error::ErrorKind::NotNullViolation =>
        {
            Err(StoreError::Refused(FieldError::no_such_resource(
                "/connection_id",
                "connection",
            )))
        }
        other => other.map_err(StoreError::while_doing(doing)),
    }
}
