//! Generated SIP users.

use std::sync::Arc;

use ringtrip_model::{
    AccountId, CredentialConnectionId, FieldError, FieldErrorKind, MAX_CREDENTIALS_PER_TAG,
    NewTelephonyCredential, TelephonyCredential, TelephonyCredentialId, TelephonyCredentialPatch,
    TelephonyCredentialStatus, Timestamp,
};

use crate::accounts::{self, Counter};
use crate::cache::Found;
use crate::db::{self, Conn, QueryBuilder, Row, reader, snapshot};
use crate::error::StoreError;
use crate::page::{Listing, Page, can_match, fold};
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
    pub status: Option<TelephonyCredentialStatus>,
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
        let failed = StoreError::while_doing(READING);
        let TelephonyCredentialFilter {
            tag,
            name,
            sip_username,
            connection,
            status,
        } = &filter;
        let texts = [tag, name, sip_username];
        if *status == Some(TelephonyCredentialStatus::Inactive)
            || texts.into_iter().flatten().any(|text| !can_match(text))
        {
            return Ok(Listing::empty());
        }
        let narrowed = |mut query: QueryBuilder| {
            query
                .push(" WHERE account_id = ")
                .push_bind(account.to_string());
            if let Some(tag) = tag {
                query.push(" AND tag = ").push_bind(tag.clone());
            }
            if let Some(name) = name {
                query.push(" AND name = ").push_bind(name.clone());
            }
            if let Some(user) = sip_username {
                // The folded column has the index, the other one the exact spelling.
                query
                    .push(" AND sip_username_folded = ")
                    .push_bind(fold(user));
                query.push(" AND sip_username = ").push_bind(user.clone());
            }
            if let Some(connection) = connection {
                query
                    .push(" AND connection_id = ")
                    .push_bind(connection.as_i64());
            }
            match status {
                Some(TelephonyCredentialStatus::Active) => {
                    query.push(" AND (expires_at IS NULL OR expires_at > ");
                    query.push_bind(now.as_micros()).push(")");
                }
                Some(TelephonyCredentialStatus::Expired) => {
                    query.push(" AND expires_at <= ").push_bind(now.as_micros());
                }
                Some(TelephonyCredentialStatus::Inactive) | None => {}
            }
            query
        };
        // One transaction, so that the page and the count are of the same instant.
        let mut snapshot = snapshot(&self.inner.pool, READING).await?;
        let total = if filter == TelephonyCredentialFilter::default() {
            accounts::counted(
                &mut snapshot,
                READING,
                account,
                Counter::TelephonyCredentials,
            )
            .await?
        } else {
            let query = narrowed(QueryBuilder::new(
                "SELECT COUNT(*) FROM telephony_credentials",
            ));
            let total = query
                .build_query_scalar()
                .fetch_one(&mut snapshot)
                .await
                .map_err(failed)?;
            row::count(total)
        };
        let mut query = narrowed(QueryBuilder::new("SELECT * FROM telephony_credentials"));
        query
            .push(" ORDER BY created_at DESC, id DESC LIMIT ")
            .push_bind(page.limit());
        query.push(" OFFSET ").push_bind(page.offset());
        let rows = query
            .build()
            .fetch_all(&mut snapshot)
            .await
            .map_err(failed)?;
        snapshot.rollback().await.map_err(failed)?;
        let items = rows
            .iter()
            .map(|row| read(row, &self.inner))
            .collect::<Result<_, _>>()?;
        Ok(Listing { items, total })
    }
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
    let sip_password = inner
        .open_text(
            place,
            columns.get("encryption_key_id")?,
            columns.get("sip_password")?,
        )
        .ok_or_else(|| columns.unsealable("sip_password"))?;
    Ok(TelephonyCredential {
        id,
        account: columns.parse("account_id")?,
        connection: CredentialConnectionId::from_i64(columns.get("connection_id")?),
        name: columns.get("name")?,
        tag: columns.get("tag")?,
        sip_username: columns.get("sip_username")?,
        sip_password,
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
    if let Some(tag) = &credential.tag {
        accounts::hold(conn, ADDING, account).await?;
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
    if before.expired_at(now) {
        return Err(StoreError::Refused(FieldError::new(
            "/status",
            FieldErrorKind::Terminal,
            "can't update credentials in expired status",
        )));
    }
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

async fn delete(
    conn: &mut Conn,
    inner: &Inner,
    account: AccountId,
    id: TelephonyCredentialId,
) -> Result<Option<TelephonyCredential>, StoreError> {
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
