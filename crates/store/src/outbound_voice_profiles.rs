//! Outbound voice profiles.

use ringtrip_model::{
    AccountId, FieldError, FieldErrorKind, FieldErrors, NewOutboundVoiceProfile,
    OutboundVoiceProfile, OutboundVoiceProfileId, ProfileSettings, Timestamp,
};

use crate::Store;
use crate::accounts::{self, Counter};
use crate::db::{self, Conn, QueryBuilder, Row, reader};
use crate::error::StoreError;
use crate::page::{Length, Listing, Page, Walk, can_match, contains_pattern, fold, page_query};
use crate::row::{self, Columns};

pub(crate) const TABLE: &str = "outbound_voice_profiles";
const READING: &str = "reading outbound voice profiles";
const ADDING: &str = "adding an outbound voice profile";
const CHANGING: &str = "changing an outbound voice profile";
const DELETING: &str = "deleting an outbound voice profile";

/// What listed profiles have in common; everything set must match.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OutboundVoiceProfileFilter {
    /// A part of the profile's name, whatever the case.
    pub name_contains: Option<String>,
}

/// What a list of profiles is sorted by; profiles that are alike in it, by their id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutboundVoiceProfileSort {
    /// Whether it is enabled; disabled ones come first.
    Enabled,
    /// When it was made.
    CreatedAt,
    /// The name, whatever the case.
    Name,
    /// The service plan.
    ServicePlan,
    /// The traffic type.
    TrafficType,
    /// The payment method.
    UsagePaymentMethod,
}

/// The order of a list of profiles. By default the newest is first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboundVoiceProfileOrder {
    /// What counts.
    pub by: OutboundVoiceProfileSort,
    /// Whether the greatest is first.
    pub descending: bool,
}

impl Default for OutboundVoiceProfileOrder {
    fn default() -> Self {
        Self {
            by: OutboundVoiceProfileSort::CreatedAt,
            descending: true,
        }
    }
}

