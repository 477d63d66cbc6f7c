//! What survives a restart: accounts and their people, everything that the REST interface makes, signing
//! keys, the history of calls, webhooks that wait, and who did what.
//!
//! A write is acknowledged after it is durable. Everything has an owner, and is loaded by owner and
//! id, so that what is missing and what belongs to somebody else look alike; the look-ups that
//! *establish* an owner (a REST key, a token's subject, a user name, a link) are in `identify`,
//! `identify_people`, `invitations` and `one_time_links`, and the sweeps over all owners in `sweep` and
//! `webhook_queue`. Secrets that must be read back are sealed under a key outside the database.
//!
//! This crate decides nothing about calls, speaks no HTTP, and asks nobody what day it is: `now` is an
//! argument.
//!
//! Open a [`Store`] inside a tokio runtime, clone it freely, and call [`Store::close`] at the end. One
//! process at a time serves from a database; another one may add accounts and keys beside it, which
//! are found at once, since only what exists is ever remembered.

#[cfg(test)]
extern crate self as ringtrip_store;

mod accounts;
mod api_keys;
mod audit;
mod audit_events;
mod backup;
mod cache;
mod call_events;
mod call_records;
mod call_reports;
mod claim;
mod credential_connections;
mod db;
mod detail_records;
mod encryption_keys;
mod error;
mod history;
mod idempotency_keys;
mod identify;
mod identify_people;
mod invitations;
mod mobile_push_credentials;
mod one_time_links;
mod outbound_voice_profiles;
mod page;
mod phone_numbers;
#[cfg(test)]
mod plans;
mod portal_sessions;
mod row;
mod seal;
mod sealed_tables;
mod signing_keys;
mod sweep;
mod telephony_credentials;
mod trunks;
mod users;
mod webhook_deliveries;
mod webhook_keys;
mod webhook_queue;
mod writer;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use ringtrip_model::{
    AccountId, AuditEvent, AuditEventId, CredentialConnection, CredentialConnectionId, Generator,
    Secret, SigningKey, TelephonyCredential, TelephonyCredentialId, Timestamp, WebhookKey,
};
use sqlx::ConnectOptions;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

pub use self::audit::{Trail, inherited};
pub use self::audit_events::AuditEventFilter;
pub use self::backup::{BackupError, BackupSummary, back_up, restore};
pub use self::call_events::{CallEventFilter, StoredCallEvent};
pub use self::call_reports::{
    CallReport, CallReportRow, MAX_ACCOUNT_REPORTS_BYTES, MAX_REPORT_BYTES, MAX_REPORT_ID_BYTES,
    MAX_REPORT_ID_SEGMENTS, MAX_REPORT_SEGMENTS,
};
pub use self::claim::{Claim, ClaimError, claim};
pub use self::credential_connections::{
    ChangedConnection, CredentialConnectionFilter, CredentialConnectionOrder,
    CredentialConnectionSort,
};
pub use self::detail_records::{
    Comparison, DetailRecord, DetailRecordCondition, DetailRecordNumber, DetailRecordOrder,
    DetailRecordText, LegProtocol, TextMatch,
};
pub use self::encryption_keys::{EncryptionKeyInfo, Resealed, RotateError};
pub use self::error::{Corruption, OpenError, ReportBudget, StoreError, Unavailability};
pub use self::history::{Forgotten, PrunedHistory};
pub use self::idempotency_keys::{KeptAnswer, NamedCreate, Repeated};
pub use self::identify::{KeyIdentity, UserIdentity};
pub use self::mobile_push_credentials::MobilePushCredentialFilter;
pub use self::one_time_links::OneTimeLink;
pub use self::outbound_voice_profiles::{
    OutboundVoiceProfileFilter, OutboundVoiceProfileOrder, OutboundVoiceProfileSort,
};
pub use self::page::{Listing, Page};
pub use self::phone_numbers::{NameMatch, PhoneNumberFilter, PhoneNumberOrder, PhoneNumberSort};
pub use self::portal_sessions::{NewPortalSession, SignedIn};
pub use self::seal::KeyError;
pub use self::sweep::{ExpiringCredential, Expiry};
pub use self::telephony_credentials::{
    ChangedCredential, StatusFilter, TelephonyCredentialFilter, TelephonyCredentialTag,
};
pub use self::trunks::{TrunkFilter, TrunkOrder, TrunkSort};
pub use self::webhook_deliveries::WebhookDeliveryFilter;
pub use self::webhook_queue::{
    LegBeginning, NewWebhook, QueuedWebhook, ToldEvent, ToldStep, WebhookContent,
};
pub use self::writer::WriteCounts;

