//! Credential connections.

use std::sync::Arc;

use ringtrip_model::{
    AccountId, ConnectionSettings, CredentialConnection, CredentialConnectionId, FieldError,
    FieldErrorKind, FieldErrors, MobilePushCredentialId, NewCredentialConnection,
    OutboundVoiceProfileId, PushPlatform, Timestamp,
};

use crate::accounts::{self, Counter};
use crate::cache::Found;
use crate::db::{self, Conn, QueryBuilder, Row, reader};
use crate::error::StoreError;
use crate::mobile_push_credentials;
use crate::outbound_voice_profiles;
use crate::page::{
    Length, Listing, NARROW, Page, Walk, can_match, contains_pattern, fold, page_query,
};
use crate::row::Columns;
use crate::seal::{Place, Sealed};
use crate::{Inner, Store};

pub(crate) const TABLE: &str = "credential_connections";
const READING: &str = "reading credential connections";
const ADDING: &str = "adding a credential connection";
const CHANGING: &str = "changing a credential connection";
const DELETING: &str = "deleting a credential connection";

/// What listed connections have in common; everything set must match.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CredentialConnectionFilter {
    /// A part of the connection's name, whatever the case.
    pub connection_name_contains: Option<String>,
    /// The outbound voice profile.
    pub outbound_voice_profile_id: Option<OutboundVoiceProfileId>,
}

/// What a list of connections is sorted by; connections that are alike in it, by their id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialConnectionSort {
    /// When it was made.
    CreatedAt,
    /// The name, whatever the case.
    ConnectionName,
    /// Whether it is active; inactive ones come first.
    Active,
}

/// The order of a list of connections. By default the newest is first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CredentialConnectionOrder {
    /// What counts.
    pub by: CredentialConnectionSort,
    /// Whether the greatest is first.
    pub descending: bool,
}

impl Default for CredentialConnectionOrder {
    fn default() -> Self {
        Self {
            by: CredentialConnectionSort::CreatedAt,
            descending: true,
        }
    }
}

impl CredentialConnectionOrder {
    const fn sql(self) -> &'static str {
        match (self.by, self.descending) {
            (CredentialConnectionSort::CreatedAt, false) => " ORDER BY created_at, id",
            (CredentialConnectionSort::CreatedAt, true) => " ORDER BY created_at DESC, id DESC",
            (CredentialConnectionSort::ConnectionName, false) => {
                " ORDER BY connection_name_folded, id"
            }
            (CredentialConnectionSort::ConnectionName, true) => {
                " ORDER BY connection_name_folded DESC, id DESC"
            }
            (CredentialConnectionSort::Active, false) => " ORDER BY active, id",
            (CredentialConnectionSort::Active, true) => " ORDER BY active DESC, id DESC",
        }
    }

    /// The same order, written so that no index has it: few rows are found first, and sorted then.
    const fn sorting_sql(self) -> &'static str {
        match (self.by, self.descending) {
            (CredentialConnectionSort::CreatedAt, _) => self.sql(),
            (CredentialConnectionSort::ConnectionName, false) => {
                " ORDER BY connection_name_folded || '', id"
            }
            (CredentialConnectionSort::ConnectionName, true) => {
                " ORDER BY connection_name_folded || '' DESC, id DESC"
            }
            (CredentialConnectionSort::Active, false) => {
                " ORDER BY CASE WHEN active THEN 1 ELSE 0 END, id"
            }
            (CredentialConnectionSort::Active, true) => {
                " ORDER BY CASE WHEN active THEN 1 ELSE 0 END DESC, id DESC"
            }
        }
    }

    const fn reversed(self) -> Self {
        Self {
            by: self.by,
            descending: !self.descending,
        }
    }
}

/// A connection before and after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedConnection {
    /// As it was.
    pub before: CredentialConnection,
    /// As it is.
    pub after: CredentialConnection,
}

impl Store {
    /// Adds a connection.
    ///
    /// # Errors
    /// Refuses a user name that any connection has, whatever its case, and a profile that does not
    /// exist.
    pub async fn insert_credential_connection(
        &self,
        new: NewCredentialConnection,
    ) -> Result<CredentialConnection, StoreError> {
        let connection = new.into_connection();
        let (sealing, settling) = (Arc::clone(&self.inner), Arc::clone(&self.inner));
        self.write(
            ADDING,
            move |conn| {
                Box::pin(async move {
                    insert(conn, &sealing, &connection).await?;
                    Ok(connection)
                })
            },
            move |added| {
                if let Some(added) = added {
                    settling.connections.put(added.id, Arc::new(added.clone()));
                }
            },
        )
        .await
    }

