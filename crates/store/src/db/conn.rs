//! Connections and pools of either engine.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use ringtrip_model::AccountId;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{
    Connection, PgConnection, PgPool, Postgres, Sqlite, SqliteConnection, SqlitePool, Transaction,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::PATIENCE;
pub(crate) use super::row::Row;
use crate::error::StoreError;

/// Connections to Postgres that read, and as many that write.
const POSTGRES_CONNECTIONS: u32 = 8;
/// A connection to Postgres that was idle for longer is tried before it is used.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

const OPEN: &str = "a snapshot is open until it is gone";
/// How many accounts are remembered before it is looked which of them nobody waits for any more.
const TURNS: usize = 1024;

/// Lets so many at a time do something for an account; the others wait here, in their order.
#[derive(Debug, Clone)]
pub(crate) struct Turns {
    at_once: usize,
    accounts: Arc<Mutex<HashMap<AccountId, Weak<Semaphore>>>>,
}

impl Turns {
    pub(crate) fn new(at_once: usize) -> Self {
        Self {
            at_once,
            accounts: Arc::default(),
        }
    }

    async fn take(&self, account: AccountId) -> Result<OwnedSemaphorePermit, sqlx::Error> {
        in_time(self.of(account).acquire_owned()).await
    }

    fn of(&self, account: AccountId) -> Arc<Semaphore> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = accounts.get(&account).and_then(Weak::upgrade) {
            return turn;
        }
        if accounts.len() >= TURNS {
            accounts.retain(|_, turn| turn.strong_count() > 0);
        }
        let turn = Arc::new(Semaphore::new(self.at_once));
        accounts.insert(account, Arc::downgrade(&turn));
        turn
    }
}

/// Waits as long as for a connection.
async fn in_time(
    permit: impl Future<Output = Result<OwnedSemaphorePermit, tokio::sync::AcquireError>>,
) -> Result<OwnedSemaphorePermit, sqlx::Error> {
    let permit = timeout(PATIENCE, permit).await;
    permit
        .map_err(|_| sqlx::Error::PoolTimedOut)?
        .map_err(|_| sqlx::Error::PoolClosed)
}

/// Lets lists have half of the connections that read, and one account half of those: a list may look at very
/// many rows, and who is who must be found out meanwhile.
#[derive(Debug, Clone)]
pub(crate) struct ListPlaces {
    all: Arc<Semaphore>,
    accounts: Turns,
}

impl ListPlaces {
    pub(crate) fn of(pool: &Pool) -> Self {
        let half = (pool.size() / 2).max(1);
        Self {
            all: Arc::new(Semaphore::new(half)),
            accounts: Turns::new((half / 2).max(1)),
        }
    }

    /// Takes a connection to read with: for one statement, or for several things of one instant. Dropping it
    /// ends what it does.
    pub(crate) async fn snapshot(
        &self,
        pool: &Pool,
        doing: &'static str,
        account: AccountId,
        reads: Reads,
    ) -> Result<Snapshot, StoreError> {
        let begun = async {
            let of_account = self.accounts.take(account).await?;
            let of_all = in_time(Arc::clone(&self.all).acquire_owned()).await?;
            let conn = match reads {
                Reads::Once => pool.acquire().await?,
                Reads::Several => pool.begin_reading().await?,
            };
            Ok(Snapshot {
                open: Some((conn, [of_account, of_all])),
            })
        };
        begun.await.map_err(StoreError::while_doing(doing))
    }
}

/// How often a list reads. One statement sees one instant by itself, and spares beginning and ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    Once,
    Several,
}

/// What a list is read with: all it sees is of one instant.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// There until it ends.
    open: Option<(Conn, [OwnedSemaphorePermit; 2])>,
}

impl Snapshot {
    /// Ends it.
    pub(crate) async fn end(mut self) -> Result<(), sqlx::Error> {
        match self.open.take() {
            Some((conn, _places)) => conn.rollback().await,
            None => Ok(()),
        }
    }
}

/// Whoever asked is gone. The database may still be at work: the places are free when it has ended.
impl Drop for Snapshot {
    fn drop(&mut self) {
        if let Some((conn, places)) = self.open.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move {
                // What fails here has ended, too.
                let _ = conn.abandon().await;
                drop(places);
            });
        }
    }
}

impl Deref for Snapshot {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.open.as_ref().expect(OPEN).0
    }
}

impl DerefMut for Snapshot {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.open.as_mut().expect(OPEN).0
    }
}

