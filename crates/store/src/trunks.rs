//! Trunks.

use std::sync::Arc;

use ringtrip_model::{
    AccountId, FieldError, FieldErrorKind, FieldErrors, NewTrunk, Timestamp, Trunk, TrunkId,
    TrunkSettings,
};

use crate::accounts::{self, Counter};
use crate::db::{self, Conn, QueryBuilder, Row, reader};
use crate::error::StoreError;
use crate::page::{Length, Listing, Page, Walk, can_match, contains_pattern, fold, page_query};
use crate::row::Columns;
use crate::seal::{Place, Sealed};
use crate::{Inner, Store};

const TABLE: &str = "trunks";
const READING: &str = "reading trunks";
const ADDING: &str = "adding a trunk";
const CHANGING: &str = "changing a trunk";
const DELETING: &str = "deleting a trunk";

/// What listed trunks have in common; everything set must match.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrunkFilter {
    /// A part of the trunk's name, whatever the case.
    pub name_contains: Option<String>,
    /// Whether it is enabled.
    pub enabled: Option<bool>,
}

/// What a list of trunks is sorted by; trunks that are alike in it, by their id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrunkSort {
    /// When it was made.
    CreatedAt,
    /// The name, whatever the case.
    Name,
    /// The priority.
    Priority,
    /// Whether it is enabled; disabled ones come first.
    Enabled,
}

/// The order of a list of trunks. By default the newest is first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrunkOrder {
    /// What counts.
    pub by: TrunkSort,
    /// Whether the greatest is first.
    pub descending: bool,
}

impl Default for TrunkOrder {
    fn default() -> Self {
        Self {
            by: TrunkSort::CreatedAt,
            descending: true,
        }
    }
}

impl TrunkOrder {
    const fn sql(self) -> &'static str {
        match (self.by, self.descending) {
            (TrunkSort::CreatedAt, false) => " ORDER BY created_at, id",
            (TrunkSort::CreatedAt, true) => " ORDER BY created_at DESC, id DESC",
            (TrunkSort::Name, false) => " ORDER BY name_folded, id",
            (TrunkSort::Name, true) => " ORDER BY name_folded DESC, id DESC",
            (TrunkSort::Priority, false) => " ORDER BY priority, id",
            (TrunkSort::Priority, true) => " ORDER BY priority DESC, id DESC",
            (TrunkSort::Enabled, false) => " ORDER BY enabled, id",
            (TrunkSort::Enabled, true) => " ORDER BY enabled DESC, id DESC",
        }
    }

    const fn reversed(self) -> Self {
        Self {
            by: self.by,
            descending: !self.descending,
        }
    }
}

impl Store {
    /// Adds a trunk.
    ///
    /// # Errors
    /// Refuses a name that another trunk of the account has, whatever its case.
    pub async fn insert_trunk(&self, new: NewTrunk) -> Result<Trunk, StoreError> {
        let trunk = new.into_trunk();
        let sealing = Arc::clone(&self.inner);
        self.write(
            ADDING,
            move |conn| {
                Box::pin(async move {
                    insert(conn, &sealing, &trunk).await?;
                    Ok(trunk)
                })
            },
            |_| {},
        )
        .await
    }