    /// Reads a connection of an account.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn credential_connection(
        &self,
        account: AccountId,
        id: CredentialConnectionId,
    ) -> Result<Option<CredentialConnection>, StoreError> {
        let ticket = match self.inner.connections.get(&id) {
            Found::Ready(known) => {
                return Ok((known.account == account).then(|| known.as_ref().clone()));
            }
            Found::Missing(ticket) => ticket,
        };
        let mut conn = reader(&self.inner.pool, READING).await?;
        let found = find(&mut conn, &self.inner, account, id)
            .await?
            .map(Arc::new);
        self.inner.connections.fill(&id, ticket, found.as_ref());
        Ok(found.map(Arc::unwrap_or_clone))
    }

    /// Changes a connection of an account. `change` gets the connection as it is, within the
    /// transaction that writes it back, so nothing is lost between two changes at the same time; it
    /// may set everything but id, account and times, which stay.
    ///
    /// # Errors
    /// What `change` returns, or finds after it when the whole is checked, as
    /// [`StoreError::Invalid`]. Refuses a user name that another connection has and a profile that
    /// does not exist.
    pub async fn update_credential_connection<F>(
        &self,
        account: AccountId,
        id: CredentialConnectionId,
        now: Timestamp,
        change: F,
    ) -> Result<Option<ChangedConnection>, StoreError>
    where
        F: FnOnce(&mut CredentialConnection) -> Result<(), FieldErrors> + Send + 'static,
    {
        let (sealing, settling) = (Arc::clone(&self.inner), Arc::clone(&self.inner));
        self.write(
            CHANGING,
            move |conn| {
                Box::pin(async move { update(conn, &sealing, account, id, now, change).await })
            },
            move |changed| match changed {
                Some(Some(changed)) => settling
                    .connections
                    .put(id, Arc::new(changed.after.clone())),
                Some(None) => {}
                None => settling.connections.remove(&id),
            },
        )
        .await
    }

    /// Deletes a connection of an account with every credential under it, and returns it as it was.
    /// From the moment this returns none of them is found anywhere.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn delete_credential_connection(
        &self,
        account: AccountId,
        id: CredentialConnectionId,
    ) -> Result<Option<CredentialConnection>, StoreError> {
        let (reading, settling) = (Arc::clone(&self.inner), Arc::clone(&self.inner));
        self.write(
            DELETING,
            move |conn| Box::pin(async move { delete(conn, &reading, account, id).await }),
            move |deleted| match deleted {
                Some(Some(_)) | None => {
                    settling.connections.remove(&id);
                    settling
                        .credentials
                        .retain(|credential| credential.connection != id);
                }
                Some(None) => {}
            },
        )
        .await
    }

    /// Lists an account's connections.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn list_credential_connections(
        &self,
        account: AccountId,
        filter: CredentialConnectionFilter,
        order: CredentialConnectionOrder,
        page: Page,
    ) -> Result<Listing<CredentialConnection>, StoreError> {
        if filter
            .connection_name_contains
            .as_deref()
            .is_some_and(|text| !can_match(text))
        {
            return Ok(Listing::empty());
        }
        let length = if filter == CredentialConnectionFilter::default() {
            Length::Counted(Counter::CredentialConnections)
        } else if filter.outbound_voice_profile_id.is_some() {
            Length::First(count_query(account, &filter))
        } else {
            Length::Sought(count_query(account, &filter))
        };
        let part = |total, walk| list_query(account, &filter, order, total, walk);
        let read = |row: &_| read(row, &self.inner);
        self.list(READING, account, length, page, part, read).await
    }
}

fn narrow(
    query: &mut QueryBuilder,
    account: AccountId,
    filter: &CredentialConnectionFilter,
    by_profile: bool,
) {
    query
        .push(" WHERE account_id = ")
        .push_bind(account.to_string());
    if let Some(part) = &filter.connection_name_contains {
        query.push(" AND connection_name_folded LIKE ");
        query
            .push_bind(contains_pattern(&fold(part)))
            .push(r" ESCAPE '\'");
    }
    if let Some(profile) = filter.outbound_voice_profile_id {
        // The sum keeps the index by profile out, where another has the order of the list.
        query.push(if by_profile {
            " AND outbound_voice_profile_id = "
        } else {
            " AND outbound_voice_profile_id + 0 = "
        });
        query.push_bind(profile.as_i64());
    }
}

pub(crate) fn count_query(account: AccountId, filter: &CredentialConnectionFilter) -> QueryBuilder {
    let mut query = QueryBuilder::new("SELECT COUNT(*) FROM credential_connections");
    narrow(&mut query, account, filter, true);
    query
}

