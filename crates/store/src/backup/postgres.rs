//! How tables are read and filled on Postgres.

use std::collections::BTreeMap;

use futures_util::TryStreamExt;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Executor, PgConnection, Row, SqlSafeStr};

use super::format::{ColumnKind, Table, Value};
use super::{BackupError, failed, quoted};
use crate::db;

/// Lists the tables in the order of their names.
pub(super) async fn tables(conn: &mut PgConnection) -> Result<Vec<Table>, BackupError> {
    let found: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT CAST(c.table_name AS TEXT), CAST(c.column_name AS TEXT), CAST(c.data_type AS TEXT)
         FROM information_schema.columns AS c
         JOIN information_schema.tables AS t USING (table_schema, table_name)
         WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE'
           AND c.table_name <> '_sqlx_migrations'
         ORDER BY 1, c.ordinal_position",
    )
    .fetch_all(conn)
    .await
    .map_err(failed("reading its tables"))?;
    let mut tables: Vec<Table> = Vec::new();
    for (table, column, kind) in found {
        if !db::is_own_table(&table) {
            continue;
        }
        let known = match kind.as_str() {
            "bigint" => ColumnKind::Integer,
            "boolean" => ColumnKind::Boolean,
            "text" => ColumnKind::Text,
            "bytea" => ColumnKind::Bytes,
            _ => {
                return Err(BackupError::UnknownType {
                    table,
                    column,
                    kind,
                });
            }
        };
        match tables.last_mut() {
            Some(last) if last.name == table => last.columns.push((column, known)),
            Some(_) | None => tables.push(Table {
                name: table,
                columns: vec![(column, known)],
            }),
        }
    }
    Ok(tables)
}

/// The counters of our tables with counted ids: table, column, counter.
async fn counters(conn: &mut PgConnection) -> Result<Vec<(String, String, String)>, sqlx::Error> {
    let mut found: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT),
                pg_get_serial_sequence(quote_ident(table_name), CAST(column_name AS TEXT))
         FROM information_schema.columns
         WHERE table_schema = current_schema() AND is_identity = 'YES' ORDER BY 1",
    )
    .fetch_all(conn)
    .await?;
    found.retain(|(table, ..)| db::is_own_table(table));
    Ok(found)
}

/// Reads the highest id that each table with counted ids has given out.
pub(super) async fn sequences(
    conn: &mut PgConnection,
) -> Result<BTreeMap<String, i64>, sqlx::Error> {
    let mut sequences = BTreeMap::new();
    for (table, _, counter) in counters(conn).await? {
        // The name comes quoted where it must be.
        let sql = format!("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {counter}");
        let highest: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_one(&mut *conn)
            .await?;
        if highest > 0 {
            sequences.insert(table, highest);
        }
    }
    Ok(sequences)
}

/// Lets counters go on after the ids that were given out, and after those that are there: SQLite counts some
/// tables by their highest id alone, and says nothing of them.
pub(super) async fn set_sequences(
    conn: &mut PgConnection,
    sequences: &BTreeMap<String, i64>,
) -> Result<(), sqlx::Error> {
    for (table, column, counter) in counters(conn).await? {
        let given_out = sequences.get(&table).copied().unwrap_or(0);
        let (column, table) = (quoted(&column), quoted(&table));
        let sql = format!(
            "SELECT setval(CAST($1 AS REGCLASS), last) FROM
                 (SELECT GREATEST($2, MAX({column})) AS last FROM {table}) AS known
             WHERE last > 0"
        );
        sqlx::query(AssertSqlSafe(sql))
            .bind(counter)
            .bind(given_out)
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

/// Reads a table row by row.
pub(super) async fn read(
    conn: &mut PgConnection,
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

fn value(row: &PgRow, index: usize, kind: ColumnKind) -> Result<Value, sqlx::Error> {
    let value = match kind {
        ColumnKind::Integer => row.try_get::<Option<i64>, _>(index)?.map(Value::Integer),
        ColumnKind::Boolean => row.try_get::<Option<bool>, _>(index)?.map(Value::Boolean),
        ColumnKind::Text => row.try_get::<Option<String>, _>(index)?.map(Value::Text),
        ColumnKind::Bytes => row.try_get::<Option<Vec<u8>>, _>(index)?.map(Value::Bytes),
    };
    Ok(value.unwrap_or(Value::Null))
}

/// A reference of a table to another.
pub(super) struct Reference {
    table: String,
    name: String,
    definition: String,
}

/// Drops references and stops triggers: rows come in the order of tables' names, and what counts them
/// has counted them before.
pub(super) async fn disarm(
    conn: &mut PgConnection,
    tables: &[Table],
) -> Result<Vec<Reference>, sqlx::Error> {
    // Loading and looking at what was loaded takes as long as it takes.
    run(conn, "SET LOCAL statement_timeout = 0".to_owned()).await?;
    let found: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT CAST(CAST(c.conrelid AS REGCLASS) AS TEXT), CAST(c.conname AS TEXT),
                pg_get_constraintdef(c.oid)
         FROM pg_constraint AS c JOIN pg_namespace AS n ON n.oid = c.connamespace
         WHERE c.contype = 'f' AND n.nspname = current_schema() ORDER BY 1, 2",
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut references = Vec::new();
    for (table, name, definition) in found {
        run(
            conn,
            format!("ALTER TABLE {table} DROP CONSTRAINT {}", quoted(&name)),
        )
        .await?;
        references.push(Reference {
            table,
            name,
            definition,
        });
    }
    for table in tables {
        let name = quoted(&table.name);
        run(conn, format!("ALTER TABLE {name} DISABLE TRIGGER USER")).await?;
    }
    Ok(references)
}

/// Puts back what [`disarm`] took away. Refuses rows that name others which are not there.
pub(super) async fn arm(
    conn: &mut PgConnection,
    tables: &[Table],
    references: Vec<Reference>,
) -> Result<(), BackupError> {
    for Reference {
        table,
        name,
        definition,
    } in references
    {
        let name = quoted(&name);
        let sql = format!("ALTER TABLE {table} ADD CONSTRAINT {name} {definition}");
        run(conn, sql).await.map_err(|error| {
            let broken = error.as_database_error();
            if broken.is_some_and(|broken| broken.is_foreign_key_violation()) {
                return BackupError::Inconsistent {
                    problem: format!("a row of {table} names one that is not there"),
                };
            }
            failed("checking it")(error)
        })?;
    }
    for table in tables {
        let name = quoted(&table.name);
        run(conn, format!("ALTER TABLE {name} ENABLE TRIGGER USER"))
            .await
            .map_err(failed("checking it"))?;
    }
    Ok(())
}

pub(super) async fn run(conn: &mut PgConnection, sql: String) -> Result<(), sqlx::Error> {
    sqlx::query(AssertSqlSafe(sql))
        .persistent(false)
        .execute(conn)
        .await
        .map(drop)
}

pub(super) async fn insert(
    conn: &mut PgConnection,
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
