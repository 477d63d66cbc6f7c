//! Backups: one file that holds every row, the same from either engine and for either.
//!
//! A backup is of one instant: it is read in one transaction while others write on. It holds secrets
//! as they stand in the database, sealed; the key file is not in it. It is restored into an empty
//! database, in full or not at all.

mod format;
mod postgres;
mod sqlite;

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ringtrip_model::{Generator, Timestamp};
use sqlx::ConnectOptions;

use self::format::{Header, Part, Reader, Table, VERSION, Value, Writer};
use crate::StoreConfig;
use crate::db::{self, Conn, Content, Engine, Location};
use crate::encryption_keys;
use crate::error::{OpenError, StoreError};
use crate::seal::{KeyError, KeyRing, sync_folder};

/// Rows are handed over in portions of about this many bytes.
const PORTION_BYTES: usize = 1024 * 1024;
/// Values in one statement.
const PORTION_VALUES: usize = 4_000;
const BUFFER: usize = 256 * 1024;

/// Why there is no backup, or why it was not restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file is something else.
    #[error("the file is not a backup of ringtrip")]
    NotABackup,
    /// Another version has written the file.
    #[error("the backup has format {version}, which this version does not read")]
    OtherFormat {
        /// The format's version.
        version: u32,
    },
    /// The file was changed.
    #[error("the backup is damaged (line {line})")]
    Damaged {
        /// Where that was noticed.
        line: u64,
    },
    /// The file is not all there.
    #[error("the backup is cut off")]
    Truncated,
    /// The file cannot be read.
    #[error("the backup cannot be read")]
    Read(#[source] io::Error),
    /// The file cannot be written.
    #[error("{path} cannot be written")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is a file where the backup should go.
    #[error("{path} exists already")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The backup is of tables that this version does not know.
    #[error("the backup is of schema {schema}, and this version knows no newer one than {known}")]
    NewerSchema {
        /// Its newest migration.
        schema: i64,
        /// The newest that is known.
        known: i64,
    },
    /// The backup's rows do not fit the tables.
    #[error("the backup's table {table} is not a table of schema {schema}")]
    Misfit {
        /// The table.
        table: String,
        /// The schema that the backup says it has.
        schema: i64,
    },
    /// A backup is restored into an empty database only.
    #[error("the database {database} is in use; a backup is restored into an empty one only")]
    NotEmpty {
        /// The database.
        database: String,
    },
    /// There is nothing to back up.
    #[error("the database {database} is empty")]
    Empty {
        /// The database.
        database: String,
    },
    /// A store in memory is gone with its process.
    #[error("a database in memory has no backup")]
    InMemory,
    /// The secrets in the backup could not be read.
    #[error(
        "the backup's secrets are sealed with key {id}, which is not in the key file {key_file}"
    )]
    KeyMissing {
        /// The key file.
        key_file: PathBuf,
        /// The id of the missing key.
        id: String,
    },
    /// The key file cannot be used.
    #[error("the key file cannot be used")]
    Key(#[from] KeyError),
    /// A column is of a type that no table of ours has.
    #[error("column {table}.{column} has the type {kind}, which backups do not know")]
    UnknownType {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// Its type.
        kind: String,
    },
    /// The restored rows contradict each other.
    #[error("the restored rows contradict each other: {problem}")]
    Inconsistent {
        /// What was found.
        problem: String,
    },
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database failed.
    #[error("the database failed while {doing}")]
    Database {
        /// What was being done.
        doing: &'static str,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// The database failed.
    #[error("the database failed")]
    Store(#[from] StoreError),
}

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupSummary {
    /// Rows of all tables.
    pub rows: u64,
    /// The newest migration of its tables.
    pub schema: i64,
    /// The instant that it is of, about.
    pub made_at: Timestamp,
    /// The ids of the keys that its secrets are sealed with.
    pub encryption_keys: Vec<String>,
}

fn failed(doing: &'static str) -> impl Fn(sqlx::Error) -> BackupError {
    move |source| BackupError::Database { doing, source }
}

/// Writes a database into a new file, as it is at one instant, while others use it. Neither changes the
/// database nor needs its key.
///
/// # Errors
/// Then there is no file.
pub async fn back_up(
    url: &str,
    to: &Path,
    now: Timestamp,
    rng: &mut Generator,
) -> Result<BackupSummary, BackupError> {
    let location = Location::from_url(url)?;
    let opening = failed("opening it");
    let mut conn = match &location {
        Location::File(path) => {
            let options = db::reader_options(path);
            Conn::Sqlite(options.connect().await.map_err(opening)?)
        }
        Location::Postgres(options) => db::postgres_alone(options).await.map_err(opening)?,
        Location::Memory => return Err(BackupError::InMemory),
    };
    match db::content(&mut conn)
        .await
        .map_err(failed("looking at it"))?
    {
        Content::Ours => {}
        Content::Nothing => {
            return Err(BackupError::Empty {
                database: location.to_string(),
            });
        }
        Content::Foreign => {
            return Err(OpenError::Foreign {
                database: location.to_string(),
            }
            .into());
        }
    }
    if to.exists() {
        return Err(BackupError::Exists {
            path: to.to_owned(),
        });
    }
    let draft = Draft::beside(to, rng);
    let writing = |source| BackupError::Write {
        path: to.to_owned(),
        source,
    };
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft.0)
        .map_err(writing)?;
    let out = BufWriter::with_capacity(BUFFER, file);
    let (out, summary) = write(&mut conn, out, to, now).await?;
    let file = out
        .into_inner()
        .map_err(|error| writing(error.into_error()))?;
    file.sync_all().map_err(writing)?;
    // Linking, unlike renaming, replaces nothing.
    match fs::hard_link(&draft.0, to) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(BackupError::Exists {
                path: to.to_owned(),
            });
        }
        Err(error) => return Err(writing(error)),
    }
    drop(draft);
    sync_folder(to).map_err(writing)?;
    conn.close().await.map_err(failed("closing it"))?;
    Ok(summary)
}

