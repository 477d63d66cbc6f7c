//! How tables are read and filled on SQLite.

use std::collections::BTreeMap;

use futures_util::TryStreamExt;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Executor, Row, SqlSafeStr, SqliteConnection};

use super::format::{ColumnKind, Table, Value};
use super::{BackupError, failed, quoted};
use crate::db;

/// Lists the tables in the order of their names.
pub(super) async fn tables(conn: &mut SqliteConnection) -> Result<Vec<Table>, BackupError> {
    let reading = failed("reading its tables");
    let names: Vec<String> = sqlx::query_scalar(
        r"SELECT name FROM sqlite_master
          WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' AND name <> '_sqlx_migrations'
          ORDER BY name",
    )
    .fetch_all(&mut *conn)
    .await
    .map_err(&reading)?;
    let mut tables = Vec::new();
    for name in names.into_iter().filter(|name| db::is_own_table(name)) {
        let found: Vec<(String, String)> =
            sqlx::query_as("SELECT name, type FROM pragma_table_info($1) ORDER BY cid")
                .bind(name.clone())
                .fetch_all(&mut *conn)
                .await
                .map_err(&reading)?;
        let mut columns = Vec::new();
        for (column, kind) in found {
            let known = match kind.as_str() {
                "BIGINT" | "INTEGER" => ColumnKind::Integer,
                "BOOLEAN" => ColumnKind::Boolean,
                "TEXT" => ColumnKind::Text,
                "BLOB" => ColumnKind::Bytes,
                _ => {
                    return Err(BackupError::UnknownType {
                        table: name,
                        column,
                        kind,
                    });
                }
            };
            columns.push((column, known));
        }
        tables.push(Table { name, columns });
    }
    Ok(tables)
}

/// Reads the highest id that each table with counted ids has given out.
pub(super) async fn sequences(
    conn: &mut SqliteConnection,
) -> Result<BTreeMap<String, i64>, sqlx::Error> {
    let counted: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM sqlite_master WHERE name = 'sqlite_sequence'")
            .fetch_one(&mut *conn)
            .await?;
    if counted == 0 {
        return Ok(BTreeMap::new());
    }
    let found: Vec<(String, i64)> = sqlx::query_as("SELECT name, seq FROM sqlite_sequence")
        .fetch_all(conn)
        .await?;
    let own = found.into_iter().filter(|(name, _)| db::is_own_table(name));
    Ok(own.collect())
}

pub(super) async fn set_sequences(
    conn: &mut SqliteConnection,
    sequences: &BTreeMap<String, i64>,
) -> Result<(), sqlx::Error> {
    for (table, highest) in sequences {
        sqlx::query("DELETE FROM sqlite_sequence WHERE name = $1")
            .bind(table.clone())
            .execute(&mut *conn)
            .await?;
        sqlx::query("INSERT INTO sqlite_sequence (name, seq) VALUES ($1, $2)")
            .bind(table.clone())
            .bind(*highest)
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

/// Reads a table row by row.
pub(super) async fn read(
    conn: &mut SqliteConnection,
    table: &Table,
    take: &mut impl FnMut(&[Value]) -> Result<(), BackupError>,
) -> Result<(), BackupError> {
    let reading = failed("reading its rows");
    let names: Vec<String> = table.columns.iter().map(|(name, _)| quoted(name)).collect();
    let sql = format!("SELECT {} FROM {}", names.join(", "), quoted(&table.name));
    let mut rows = conn.fetch(AssertSqlSafe(sql).into_sql_str());
    let mut values = Vec::new();
    while let Some(row) = rows.try_next().await.map_err(&reading)? {
        values.clear();
        for (index, (_, kind)) in table.columns.iter().enumerate() {
            values.push(value(&row, index, *kind).map_err(&reading)?);
        }
        take(&values)?;
    }
    Ok(())
}

fn value(row: &SqliteRow, index: usize, kind: ColumnKind) -> Result<Value, sqlx::Error> {
    let value = match kind {
        ColumnKind::Integer => row.try_get::<Option<i64>, _>(index)?.map(Value::Integer),
        ColumnKind::Boolean => row.try_get::<Option<bool>, _>(index)?.map(Value::Boolean),
        ColumnKind::Text => row.try_get::<Option<String>, _>(index)?.map(Value::Text),
        ColumnKind::Bytes => row.try_get::<Option<Vec<u8>>, _>(index)?.map(Value::Bytes),
    };
    Ok(value.unwrap_or(Value::Null))
}

/// Drops the triggers, which would count every row again; returns how they were made.
pub(super) async fn disarm(conn: &mut SqliteConnection) -> Result<Vec<String>, sqlx::Error> {
    let triggers: Vec<(String, String)> =
        sqlx::query_as("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY rowid")
            .fetch_all(&mut *conn)
            .await?;
    let mut made = Vec::new();
    for (name, sql) in triggers {
        run(conn, format!("DROP TRIGGER {}", quoted(&name))).await?;
        made.push(sql);
    }
    Ok(made)
}

/// Makes the triggers again.
pub(super) async fn arm(
    conn: &mut SqliteConnection,
    triggers: Vec<String>,
) -> Result<(), sqlx::Error> {
    for sql in triggers {
        run(conn, sql).await?;
    }
    Ok(())
}

pub(super) async fn run(conn: &mut SqliteConnection, sql: String) -> Result<(), sqlx::Error> {
    sqlx::query(AssertSqlSafe(sql))
        .persistent(false)
        .execute(conn)
        .await
        .map(drop)
}

pub(super) async fn insert(
    conn: &mut SqliteConnection,
    sql: String,
    table: &Table,
    rows: Vec<Vec<Value>>,
) -> Result<(), sqlx::Error> {
    let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
    for row in rows {
        for (value, (_, kind)) in row.into_iter().zip(&table.columns) {
            query = match (kind, value) {
                (_, Value::Integer(value)) => query.bind(value),
                (_, Value::Boolean(value)) => query.bind(value),
                (_, Value::Text(value)) => query.bind(value),
                (_, Value::Bytes(value)) => query.bind(value),
                (ColumnKind::Integer, Value::Null) => query.bind(None::<i64>),
                (ColumnKind::Boolean, Value::Null) => query.bind(None::<bool>),
                (ColumnKind::Text, Value::Null) => query.bind(None::<String>),
                (ColumnKind::Bytes, Value::Null) => query.bind(None::<Vec<u8>>),
            };
        }
    }
    query.execute(conn).await.map(drop)
}

/// Refuses rows that name others which are not there.
pub(super) async fn check_references(conn: &mut SqliteConnection) -> Result<(), BackupError> {
    let checking = failed("checking it");
    let broken = sqlx::query("PRAGMA foreign_key_check")
        .fetch_optional(conn)
        .await
        .map_err(&checking)?;
    match broken {
        None => Ok(()),
        Some(row) => {
            let table: String = row.try_get(0).map_err(&checking)?;
            Err(BackupError::Inconsistent {
                problem: format!("a row of {table} names one that is not there"),
            })
        }
    }
}

/// Refuses a file that SQLite itself finds fault with.
pub(super) async fn check(conn: &mut SqliteConnection) -> Result<(), BackupError> {
    let found: String = sqlx::query_scalar("PRAGMA integrity_check(1)")
        .fetch_one(&mut *conn)
        .await
        .map_err(failed("checking it"))?;
    if found != "ok" {
        return Err(BackupError::Inconsistent { problem: found });
    }
    check_references(conn).await
}
