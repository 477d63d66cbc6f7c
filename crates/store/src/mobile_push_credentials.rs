//! What push services want to see, sealed.

use std::sync::Arc;

use ringtrip_model::{
    AccountId, FieldError, FieldErrorKind, MobilePushCredential, MobilePushCredentialId,
    NewMobilePushCredential, PushMaterial, PushPlatform, Secret,
};
use serde::{Deserialize, Serialize};

use crate::accounts::{self, Counter};
use crate::db::{self, Conn, QueryBuilder, Row, reader};
use crate::error::StoreError;
use crate::page::{Length, Listing, Page, can_match};
use crate::row::Columns;
use crate::seal::Place;
use crate::{Inner, Store};

const TABLE: &str = "mobile_push_credentials";
const READING: &str = "reading push credentials";
const ADDING: &str = "adding a push credential";
const DELETING: &str = "deleting a push credential";

/// What listed push credentials have in common; everything set must match.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MobilePushCredentialFilter {
    /// The alias.
    pub alias: Option<String>,
    /// Whose telephones.
    pub platform: Option<PushPlatform>,
}

impl Store {
    /// Adds a push credential.
    ///
    /// # Errors
    /// Refuses an alias that another one of the account has.
    pub async fn insert_mobile_push_credential(
        &self,
        new: NewMobilePushCredential,
    ) -> Result<MobilePushCredential, StoreError> {
        let credential = new.into_credential();
        let sealing = Arc::clone(&self.inner);
        self.write(
            ADDING,
            move |conn| {
                Box::pin(async move {
                    insert(conn, &sealing, &credential).await?;
                    Ok(credential)
                })
            },
            |_| {},
        )
        .await
    }

    /// Reads a push credential of an account.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn mobile_push_credential(
        &self,
        account: AccountId,
        id: MobilePushCredentialId,
    ) -> Result<Option<MobilePushCredential>, StoreError> {
        let mut conn = reader(&self.inner.pool, READING).await?;
        let row =
            db::query("SELECT * FROM mobile_push_credentials WHERE id = $1 AND account_id = $2")
                .bind(id.to_string())
                .bind(account.to_string())
                .fetch_optional(&mut conn)
                .await
                .map_err(StoreError::while_doing(READING))?;
        row.as_ref().map(|row| read(row, &self.inner)).transpose()
    }

    /// Deletes a push credential of an account and returns it as it was.
    ///
    /// # Errors
    /// Refuses to delete one that a connection uses.
    pub async fn delete_mobile_push_credential(
        &self,
        account: AccountId,
        id: MobilePushCredentialId,
    ) -> Result<Option<MobilePushCredential>, StoreError> {
        let reading = Arc::clone(&self.inner);
        self.write(
            DELETING,
            move |conn| Box::pin(async move { delete(conn, &reading, account, id).await }),
            |_| {},
        )
        .await
    }

    /// Lists an account's push credentials, the newest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn list_mobile_push_credentials(
        &self,
        account: AccountId,
        filter: MobilePushCredentialFilter,
        page: Page,
    ) -> Result<Listing<MobilePushCredential>, StoreError> {
        let MobilePushCredentialFilter { alias, platform } = &filter;
        if alias.as_deref().is_some_and(|alias| !can_match(alias)) {
            return Ok(Listing::empty());
        }
        let narrowed = |mut query: QueryBuilder| {
            query
                .push(" WHERE account_id = ")
                .push_bind(account.to_string());
            if let Some(alias) = alias {
                query.push(" AND alias = ").push_bind(alias.clone());
            }
            if let Some(platform) = platform {
                query.push(" AND platform = ").push_bind(platform.name());
            }
            query
        };
        let length = if filter == MobilePushCredentialFilter::default() {
            Length::Counted(Counter::MobilePushCredentials)
        } else {
            let query = QueryBuilder::new("SELECT COUNT(*) FROM mobile_push_credentials");
            Length::Query(narrowed(query))
        };
        let part = |_, _| {
            let mut query = narrowed(QueryBuilder::new("SELECT * FROM mobile_push_credentials"));
            query.push(" ORDER BY created_at DESC, id DESC");
            page.push_onto(&mut query);
            query
        };
        let read = |row: &_| read(row, &self.inner);
        self.list(READING, account, length, page, part, read).await
    }
}

