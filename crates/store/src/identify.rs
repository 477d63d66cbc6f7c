//! The look-ups that establish an owner: whose key, whose token, whose user name. Everything else
//! starts from an owner.
//!
//! They stand on the path of every request, login and call, and are answered from memory when what
//! they ask for was asked before; see `cache` for why that is never out of date.

use std::sync::Arc;

use ringtrip_model::{
    AccountId, ApiKeyId, CallingPreference, ChannelLimits, CredentialConnection,
    CredentialConnectionId, HashedApiKey, LegParty, PlainApiKey, Secret, TelephonyCredential,
    TelephonyCredentialId, Timestamp,
};
use subtle::ConstantTimeEq;

use crate::api_keys::{self, ActiveKey};
use crate::cache::Found;
use crate::db::{self, reader};
use crate::error::StoreError;
use crate::page::fold;
use crate::row::Columns;
use crate::{Store, credential_connections, telephony_credentials};

const READING_KEY: &str = "identifying an API key";
const READING_USER: &str = "identifying a user";

/// Longest user name that is looked for, in bytes.
const MAX_USER_NAME_BYTES: usize = 64;

/// What a user name leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UserName {
    Credential(TelephonyCredentialId),
    Connection(CredentialConnectionId),
}

/// Who stands behind a REST key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyIdentity {
    /// The tenant.
    pub account: AccountId,
    /// The key.
    pub key: ApiKeyId,
    /// Its label.
    pub name: Arc<str>,
}

/// Who stands behind a user name or a token, and what they may do.
#[derive(Debug, Clone)]
pub struct UserIdentity {
    /// The party, as calls know it.
    pub party: LegParty,
    /// Whom the connection lets through.
    pub preference: CallingPreference,
    /// When the credential ends, if it is one and does.
    pub expires_at: Option<Timestamp>,
    /// Whether the credential, if it is one, and the connection are switched on.
    pub active: bool,
    password: Secret<String>,
}

impl UserIdentity {
    /// Tells whether it may be used at all: credential and connection are active, and the credential has
    /// not ended.
    pub fn usable_at(&self, now: Timestamp) -> bool {
        self.active && self.expires_at.is_none_or(|end| end > now)
    }

    /// Compares a password in constant time.
    pub fn password_matches(&self, password: &str) -> bool {
        self.password
            .expose()
            .as_bytes()
            .ct_eq(password.as_bytes())
            .into()
    }

    /// Reads the password, for digests that are computed from it.
    pub const fn password(&self) -> &Secret<String> {
        &self.password
    }

    fn new(connection: &CredentialConnection, credential: Option<&TelephonyCredential>) -> Self {
        let (user, password) = match credential {
            Some(credential) => (&credential.sip_username, &credential.sip_password),
            None => (&connection.user_name, &connection.password),
        };
        let settings = &connection.settings;
        Self {
            party: LegParty {
                account: connection.account,
                connection: connection.id,
                credential: credential.map(|credential| credential.id),
                user: user.clone(),
                policy: settings.inbound.media_policy(),
                ring_timeout_secs: settings.inbound.timeout_2xx_secs,
            },
            preference: settings
                .sip_uri_calling_preference
                .unwrap_or(CallingPreference::Disabled),
            expires_at: credential.and_then(|credential| credential.expires_at),
            active: settings.active && credential.is_none_or(|credential| credential.active),
            password: password.clone(),
        }
    }
}

impl Store {
    /// Finds out whose REST key this is; nothing for a key that is unknown, revoked, has ended, or has
    /// the wrong secret. Takes note that it was used, now and then; see [`Store::write_notes`].
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn identify_api_key(
        &self,
        key: &PlainApiKey,
        now: Timestamp,
    ) -> Result<Option<KeyIdentity>, StoreError> {
        let found = match self.inner.api_keys.get(key.lookup()) {
            Found::Ready(known) => Some(known),
            Found::Missing(ticket) => {
                let found = self.find_api_key(key.lookup()).await?.map(Arc::new);
                let lookup = key.lookup().to_owned();
                self.inner.api_keys.fill(&lookup, ticket, found.as_ref());
                found
            }
        };
        let usable = |known: &Arc<ActiveKey>| {
            known.hashed.matches(key) && known.expires_at.is_none_or(|end| end > now)
        };
        Ok(found.filter(usable).map(|known| {
            if known.must_note(now) {
                self.inner.key_uses.note(known.id, now);
            }
            KeyIdentity {
                account: known.account,
                key: known.id,
                name: Arc::clone(&known.name),
            }
        }))
    }

    async fn find_api_key(&self, lookup: &str) -> Result<Option<ActiveKey>, StoreError> {
        let mut conn = reader(&self.inner.pool, READING_KEY).await?;
        let row = db::query("SELECT * FROM api_keys WHERE lookup = $1 AND revoked_at IS NULL")
            .bind(lookup)
            .fetch_optional(&mut conn)
            .await
            .map_err(StoreError::while_doing(READING_KEY))?;
        let Some(row) = &row else {
            return Ok(None);
        };
        let columns = Columns::new(row, api_keys::TABLE, READING_KEY);
        let secret_hash = columns.get::<&[u8]>("secret_hash")?;
        let hashed = HashedApiKey {
            lookup: lookup.to_owned(),
            secret_hash: secret_hash
                .try_into()
                .map_err(|_| columns.malformed("secret_hash"))?,
        };
        let last_used_at = columns.time_optional("last_used_at")?;
        Ok(Some(ActiveKey {
            id: columns.parse("id")?,
            account: columns.parse("account_id")?,
            name: columns.get::<&str>("name")?.into(),
            hashed,
            expires_at: columns.time_optional("expires_at")?,
            noted_at: last_used_at.map_or(0, Timestamp::as_micros).into(),
        }))
    }

