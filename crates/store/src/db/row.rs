//! Rows of either engine, and the types a column can be read as.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{ColumnIndex, Decode, Postgres, Row as _, Sqlite, Type};

/// A row of either engine.
#[derive(Debug)]
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// A type that a column of a row can be read as.
pub(crate) trait Column<'r>: Sized {
    /// Reads a column by its name or its place.
    fn read<I>(row: &'r Row, index: I) -> Result<Self, sqlx::Error>
    where
        I: ColumnIndex<SqliteRow> + ColumnIndex<PgRow>;
}

impl<'r, T> Column<'r> for T
where
    T: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres>,
{
    fn read<I>(row: &'r Row, index: I) -> Result<Self, sqlx::Error>
    where
        I: ColumnIndex<SqliteRow> + ColumnIndex<PgRow>,
    {
        match row {
            Row::Sqlite(row) => row.try_get(index),
            Row::Postgres(row) => row.try_get(index),
        }
    }
}

/// A type of its own, that borrows nothing from the row.
pub(crate) trait Scalar: for<'r> Column<'r> {}

impl<T: for<'r> Column<'r>> Scalar for T {}
