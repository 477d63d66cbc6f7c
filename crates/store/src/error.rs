//! What can go wrong.

use std::path::PathBuf;
use std::sync::Arc;

use ringtrip_model::{FieldError, FieldErrors};

use crate::seal::KeyError;

/// Why the store did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// A rule that only the store can check forbids it: a name is taken, a resource does not exist, a
    /// limit is reached, a state is final.
    #[error("refused: {0}")]
    Refused(FieldError),
    /// The change leads to a value that is not valid.
    #[error("the changed value is not valid: {0}")]
    Invalid(FieldErrors),
    /// As many call reports are kept as may be; there is room again when old ones are forgotten.
    #[error("{0} has as many call reports as are kept")]
    ReportsFull(ReportBudget),
    /// The account of the request does not exist.
    #[error("there is no such account")]
    UnknownAccount,
    /// The create was carried out before, under the same key; see [`Store::noting`](crate::Store::noting).
    #[error("the create was carried out before")]
    Repeated,
    /// The role of the person who asks does not reach that far.
    #[error("the role does not reach that far")]
    NotAllowed,
    /// The database cannot be used now: disk full, locked, away, too much waiting, closed. The same
    /// request may succeed later. A write that ends so may have been done all the same when the
    /// fault struck at the commit itself.
    #[error("the database is unavailable while {doing}")]
    Unavailable {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        #[source]
        cause: Unavailability,
    },
    /// A row holds what this program never wrote there.
    #[error("a row cannot be read while {doing}")]
    Corrupt {
        /// What was being done.
        doing: &'static str,
        /// What is wrong with the row.
        #[source]
        cause: Corruption,
    },
}

impl StoreError {
    /// Tells whether the same request may succeed later.
    pub const fn is_unavailable(&self) -> bool {
        match self {
            Self::Unavailable { .. } => true,
            Self::Refused(_)
            | Self::Invalid(_)
            | Self::ReportsFull(_)
            | Self::UnknownAccount
            | Self::Repeated
            | Self::NotAllowed
            | Self::Corrupt { .. } => false,
        }
    }

    /// Tells whether the store itself was closed.
    pub(crate) const fn is_closed(&self) -> bool {
        matches!(
            self,
            Self::Unavailable {
                cause: Unavailability::Closed,
                ..
            }
        )
    }

    /// Tells whether it may have ended the transaction around its statement; a violated constraint
    /// undoes the statement alone.
    pub(crate) fn may_end_transaction(&self) -> bool {
        match self {
            Self::Unavailable {
                cause: Unavailability::Database(error),
                ..
            } => error
                .as_database_error()
                .is_none_or(|error| error.kind() == sqlx::error::ErrorKind::Other),
            Self::Unavailable { .. } => true,
            Self::Refused(_)
            | Self::Invalid(_)
            | Self::ReportsFull(_)
            | Self::UnknownAccount
            | Self::Repeated
            | Self::NotAllowed
            | Self::Corrupt { .. } => false,
        }
    }

    /// Returns a function that sorts a database error: a value of the wrong shape is a corrupt row,
    /// everything else an unavailable database.
    pub(crate) fn while_doing(doing: &'static str) -> impl Fn(sqlx::Error) -> Self + Copy {
        move |error| {
            let misshapen = matches!(
                error,
                sqlx::Error::ColumnDecode { .. }
                    | sqlx::Error::ColumnNotFound(_)
                    | sqlx::Error::ColumnIndexOutOfBounds { .. }
                    | sqlx::Error::Decode(_)
                    | sqlx::Error::TypeNotFound { .. }
            );
            let error = Arc::new(error);
            if misshapen {
                Self::Corrupt {
                    doing,
                    cause: Corruption::Database(error),
                }
            } else {
                Self::Unavailable {
                    doing,
                    cause: Unavailability::Database(error),
                }
            }
        }
    }

    pub(crate) const fn corrupt(doing: &'static str, cause: Corruption) -> Self {
        Self::Corrupt { doing, cause }
    }
}

/// Whose room for call reports is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReportBudget {
    /// That of one id that a login handed out.
    #[error("the call report id")]
    ReportId,
    /// That of all of an account's together.
    #[error("the account")]
    Account,
}

/// Why the database cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unavailability {
    /// The database says so.
    #[error(transparent)]
    Database(Arc<sqlx::Error>),
    /// More writes wait than may wait.
    #[error("too many writes are waiting")]
    QueueFull,
    /// The batch that the write was part of failed; the log tells why.
    #[error("the batch of writes failed")]
    BatchFailed,
    /// The program panicked while it carried out the write.
    #[error("the write was broken off by a panic")]
    Panicked,
    /// [`Store::close`](crate::Store::close) was called.
    #[error("the store is closed")]
    Closed,
}

/// What is wrong with a row.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Corruption {
    /// A column has the wrong type.
    #[error(transparent)]
    Database(Arc<sqlx::Error>),
    /// A value that is sealed cannot be opened: it was changed, or moved from another row.
    #[error("the sealed value in {table}.{column} cannot be opened")]
    Unsealable {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// A key that the database is sealed with is not in the key file.
    #[error("key {id} seals the database and is not in the key file")]
    KeyMissing {
        /// The key's id.
        id: String,
    },
    /// A value is not of the form that is written there.
    #[error("the value in {table}.{column} is malformed")]
    Malformed {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
}

/// Why a store does not open. Each prints as one clear line.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL names no database that this build can use.
    #[error(
        "the database URL must be sqlite:// and a path, sqlite::memory:, or postgres://user@host/database"
    )]
    UnsupportedUrl,
    /// The database cannot be opened.
    #[error("the database {database} cannot be opened")]
    Database {
        /// The file, or the server and its database.
        database: String,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// The database file cannot be made.
    #[error("the database {path} cannot be made")]
    Create {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is a database, but not one of this program.
    #[error("the database {database} belongs to another program")]
    Foreign {
        /// The file, or the server and its database.
        database: String,
    },
    /// The tables cannot be brought up to date. A database that a newer version has used is refused.
    #[error("the tables of the database cannot be brought up to date")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// There is no usable encryption key.
    #[error("the encryption key cannot be used")]
    Key(#[from] KeyError),
    /// The key is not the one that this database is sealed with.
    #[error(
        "the encryption key in {key_file} does not belong to the database; it was sealed with key {expected}"
    )]
    WrongKey {
        /// The file that was read.
        key_file: PathBuf,
        /// The id of the right key.
        expected: String,
    },
    /// The database failed while it was being prepared.
    #[error("the database cannot be prepared")]
    Prepare(#[from] StoreError),
}