use self::api_keys::{ActiveKey, KeyUses};
use self::cache::Coherent;
use self::db::{Conn, Content, ListPlaces, Location, Pool, Reads, Snapshot, Turns};
use self::encryption_keys::RegisteredKey;
use self::idempotency_keys::Note;
use self::identify::UserName;
use self::row::Columns;
use self::seal::{EncryptionKey, KeyRing, Place, Sealed, Sealer};
use self::writer::{Kind, Link, Work, Writer};

/// Credentials, and names, that are kept in memory.
const CACHED_CREDENTIALS: usize = 50_000;
/// Connections that are kept in memory.
const CACHED_CONNECTIONS: usize = 5_000;
/// REST keys that are kept in memory.
const CACHED_KEYS: usize = 10_000;
/// Keys of tenants that are kept in memory.
const CACHED_WEBHOOK_KEYS: usize = 1_000;

/// Where a store keeps its tables and its key.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// `sqlite://` and a path, `postgres://` as Postgres' own programs take it, or `sqlite::memory:` for a
    /// store that is gone once it is closed.
    pub url: String,
    /// The file with the key that seals secrets; made beside an empty database. Not looked at for a
    /// store in memory, whose key lives as long as it does.
    pub key_file: PathBuf,
}

/// The store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
    /// What is written beside what is created; see [`Store::noting`].
    note: Option<Note>,
}

struct Inner {
    pool: Pool,
    list_places: ListPlaces,
    /// None once the store is closed.
    writer: RwLock<Option<Arc<Writer>>>,
    writer_task: Mutex<Option<JoinHandle<()>>>,
    /// None for a store in memory.
    key_file: Option<PathBuf>,
    sealer: RwLock<Arc<Sealer>>,
    rng: Mutex<Generator>,
    signing_keys: RwLock<Arc<[SigningKey]>>,
    credentials: Coherent<TelephonyCredentialId, TelephonyCredential>,
    connections: Coherent<CredentialConnectionId, CredentialConnection>,
    /// Folded user names. What a name leads to is checked at every use, so an entry may be stale.
    names: Coherent<String, UserName>,
    api_keys: Coherent<String, ActiveKey>,
    webhook_keys: Coherent<AccountId, WebhookKey>,
    /// Told when a webhook is to be sent again.
    webhook_resent: Notify,
    /// When keys were used, until it is written.
    key_uses: KeyUses,
    /// Entries of the audit log that are written in bulk.
    notes: Mutex<Vec<AuditEvent>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner")
            .field("sealer", &self.sealer())
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens a database, makes it if there is none, and brings its tables up to date. A key that signs
    /// access tokens is there, stored, when this returns.
    ///
    /// # Errors
    /// Says in one line why the database cannot be used; it is left as it was. Above all, a database
    /// whose key is missing or another one is refused before anything is written to it.
    pub async fn open(config: StoreConfig, rng: &mut Generator) -> Result<Self, OpenError> {
        let location = Location::from_url(&config.url)?;
        let failed = |source| OpenError::Database {
            database: location.to_string(),
            source,
        };
        let (pool, (writer, writer_task), (sealer, signing_keys)) = match &location {
            Location::File(path) => {
                db::create_file(path)?;
                let options = db::writer_options(path, db::PATIENCE);
                let mut conn = Conn::Sqlite(options.connect().await.map_err(failed)?);
                let prepared = match prepare(&mut conn, &location, &config, rng).await {
                    Ok(prepared) => prepared,
                    Err(error) => {
                        // The error that is reported matters more than one of closing.
                        let _ = conn.close().await;
                        return Err(error);
                    }
                };
                let readers = Pool::Sqlite(db::readers(path).await.map_err(failed)?);
                let (writer, task) = Writer::start(Link::File {
                    options: Box::new(options),
                    conn: Some(conn),
                });
                (readers, (writer, Some(task)), prepared)
            }
            Location::Memory => {
                let pool = Pool::Sqlite(db::memory().await.map_err(failed)?);
                let mut conn = pool.acquire().await.map_err(failed)?;
                let prepared = prepare(&mut conn, &location, &config, rng).await?;
                drop(conn);
                let (writer, task) = Writer::start(Link::Memory(pool.clone()));
                (pool, (writer, Some(task)), prepared)
            }
            Location::Postgres(options) => {
                let open = async || {
                    db::postgres_pool((**options).clone())
                        .await
                        .map(|pool| Pool::Postgres(pool, Turns::new(1)))
                };
                let writers = open().await.map_err(failed)?;
                let mut conn = writers.acquire().await.map_err(failed)?;
                let prepared = prepare(&mut conn, &location, &config, rng).await?;
                drop(conn);
                let readers = open().await.map_err(failed)?;
                (readers, (Writer::on_pool(writers), None), prepared)
            }
        };
        // Transactions of their own commit in an order that nobody is told.
        let ordered = writer_task.is_some();
        let key_file = match location {
            Location::File(_) | Location::Postgres(_) => Some(config.key_file),
            Location::Memory => None,
        };
        Ok(Self {
            inner: Arc::new(Inner {
                list_places: ListPlaces::of(&pool),
                pool,
                writer: RwLock::new(Some(Arc::new(writer))),
                writer_task: Mutex::new(writer_task),
                key_file,
                sealer: RwLock::new(Arc::new(sealer)),
                rng: Mutex::new(rng.fork()),
                signing_keys: RwLock::new(signing_keys.into()),
                credentials: Coherent::new(CACHED_CREDENTIALS, ordered),
                connections: Coherent::new(CACHED_CONNECTIONS, ordered),
                names: Coherent::new(CACHED_CREDENTIALS, ordered),
                api_keys: Coherent::new(CACHED_KEYS, ordered),
                webhook_keys: Coherent::new(CACHED_WEBHOOK_KEYS, ordered),
                webhook_resent: Notify::new(),
                key_uses: KeyUses::default(),
                notes: Mutex::new(Vec::new()),
            }),
            note: None,
        })
    }

