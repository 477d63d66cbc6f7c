//! Telephone numbers.

use ringtrip_model::{
    AccountId, Country, CredentialConnectionId, FieldError, FieldErrorKind, FieldErrors,
    NewPhoneNumber, NumberPaymentMethod, PhoneNumber, PhoneNumberId, PhoneNumberSettings,
    PhoneNumberType, Timestamp,
};
use uuid::Uuid;

use crate::Store;
use crate::accounts::{self, Counter};
use crate::db::{self, Conn, QueryBuilder, Row, reader};
use crate::error::StoreError;
use crate::page::{
    Length, Listing, Page, can_match, contains_pattern, ends_pattern, fold, starts_pattern,
};
use crate::row::Columns;

const TABLE: &str = "phone_numbers";
const READING: &str = "reading phone numbers";
const ADDING: &str = "adding a phone number";
const CHANGING: &str = "changing a phone number";
const DELETING: &str = "deleting a phone number";

/// A number with the name of its connection.
const SELECT: &str = "SELECT n.*, c.connection_name AS connection_name";
const FROM: &str =
    " FROM phone_numbers n LEFT JOIN credential_connections c ON c.id = n.connection_id";

/// What listed numbers have in common; everything set must match.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PhoneNumberFilter {
    /// A part of the number: digits, or `+` and the digits it begins with.
    pub phone_number: Option<String>,
    /// One of its tags.
    pub tag: Option<String>,
    /// Whether it has no tag at all.
    pub without_tags: bool,
    /// Its connection.
    pub connection: Option<CredentialConnectionId>,
    /// The name of its connection.
    pub connection_name: Option<NameMatch>,
    /// One of these is its country; an empty list matches nothing.
    pub countries: Option<Vec<Country>>,
    /// What kind of line it is.
    pub kind: Option<PhoneNumberType>,
    /// The customer's own reference.
    pub customer_reference: Option<String>,
    /// Its billing group, or that it has none.
    pub billing_group: Option<Option<Uuid>>,
    /// What its calls are counted by.
    pub usage_payment_method: Option<NumberPaymentMethod>,
}

/// How a name is looked for, whatever its case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameMatch {
    /// It is this.
    Equals(String),
    /// It holds this.
    Contains(String),
    /// It begins with this.
    StartsWith(String),
    /// It ends with this.
    EndsWith(String),
}

impl NameMatch {
    fn text(&self) -> &str {
        match self {
            Self::Equals(text)
            | Self::Contains(text)
            | Self::StartsWith(text)
            | Self::EndsWith(text) => text,
        }
    }

    fn pattern(&self) -> Option<String> {
        let text = fold(self.text());
        match self {
            Self::Equals(_) => None,
            Self::Contains(_) => Some(contains_pattern(&text)),
            Self::StartsWith(_) => Some(starts_pattern(&text)),
            Self::EndsWith(_) => Some(ends_pattern(&text)),
        }
    }
}

/// What a list of numbers is sorted by; numbers that are alike in it, by their id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhoneNumberSort {
    /// When it was made.
    CreatedAt,
    /// The number.
    PhoneNumber,
    /// The name of its connection, whatever the case; numbers without one come last.
    ConnectionName,
    /// What its calls are counted by.
    UsagePaymentMethod,
}

/// The order of a list of numbers. By default the newest is first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhoneNumberOrder {
    /// What counts.
    pub by: PhoneNumberSort,
    /// Whether the greatest is first.
    pub descending: bool,
}

impl Default for PhoneNumberOrder {
    fn default() -> Self {
        Self {
            by: PhoneNumberSort::CreatedAt,
            descending: true,
        }
    }
}

impl PhoneNumberOrder {
    const fn sql(self) -> &'static str {
        match (self.by, self.descending) {
            (PhoneNumberSort::CreatedAt, false) => " ORDER BY n.created_at, n.id",
            (PhoneNumberSort::CreatedAt, true) => " ORDER BY n.created_at DESC, n.id DESC",
            (PhoneNumberSort::PhoneNumber, false) => " ORDER BY n.phone_number",
            (PhoneNumberSort::PhoneNumber, true) => " ORDER BY n.phone_number DESC",
            (PhoneNumberSort::ConnectionName, false) => {
                " ORDER BY c.connection_name_folded NULLS LAST, n.id"
            }
            (PhoneNumberSort::ConnectionName, true) => {
                " ORDER BY c.connection_name_folded DESC NULLS LAST, n.id DESC"
            }
            (PhoneNumberSort::UsagePaymentMethod, false) => {
                " ORDER BY n.usage_payment_method, n.id"
            }
            (PhoneNumberSort::UsagePaymentMethod, true) => {
                " ORDER BY n.usage_payment_method DESC, n.id DESC"
            }
        }
    }
}