/// Refuses a push credential that the account does not have, or that is for other telephones.
pub(crate) async fn check(
    conn: &mut Conn,
    doing: &'static str,
    account: AccountId,
    platform: PushPlatform,
    id: MobilePushCredentialId,
) -> Result<(), StoreError> {
    let found: Option<String> = db::query_scalar(
        "SELECT platform FROM mobile_push_credentials WHERE id = $1 AND account_id = $2",
    )
    .bind(id.to_string())
    .bind(account.to_string())
    .fetch_optional(conn)
    .await
    .map_err(StoreError::while_doing(doing))?;
    if found.as_deref() == Some(platform.name()) {
        return Ok(());
    }
    let (pointer, what) = match platform {
        PushPlatform::Ios => ("/ios_push_credential_id", "push credential for iOS"),
        PushPlatform::Android => ("/android_push_credential_id", "push credential for Android"),
    };
    Err(StoreError::Refused(FieldError::no_such_resource(
        pointer, what,
    )))
}

/// The two texts that Apple's push service wants, as they are sealed.
#[derive(Serialize, Deserialize)]
struct IosMaterial {
    certificate: String,
    private_key: String,
}

fn place(id: &MobilePushCredentialId) -> Place<'_> {
    Place {
        table: TABLE,
        column: "material",
        id,
    }
}

fn read(row: &Row, inner: &Inner) -> Result<MobilePushCredential, StoreError> {
    let columns = Columns::new(row, TABLE, READING);
    let id: MobilePushCredentialId = columns.parse("id")?;
    let key_id = columns.get("encryption_key_id")?;
    let opened = inner
        .open_text(place(&id), key_id, columns.get("material")?)
        .ok_or_else(|| inner.unopened(columns, "material", key_id))?;
    let material = match columns.name("platform", PushPlatform::from_name)? {
        PushPlatform::Ios => {
            let IosMaterial {
                certificate,
                private_key,
            } = serde_json::from_str(opened.expose()).map_err(|_| columns.malformed("material"))?;
            PushMaterial::Ios {
                certificate: Secret::new(certificate),
                private_key: Secret::new(private_key),
            }
        }
        PushPlatform::Android => PushMaterial::Android {
            project_account_json_file: opened,
        },
    };
    Ok(MobilePushCredential {
        id,
        account: columns.parse("account_id")?,
        alias: columns.get("alias")?,
        material,
        created_at: columns.time("created_at")?,
        updated_at: columns.time("updated_at")?,
    })
}

async fn insert(
    conn: &mut Conn,
    inner: &Inner,
    credential: &MobilePushCredential,
) -> Result<(), StoreError> {
    let material = match &credential.material {
        PushMaterial::Ios {
            certificate,
            private_key,
        } => {
            let material = IosMaterial {
                certificate: certificate.expose().clone(),
                private_key: private_key.expose().clone(),
            };
            Secret::new(serde_json::to_string(&material).expect("texts always serialize"))
        }
        PushMaterial::Android {
            project_account_json_file,
        } => project_account_json_file.clone(),
    };
    let sealed = inner.seal(place(&credential.id), material.expose().as_bytes());
    accounts::hold(conn, ADDING, credential.account).await?;
    let result = db::query(
        "INSERT INTO mobile_push_credentials
             (id, account_id, alias, platform, material, encryption_key_id, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(credential.id.to_string())
    .bind(credential.account.to_string())
    .bind(credential.alias.clone())
    .bind(credential.material.platform().name())
    .bind(sealed.value)
    .bind(sealed.key_id)
    .bind(credential.created_at.as_micros())
    .bind(credential.updated_at.as_micros())
    .execute(conn)
    .await;
    match result {
        Ok(_) => Ok(()),
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
            Err(StoreError::Refused(FieldError::new(
                "/alias",
                FieldErrorKind::Duplicate,
                "Another push credential has this alias.",
            )))
        }
        Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => {
            Err(StoreError::UnknownAccount)
        }
        Err(error) => Err(StoreError::while_doing(ADDING)(error)),
    }
}

async fn delete(
    conn: &mut Conn,
    inner: &Inner,
    account: AccountId,
    id: MobilePushCredentialId,
) -> Result<Option<MobilePushCredential>, StoreError> {
    accounts::hold(conn, DELETING, account).await?;
    let result = db::query(
        "DELETE FROM mobile_push_credentials WHERE id = $1 AND account_id = $2 RETURNING *",
    )
    .bind(id.to_string())
    .bind(account.to_string())
    .fetch_optional(conn)
    .await;
    match result {
        Ok(row) => row.map(|row| read(&row, inner)).transpose(),
        Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => {
            Err(StoreError::Refused(FieldError::new(
                "/",
                FieldErrorKind::InUse,
                "A connection uses this push credential.",
            )))
        }
        Err(error) => Err(StoreError::while_doing(DELETING)(error)),
    }
}