async fn write<W: io::Write>(
    conn: &mut Conn,
    out: W,
    to: &Path,
    now: Timestamp,
) -> Result<(W, BackupSummary), BackupError> {
    let reading = failed("reading it");
    let begin = match conn.engine() {
        Engine::Sqlite(_) => "BEGIN",
        Engine::Postgres(_) => {
            db::query("SET statement_timeout = 0")
                .execute(conn)
                .await
                .map_err(&reading)?;
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        }
    };
    db::query(begin).execute(conn).await.map_err(&reading)?;
    // The first look fixes the instant.
    let schema: i64 = db::query_scalar("SELECT MAX(version) FROM _sqlx_migrations")
        .fetch_one(conn)
        .await
        .map_err(&reading)?;
    let tables = match conn.engine() {
        Engine::Sqlite(conn) => sqlite::tables(conn).await?,
        Engine::Postgres(conn) => postgres::tables(conn).await?,
    };
    let sequences = match conn.engine() {
        Engine::Sqlite(conn) => sqlite::sequences(conn).await.map_err(&reading)?,
        Engine::Postgres(conn) => postgres::sequences(conn).await.map_err(&reading)?,
    };
    let header = Header {
        ringtrip_backup: VERSION,
        schema,
        made_at: now.as_micros(),
        encryption_keys: encryption_keys::needed(conn).await?,
        sequences,
    };
    let unwritable = |source| BackupError::Write {
        path: to.to_owned(),
        source,
    };
    let mut writer = Writer::new(out, &header).map_err(unwritable)?;
    for table in tables {
        writer.table(table.clone()).map_err(unwritable)?;
        let mut take = |row: &[Value]| writer.row(row).map_err(unwritable);
        match conn.engine() {
            Engine::Sqlite(conn) => sqlite::read(conn, &table, &mut take).await?,
            Engine::Postgres(conn) => postgres::read(conn, &table, &mut take).await?,
        }
        writer.end_table().map_err(unwritable)?;
    }
    db::query("ROLLBACK")
        .execute(conn)
        .await
        .map_err(&reading)?;
    let (out, rows) = writer.finish().map_err(unwritable)?;
    let summary = BackupSummary {
        rows,
        schema,
        made_at: now,
        encryption_keys: header.encryption_keys,
    };
    Ok((out, summary))
}