    /// Reads a trunk of an account.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn trunk(
        &self,
        account: AccountId,
        id: TrunkId,
    ) -> Result<Option<Trunk>, StoreError> {
        let mut conn = reader(&self.inner.pool, READING).await?;
        find(&mut conn, &self.inner, account, id).await
    }

    /// Changes a trunk of an account, and returns it as it is then. `change` gets the trunk as it is,
    /// within the transaction that writes it back, so nothing is lost between two changes at the same
    /// time; it may set everything but id, account and times, which stay.
    ///
    /// # Errors
    /// What `change` returns, or finds after it when the whole is checked, as
    /// [`StoreError::Invalid`]. Refuses a name that another trunk of the account has.
    pub async fn update_trunk<F>(
        &self,
        account: AccountId,
        id: TrunkId,
        now: Timestamp,
        change: F,
    ) -> Result<Option<Trunk>, StoreError>
    where
        F: FnOnce(&mut Trunk) -> Result<(), FieldErrors> + Send + 'static,
    {
        let sealing = Arc::clone(&self.inner);
        self.write(
            CHANGING,
            move |conn| {
                Box::pin(async move { update(conn, &sealing, account, id, now, change).await })
            },
            |_| {},
        )
        .await
    }

    /// Deletes a trunk of an account and returns it as it was.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn delete_trunk(
        &self,
        account: AccountId,
        id: TrunkId,
    ) -> Result<Option<Trunk>, StoreError> {
        let reading = Arc::clone(&self.inner);
        self.write(
            DELETING,
            move |conn| Box::pin(async move { delete(conn, &reading, account, id).await }),
            |_| {},
        )
        .await
    }

    /// Lists an account's trunks.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn list_trunks(
        &self,
        account: AccountId,
        filter: TrunkFilter,
        order: TrunkOrder,
        page: Page,
    ) -> Result<Listing<Trunk>, StoreError> {
        if filter
            .name_contains
            .as_deref()
            .is_some_and(|text| !can_match(text))
        {
            return Ok(Listing::empty());
        }
        let length = if filter == TrunkFilter::default() {
            Length::Counted(Counter::Trunks)
        } else {
            Length::Sought(count_query(account, &filter))
        };
        let part = |_, walk| list_query(account, &filter, order, walk);
        let read = |row: &_| read(row, &self.inner);
        self.list(READING, account, length, page, part, read).await
    }
}

fn narrow(query: &mut QueryBuilder, account: AccountId, filter: &TrunkFilter) {
    query
        .push(" WHERE account_id = ")
        .push_bind(account.to_string());
    if let Some(part) = &filter.name_contains {
        query
            .push(" AND name_folded LIKE ")
            .push_bind(contains_pattern(&fold(part)))
            .push(r" ESCAPE '\'");
    }
    match filter.enabled {
        Some(true) => query.push(" AND enabled = TRUE"),
        Some(false) => query.push(" AND enabled = FALSE"),
        None => query,
    };
}

pub(crate) fn count_query(account: AccountId, filter: &TrunkFilter) -> QueryBuilder {
    let mut query = QueryBuilder::new("SELECT COUNT(*) FROM trunks");
    narrow(&mut query, account, filter);
    query
}

pub(crate) fn list_query(
    account: AccountId,
    filter: &TrunkFilter,
    order: TrunkOrder,
    walk: Walk,
) -> QueryBuilder {
    let walked = if walk.backwards {
        order.reversed()
    } else {
        order
    };
    let exact = *filter == TrunkFilter::default();
    page_query(TABLE, walked.sql(), order.sql(), walk, exact, |query| {
        narrow(query, account, filter);
    })
}

async fn find(
    conn: &mut Conn,
    inner: &Inner,
    account: AccountId,
    id: TrunkId,
) -> Result<Option<Trunk>, StoreError> {
    let row = db::query("SELECT * FROM trunks WHERE id = $1 AND account_id = $2")
        .bind(id.as_i64())
        .bind(account.to_string())
        .fetch_optional(conn)
        .await
        .map_err(StoreError::while_doing(READING))?;
    row.as_ref().map(|row| read(row, inner)).transpose()
}

fn read(row: &Row, inner: &Inner) -> Result<Trunk, StoreError> {
    let columns = Columns::new(row, TABLE, READING);
    let id = TrunkId::from_i64(columns.get("id")?);
    let place = Place {
        table: TABLE,
        column: "auth_password",
        id: &id,
    };
    let auth_password = match columns.get::<Option<&[u8]>>("auth_password")? {
        Some(sealed) => {
            let key_id = columns.get("encryption_key_id")?;
            let opened = inner.open_text(place, key_id, sealed);
            Some(opened.ok_or_else(|| inner.unopened(columns, "auth_password", key_id))?)
        }
        None => None,
    };
    let mut settings: TrunkSettings = serde_json::from_str(columns.get("settings")?)
        .map_err(|_| columns.malformed("settings"))?;
    settings.enabled = columns.get("enabled")?;
    settings.priority = u32::try_from(columns.get::<i64>("priority")?)
        .map_err(|_| columns.malformed("priority"))?;
    Ok(Trunk {
        id,
        account: columns.parse("account_id")?,
        name: columns.get("name")?,
        auth_password,
        settings,
        created_at: columns.time("created_at")?,
        updated_at: columns.time("updated_at")?,
    })
}