impl Store {
    /// Adds a number.
    ///
    /// # Errors
    /// Refuses a number that any account has, and a connection that does not exist or is somebody
    /// else's.
    pub async fn insert_phone_number(
        &self,
        new: NewPhoneNumber,
    ) -> Result<PhoneNumber, StoreError> {
        let mut number = new.into_phone_number();
        self.write(
            ADDING,
            move |conn| {
                Box::pin(async move {
                    insert(conn, &mut number).await?;
                    Ok(number)
                })
            },
            |_| {},
        )
        .await
    }

    /// Reads a number of an account.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn phone_number(
        &self,
        account: AccountId,
        id: PhoneNumberId,
    ) -> Result<Option<PhoneNumber>, StoreError> {
        let mut conn = reader(&self.inner.pool, READING).await?;
        find(&mut conn, account, id).await
    }

    /// Changes a number of an account. `change` gets the number as it is, within the transaction that
    /// writes it back; it may set its connection and its settings, and the rest stays.
    ///
    /// # Errors
    /// What `change` returns, or finds after it when the whole is checked, as
    /// [`StoreError::Invalid`]. Refuses a connection that does not exist or is somebody else's.
    pub async fn update_phone_number<F>(
        &self,
        account: AccountId,
        id: PhoneNumberId,
        now: Timestamp,
        change: F,
    ) -> Result<Option<PhoneNumber>, StoreError>
    where
        F: FnOnce(&mut PhoneNumber) -> Result<(), FieldErrors> + Send + 'static,
    {
        self.write(
            CHANGING,
            move |conn| Box::pin(async move { update(conn, account, id, now, change).await }),
            |_| {},
        )
        .await
    }

    /// Deletes a number of an account and returns it as it was.
    ///
    /// # Errors
    /// Refuses to delete one that is locked.
    pub async fn delete_phone_number(
        &self,
        account: AccountId,
        id: PhoneNumberId,
    ) -> Result<Option<PhoneNumber>, StoreError> {
        self.write(
            DELETING,
            move |conn| Box::pin(async move { delete(conn, account, id).await }),
            |_| {},
        )
        .await
    }

    /// Lists an account's numbers.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn list_phone_numbers(
        &self,
        account: AccountId,
        filter: PhoneNumberFilter,
        order: PhoneNumberOrder,
        page: Page,
    ) -> Result<Listing<PhoneNumber>, StoreError> {
        if !filter.can_match() {
            return Ok(Listing::empty());
        }
        let narrowed = |mut query: QueryBuilder| {
            query.push(FROM);
            filter.narrow(&mut query, account);
            query
        };
        let length = if filter == PhoneNumberFilter::default() {
            Length::Counted(Counter::PhoneNumbers)
        } else {
            Length::Query(narrowed(QueryBuilder::new("SELECT COUNT(*)")))
        };
        let part = |_, _| {
            let mut query = narrowed(QueryBuilder::new(SELECT));
            query.push(order.sql());
            page.push_onto(&mut query);
            query
        };
        self.list(READING, account, length, page, part, read).await
    }
}

impl PhoneNumberFilter {
    /// Tells whether any number can match at all.
    fn can_match(&self) -> bool {
        let name = self.connection_name.as_ref().map(NameMatch::text);
        let texts = [
            self.tag.as_deref(),
            self.customer_reference.as_deref(),
            name,
        ];
        let number = self.phone_number.as_deref();
        let digits = number.is_none_or(|text| {
            let digits = text.strip_prefix('+').unwrap_or(text);
            digits.len() <= 15 && digits.bytes().all(|b| b.is_ascii_digit())
        });
        digits
            && self.countries.as_ref().is_none_or(|list| !list.is_empty())
            && texts.into_iter().flatten().all(can_match)
    }