/// Fills an empty database with what a backup holds, and brings its tables up to date. The key file of
/// the configuration must hold the keys of the backup.
///
/// # Errors
/// Then nothing was restored. The file is read to its end and checked before the database is touched.
pub async fn restore(
    config: &StoreConfig,
    from: &Path,
    rng: &mut Generator,
) -> Result<BackupSummary, BackupError> {
    let location = Location::from_url(&config.url)?;
    let known = db::newest_change();
    let summary = check(from, known)?;
    let ring = KeyRing::load(&config.key_file)?.ok_or_else(|| KeyError::Missing {
        path: config.key_file.clone(),
    })?;
    let missing = summary
        .encryption_keys
        .iter()
        .find(|id| ring.key(id).is_none());
    if let Some(id) = missing {
        return Err(BackupError::KeyMissing {
            key_file: config.key_file.clone(),
            id: id.clone(),
        });
    }
    match &location {
        Location::Memory => return Err(BackupError::InMemory),
        Location::Postgres(options) => {
            let mut conn = db::postgres_alone(options)
                .await
                .map_err(failed("opening it"))?;
            check_empty(&mut conn, &location).await?;
            fill(&mut conn, from, &summary, &ring).await?;
            db::migrate(&mut conn).await.map_err(OpenError::from)?;
            conn.close().await.map_err(failed("closing it"))?;
        }
        Location::File(path) => restore_file(path, &location, from, &summary, &ring, rng).await?,
    }
    Ok(summary)
}

/// Reads a backup to its end without doing anything with it.
fn check(from: &Path, known: i64) -> Result<BackupSummary, BackupError> {
    let mut reader = open(from)?;
    let header = reader.header();
    if header.schema > known {
        return Err(BackupError::NewerSchema {
            schema: header.schema,
            known,
        });
    }
    let (schema, made_at) = (header.schema, Timestamp::from_micros(header.made_at));
    let encryption_keys = header.encryption_keys.clone();
    loop {
        if let Part::End { rows } = reader.read()? {
            return Ok(BackupSummary {
                rows,
                schema,
                made_at,
                encryption_keys,
            });
        }
    }
}

fn open(from: &Path) -> Result<Reader<BufReader<File>>, BackupError> {
    let file = File::open(from).map_err(BackupError::Read)?;
    Reader::new(BufReader::with_capacity(BUFFER, file))
}

async fn check_empty(conn: &mut Conn, location: &Location) -> Result<(), BackupError> {
    let content = db::content(conn).await.map_err(failed("looking at it"))?;
    let empty = match content {
        Content::Nothing => true,
        // Whoever opens a database registers a key first; without one, nothing was ever written.
        Content::Ours => !encryption_keys::any(conn).await?,
        Content::Foreign => false,
    };
    if empty {
        Ok(())
    } else {
        Err(BackupError::NotEmpty {
            database: location.to_string(),
        })
    }
}