/// Makes the query of a page. The few connections of a profile are found by it; of many, the index that has the
/// order of the list is walked.
pub(crate) fn list_query(
    account: AccountId,
    filter: &CredentialConnectionFilter,
    order: CredentialConnectionOrder,
    total: u64,
    walk: Walk,
) -> QueryBuilder {
    let walked = if walk.backwards {
        order.reversed()
    } else {
        order
    };
    let few = filter.outbound_voice_profile_id.is_some() && total <= NARROW;
    let in_order = order.by == CredentialConnectionSort::CreatedAt;
    let walked = if few && !in_order {
        walked.sorting_sql()
    } else {
        walked.sql()
    };
    let exact = *filter == CredentialConnectionFilter::default();
    page_query(TABLE, walked, order.sql(), walk, exact, |query| {
        narrow(query, account, filter, few || in_order);
    })
}

async fn find(
    conn: &mut Conn,
    inner: &Inner,
    account: AccountId,
    id: CredentialConnectionId,
) -> Result<Option<CredentialConnection>, StoreError> {
    let row = db::query("SELECT * FROM credential_connections WHERE id = $1 AND account_id = $2")
        .bind(id.as_i64())
        .bind(account.to_string())
        .fetch_optional(conn)
        .await
        .map_err(StoreError::while_doing(READING))?;
    row.as_ref().map(|row| read(row, inner)).transpose()
}

pub(crate) fn read(row: &Row, inner: &Inner) -> Result<CredentialConnection, StoreError> {
    let columns = Columns::new(row, TABLE, READING);
    let id = CredentialConnectionId::from_i64(columns.get("id")?);
    let place = Place {
        table: TABLE,
        column: "password",
        id: &id,
    };
    let key_id = columns.get("encryption_key_id")?;
    let password = inner
        .open_text(place, key_id, columns.get("password")?)
        .ok_or_else(|| inner.unopened(columns, "password", key_id))?;
    let mut settings: ConnectionSettings = serde_json::from_str(columns.get("settings")?)
        .map_err(|_| columns.malformed("settings"))?;
    settings.active = columns.get("active")?;
    settings.outbound.outbound_voice_profile_id = columns
        .get::<Option<i64>>("outbound_voice_profile_id")?
        .map(OutboundVoiceProfileId::from_i64);
    settings.ios_push_credential_id = columns.parse_optional("ios_push_credential_id")?;
    settings.android_push_credential_id = columns.parse_optional("android_push_credential_id")?;
    Ok(CredentialConnection {
        id,
        account: columns.parse("account_id")?,
        connection_name: columns.get("connection_name")?,
        user_name: columns.get("user_name")?,
        password,
        settings,
        created_at: columns.time("created_at")?,
        updated_at: columns.time("updated_at")?,
    })
}