    /// Carries out what waits to be written, then closes the database. Whatever is asked afterwards is
    /// [`StoreError::Unavailable`]. A second call returns at once.
    pub async fn close(&self) {
        if let Err(error) = self.write_notes().await {
            tracing::error!(%error, "what was noted for the audit log is lost");
        }
        let writer = self
            .inner
            .writer
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(writer) = writer {
            writer.finish().await;
        }
        let task = self
            .inner
            .writer_task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(task) = task
            && task.await.is_err()
        {
            tracing::error!("the task that writes to the database panicked");
        }
        self.inner.pool.close().await;
    }

    /// Counts what was written since the store was opened.
    pub fn write_counts(&self) -> WriteCounts {
        let writer = self
            .inner
            .writer
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        writer.as_ref().map_or(
            WriteCounts {
                requests: 0,
                commits: 0,
            },
            |writer| writer.counts(),
        )
    }

    /// Asks the database whether it is there.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it does not answer.
    pub async fn ping(&self) -> Result<(), StoreError> {
        const DOING: &str = "asking whether the database is there";
        let mut conn = db::reader(&self.inner.pool, DOING).await?;
        db::query("SELECT 1")
            .execute(&mut conn)
            .await
            .map(drop)
            .map_err(StoreError::while_doing(DOING))
    }

    /// Takes a connection to read a list of an account with: all it sees is of one instant.
    async fn snapshot(
        &self,
        doing: &'static str,
        account: AccountId,
        reads: Reads,
    ) -> Result<Snapshot, StoreError> {
        let inner = &self.inner;
        inner
            .list_places
            .snapshot(&inner.pool, doing, account, reads)
            .await
    }