/// A transaction that writes to Postgres. One at a time does so for an account: its row counts what it has, so
/// whoever writes waits for whoever does, and waiting here instead of in Postgres keeps nobody from tidying up
/// the page of that row, which has a new version after each of them.
///
/// It begins with its first statement: whoever waits for a turn keeps no connection from others meanwhile.
#[derive(Debug)]
pub(crate) struct Writing {
    // Before the turn: it ends first.
    transaction: Option<Transaction<'static, Postgres>>,
    pool: PgPool,
    turns: Turns,
    turn: Option<OwnedSemaphorePermit>,
}

/// A connection: of its own or from a pool, in a transaction or not.
#[derive(Debug)]
pub(crate) enum Conn {
    Sqlite(SqliteConnection),
    SqlitePooled(PoolConnection<Sqlite>),
    SqliteTransaction(Transaction<'static, Sqlite>),
    PostgresPooled(PoolConnection<Postgres>),
    PostgresTransaction(Transaction<'static, Postgres>),
    PostgresWriting(Writing),
}

/// The engine's own connection.
pub(crate) enum Engine<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

impl Conn {
    pub(crate) fn engine(&mut self) -> Engine<'_> {
        match self {
            Self::Sqlite(conn) => Engine::Sqlite(conn),
            Self::SqlitePooled(conn) => Engine::Sqlite(conn),
            Self::SqliteTransaction(conn) => Engine::Sqlite(conn),
            Self::PostgresPooled(conn) => Engine::Postgres(conn),
            Self::PostgresTransaction(conn) => Engine::Postgres(conn),
            Self::PostgresWriting(conn) => {
                let transaction = conn.transaction.as_mut();
                Engine::Postgres(transaction.expect("every statement makes the connection ready"))
            }
        }
    }

    /// Begins a transaction that has not begun.
    pub(crate) async fn ready(&mut self) -> Result<(), sqlx::Error> {
        if let Self::PostgresWriting(conn) = self
            && conn.transaction.is_none()
        {
            conn.transaction = Some(conn.pool.begin().await?);
        }
        Ok(())
    }

    /// Takes an account's row for the rest of the transaction; false if there is none. SQLite has one writer,
    /// who has everything.
    pub(crate) async fn hold(&mut self, account: AccountId) -> Result<bool, sqlx::Error> {
        let Self::PostgresWriting(Writing { turns, turn, .. }) = self else {
            return Ok(true);
        };
        // Nobody waits for a second turn: that could be for ever.
        if turn.is_none() {
            *turn = Some(turns.take(account).await?);
        }
        self.ready().await?;
        let Engine::Postgres(conn) = self.engine() else {
            return Ok(true);
        };
        let found = sqlx::query("SELECT 1 FROM accounts WHERE id = $1 FOR NO KEY UPDATE")
            .bind(account.to_string())
            .fetch_optional(conn)
            .await?;
        Ok(found.is_some())
    }

    /// Commits, if this is a transaction.
    pub(crate) async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::SqliteTransaction(conn) => conn.commit().await,
            Self::PostgresTransaction(conn) => conn.commit().await,
            Self::PostgresWriting(conn) => match conn.transaction {
                Some(transaction) => transaction.commit().await,
                None => Ok(()),
            },
            Self::Sqlite(_) | Self::SqlitePooled(_) | Self::PostgresPooled(_) => Ok(()),
        }
    }

    /// Ends a transaction and keeps nothing of it.
    pub(crate) async fn rollback(self) -> Result<(), sqlx::Error> {
        match self {
            Self::SqliteTransaction(conn) => conn.rollback().await,
            Self::PostgresTransaction(conn) => conn.rollback().await,
            Self::PostgresWriting(conn) => match conn.transaction {
                Some(transaction) => transaction.rollback().await,
                None => Ok(()),
            },
            Self::Sqlite(_) | Self::SqlitePooled(_) | Self::PostgresPooled(_) => Ok(()),
        }
    }

    /// Waits for the statement that nobody waits for any more, and keeps nothing of it.
    async fn abandon(mut self) -> Result<(), sqlx::Error> {
        match &mut self {
            Self::SqlitePooled(conn) => conn.ping().await,
            Self::PostgresPooled(conn) => conn.ping().await,
            Self::Sqlite(_)
            | Self::SqliteTransaction(_)
            | Self::PostgresTransaction(_)
            | Self::PostgresWriting(_) => self.rollback().await,
        }
    }

    /// Closes a connection of its own, and gives one of a pool back.
    pub(crate) async fn close(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(conn) => conn.close().await,
            Self::SqlitePooled(_)
            | Self::SqliteTransaction(_)
            | Self::PostgresPooled(_)
            | Self::PostgresTransaction(_)
            | Self::PostgresWriting(_) => Ok(()),
        }
    }
}

/// Connections of one engine.
#[derive(Debug, Clone)]
pub(crate) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool, Turns),
}

