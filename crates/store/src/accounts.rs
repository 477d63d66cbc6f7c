//! Tenants.

use ringtrip_model::{Account, AccountId, FieldError, FieldErrorKind, NewAccount, Timestamp};

use crate::Store;
use crate::db::{self, Conn, QueryBuilder, Row, reader};
use crate::error::StoreError;
use crate::page::fold;
use crate::row::Columns;

const TABLE: &str = "accounts";
const READING: &str = "reading accounts";
const ADDING: &str = "adding an account";
const CHANGING: &str = "changing an account";

impl Store {
    /// Adds an account.
    ///
    /// # Errors
    /// Refuses an e-mail address that another account has, whatever its case.
    pub async fn insert_account(&self, new: NewAccount) -> Result<Account, StoreError> {
        let account = new.into_account();
        self.write(
            ADDING,
            move |conn| {
                Box::pin(async move {
                    insert(conn, &account).await?;
                    Ok(account)
                })
            },
            |_| {},
        )
        .await
    }

    /// Reads an account.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn account(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        let mut conn = reader(&self.inner.pool, READING).await?;
        let row = db::query("SELECT * FROM accounts WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(&mut conn)
            .await
            .map_err(StoreError::while_doing(READING))?;
        row.as_ref().map(read).transpose()
    }

    /// Finds an account by its e-mail address, whatever the case.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn account_by_email(&self, email: &str) -> Result<Option<Account>, StoreError> {
        let mut conn = reader(&self.inner.pool, READING).await?;
        let row = db::query("SELECT * FROM accounts WHERE email_folded = $1")
            .bind(fold(email.trim()))
            .fetch_optional(&mut conn)
            .await
            .map_err(StoreError::while_doing(READING))?;
        row.as_ref().map(read).transpose()
    }

    /// Changes what an account's organization is called, which must have been checked.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn update_account(
        &self,
        id: AccountId,
        organization_name: String,
        now: Timestamp,
    ) -> Result<Option<Account>, StoreError> {
        self.write(
            CHANGING,
            move |conn| {
                Box::pin(async move {
                    let row = db::query(
                        "UPDATE accounts SET organization_name = $2, updated_at = $3
                         WHERE id = $1 RETURNING *",
                    )
                    .bind(id.to_string())
                    .bind(organization_name)
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

    /// Lists all accounts, the oldest first; for the operator.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn list_accounts(&self) -> Result<Vec<Account>, StoreError> {
        let mut conn = reader(&self.inner.pool, READING).await?;
        let rows = db::query("SELECT * FROM accounts ORDER BY created_at, id")
            .fetch_all(&mut conn)
            .await
            .map_err(StoreError::while_doing(READING))?;
        rows.iter().map(read).collect()
    }
}

/// Finds out which account has an e-mail address, whatever the case.
pub(crate) async fn find_by_email(
    conn: &mut Conn,
    doing: &'static str,
    email: &str,
) -> Result<Option<AccountId>, StoreError> {
    let row = db::query("SELECT id FROM accounts WHERE email_folded = $1")
        .bind(fold(email))
        .fetch_optional(conn)
        .await
        .map_err(StoreError::while_doing(doing))?;
    row.map(|row| Columns::new(&row, TABLE, doing).parse("id"))
        .transpose()
}

/// What of an account is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Counter {
    AuditEvents,
    CallReports,
    CredentialConnections,
    OutboundVoiceProfiles,
    MobilePushCredentials,
    PhoneNumbers,
    TelephonyCredentials,
    Trunks,
    /// Webhook deliveries that were begun.
    WebhookDeliveries,
}

/// Takes an account's row for the rest of the transaction. Every write to what an account has begins with
/// this: no other writer of the same account then decides by what it has, and since triggers count in that
/// row, everybody takes the account first and its things second.
pub(crate) async fn hold(
    conn: &mut Conn,
    doing: &'static str,
    account: AccountId,
) -> Result<(), StoreError> {
    let found = conn.hold(account).await;
    if found.map_err(StoreError::while_doing(doing))? {
        Ok(())
    } else {
        Err(StoreError::UnknownAccount)
    }
}

/// Makes the query that reads one of an account's counters.
pub(crate) fn counter_query(account: AccountId, counter: Counter) -> QueryBuilder {
    let column = match counter {
        Counter::AuditEvents => "audit_event_count",
        Counter::CallReports => "call_report_count",
        Counter::CredentialConnections => "credential_connection_count",
        Counter::OutboundVoiceProfiles => "outbound_voice_profile_count",
        Counter::MobilePushCredentials => "mobile_push_credential_count",
        Counter::PhoneNumbers => "phone_number_count",
        Counter::TelephonyCredentials => "telephony_credential_count",
        Counter::Trunks => "trunk_count",
        Counter::WebhookDeliveries => "webhook_delivery_count",
    };
    let mut query = QueryBuilder::new("SELECT ");
    query.push(column).push(" FROM accounts WHERE id = ");
    query.push_bind(account.to_string());
    query
}

/// Reads one of an account's counters.
pub(crate) async fn counted(
    conn: &mut Conn,
    doing: &'static str,
    account: AccountId,
    counter: Counter,
) -> Result<u64, StoreError> {
    let count: Option<i64> = counter_query(account, counter)
        .build_query_scalar()
        .fetch_optional(conn)
        .await
        .map_err(StoreError::while_doing(doing))?;
    Ok(crate::row::count(count.unwrap_or(0)))
}

pub(crate) async fn insert(conn: &mut Conn, account: &Account) -> Result<(), StoreError> {
    let result = db::query(
        "INSERT INTO accounts (id, email, email_folded, organization_name, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(account.id.to_string())
    .bind(account.email.clone())
    .bind(fold(&account.email))
    .bind(account.organization_name.clone())
    .bind(account.created_at.as_micros())
    .bind(account.updated_at.as_micros())
    .execute(conn)
    .await;
    match result {
        Ok(_) => Ok(()),
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
            Err(StoreError::Refused(FieldError::new(
                "/email",
                FieldErrorKind::Duplicate,
                "Another account has this e-mail address.",
            )))
        }
        Err(error) => Err(StoreError::while_doing(ADDING)(error)),
    }
}

fn read(row: &Row) -> Result<Account, StoreError> {
    let columns = Columns::new(row, TABLE, READING);
    Ok(Account {
        id: columns.parse("id")?,
        email: columns.get("email")?,
        organization_name: columns.get("organization_name")?,
        created_at: columns.time("created_at")?,
        updated_at: columns.time("updated_at")?,
    })
}