impl OutboundVoiceProfileOrder {
    const fn sql(self) -> &'static str {
        use OutboundVoiceProfileSort as Sort;
        match (self.by, self.descending) {
            (Sort::Enabled, false) => " ORDER BY enabled, id",
            (Sort::Enabled, true) => " ORDER BY enabled DESC, id DESC",
            (Sort::CreatedAt, false) => " ORDER BY created_at, id",
            (Sort::CreatedAt, true) => " ORDER BY created_at DESC, id DESC",
            (Sort::Name, false) => " ORDER BY name_folded, id",
            (Sort::Name, true) => " ORDER BY name_folded DESC, id DESC",
            // Of these there is one value, in which all profiles are alike.
            (Sort::ServicePlan | Sort::TrafficType | Sort::UsagePaymentMethod, false) => {
                " ORDER BY id"
            }
            (Sort::ServicePlan | Sort::TrafficType | Sort::UsagePaymentMethod, true) => {
                " ORDER BY id DESC"
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

impl Store {
    /// Adds a profile.
    ///
    /// # Errors
    /// [`StoreError::UnknownAccount`] if the account is gone.
    pub async fn insert_outbound_voice_profile(
        &self,
        new: NewOutboundVoiceProfile,
    ) -> Result<OutboundVoiceProfile, StoreError> {
        let profile = new.into_profile();
        self.write(
            ADDING,
            move |conn| {
                Box::pin(async move {
                    insert(conn, &profile).await?;
                    Ok(profile)
                })
            },
            |_| {},
        )
        .await
    }

    /// Reads a profile of an account.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn outbound_voice_profile(
        &self,
        account: AccountId,
        id: OutboundVoiceProfileId,
    ) -> Result<Option<OutboundVoiceProfile>, StoreError> {
        let mut conn = reader(&self.inner.pool, READING).await?;
        find(&mut conn, account, id).await
    }

    /// Changes a profile of an account, and returns it as it is then. `change` gets the profile as it
    /// is, within the transaction that writes it back, so nothing is lost between two changes at the
    /// same time; it may set name and settings, the rest stays.
    ///
    /// # Errors
    /// What `change` returns, or finds after it when the whole is checked, as
    /// [`StoreError::Invalid`].
    pub async fn update_outbound_voice_profile<F>(
        &self,
        account: AccountId,
        id: OutboundVoiceProfileId,
        now: Timestamp,
        change: F,
    ) -> Result<Option<OutboundVoiceProfile>, StoreError>
    where
        F: FnOnce(&mut OutboundVoiceProfile) -> Result<(), FieldErrors> + Send + 'static,
    {
        self.write(
            CHANGING,
            move |conn| Box::pin(async move { update(conn, account, id, now, change).await }),
            |_| {},
        )
        .await
    }

    /// Deletes a profile of an account and returns it as it was.
    ///
    /// # Errors
    /// Refuses a profile that a connection uses.
    pub async fn delete_outbound_voice_profile(
        &self,
        account: AccountId,
        id: OutboundVoiceProfileId,
    ) -> Result<Option<OutboundVoiceProfile>, StoreError> {
        self.write(
            DELETING,
            move |conn| Box::pin(async move { delete(conn, account, id).await }),
            |_| {},
        )
        .await
    }

    /// Lists an account's profiles.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn list_outbound_voice_profiles(
        &self,
        account: AccountId,
        filter: OutboundVoiceProfileFilter,
        order: OutboundVoiceProfileOrder,
        page: Page,
    ) -> Result<Listing<OutboundVoiceProfile>, StoreError> {
        if filter
            .name_contains
            .as_deref()
            .is_some_and(|text| !can_match(text))
        {
            return Ok(Listing::empty());
        }
        let length = if filter == OutboundVoiceProfileFilter::default() {
            Length::Counted(Counter::OutboundVoiceProfiles)
        } else {
            Length::Sought(count_query(account, &filter))
        };
        let part = |_, walk| list_query(account, &filter, order, walk);
        self.list(READING, account, length, page, part, read).await
    }
}

fn narrow(query: &mut QueryBuilder, account: AccountId, filter: &OutboundVoiceProfileFilter) {
    query
        .push(" WHERE account_id = ")
        .push_bind(account.to_string());
    if let Some(part) = &filter.name_contains {
        query
            .push(" AND name_folded LIKE ")
            .push_bind(contains_pattern(&fold(part)))
            .push(r" ESCAPE '\'");
    }
}

pub(crate) fn count_query(account: AccountId, filter: &OutboundVoiceProfileFilter) -> QueryBuilder {
    let mut query = QueryBuilder::new("SELECT COUNT(*) FROM outbound_voice_profiles");
    narrow(&mut query, account, filter);
    query
}

pub(crate) fn list_query(
    account: AccountId,
    filter: &OutboundVoiceProfileFilter,
    order: OutboundVoiceProfileOrder,
    walk: Walk,
) -> QueryBuilder {
    let walked = if walk.backwards {
        order.reversed()
    } else {
        order
    };
    let exact = *filter == OutboundVoiceProfileFilter::default();
    page_query(TABLE, walked.sql(), order.sql(), walk, exact, |query| {
        narrow(query, account, filter);
    })
}

/// Refuses a profile that the account does not have. The caller holds the account, so the profile stays
/// until its transaction ends.
pub(crate) async fn check_own(
    conn: &mut Conn,
    doing: &'static str,
    account: AccountId,
    id: OutboundVoiceProfileId,
) -> Result<(), StoreError> {
    let found: Option<i64> = db::query_scalar(
        "SELECT id FROM outbound_voice_profiles WHERE id = $1 AND account_id = $2",
    )
    .bind(id.as_i64())
    .bind(account.to_string())
    .fetch_optional(conn)
    .await
    .map_err(StoreError::while_doing(doing))?;
    if found.is_some() {
        return Ok(());
    }
    Err(StoreError::Refused(FieldError::no_such_resource(
        "/outbound/outbound_voice_profile_id",
        "outbound voice profile",
    )))
}

async fn find(
    conn: &mut Conn,
    account: AccountId,
    id: OutboundVoiceProfileId,
) -> Result<Option<OutboundVoiceProfile>, StoreError> {
    let row = db::query("SELECT * FROM outbound_voice_profiles WHERE id = $1 AND account_id = $2")
        .bind(id.as_i64())
        .bind(account.to_string())
        .fetch_optional(conn)
        .await
        .map_err(StoreError::while_doing(READING))?;
    row.as_ref().map(read).transpose()
}

fn read(row: &Row) -> Result<OutboundVoiceProfile, StoreError> {
    let columns = Columns::new(row, TABLE, READING);
    let mut settings: ProfileSettings = serde_json::from_str(columns.get("settings")?)
        .map_err(|_| columns.malformed("settings"))?;
    settings.enabled = columns.get("enabled")?;
    Ok(OutboundVoiceProfile {
        id: OutboundVoiceProfileId::from_i64(columns.get("id")?),
        account: columns.parse("account_id")?,
        name: columns.get("name")?,
        settings,
        connections_count: row::count(columns.get("connections_count")?),
        created_at: columns.time("created_at")?,
        updated_at: columns.time("updated_at")?,
    })
}

async fn insert(conn: &mut Conn, profile: &OutboundVoiceProfile) -> Result<(), StoreError> {
    accounts::hold(conn, ADDING, profile.account).await?;
    let result = db::query(
        "INSERT INTO outbound_voice_profiles
             (id, account_id, name, name_folded, enabled, settings, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(profile.id.as_i64())
    .bind(profile.account.to_string())
    .bind(profile.name.clone())
    .bind(fold(&profile.name))
    .bind(profile.settings.enabled)
    .bind(settings_text(&profile.settings))
    .bind(profile.created_at.as_micros())
    .bind(profile.updated_at.as_micros())
    .execute(conn)
    .await;
    match result {
        Ok(_) => Ok(()),
        Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => {
            Err(StoreError::UnknownAccount)
        }
        Err(error) => Err(StoreError::while_doing(ADDING)(error)),
    }
}

async fn update(
    conn: &mut Conn,
    account: AccountId,
    id: OutboundVoiceProfileId,
    now: Timestamp,
    change: impl FnOnce(&mut OutboundVoiceProfile) -> Result<(), FieldErrors>,
) -> Result<Option<OutboundVoiceProfile>, StoreError> {
    accounts::hold(conn, CHANGING, account).await?;
    let Some(before) = find(conn, account, id).await? else {
        return Ok(None);
    };
    let mut changed = before.clone();
    change(&mut changed).map_err(StoreError::Invalid)?;
    let mut after = OutboundVoiceProfile {
        name: changed.name,
        settings: changed.settings,
        updated_at: now,
        ..before
    };
    let faults = after.normalize_and_validate();
    if !faults.is_empty() {
        return Err(StoreError::Invalid(FieldErrors(faults)));
    }
    db::query(
        "UPDATE outbound_voice_profiles
         SET name = $3, name_folded = $4, enabled = $5, settings = $6, updated_at = $7
         WHERE id = $1 AND account_id = $2",
    )
    .bind(id.as_i64())
    .bind(account.to_string())
    .bind(after.name.clone())
    .bind(fold(&after.name))
    .bind(after.settings.enabled)
    .bind(settings_text(&after.settings))
    .bind(after.updated_at.as_micros())
    .execute(conn)
    .await
    .map_err(StoreError::while_doing(CHANGING))?;
    Ok(Some(after))
}

async fn delete(
    conn: &mut Conn,
    account: AccountId,
    id: OutboundVoiceProfileId,
) -> Result<Option<OutboundVoiceProfile>, StoreError> {
    // Whoever takes a profile for a connection holds the account too.
    accounts::hold(conn, DELETING, account).await?;
    let Some(profile) = find(conn, account, id).await? else {
        return Ok(None);
    };
    if profile.connections_count > 0 {
        return Err(StoreError::Refused(FieldError::new(
            "/",
            FieldErrorKind::InUse,
            "Connections use this outbound voice profile.",
        )));
    }
    db::query("DELETE FROM outbound_voice_profiles WHERE id = $1 AND account_id = $2")
        .bind(id.as_i64())
        .bind(account.to_string())
        .execute(conn)
        .await
        .map_err(StoreError::while_doing(DELETING))?;
    Ok(Some(profile))
}

fn settings_text(settings: &ProfileSettings) -> String {
    serde_json::to_string(settings).expect("settings have text keys and plain values")
}
