//! The database engines: where a URL leads, how connections are set up, what the tables are.
//!
//! Which engine runs is chosen once, when the store opens. Beside this module, those know it that open, write,
//! claim and back up a database. Queries elsewhere are [`query`]s in the SQL that SQLite and Postgres share.

mod conn;
mod query;
mod row;

use std::fmt;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Executor, SqlSafeStr, SqlitePool};

pub(crate) use self::conn::{
    Conn, Engine, ListPlaces, Pool, Reads, Snapshot, Turns, postgres_alone, postgres_options,
    postgres_pool, reader,
};
pub(crate) use self::query::{QueryBuilder, query, query_scalar};
pub(crate) use self::row::{Column, Row};
use crate::error::OpenError;

/// Longest wait for a lock that another process holds, and for a free connection.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
const READERS: u32 = 8;

/// Where the tables are kept.
#[derive(Debug, Clone)]
pub(crate) enum Location {
    /// A file.
    File(PathBuf),
    /// Nowhere: gone when the store closes.
    Memory,
    /// A database of a Postgres server.
    Postgres(Box<PgConnectOptions>),
}

impl Location {
    /// Reads a URL: `sqlite::memory:`, `sqlite://` (or `sqlite:`) and a path, taken as it stands, or
    /// `postgres://` as Postgres' own programs take it.
    pub(crate) fn from_url(url: &str) -> Result<Self, OpenError> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let options = url.parse::<PgConnectOptions>();
            let options = options.map_err(|_| OpenError::UnsupportedUrl)?;
            return Ok(Self::Postgres(Box::new(postgres_options(options))));
        }
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
}

/// As it may be shown in an error: without a password.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Memory => f.write_str(":memory:"),
            Self::Postgres(options) => {
                let (host, port) = (options.get_host(), options.get_port());
                write!(f, "postgres://{host}:{port}/")?;
                f.write_str(options.get_database().unwrap_or_default())
            }
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

/// Describes a connection that reads a file.
pub(crate) fn reader_options(path: &Path) -> SqliteConnectOptions {
    // Pages that are not kept here are in the memory of the system.
    options(PATIENCE)
        .filename(path)
        .pragma("query_only", "ON")
        .pragma("cache_size", "-1000")
}

/// Describes the connection that fills a new file, which nobody else has open: references are checked
/// when all is there.
pub(crate) fn restoring_options(path: &Path) -> SqliteConnectOptions {
    options(PATIENCE)
        .filename(path)
        .foreign_keys(false)
        .journal_mode(SqliteJournalMode::Delete)
        .synchronous(SqliteSynchronous::Full)
}

/// Opens connections that read a file.
pub(crate) async fn readers(path: &Path) -> Result<SqlitePool, sqlx::Error> {
    pool(READERS).connect_with(reader_options(path)).await
}

/// Opens the single connection that a database in memory consists of; reads and writes take turns.
pub(crate) async fn memory() -> Result<SqlitePool, sqlx::Error> {
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
    let sql = match conn.engine() {
        Engine::Sqlite(_) => "SELECT name FROM sqlite_master WHERE type = 'table'",
        Engine::Postgres(_) => {
            // What an extension brings along is nobody's content.
            "SELECT CAST(c.relname AS TEXT) FROM pg_class AS c
             WHERE c.relkind IN ('r', 'p') AND c.relnamespace =
                   (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
               AND NOT EXISTS (SELECT 1 FROM pg_depend AS d
                   WHERE d.classid = CAST('pg_class' AS REGCLASS) AND d.objid = c.oid AND d.deptype = 'e')"
        }
    };
    let tables: Vec<String> = query_scalar(sql).fetch_all(conn).await?;
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

/// A change of the tables, in the words of each engine.
struct Change {
    version: i64,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! changes {
    ($($version:literal $name:literal;)+) => {
        /// Every change there has been, in order. Once released, none is edited.
        const CHANGES: &[Change] = &[$(Change {
            version: $version,
            name: $name,
            sqlite: include_str!(concat!("../../migrations/sqlite/", $name, ".sql")),
            postgres: include_str!(concat!("../../migrations/postgres/", $name, ".sql")),
        }),+];
    };
}

changes! {
    1 "0001_first_call";
    2 "0002_profiles_and_trunks";
    3 "0003_numbers";
    4 "0004_webhooks";
    5 "0005_people";
    6 "0006_operations";
    7 "0007_idempotency";
}

/// Returns the version of the newest change.
pub(crate) fn newest_change() -> i64 {
    CHANGES
        .iter()
        .map(|change| change.version)
        .max()
        .unwrap_or(0)
}

/// Tells whether a table is one that the changes made: a database may hold those of others, too.
pub(crate) fn is_own_table(name: &str) -> bool {
    let made = CHANGES.iter().flat_map(|change| change.sqlite.lines());
    made.filter_map(|line| line.strip_prefix("CREATE TABLE ")?.strip_suffix(" ("))
        .any(|own| own == name)
}

/// Brings the tables up to date. Refuses a database that a newer version has changed.
pub(crate) async fn migrate(conn: &mut Conn) -> Result<(), sqlx::migrate::MigrateError> {
    migrate_to(conn, newest_change()).await
}

/// Brings the tables to what they were after a change.
pub(crate) async fn migrate_to(
    conn: &mut Conn,
    version: i64,
) -> Result<(), sqlx::migrate::MigrateError> {
    let migrator = |sql: fn(&Change) -> &'static str| {
        let migration = |change: &Change| {
            let description = change.name.get(5..).unwrap_or_default().replace('_', " ");
            Migration::new(
                change.version,
                description.into(),
                MigrationType::Simple,
                sql(change).into_sql_str(),
                false,
            )
        };
        let wanted = CHANGES.iter().filter(|change| change.version <= version);
        Migrator::with_migrations(wanted.map(migration).collect())
    };
    match conn.engine() {
        Engine::Sqlite(conn) => migrator(|change| change.sqlite).run(conn).await,
        Engine::Postgres(conn) => {
            // A change of a large table takes as long as it takes.
            conn.execute("SET statement_timeout = 0").await?;
            migrator(|change| change.postgres).run(&mut *conn).await?;
            conn.execute("RESET statement_timeout").await?;
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lead_to_files_memory_or_a_server() {
        for (url, expected) in [
            (
                "sqlite:///var/lib/ringtrip.db",
                Some("/var/lib/ringtrip.db"),
            ),
            ("sqlite://ringtrip.db", Some("ringtrip.db")),
            ("sqlite:ringtrip.db", Some("ringtrip.db")),
            ("sqlite:///a b/100%?.db", Some("/a b/100%?.db")),
            ("sqlite::memory:", Some(":memory:")),
            ("sqlite://:memory:", Some(":memory:")),
            ("sqlite://", None),
            (
                "postgres://ann:secret@db.example/ringtrip",
                Some("postgres://db.example:5432/ringtrip"),
            ),
            (
                "postgresql://localhost:5433/x?sslmode=disable",
                Some("postgres://localhost:5433/x"),
            ),
            ("postgres://localhost:port/x", None),
            ("mysql://localhost/x", None),
            ("", None),
        ] {
            let shown = Location::from_url(url).map(|location| location.to_string());
            assert_eq!(shown.ok().as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn changes_are_numbered_in_order_and_named_alike() {
        for (index, change) in CHANGES.iter().enumerate() {
            let number = format!("{:04}_", change.version);
            assert!(change.name.starts_with(&number), "{}", change.name);
            assert!(index == 0 || CHANGES[index - 1].version < change.version);
        }
    }
}