async fn insert(
    conn: &mut Conn,
    inner: &Inner,
    connection: &CredentialConnection,
) -> Result<(), StoreError> {
    accounts::hold(conn, ADDING, connection.account).await?;
    check_profile(conn, ADDING, connection).await?;
    check_push(conn, ADDING, connection.account, &connection.settings, None).await?;
    let password = sealed_password(inner, connection);
    let result = db::query(
        "INSERT INTO credential_connections
             (id, account_id, connection_name, connection_name_folded, user_name, user_name_folded,
              password, encryption_key_id, active, outbound_voice_profile_id, settings, created_at,
              updated_at, ios_push_credential_id, android_push_credential_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
    )
    .bind(connection.id.as_i64())
    .bind(connection.account.to_string())
    .bind(connection.connection_name.clone())
    .bind(fold(&connection.connection_name))
    .bind(connection.user_name.clone())
    .bind(fold(&connection.user_name))
    .bind(password.value)
    .bind(password.key_id)
    .bind(connection.settings.active)
    .bind(profile_number(&connection.settings))
    .bind(settings_text(&connection.settings))
    .bind(connection.created_at.as_micros())
    .bind(connection.updated_at.as_micros())
    .bind(settings_push(&connection.settings, PushPlatform::Ios))
    .bind(settings_push(&connection.settings, PushPlatform::Android))
    .execute(conn)
    .await;
    free_user_name(ADDING, result.map(drop))
}

async fn update(
    conn: &mut Conn,
    inner: &Inner,
    account: AccountId,
    id: CredentialConnectionId,
    now: Timestamp,
    change: impl FnOnce(&mut CredentialConnection) -> Result<(), FieldErrors>,
) -> Result<Option<ChangedConnection>, StoreError> {
    accounts::hold(conn, CHANGING, account).await?;
    let Some(before) = find(conn, inner, account, id).await? else {
        return Ok(None);
    };
    let mut after = before.clone();
    change(&mut after).map_err(StoreError::Invalid)?;
    after.id = id;
    after.account = account;
    after.created_at = before.created_at;
    after.updated_at = now;
    let faults = after.normalize_and_validate();
    if !faults.is_empty() {
        return Err(StoreError::Invalid(FieldErrors(faults)));
    }
    if after.settings.outbound.outbound_voice_profile_id
        != before.settings.outbound.outbound_voice_profile_id
    {
        check_profile(conn, CHANGING, &after).await?;
    }
    check_push(
        conn,
        CHANGING,
        account,
        &after.settings,
        Some(&before.settings),
    )
    .await?;
    let password = sealed_password(inner, &after);
    let result = db::query(
        "UPDATE credential_connections
         SET connection_name = $3, connection_name_folded = $4, user_name = $5, user_name_folded = $6,
             password = $7, encryption_key_id = $8, active = $9, outbound_voice_profile_id = $10,
             settings = $11, updated_at = $12, ios_push_credential_id = $13,
             android_push_credential_id = $14
         WHERE id = $1 AND account_id = $2",
    )
    .bind(id.as_i64())
    .bind(account.to_string())
    .bind(after.connection_name.clone())
    .bind(fold(&after.connection_name))
    .bind(after.user_name.clone())
    .bind(fold(&after.user_name))
    .bind(password.value)
    .bind(password.key_id)
    .bind(after.settings.active)
    .bind(profile_number(&after.settings))
    .bind(settings_text(&after.settings))
    .bind(after.updated_at.as_micros())
    .bind(settings_push(&after.settings, PushPlatform::Ios))
    .bind(settings_push(&after.settings, PushPlatform::Android))
    .execute(conn)
    .await;
    free_user_name(CHANGING, result.map(drop))?;
    Ok(Some(ChangedConnection { before, after }))
}

async fn delete(
    conn: &mut Conn,
    inner: &Inner,
    account: AccountId,
    id: CredentialConnectionId,
) -> Result<Option<CredentialConnection>, StoreError> {
    let failed = StoreError::while_doing(DELETING);
    accounts::hold(conn, DELETING, account).await?;
    db::query("DELETE FROM telephony_credentials WHERE connection_id = $1 AND account_id = $2")
        .bind(id.as_i64())
        .bind(account.to_string())
        .execute(&mut *conn)
        .await
        .map_err(failed)?;
    let row = db::query(
        "DELETE FROM credential_connections WHERE id = $1 AND account_id = $2 RETURNING *",
    )
    .bind(id.as_i64())
    .bind(account.to_string())
    .fetch_optional(&mut *conn)
    .await
    .map_err(failed)?;
    row.map(|row| read(&row, inner)).transpose()
}

fn sealed_password(inner: &Inner, connection: &CredentialConnection) -> Sealed {
    inner.seal(
        Place {
            table: TABLE,
            column: "password",
            id: &connection.id,
        },
        connection.password.expose().as_bytes(),
    )
}

fn profile_number(settings: &ConnectionSettings) -> Option<i64> {
    settings
        .outbound
        .outbound_voice_profile_id
        .map(|profile| profile.as_i64())
}

fn settings_text(settings: &ConnectionSettings) -> String {
    serde_json::to_string(settings).expect("settings have text keys and plain values")
}

/// Names the push credential that is set for a platform.
fn push_of(
    settings: &ConnectionSettings,
    platform: PushPlatform,
) -> Option<MobilePushCredentialId> {
    match platform {
        PushPlatform::Ios => settings.ios_push_credential_id,
        PushPlatform::Android => settings.android_push_credential_id,
    }
}

fn settings_push(settings: &ConnectionSettings, platform: PushPlatform) -> Option<String> {
    push_of(settings, platform).map(|id| id.to_string())
}

/// Refuses push credentials that the account does not have, or that are for other telephones.
async fn check_push(
    conn: &mut Conn,
    doing: &'static str,
    account: AccountId,
    settings: &ConnectionSettings,
    before: Option<&ConnectionSettings>,
) -> Result<(), StoreError> {
    for platform in [PushPlatform::Ios, PushPlatform::Android] {
        let asked = push_of(settings, platform);
        let had = before.and_then(|before| push_of(before, platform));
        if let Some(id) = asked
            && asked != had
        {
            mobile_push_credentials::check(conn, doing, account, platform, id).await?;
        }
    }
    Ok(())
}

/// Refuses a profile that is not the account's own. A connection without one needs no look.
async fn check_profile(
    conn: &mut Conn,
    doing: &'static str,
    connection: &CredentialConnection,
) -> Result<(), StoreError> {
    match connection.settings.outbound.outbound_voice_profile_id {
        Some(profile) => {
            outbound_voice_profiles::check_own(conn, doing, connection.account, profile).await
        }
        None => Ok(()),
    }
}

fn free_user_name(doing: &'static str, result: Result<(), sqlx::Error>) -> Result<(), StoreError> {
    match result {
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
            Err(StoreError::Refused(FieldError::new(
                "/user_name",
                FieldErrorKind::Duplicate,
                "Another connection has this user name.",
            )))
        }
        Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => {
            Err(StoreError::UnknownAccount)
        }
        other => other.map_err(StoreError::while_doing(doing)),
    }
}