    /// Finds out who has a user name: a credential's `sip_username` or a connection's `user_name`,
    /// whatever the case.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn identify_user(&self, user_name: &str) -> Result<Option<UserIdentity>, StoreError> {
        if user_name.is_empty() || user_name.len() > MAX_USER_NAME_BYTES || user_name.contains('\0')
        {
            return Ok(None);
        }
        let folded = fold(user_name);
        let ticket = match self.inner.names.get(&folded) {
            Found::Ready(target) => {
                let found = self.identify_target(*target, &folded).await?;
                if found.is_some() {
                    return Ok(found);
                }
                // The name has gone, or moved to another connection.
                self.inner.names.remove(&folded);
                match self.inner.names.get(&folded) {
                    Found::Missing(ticket) => Some(ticket),
                    Found::Ready(_) => None,
                }
            }
            Found::Missing(ticket) => Some(ticket),
        };
        let target = self.find_user_name(&folded).await?.map(Arc::new);
        if let Some(ticket) = ticket {
            self.inner.names.fill(&folded, ticket, target.as_ref());
        }
        match target {
            Some(target) => self.identify_target(*target, &folded).await,
            None => Ok(None),
        }
    }

    /// Finds out whom a token speaks for: the credential that it names as its subject.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn identify_token_subject(
        &self,
        id: TelephonyCredentialId,
    ) -> Result<Option<UserIdentity>, StoreError> {
        let Some(credential) = self.any_credential(id).await? else {
            return Ok(None);
        };
        let connection = self.any_connection(credential.connection).await?;
        Ok(connection.map(|connection| UserIdentity::new(&connection, Some(&credential))))
    }

    /// Reads how many calls a connection may have. One that does not exist may have none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn channel_limits(
        &self,
        connection: CredentialConnectionId,
    ) -> Result<ChannelLimits, StoreError> {
        Ok(match self.any_connection(connection).await? {
            Some(connection) => ChannelLimits {
                inbound: connection.settings.inbound.channel_limit,
                outbound: connection.settings.outbound.channel_limit,
            },
            None => ChannelLimits {
                inbound: Some(0),
                outbound: Some(0),
            },
        })
    }

    /// Follows a remembered name, if what it leads to still has it.
    async fn identify_target(
        &self,
        target: UserName,
        folded: &str,
    ) -> Result<Option<UserIdentity>, StoreError> {
        match target {
            UserName::Credential(id) => self.identify_token_subject(id).await,
            UserName::Connection(id) => {
                let connection = self.any_connection(id).await?;
                let connection =
                    connection.filter(|connection| fold(&connection.user_name) == folded);
                Ok(connection.map(|connection| UserIdentity::new(&connection, None)))
            }
        }
    }

    async fn find_user_name(&self, folded: &str) -> Result<Option<UserName>, StoreError> {
        let failed = StoreError::while_doing(READING_USER);
        let mut conn = reader(&self.inner.pool, READING_USER).await?;
        let credential =
            db::query("SELECT id FROM telephony_credentials WHERE sip_username_folded = $1")
                .bind(folded.to_owned())
                .fetch_optional(&mut conn)
                .await
                .map_err(failed)?;
        if let Some(row) = credential {
            let columns = Columns::new(&row, telephony_credentials::TABLE, READING_USER);
            return columns.parse("id").map(UserName::Credential).map(Some);
        }
        let connection: Option<i64> =
            db::query_scalar("SELECT id FROM credential_connections WHERE user_name_folded = $1")
                .bind(folded.to_owned())
                .fetch_optional(&mut conn)
                .await
                .map_err(failed)?;
        Ok(connection
            .map(CredentialConnectionId::from_i64)
            .map(UserName::Connection))
    }

    async fn any_credential(
        &self,
        id: TelephonyCredentialId,
    ) -> Result<Option<Arc<TelephonyCredential>>, StoreError> {
        let ticket = match self.inner.credentials.get(&id) {
            Found::Ready(known) => return Ok(Some(known)),
            Found::Missing(ticket) => ticket,
        };
        let mut conn = reader(&self.inner.pool, READING_USER).await?;
        let row = db::query("SELECT * FROM telephony_credentials WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(&mut conn)
            .await
            .map_err(StoreError::while_doing(READING_USER))?;
        let found = row
            .map(|row| telephony_credentials::read(&row, &self.inner))
            .transpose()?;
        let found = found.map(Arc::new);
        self.inner.credentials.fill(&id, ticket, found.as_ref());
        Ok(found)
    }

    async fn any_connection(
        &self,
        id: CredentialConnectionId,
    ) -> Result<Option<Arc<CredentialConnection>>, StoreError> {
        let ticket = match self.inner.connections.get(&id) {
            Found::Ready(known) => return Ok(Some(known)),
            Found::Missing(ticket) => ticket,
        };
        let mut conn = reader(&self.inner.pool, READING_USER).await?;
        let row = db::query("SELECT * FROM credential_connections WHERE id = $1")
            .bind(id.as_i64())
            .fetch_optional(&mut conn)
            .await
            .map_err(StoreError::while_doing(READING_USER))?;
        let found = row
            .map(|row| credential_connections::read(&row, &self.inner))
            .transpose()?;
        let found = found.map(Arc::new);
        self.inner.connections.fill(&id, ticket, found.as_ref());
        Ok(found)
    }
}
