//! Queries that run on either engine, in the shape of sqlx's own: a statement, its values in order, and a
//! way to run it.

use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, AssertSqlSafe, Postgres, SqlSafeStr, SqlStr, Sqlite};

use super::conn::{Conn, Engine, Row};
use super::row::Scalar;

/// A value of a statement. A missing one keeps its type, which Postgres wants to know.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Int(Option<i64>),
    Bool(Option<bool>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

macro_rules! values {
    ($($from:ty => $variant:ident($value:ident) $into:expr;)+) => {$(
        impl From<$from> for Value {
            fn from($value: $from) -> Self {
                Self::$variant(Some($into))
            }
        }

        impl From<Option<$from>> for Value {
            fn from(value: Option<$from>) -> Self {
                Self::$variant(value.map(|$value| $into))
            }
        }
    )+};
}

values! {
    i64 => Int(value) value;
    bool => Bool(value) value;
    String => Text(value) value;
    &str => Text(value) value.to_owned();
    Vec<u8> => Bytes(value) value;
    &[u8] => Bytes(value) value.to_vec();
}

/// Collects values as the arguments of one engine.
fn arguments<A: Arguments>(values: Vec<Value>) -> Result<A, sqlx::Error>
where
    Option<i64>: for<'q> sqlx::Encode<'q, A::Database> + sqlx::Type<A::Database>,
    Option<bool>: for<'q> sqlx::Encode<'q, A::Database> + sqlx::Type<A::Database>,
    Option<String>: for<'q> sqlx::Encode<'q, A::Database> + sqlx::Type<A::Database>,
    Option<Vec<u8>>: for<'q> sqlx::Encode<'q, A::Database> + sqlx::Type<A::Database>,
{
    let mut arguments = A::default();
    for value in values {
        match value {
            Value::Int(value) => arguments.add(value),
            Value::Bool(value) => arguments.add(value),
            Value::Text(value) => arguments.add(value),
            Value::Bytes(value) => arguments.add(value),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

/// Begins a statement; its values are `$1`, `$2`, ….
pub(crate) fn query(sql: &'static str) -> Query {
    Query::new(sql.into_sql_str())
}

/// Begins a statement whose rows have one column.
pub(crate) fn query_scalar(sql: &'static str) -> QueryScalar {
    QueryScalar(query(sql))
}

/// A statement and its values.
#[derive(Debug)]
pub(crate) struct Query {
    sql: SqlStr,
    values: Vec<Value>,
    persistent: bool,
}

/// What a statement did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Done {
    rows_affected: u64,
}

impl Done {
    pub(crate) const fn rows_affected(self) -> u64 {
        self.rows_affected
    }
}

macro_rules! run {
    ($self:ident, $conn:ident, $query:ident, $link:ident => $sqlite:expr, $postgres:expr) => {
        match {
            $conn.ready().await?;
            $conn.engine()
        } {
            Engine::Sqlite($link) => {
                let $query = sqlx::query_with::<Sqlite, _>(
                    $self.sql,
                    arguments::<SqliteArguments>($self.values)?,
                )
                .persistent($self.persistent);
                $sqlite
            }
            Engine::Postgres($link) => {
                let $query = sqlx::query_with::<Postgres, _>(
                    $self.sql,
                    arguments::<PgArguments>($self.values)?,
                )
                .persistent($self.persistent);
                $postgres
            }
        }
    };
}

impl Query {
    const fn new(sql: SqlStr) -> Self {
        Self {
            sql,
            values: Vec::new(),
            persistent: true,
        }
    }

    /// Gives the next value.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Says whether the statement is worth being remembered by the connection; one that rarely comes again
    /// is not.
    pub(crate) const fn persistent(mut self, persistent: bool) -> Self {
        self.persistent = persistent;
        self
    }

    pub(crate) async fn execute(self, conn: &mut Conn) -> Result<Done, sqlx::Error> {
        let rows_affected = run!(self, conn, query, link =>
            query.execute(link).await?.rows_affected(),
            query.execute(link).await?.rows_affected());
        Ok(Done { rows_affected })
    }

    pub(crate) async fn fetch_optional(self, conn: &mut Conn) -> Result<Option<Row>, sqlx::Error> {
        Ok(run!(self, conn, query, link =>
            query.fetch_optional(link).await?.map(Row::Sqlite),
            query.fetch_optional(link).await?.map(Row::Postgres)))
    }

    pub(crate) async fn fetch_one(self, conn: &mut Conn) -> Result<Row, sqlx::Error> {
        self.fetch_optional(conn)
            .await?
            .ok_or(sqlx::Error::RowNotFound)
    }

    pub(crate) async fn fetch_all(self, conn: &mut Conn) -> Result<Vec<Row>, sqlx::Error> {
        Ok(run!(self, conn, query, link =>
            query.fetch_all(link).await?.into_iter().map(Row::Sqlite).collect(),
            query.fetch_all(link).await?.into_iter().map(Row::Postgres).collect()))
    }
}

/// A statement whose rows have one column.
#[derive(Debug)]
pub(crate) struct QueryScalar(Query);

impl QueryScalar {
    /// Gives the next value.
    pub(crate) fn bind(self, value: impl Into<Value>) -> Self {
        Self(self.0.bind(value))
    }

    pub(crate) async fn fetch_one<T: Scalar>(self, conn: &mut Conn) -> Result<T, sqlx::Error> {
        scalar(&self.0.fetch_one(conn).await?)
    }

    pub(crate) async fn fetch_optional<T: Scalar>(
        self,
        conn: &mut Conn,
    ) -> Result<Option<T>, sqlx::Error> {
        self.0
            .fetch_optional(conn)
            .await?
            .as_ref()
            .map(scalar)
            .transpose()
    }

    pub(crate) async fn fetch_all<T: Scalar>(self, conn: &mut Conn) -> Result<Vec<T>, sqlx::Error> {
        self.0.fetch_all(conn).await?.iter().map(scalar).collect()
    }
}

fn scalar<T: Scalar>(row: &Row) -> Result<T, sqlx::Error> {
    T::read(row, 0)
}

/// Puts a statement together from parts of this program and values of anybody.
#[derive(Debug)]
pub(crate) struct QueryBuilder {
    sql: String,
    /// Each value, and where in the text it stands.
    values: Vec<(usize, Value)>,
}

impl QueryBuilder {
    pub(crate) fn new(sql: &str) -> Self {
        Self {
            sql: sql.to_owned(),
            values: Vec::new(),
        }
    }

    /// Adds text of this program's own.
    pub(crate) fn push(&mut self, sql: &'static str) -> &mut Self {
        self.sql.push_str(sql);
        self
    }

    /// Adds a value.
    pub(crate) fn push_bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push((self.sql.len(), value.into()));
        self
    }

    /// Adds another statement as a part of this one.
    pub(crate) fn push_query(&mut self, other: Self) -> &mut Self {
        let before = self.sql.len();
        self.sql.push_str(&other.sql);
        let values = other.values.into_iter();
        self.values
            .extend(values.map(|(at, value)| (before + at, value)));
        self
    }

    /// Lets a `SELECT` have one more column, first, which is what another query finds.
    pub(crate) fn with_column(self, name: &'static str, query: Self) -> Self {
        const SELECT: &str = "SELECT ";
        debug_assert!(self.sql.starts_with(SELECT), "{}", self.sql);
        let mut whole = Self::new("SELECT (");
        whole.push_query(query).push(") AS ").push(name).push(", ");
        whole.push_query(Self {
            sql: self.sql[SELECT.len()..].to_owned(),
            values: self
                .values
                .into_iter()
                .map(|(at, value)| (at - SELECT.len(), value))
                .collect(),
        });
        whole
    }

    /// Adds values with a separator between them.
    pub(crate) const fn separated(&mut self, separator: &'static str) -> Separated<'_> {
        Separated {
            builder: self,
            separator,
            first: true,
        }
    }

    /// Adds `VALUES (…), (…)`, a tuple an item.
    pub(crate) fn push_values<I: IntoIterator>(
        &mut self,
        items: I,
        mut tuple: impl FnMut(Separated<'_>, I::Item),
    ) -> &mut Self {
        self.push("VALUES ");
        for (index, item) in items.into_iter().enumerate() {
            self.push(if index == 0 { "(" } else { ", (" });
            tuple(self.separated(", "), item);
            self.push(")");
        }
        self
    }

    pub(crate) fn build(self) -> Query {
        use std::fmt::Write;
        let mut sql = String::with_capacity(self.sql.len() + 3 * self.values.len());
        let mut values = Vec::with_capacity(self.values.len());
        let mut from = 0;
        for (at, value) in self.values {
            values.push(value);
            sql.push_str(&self.sql[from..at]);
            // Writing to a String cannot fail.
            let _ = write!(sql, "${}", values.len());
            from = at;
        }
        sql.push_str(&self.sql[from..]);
        Query {
            // Only `push` and `new` add text, and they take the program's own.
            sql: AssertSqlSafe(sql).into_sql_str(),
            values,
            persistent: true,
        }
    }

    pub(crate) fn build_query_scalar(self) -> QueryScalar {
        QueryScalar(self.build())
    }

    /// Tells how the engine would carry it out, a step a line.
    #[cfg(test)]
    pub(crate) async fn plan(self, conn: &mut Conn) -> Vec<String> {
        let (explain, column) = match conn.engine() {
            Engine::Sqlite(_) => ("EXPLAIN QUERY PLAN ", "detail"),
            Engine::Postgres(_) => ("EXPLAIN ", "QUERY PLAN"),
        };
        let mut query = Self::new(explain);
        query.push_query(self);
        let steps = query.build().fetch_all(conn).await.unwrap();
        let step = |row| <String as super::row::Column<'_>>::read(row, column).unwrap();
        steps.iter().map(step).collect()
    }
}

/// Values with a separator between them.
#[derive(Debug)]
pub(crate) struct Separated<'b> {
    builder: &'b mut QueryBuilder,
    separator: &'static str,
    first: bool,
}

impl Separated<'_> {
    pub(crate) fn push_bind(&mut self, value: impl Into<Value>) -> &mut Self {
        if !std::mem::take(&mut self.first) {
            self.builder.push(self.separator);
        }
        self.builder.push_bind(value);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_statements_number_their_values() {
        let mut query = QueryBuilder::new("INSERT INTO t (a, b) ");
        query.push_values([1_i64, 2], |mut row, n| {
            row.push_bind(n).push_bind("x");
        });
        query.push(" ON CONFLICT DO NOTHING");
        let query = query.build();
        assert_eq!(
            query.sql.as_str(),
            "INSERT INTO t (a, b) VALUES ($1, $2), ($3, $4) ON CONFLICT DO NOTHING"
        );
        assert_eq!(query.values.len(), 4);
    }

    #[test]
    fn a_query_within_another_keeps_its_values() {
        let mut count = QueryBuilder::new("SELECT COUNT(*) FROM t WHERE a = ");
        count.push_bind(1_i64).push(" AND b = ").push_bind(2_i64);
        let mut query = QueryBuilder::new("SELECT * FROM t WHERE c = ");
        query.push_bind(3_i64);
        let query = query.with_column("total", count).build();
        assert_eq!(
            query.sql.as_str(),
            "SELECT (SELECT COUNT(*) FROM t WHERE a = $1 AND b = $2) AS total, * FROM t WHERE c = $3"
        );
        let values: Vec<String> = query
            .values
            .iter()
            .map(|value| format!("{value:?}"))
            .collect();
        assert_eq!(values, ["Int(Some(1))", "Int(Some(2))", "Int(Some(3))"]);
    }
}
