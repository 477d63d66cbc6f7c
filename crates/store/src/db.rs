//! The database engine: where a URL leads, how connections are set up, what the tables are.
//!
//! This is the one place that knows which engine runs. Queries elsewhere use the SQL that SQLite and
//! Postgres share, and name the engine's types only through the aliases here.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqlSafeStr};

use crate::error::{OpenError, StoreError};

/// A connection of the engine.
pub(crate) type Conn = sqlx::SqliteConnection;
/// The engine.
pub(crate) type Engine = sqlx::Sqlite;
/// A row of the engine.
pub(crate) type Row = sqlx::sqlite::SqliteRow;
/// Connections that read.
pub(crate) type Pool = sqlx::SqlitePool;

/// Longest wait for a lock that another process holds, and for a free connection.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
const READERS: u32 = 4;

/// Where the tables are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    /// A file.
    File(PathBuf),
    /// Nowhere: gone when the store closes.
    Memory,
}

impl Location {
    /// Reads a URL: `sqlite::memory:`, or `sqlite://` (or `sqlite:`) and a path, taken as it stands.
    pub(crate) fn from_url(url: &str) -> Result<Self, OpenError> {
        let rest = url
            .strip_prefix("sqlite:")
            .ok_or(OpenError::UnsupportedUrl)?;
        let path = rest.strip_prefix("//").unwrap_or(rest);
        match path {
            ":memory:" => Ok(Self::Memory),
            "" => Err(OpenError::UnsupportedUrl),
            path => Ok(Self::File(PathBuf::from(path))),
        }
    }

    /// Returns the path to show in an error.
    pub(crate) fn shown(&self) -> &Path {
        match self {
            Self::File(path) => path,
            Self::Memory => Path::new(":memory:"),
        }
    }
}

/// Makes an absent file, for its owner's eyes only; SQLite gives its companions the same mode.
pub(crate) fn create_file(path: &Path) -> Result<(), OpenError> {
    match OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
    {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(OpenError::Create {
            path: path.to_owned(),
            source,
        }),
    }
}

fn options(patience: Duration) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .create_if_missing(false)
        .foreign_keys(true)
        .busy_timeout(patience)
        .disable_statement_logging()
}

/// Describes the one connection that writes to a file.
pub(crate) fn writer_options(path: &Path, patience: Duration) -> SqliteConnectOptions {
    options(patience)
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("journal_size_limit", "67108864")
}

/// Opens connections that read a file.
pub(crate) async fn readers(path: &Path) -> Result<Pool, sqlx::Error> {
    let options = options(PATIENCE).filename(path).pragma("query_only", "ON");
    pool(READERS).connect_with(options).await
}

/// Opens the single connection that a database in memory consists of; reads and writes take turns.
pub(crate) async fn memory() -> Result<Pool, sqlx::Error> {
    pool(1)
        .connect_with(options(PATIENCE).in_memory(true))
        .await
}

/// A pool whose connections live as long as it does.
fn pool(size: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .min_connections(1)
        .max_connections(size)
        .acquire_timeout(PATIENCE)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

/// Takes a connection to read with.
pub(crate) async fn reader(
    pool: &Pool,
    doing: &'static str,
) -> Result<PoolConnection<Engine>, StoreError> {
    pool.acquire().await.map_err(StoreError::while_doing(doing))
}

/// What a database holds before this program touches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// No table of anybody.
    Nothing,
    /// Tables of this program.
    Ours,
    /// Tables of somebody else.
    Foreign,
}

/// Looks at what a database holds.
pub(crate) async fn content(conn: &mut Conn) -> Result<Content, sqlx::Error> {
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'table'")
            .fetch_all(conn)
            .await?;
    let has = |name: &str| tables.iter().any(|table| table == name);
    // A first start that was broken off leaves the list of migrations alone.
    Ok(if tables.iter().all(|table| table == "_sqlx_migrations") {
        Content::Nothing
    } else if has("_sqlx_migrations") && has("encryption_keys") {
        Content::Ours
    } else {
        Content::Foreign
    })
}

/// Brings the tables up to date. Refuses a database that a newer version has changed.
pub(crate) async fn migrate(conn: &mut Conn) -> Result<(), sqlx::migrate::MigrateError> {
    const MIGRATIONS: [(i64, &str, &str); 1] = [(
        1,
        "first call",
        include_str!("../migrations/sqlite/0001_first_call.sql"),
    )];
    let migrations = MIGRATIONS.map(|(version, description, sql)| {
        Migration::new(
            version,
            description.into(),
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    });
    Migrator::with_migrations(migrations.to_vec())
        .run(conn)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lead_to_files_or_memory() {
        let file = |path: &str| Ok(Location::File(PathBuf::from(path)));
        for (url, expected) in [
            (
                "sqlite:///var/lib/ringtrip.db",
                file("/var/lib/ringtrip.db"),
            ),
            ("sqlite://ringtrip.db", file("ringtrip.db")),
            ("sqlite:ringtrip.db", file("ringtrip.db")),
            ("sqlite:///a b/100%?.db", file("/a b/100%?.db")),
            ("sqlite::memory:", Ok(Location::Memory)),
            ("sqlite://:memory:", Ok(Location::Memory)),
            ("sqlite://", Err(())),
            ("postgres://localhost/ringtrip", Err(())),
            ("", Err(())),
        ] {
            assert_eq!(Location::from_url(url).map_err(|_| ()), expected, "{url}");
        }
    }
}