async fn insert(conn: &mut Conn, inner: &Inner, trunk: &Trunk) -> Result<(), StoreError> {
    accounts::hold(conn, ADDING, trunk.account).await?;
    let (password, password_key) = sealed_password(inner, trunk);
    let result = db::query(
        "INSERT INTO trunks
             (id, account_id, name, name_folded, enabled, priority, auth_password, encryption_key_id,
              settings, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(trunk.id.as_i64())
    .bind(trunk.account.to_string())
    .bind(trunk.name.clone())
    .bind(fold(&trunk.name))
    .bind(trunk.settings.enabled)
    .bind(i64::from(trunk.settings.priority))
    .bind(password)
    .bind(password_key)
    .bind(settings_text(&trunk.settings))
    .bind(trunk.created_at.as_micros())
    .bind(trunk.updated_at.as_micros())
    .execute(conn)
    .await;
    free_name(ADDING, result.map(drop))
}

async fn update(
    conn: &mut Conn,
    inner: &Inner,
    account: AccountId,
    id: TrunkId,
    now: Timestamp,
    change: impl FnOnce(&mut Trunk) -> Result<(), FieldErrors>,
) -> Result<Option<Trunk>, StoreError> {
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
    let (password, password_key) = sealed_password(inner, &after);
    let result = db::query(
        "UPDATE trunks
         SET name = $3, name_folded = $4, enabled = $5, priority = $6, auth_password = $7,
             encryption_key_id = $8, settings = $9, updated_at = $10
         WHERE id = $1 AND account_id = $2",
    )
    .bind(id.as_i64())
    .bind(account.to_string())
    .bind(after.name.clone())
    .bind(fold(&after.name))
    .bind(after.settings.enabled)
    .bind(i64::from(after.settings.priority))
    .bind(password)
    .bind(password_key)
    .bind(settings_text(&after.settings))
    .bind(after.updated_at.as_micros())
    .execute(conn)
    .await;
    free_name(CHANGING, result.map(drop))?;
    Ok(Some(after))
}

async fn delete(
    conn: &mut Conn,
    inner: &Inner,
    account: AccountId,
    id: TrunkId,
) -> Result<Option<Trunk>, StoreError> {
    accounts::hold(conn, DELETING, account).await?;
    let row = db::query("DELETE FROM trunks WHERE id = $1 AND account_id = $2 RETURNING *")
        .bind(id.as_i64())
        .bind(account.to_string())
        .fetch_optional(conn)
        .await
        .map_err(StoreError::while_doing(DELETING))?;
    row.map(|row| read(&row, inner)).transpose()
}

/// Seals the password, if there is one; beside it, the id of the key that did.
fn sealed_password(inner: &Inner, trunk: &Trunk) -> (Option<Vec<u8>>, Option<String>) {
    let place = Place {
        table: TABLE,
        column: "auth_password",
        id: &trunk.id,
    };
    let password = trunk.auth_password.as_ref();
    let sealed = password.map(|password| inner.seal(place, password.expose().as_bytes()));
    sealed
        .map(|Sealed { key_id, value }| (value, key_id))
        .unzip()
}

fn settings_text(settings: &TrunkSettings) -> String {
    serde_json::to_string(settings).expect("settings have text keys and plain values")
}

fn free_name(doing: &'static str, result: Result<(), sqlx::Error>) -> Result<(), StoreError> {
    match result {
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
            Err(StoreError::Refused(FieldError::new(
                "/name",
                FieldErrorKind::Duplicate,
                "Another trunk of the account has this name.",
            )))
        }
        Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => {
            Err(StoreError::UnknownAccount)
        }
        other => other.map_err(StoreError::while_doing(doing)),
    }
}