    fn narrow(&self, query: &mut QueryBuilder, account: AccountId) {
        let Self {
            phone_number,
            tag,
            without_tags,
            connection,
            connection_name,
            countries,
            kind,
            customer_reference,
            billing_group,
            usage_payment_method,
        } = self;
        query
            .push(" WHERE n.account_id = ")
            .push_bind(account.to_string());
        if let Some(text) = phone_number {
            let pattern = if text.starts_with('+') {
                starts_pattern(text)
            } else {
                contains_pattern(text)
            };
            query.push(" AND n.phone_number LIKE ").push_bind(pattern);
            query.push(r" ESCAPE '\'");
        }
        if let Some(tag) = tag {
            query
                .push(" AND n.id IN (SELECT phone_number_id FROM phone_number_tags WHERE account_id = ")
                .push_bind(account.to_string());
            query.push(" AND tag = ").push_bind(tag.clone()).push(")");
        }
        if *without_tags {
            query.push(
                " AND NOT EXISTS (SELECT 1 FROM phone_number_tags t WHERE t.phone_number_id = n.id)",
            );
        }
        if let Some(connection) = connection {
            query
                .push(" AND n.connection_id = ")
                .push_bind(connection.as_i64());
        }
        if let Some(name) = connection_name {
            match name.pattern() {
                None => {
                    query
                        .push(" AND c.connection_name_folded = ")
                        .push_bind(fold(name.text()));
                }
                Some(pattern) => {
                    query
                        .push(" AND c.connection_name_folded LIKE ")
                        .push_bind(pattern)
                        .push(r" ESCAPE '\'");
                }
            }
        }
        if let Some(countries) = countries {
            query.push(" AND n.country IN (");
            let mut list = query.separated(", ");
            for country in countries {
                list.push_bind(country.alpha2());
            }
            query.push(")");
        }
        if let Some(kind) = kind {
            query
                .push(" AND n.phone_number_type = ")
                .push_bind(kind.name());
        }
        if let Some(reference) = customer_reference {
            query
                .push(" AND n.customer_reference = ")
                .push_bind(reference.clone());
        }
        match billing_group {
            Some(Some(group)) => {
                query
                    .push(" AND n.billing_group_id = ")
                    .push_bind(group.to_string());
            }
            Some(None) => {
                query.push(" AND n.billing_group_id IS NULL");
            }
            None => {}
        }
        if let Some(method) = usage_payment_method {
            query
                .push(" AND n.usage_payment_method = ")
                .push_bind(method.name());
        }
    }
}

async fn find(
    conn: &mut Conn,
    account: AccountId,
    id: PhoneNumberId,
) -> Result<Option<PhoneNumber>, StoreError> {
    let mut query = QueryBuilder::new(SELECT);
    query
        .push(FROM)
        .push(" WHERE n.id = ")
        .push_bind(id.as_i64());
    query
        .push(" AND n.account_id = ")
        .push_bind(account.to_string());
    let row = query
        .build()
        .fetch_optional(conn)
        .await
        .map_err(StoreError::while_doing(READING))?;
    row.as_ref().map(read).transpose()
}

fn read(row: &Row) -> Result<PhoneNumber, StoreError> {
    let columns = Columns::new(row, TABLE, READING);
    let mut settings: PhoneNumberSettings = serde_json::from_str(columns.get("settings")?)
        .map_err(|_| columns.malformed("settings"))?;
    settings.customer_reference = columns.get("customer_reference")?;
    settings.billing_group_id = columns.parse_optional("billing_group_id")?;
    settings.voice.usage_payment_method =
        columns.name("usage_payment_method", NumberPaymentMethod::from_name)?;
    Ok(PhoneNumber {
        id: PhoneNumberId::from_i64(columns.get("id")?),
        account: columns.parse("account_id")?,
        number: columns.parse("phone_number")?,
        country: columns.name("country", Country::from_alpha2)?,
        kind: columns.name("phone_number_type", PhoneNumberType::from_name)?,
        connection: columns
            .get::<Option<i64>>("connection_id")?
            .map(CredentialConnectionId::from_i64),
        connection_name: columns.get("connection_name")?,
        settings,
        created_at: columns.time("created_at")?,
        updated_at: columns.time("updated_at")?,
    })
}