impl Pool {
    /// Takes a connection.
    pub(crate) async fn acquire(&self) -> Result<Conn, sqlx::Error> {
        match self {
            Self::Sqlite(pool) => pool.acquire().await.map(Conn::SqlitePooled),
            Self::Postgres(pool, _) => pool.acquire().await.map(Conn::PostgresPooled),
        }
    }

    /// Takes a connection and begins a transaction that writes.
    pub(crate) async fn begin(&self) -> Result<Conn, sqlx::Error> {
        match self {
            Self::Sqlite(pool) => pool.begin().await.map(Conn::SqliteTransaction),
            Self::Postgres(pool, turns) => Ok(Conn::PostgresWriting(Writing {
                transaction: None,
                pool: pool.clone(),
                turns: turns.clone(),
                turn: None,
            })),
        }
    }

    /// Returns how many connections there may be.
    fn size(&self) -> usize {
        let size = match self {
            Self::Sqlite(pool) => pool.options().get_max_connections(),
            Self::Postgres(pool, _) => pool.options().get_max_connections(),
        };
        usize::try_from(size).unwrap_or(usize::MAX)
    }

    /// Takes a connection and begins a transaction that reads: all it sees is of one instant.
    async fn begin_reading(&self) -> Result<Conn, sqlx::Error> {
        match self {
            Self::Sqlite(pool) => pool.begin().await.map(Conn::SqliteTransaction),
            Self::Postgres(pool, _) => pool
                .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                .await
                .map(Conn::PostgresTransaction),
        }
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool, _) => pool.close().await,
        }
    }
}

/// Takes a connection to read with.
pub(crate) async fn reader(pool: &Pool, doing: &'static str) -> Result<Conn, StoreError> {
    pool.acquire().await.map_err(StoreError::while_doing(doing))
}

/// How this program introduces itself to Postgres, and how long it waits there.
pub(crate) fn postgres_options(options: PgConnectOptions) -> PgConnectOptions {
    use sqlx::ConnectOptions;
    options
        .application_name("ringtrip")
        .options([("lock_timeout", "5000"), ("statement_timeout", "30000")])
        .disable_statement_logging()
}

/// Opens a single connection to Postgres, for what takes long.
pub(crate) async fn postgres_alone(options: &PgConnectOptions) -> Result<Conn, sqlx::Error> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(PATIENCE)
        .connect_with(options.clone())
        .await?;
    pool.acquire().await.map(Conn::PostgresPooled)
}

/// Opens connections to Postgres. Those that went stale while they were idle, as all do when the server
/// restarts, are found out before anybody gets one.
pub(crate) async fn postgres_pool(options: PgConnectOptions) -> Result<PgPool, sqlx::Error> {
    PgPoolOptions::new()
        .min_connections(1)
        .max_connections(POSTGRES_CONNECTIONS)
        .acquire_timeout(PATIENCE)
        .idle_timeout(Duration::from_secs(600))
        .max_lifetime(None)
        .test_before_acquire(false)
        .before_acquire(|conn, meta| {
            Box::pin(async move {
                if meta.idle_for > TRUSTED_IDLE {
                    conn.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_with(options)
        .await
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use ringtrip_model::Generator;

    use super::*;

    #[tokio::test]
    async fn lists_leave_connections_to_others_and_an_account_leaves_room_to_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        super::super::create_file(&path).unwrap();
        let pool = Pool::Sqlite(super::super::readers(&path).await.unwrap());
        let places = ListPlaces::of(&pool);
        let mut rng = Generator::from_seed([1; 32]);
        let [alice, bob, carol] = [(); 3].map(|()| AccountId::generate(&mut rng));
        let list = |account, reads| Box::pin(places.snapshot(&pool, "testing", account, reads));
        let begun = [
            list(alice, Reads::Several).await.unwrap(),
            list(alice, Reads::Once).await.unwrap(),
        ];
        let mut third = list(alice, Reads::Once);
        let waits = poll_fn(|cx| Poll::Ready(third.as_mut().poll(cx).is_pending()));
        assert!(waits.await, "two lists of an account at a time");
        let [one, two] = [
            list(bob, Reads::Once).await.unwrap(),
            list(bob, Reads::Several).await.unwrap(),
        ];
        let mut fifth = list(carol, Reads::Several);
        let waits = poll_fn(|cx| Poll::Ready(fifth.as_mut().poll(cx).is_pending()));
        assert!(waits.await, "four lists of eight connections");
        let mut readers = Vec::new();
        for _ in 0..4 {
            readers.push(pool.acquire().await.unwrap());
        }
        // One that ends, and those that nobody waits for any more.
        one.end().await.unwrap();
        fifth.await.unwrap().end().await.unwrap();
        drop((two, begun));
        third.await.unwrap().end().await.unwrap();
        drop(readers);
        pool.close().await;
    }
}
