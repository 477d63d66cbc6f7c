//! Every place where a sealed value stands. A rotation of the encryption key walks this list, so what
//! is not in it would be lost with the old key: a test compares it with the tables, and sealing for a
//! place that is not in it panics in a debug build.

use std::fmt;

use crate::db::QueryBuilder;
use crate::error::StoreError;
use crate::row::Columns;

/// A table with sealed values. Beside them stands `encryption_key_id`, the id of the key that sealed
/// all of a row's values: text, null only where all of them are.
#[derive(Debug)]
pub(crate) struct SealedTable {
    pub(crate) name: &'static str,
    /// The column that names a row, in the values' associated data too.
    pub(crate) id: &'static str,
    pub(crate) id_type: IdType,
    /// The sealed columns: `BLOB`, `BYTEA`.
    pub(crate) columns: &'static [&'static str],
}

/// What names a row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum IdType {
    /// `TEXT`.
    Text,
    /// `BIGINT`.
    Number,
}

/// All of them. A new table with sealed values adds itself here.
pub(crate) const SEALED: &[SealedTable] = &[
    SealedTable {
        name: "credential_connections",
        id: "id",
        id_type: IdType::Number,
        columns: &["password"],
    },
    SealedTable {
        name: "idempotency_keys",
        id: "id",
        id_type: IdType::Text,
        columns: &["answer"],
    },
    SealedTable {
        name: "mobile_push_credentials",
        id: "id",
        id_type: IdType::Text,
        columns: &["material"],
    },
    SealedTable {
        name: "signing_keys",
        id: "id",
        id_type: IdType::Text,
        columns: &["secret"],
    },
    SealedTable {
        name: "telephony_credentials",
        id: "id",
        id_type: IdType::Text,
        columns: &["sip_password"],
    },
    SealedTable {
        name: "trunks",
        id: "id",
        id_type: IdType::Number,
        columns: &["auth_password"],
    },
    SealedTable {
        name: "webhook_keys",
        id: "account_id",
        id_type: IdType::Text,
        columns: &["seed"],
    },
];

/// Columns of bytes that are not sealed: hashes, and proofs that a key is the right one.
#[cfg(test)]
const PLAIN: [(&str, &str); 6] = [
    ("api_keys", "secret_hash"),
    ("encryption_keys", "proof"),
    ("invitations", "token"),
    ("known_devices", "token"),
    ("one_time_links", "token"),
    ("portal_sessions", "token"),
];

/// Tells whether a rotation finds what is sealed in a column.
pub(crate) fn is_registered(table: &str, column: &str) -> bool {
    SEALED
        .iter()
        .any(|sealed| sealed.name == table && sealed.columns.contains(&column))
}

/// The id of a row with sealed values; prints as it stands in their associated data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RowId {
    Text(String),
    Number(i64),
}

impl fmt::Display for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(id) => id.fmt(f),
            Self::Number(id) => id.fmt(f),
        }
    }
}

impl RowId {
    /// Binds the id where a query stands.
    pub(crate) fn push_onto(&self, query: &mut QueryBuilder) {
        match self {
            Self::Text(id) => query.push_bind(id.clone()),
            Self::Number(id) => query.push_bind(*id),
        };
    }
}

impl SealedTable {
    /// Returns what comes before every row's id.
    pub(crate) fn before_all(&self) -> RowId {
        match self.id_type {
            IdType::Text => RowId::Text(String::new()),
            IdType::Number => RowId::Number(i64::MIN),
        }
    }

    /// Reads a row's id.
    pub(crate) fn read_id(&self, columns: Columns<'_>) -> Result<RowId, StoreError> {
        Ok(match self.id_type {
            IdType::Text => RowId::Text(columns.get(self.id)?),
            IdType::Number => RowId::Number(columns.get(self.id)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::db::{self, Pool};

    #[tokio::test]
    async fn every_column_of_bytes_is_either_sealed_anew_by_a_rotation_or_known_to_be_no_secret() {
        let pool = Pool::Sqlite(db::memory().await.unwrap());
        let mut conn = pool.acquire().await.unwrap();
        db::migrate(&mut conn).await.unwrap();
        let rows = db::query(
            "SELECT m.name AS table_name, p.name AS column_name, p.type AS type_name
             FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS p
             WHERE m.type = 'table' AND m.name <> '_sqlx_migrations'",
        )
        .fetch_all(&mut conn)
        .await
        .unwrap();
        let columns: BTreeSet<(String, String, String)> = rows
            .iter()
            .map(|row| {
                let columns = Columns::new(row, "sqlite_master", "testing");
                let text = |name| columns.get::<String>(name).unwrap();
                (text("table_name"), text("column_name"), text("type_name"))
            })
            .collect();
        let has = |table: &str, column: &str, kind: &str| {
            columns.contains(&(table.to_owned(), column.to_owned(), kind.to_owned()))
        };
        for (table, column, kind) in &columns {
            let plain = PLAIN.contains(&(table.as_str(), column.as_str()));
            if kind == "BLOB" {
                assert!(
                    is_registered(table, column) != plain,
                    "{table}.{column} holds bytes: add it to SEALED if it is a sealed secret, to PLAIN if not"
                );
            }
            if column == "encryption_key_id" {
                assert!(
                    SEALED.iter().any(|sealed| sealed.name == table),
                    "{table} names a key and is not in SEALED"
                );
            }
        }
        for (table, column) in PLAIN {
            assert!(has(table, column, "BLOB"), "{table}.{column}");
        }
        for table in SEALED {
            let id_type = match table.id_type {
                IdType::Text => "TEXT",
                IdType::Number => "BIGINT",
            };
            assert!(has(table.name, table.id, id_type), "{table:?}");
            assert!(has(table.name, "encryption_key_id", "TEXT"), "{table:?}");
            for column in table.columns {
                assert!(has(table.name, column, "BLOB"), "{table:?}");
            }
        }
    }
}