/// Makes the database beside its place, and puts it there when it is finished.
async fn restore_file(
    path: &Path,
    location: &Location,
    from: &Path,
    summary: &BackupSummary,
    ring: &KeyRing,
    rng: &mut Generator,
) -> Result<(), BackupError> {
    if path.exists() {
        let options = db::writer_options(path, db::PATIENCE);
        let mut conn = Conn::Sqlite(options.connect().await.map_err(failed("opening it"))?);
        let empty = check_empty(&mut conn, location).await;
        conn.close().await.map_err(failed("closing it"))?;
        empty?;
    }
    let draft = Draft::beside(path, rng);
    db::create_file(&draft.0)?;
    let options = db::restoring_options(&draft.0);
    let mut conn = Conn::Sqlite(options.connect().await.map_err(failed("making it"))?);
    let filled = async {
        fill(&mut conn, from, summary, ring).await?;
        db::migrate(&mut conn).await.map_err(OpenError::from)?;
        if let Engine::Sqlite(conn) = conn.engine() {
            sqlite::check(conn).await?;
        }
        Ok::<_, BackupError>(())
    }
    .await;
    let closed = conn.close().await.map_err(failed("closing it"));
    filled?;
    closed?;
    let placed = || {
        File::open(&draft.0)?.sync_all()?;
        fs::rename(&draft.0, path)?;
        sync_folder(path)
    };
    placed().map_err(|source| BackupError::Write {
        path: path.to_owned(),
        source,
    })
}

/// Makes the tables that a backup is of and loads its rows, in one transaction.
async fn fill(
    conn: &mut Conn,
    from: &Path,
    summary: &BackupSummary,
    ring: &KeyRing,
) -> Result<(), BackupError> {
    db::migrate_to(conn, summary.schema)
        .await
        .map_err(OpenError::from)?;
    let loading = failed("loading it");
    db::query("BEGIN").execute(conn).await.map_err(&loading)?;
    let loaded = load(conn, from, summary, ring).await;
    // A transaction that failed may be over already.
    let end = if loaded.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = db::query(end).execute(conn).await.map(drop);
    loaded?;
    ended.map_err(&loading)
}

async fn load(
    conn: &mut Conn,
    from: &Path,
    summary: &BackupSummary,
    ring: &KeyRing,
) -> Result<(), BackupError> {
    let loading = failed("loading it");
    let tables = match conn.engine() {
        Engine::Sqlite(conn) => sqlite::tables(conn).await?,
        Engine::Postgres(conn) => postgres::tables(conn).await?,
    };
    let disarmed = match conn.engine() {
        Engine::Sqlite(conn) => Disarmed::Sqlite(sqlite::disarm(conn).await.map_err(&loading)?),
        Engine::Postgres(conn) => {
            Disarmed::Postgres(postgres::disarm(conn, &tables).await.map_err(&loading)?)
        }
    };
    // A migration may have put rows of its own into a table; the backup holds what became of them.
    for table in &tables {
        let sql = format!("DELETE FROM {}", quoted(&table.name));
        match conn.engine() {
            Engine::Sqlite(conn) => sqlite::run(conn, sql).await.map_err(&loading)?,
            Engine::Postgres(conn) => postgres::run(conn, sql).await.map_err(&loading)?,
        }
    }
    let mut reader = open(from)?;
    let mut into: Option<Table> = None;
    let mut portion = Portion::default();
    loop {
        match reader.read()? {
            Part::Table(table) => {
                // Engines may have their columns in another order.
                let columns =
                    |table: &Table| table.columns.iter().cloned().collect::<BTreeSet<_>>();
                let same =
                    |known: &Table| known.name == table.name && columns(known) == columns(&table);
                if !tables.iter().any(same) {
                    return Err(BackupError::Misfit {
                        table: table.name,
                        schema: summary.schema,
                    });
                }
                into = Some(table);
            }
            Part::Row(row) => {
                let Some(table) = &into else { continue };
                if portion.add(row, table.columns.len()) {
                    insert(conn, table, &mut portion).await.map_err(&loading)?;
                }
            }
            Part::EndOfTable => {
                if let Some(table) = into.take() {
                    insert(conn, &table, &mut portion).await.map_err(&loading)?;
                }
            }
            Part::End { rows } if rows == summary.rows => break,
            // It was another file a moment ago.
            Part::End { .. } => return Err(BackupError::Truncated),
        }
    }
    let sequences = &reader.header().sequences;
    match conn.engine() {
        Engine::Sqlite(conn) => sqlite::set_sequences(conn, sequences)
            .await
            .map_err(&loading)?,
        Engine::Postgres(conn) => {
            postgres::set_sequences(conn, sequences)
                .await
                .map_err(&loading)?;
        }
    }
    match (conn.engine(), disarmed) {
        (Engine::Sqlite(conn), Disarmed::Sqlite(triggers)) => {
            sqlite::arm(conn, triggers).await.map_err(&loading)?;
            sqlite::check_references(conn).await?;
        }
        (Engine::Postgres(conn), Disarmed::Postgres(constraints)) => {
            postgres::arm(conn, &tables, constraints).await?;
        }
        (Engine::Sqlite(_), Disarmed::Postgres(_)) | (Engine::Postgres(_), Disarmed::Sqlite(_)) => {
        }
    }
    // Ids tell which keys are needed, proofs that these are they.
    match encryption_keys::unproven(conn, ring, &summary.encryption_keys).await? {
        None => Ok(()),
        Some(id) => Err(BackupError::Inconsistent {
            problem: format!("key {id} is not the one that sealed them"),
        }),
    }
}