async fn insert(conn: &mut Conn, number: &mut PhoneNumber) -> Result<(), StoreError> {
    // Holding the account also proves it, so whatever is not there below is the connection.
    accounts::hold(conn, ADDING, number.account).await?;
    number.connection_name = own_connection(conn, ADDING, number).await?;
    let result = db::query(
        "INSERT INTO phone_numbers
             (id, account_id, phone_number, country, phone_number_type, connection_id,
              customer_reference, billing_group_id, usage_payment_method, settings, created_at,
              updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(number.id.as_i64())
    .bind(number.account.to_string())
    .bind(number.number.as_str())
    .bind(number.country.alpha2())
    .bind(number.kind.name())
    .bind(number.connection.map(|id| id.as_i64()))
    .bind(number.settings.customer_reference.clone())
    .bind(number.settings.billing_group_id.map(|id| id.to_string()))
    .bind(number.settings.voice.usage_payment_method.name())
    .bind(settings_text(&number.settings))
    .bind(number.created_at.as_micros())
    .bind(number.updated_at.as_micros())
    .execute(conn)
    .await;
    match result.map(drop) {
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
            return Err(StoreError::Refused(FieldError::new(
                "/phone_number",
                FieldErrorKind::Duplicate,
                "This number is taken already.",
            )));
        }
        other => gone_connection(ADDING, other)?,
    }
    insert_tags(conn, ADDING, number).await
}

async fn update(
    conn: &mut Conn,
    account: AccountId,
    id: PhoneNumberId,
    now: Timestamp,
    change: impl FnOnce(&mut PhoneNumber) -> Result<(), FieldErrors>,
) -> Result<Option<PhoneNumber>, StoreError> {
    accounts::hold(conn, CHANGING, account).await?;
    let Some(before) = find(conn, account, id).await? else {
        return Ok(None);
    };
    let mut after = before.clone();
    change(&mut after).map_err(StoreError::Invalid)?;
    after = PhoneNumber {
        connection: after.connection,
        settings: after.settings,
        updated_at: now,
        ..before.clone()
    };
    let faults = after.normalize_and_validate();
    if !faults.is_empty() {
        return Err(StoreError::Invalid(FieldErrors(faults)));
    }
    if after.connection != before.connection {
        after.connection_name = own_connection(conn, CHANGING, &after).await?;
    }
    let result = db::query(
        "UPDATE phone_numbers
         SET connection_id = $3, customer_reference = $4, billing_group_id = $5,
             usage_payment_method = $6, settings = $7, updated_at = $8
         WHERE id = $1 AND account_id = $2",
    )
    .bind(id.as_i64())
    .bind(account.to_string())
    .bind(after.connection.map(|id| id.as_i64()))
    .bind(after.settings.customer_reference.clone())
    .bind(after.settings.billing_group_id.map(|id| id.to_string()))
    .bind(after.settings.voice.usage_payment_method.name())
    .bind(settings_text(&after.settings))
    .bind(after.updated_at.as_micros())
    .execute(conn)
    .await;
    gone_connection(CHANGING, result.map(drop))?;
    if after.settings.tags != before.settings.tags {
        db::query("DELETE FROM phone_number_tags WHERE phone_number_id = $1")
            .bind(id.as_i64())
            .execute(conn)
            .await
            .map_err(StoreError::while_doing(CHANGING))?;
        insert_tags(conn, CHANGING, &after).await?;
    }
    Ok(Some(after))
}

async fn delete(
    conn: &mut Conn,
    account: AccountId,
    id: PhoneNumberId,
) -> Result<Option<PhoneNumber>, StoreError> {
    accounts::hold(conn, DELETING, account).await?;
    let Some(number) = find(conn, account, id).await? else {
        return Ok(None);
    };
    if number.settings.deletion_lock_enabled {
        return Err(StoreError::Refused(FieldError::new(
            "/deletion_lock_enabled",
            FieldErrorKind::Terminal,
            "The number is locked: it can be deleted once deletion_lock_enabled is false.",
        )));
    }
    db::query("DELETE FROM phone_numbers WHERE id = $1 AND account_id = $2")
        .bind(id.as_i64())
        .bind(account.to_string())
        .execute(conn)
        .await
        .map_err(StoreError::while_doing(DELETING))?;
    Ok(Some(number))
}

/// Looks up the name of a number's connection, which must be of the same account.
async fn own_connection(
    conn: &mut Conn,
    doing: &'static str,
    number: &PhoneNumber,
) -> Result<Option<String>, StoreError> {
    let Some(connection) = number.connection else {
        return Ok(None);
    };
    let name: Option<String> = db::query_scalar(
        "SELECT connection_name FROM credential_connections WHERE id = $1 AND account_id = $2",
    )
    .bind(connection.as_i64())
    .bind(number.account.to_string())
    .fetch_optional(conn)
    .await
    .map_err(StoreError::while_doing(doing))?;
    name.map_or_else(|| Err(no_such_connection()), |name| Ok(Some(name)))
}

async fn insert_tags(
    conn: &mut Conn,
    doing: &'static str,
    number: &PhoneNumber,
) -> Result<(), StoreError> {
    if number.settings.tags.is_empty() {
        return Ok(());
    }
    let mut query =
        QueryBuilder::new("INSERT INTO phone_number_tags (phone_number_id, account_id, tag) ");
    query.push_values(&number.settings.tags, |mut tuple, tag| {
        tuple
            .push_bind(number.id.as_i64())
            .push_bind(number.account.to_string())
            .push_bind(tag.clone());
    });
    query
        .build()
        .persistent(false)
        .execute(conn)
        .await
        .map(drop)
        .map_err(StoreError::while_doing(doing))
}

fn settings_text(settings: &PhoneNumberSettings) -> String {
    serde_json::to_string(settings).expect("settings have text keys and plain values")
}

fn no_such_connection() -> StoreError {
    StoreError::Refused(FieldError::no_such_resource("/connection_id", "connection"))
}

/// Sorts the outcome of a write: a connection that went away meanwhile does not exist.
fn gone_connection(doing: &'static str, result: Result<(), sqlx::Error>) -> Result<(), StoreError> {
    match result {
        Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => {
            Err(no_such_connection())
        }
        other => other.map_err(StoreError::while_doing(doing)),
    }
}
