//! Reading columns.

use std::str::FromStr;

use ringtrip_model::Timestamp;

use crate::db::{Column, Row};
use crate::error::{Corruption, StoreError};

/// Reads a row of one table, and says what is wrong with it.
#[derive(Clone, Copy)]
pub(crate) struct Columns<'r> {
    row: &'r Row,
    table: &'static str,
    doing: &'static str,
}

impl<'r> Columns<'r> {
    pub(crate) const fn new(row: &'r Row, table: &'static str, doing: &'static str) -> Self {
        Self { row, table, doing }
    }

    /// Reads a plain value.
    pub(crate) fn get<T>(self, column: &'static str) -> Result<T, StoreError>
    where
        T: Column<'r>,
    {
        T::read(self.row, column).map_err(StoreError::while_doing(self.doing))
    }

    /// Reads a value from its text.
    pub(crate) fn parse<T: FromStr>(self, column: &'static str) -> Result<T, StoreError> {
        self.get::<&str>(column)?
            .parse()
            .map_err(|_| self.malformed(column))
    }

    /// Reads a value from its text, if there is one.
    pub(crate) fn parse_optional<T: FromStr>(
        self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        match self.get::<Option<&str>>(column)? {
            Some(text) => text.parse().map(Some).map_err(|_| self.malformed(column)),
            None => Ok(None),
        }
    }

    /// Reads a value from its name.
    pub(crate) fn name<T>(
        self,
        column: &'static str,
        from_name: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, StoreError> {
        from_name(self.get(column)?).ok_or_else(|| self.malformed(column))
    }

    /// Reads a value from its name, if there is one.
    pub(crate) fn name_optional<T>(
        self,
        column: &'static str,
        from_name: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        match self.get::<Option<&str>>(column)? {
            Some(name) => from_name(name)
                .map(Some)
                .ok_or_else(|| self.malformed(column)),
            None => Ok(None),
        }
    }

    /// Reads an instant.
    pub(crate) fn time(self, column: &'static str) -> Result<Timestamp, StoreError> {
        self.get(column).map(Timestamp::from_micros)
    }

    /// Reads an instant, if there is one.
    pub(crate) fn time_optional(
        self,
        column: &'static str,
    ) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.get::<Option<i64>>(column)?.map(Timestamp::from_micros))
    }

    pub(crate) const fn malformed(self, column: &'static str) -> StoreError {
        StoreError::corrupt(
            self.doing,
            Corruption::Malformed {
                table: self.table,
                column,
            },
        )
    }

    /// The key that sealed a value is not in the key file, where it may still come.
    pub(crate) fn key_missing(self, id: &str) -> StoreError {
        StoreError::corrupt(self.doing, Corruption::KeyMissing { id: id.to_owned() })
    }

    pub(crate) const fn unsealable(self, column: &'static str) -> StoreError {
        StoreError::corrupt(
            self.doing,
            Corruption::Unsealable {
                table: self.table,
                column,
            },
        )
    }
}

/// Reads a count, which is never negative.
pub(crate) fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