    /// Hands a request to the writer; see [`Writer::write`].
    async fn write<T, W, S>(&self, doing: &'static str, work: W, settle: S) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut Conn) -> Work<'c, T> + Send + 'static,
        S: FnOnce(Option<&T>) + Send + 'static,
    {
        self.write_as(Kind::Several, doing, work, settle).await
    }

    /// Hands a request to the writer that says what kind it is.
    async fn write_as<T, W, S>(
        &self,
        kind: Kind,
        doing: &'static str,
        work: W,
        settle: S,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut Conn) -> Work<'c, T> + Send + 'static,
        S: FnOnce(Option<&T>) + Send + 'static,
    {
        let writer = self
            .inner
            .writer
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let Some(writer) = writer else {
            return Err(StoreError::Unavailable {
                doing,
                cause: Unavailability::Closed,
            });
        };
        let trail =
            Trail::current().map(|trail| (trail, self.inner.with_rng(AuditEventId::generate)));
        match self.note.clone() {
            None => writer.write(kind, doing, trail, work, settle).await,
            Some(note) => {
                let kind = match kind {
                    // With the note there are several statements.
                    Kind::One => Kind::Several,
                    Kind::Several | Kind::Large => kind,
                };
                writer
                    .write(
                        kind,
                        doing,
                        trail,
                        move |conn| note.beside(work, conn),
                        settle,
                    )
                    .await
            }
        }
    }
}

impl Inner {
    fn with_rng<T>(&self, draw: impl FnOnce(&mut Generator) -> T) -> T {
        draw(&mut self.rng.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns what seals and opens now.
    fn sealer(&self) -> Arc<Sealer> {
        Arc::clone(&self.sealer.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set_sealer(&self, sealer: Arc<Sealer>) {
        *self.sealer.write().unwrap_or_else(PoisonError::into_inner) = sealer;
    }

    /// Seals a secret for its place, which must be in `sealed_tables`.
    fn seal(&self, place: Place<'_>, plain: &[u8]) -> Sealed {
        debug_assert!(
            sealed_tables::is_registered(place.table, place.column),
            "{}.{} is not in sealed_tables::SEALED",
            place.table,
            place.column
        );
        let nonce = self.with_rng(seal::draw_nonce);
        self.sealer().seal(place, plain, nonce)
    }

    /// Opens a sealed value; nothing if it is not ours for this place.
    fn open_bytes(&self, place: Place<'_>, key_id: &str, sealed: &[u8]) -> Option<Secret<Vec<u8>>> {
        let mut sealer = self.sealer();
        if !sealer.knows(key_id) {
            sealer = self.meet_unknown_key(key_id)?;
        }
        sealer.open(place, key_id, sealed)
    }

    /// Says why a value could not be opened.
    fn unopened(&self, columns: Columns<'_>, column: &'static str, key_id: &str) -> StoreError {
        if self.sealer().knows(key_id) {
            columns.unsealable(column)
        } else {
            columns.key_missing(key_id)
        }
    }

    /// Opens a sealed text; nothing if it is not ours for this place.
    fn open_text(&self, place: Place<'_>, key_id: &str, sealed: &[u8]) -> Option<Secret<String>> {
        let plain = self.open_bytes(place, key_id, sealed)?;
        std::str::from_utf8(plain.expose())
            .ok()
            .map(|text| Secret::new(text.to_owned()))
    }
}

/// Checks the key, brings the tables up to date, and sees to it that there is a key that signs.
async fn prepare(
    conn: &mut Conn,
    location: &Location,
    config: &StoreConfig,
    rng: &mut Generator,
) -> Result<(Sealer, Vec<SigningKey>), OpenError> {
    let failed = |source| OpenError::Database {
        database: location.to_string(),
        source,
    };
    let ours = match db::content(conn).await.map_err(failed)? {
        Content::Nothing => false,
        Content::Ours => true,
        Content::Foreign => {
            return Err(OpenError::Foreign {
                database: location.to_string(),
            });
        }
    };
    let sealed = ours && encryption_keys::any(conn).await?;
    let ring = match location {
        Location::File(_) | Location::Postgres(_) => {
            KeyRing::load_or_create(&config.key_file, !sealed, rng)?
        }
        Location::Memory => KeyRing::of(EncryptionKey::generate(rng)),
    };
    let wrong = |expected| OpenError::WrongKey {
        key_file: config.key_file.clone(),
        expected,
    };
    // With none of the keys, nothing is touched.
    if sealed && let Err(expected) = encryption_keys::check_some(conn, &ring).await? {
        return Err(wrong(expected));
    }
    db::migrate(conn).await?;
    let registered = encryption_keys::registered(conn).await?;
    let sealing = registered
        .first()
        .map_or(ring.newest().id(), |newest| newest.id.as_str());
    let sealer = Sealer::new(&ring, sealing).ok_or_else(|| wrong(sealing.to_owned()))?;
    // A retired key may be gone: nothing is sealed with it.
    let in_use = |key: &&RegisteredKey| key.retired_at.is_none();
    if let Some(missing) = registered
        .iter()
        .filter(in_use)
        .find(|key| !key.is_known_to(&sealer))
    {
        return Err(wrong(missing.id.clone()));
    }
    if registered.is_empty() {
        let nonce = seal::draw_nonce(rng);
        encryption_keys::register(conn, &sealer, Timestamp::from_micros(0), nonce).await?;
    }
    let signing_keys = signing_keys::load_or_create(conn, &sealer, rng).await?;
    Ok((sealer, signing_keys))
}