/// What would act on each row while rows are loaded, to be put back afterwards.
enum Disarmed {
    /// Triggers, as they were made.
    Sqlite(Vec<String>),
    /// References: the table, the name, the definition.
    Postgres(Vec<postgres::Reference>),
}

/// Rows that are inserted together.
#[derive(Debug, Default)]
struct Portion {
    rows: Vec<Vec<Value>>,
    bytes: usize,
}

impl Portion {
    /// Adds a row; true if it is time to insert.
    fn add(&mut self, row: Vec<Value>, columns: usize) -> bool {
        let size = |value: &Value| match value {
            Value::Text(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            Value::Null | Value::Integer(_) | Value::Boolean(_) => 8,
        };
        self.bytes += row.iter().map(size).sum::<usize>();
        self.rows.push(row);
        self.bytes >= PORTION_BYTES || (self.rows.len() + 1) * columns > PORTION_VALUES
    }
}

async fn insert(conn: &mut Conn, table: &Table, portion: &mut Portion) -> Result<(), sqlx::Error> {
    let Portion { rows, .. } = std::mem::take(portion);
    if rows.is_empty() || table.columns.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = table.columns.iter().map(|(name, _)| quoted(name)).collect();
    let mut sql = format!(
        "INSERT INTO {} ({}) ",
        quoted(&table.name),
        names.join(", ")
    );
    if let Engine::Postgres(_) = conn.engine() {
        sql.push_str("OVERRIDING SYSTEM VALUE ");
    }
    sql.push_str("VALUES ");
    let mut number = 0;
    for index in 0..rows.len() {
        sql.push_str(if index == 0 { "(" } else { ", (" });
        for column in 0..table.columns.len() {
            number += 1;
            if column > 0 {
                sql.push_str(", ");
            }
            sql.push('$');
            sql.push_str(&number.to_string());
        }
        sql.push(')');
    }
    match conn.engine() {
        Engine::Sqlite(conn) => sqlite::insert(conn, sql, table, rows).await,
        Engine::Postgres(conn) => postgres::insert(conn, sql, table, rows).await,
    }
}

/// A name as it stands in a statement.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A file beside the place that it will get; removed when dropped, with what the engine put beside it.
struct Draft(PathBuf);

impl Draft {
    fn beside(place: &Path, rng: &mut Generator) -> Self {
        let mut name = place.as_os_str().to_owned();
        name.push(format!(".new-{}", rng.hex(8)));
        Self(name.into())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        for suffix in ["", "-journal", "-wal", "-shm"] {
            let mut name = self.0.as_os_str().to_owned();
            name.push(suffix);
            // A draft that was finished is not there any more.
            let _ = fs::remove_file(name);
        }
    }
}
