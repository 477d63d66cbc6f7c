//! The file of a backup: lines of JSON, the same whichever engine the rows came from.
//!
//! ```text
//! {"ringtrip_backup":1,"schema":6,"made_at":…,"encryption_keys":["…"],"sequences":{"call_events":17}}
//! {"table":"accounts","columns":[["id","text"],["created_at","integer"]]}
//! ["5e1f…",1790000000000000]
//! {"end_of_table":"accounts","rows":1}
//! {"end_of_backup":true,"rows":1,"sha256":"…"}
//! ```
//!
//! Bytes are base64. The digest is of everything before the last line.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read, Write};

use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::BackupError;

/// The version of the format that is written, and the only one that is read.
pub(super) const VERSION: u32 = 1;
/// Longest line that is read: a call report of 4 MiB, escaped.
const MAX_LINE_BYTES: u64 = 64 * 1024 * 1024;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    /// The version of the format.
    pub(super) ringtrip_backup: u32,
    /// The newest migration that the tables had.
    pub(super) schema: i64,
    /// When it was made, in microseconds since 1970.
    pub(super) made_at: i64,
    /// The ids of the keys that its secrets are sealed with.
    pub(super) encryption_keys: Vec<String>,
    /// The highest id that each table with counted ids has given out.
    pub(super) sequences: BTreeMap<String, i64>,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ColumnKind {
    /// 64 bits, signed.
    Integer,
    /// True or false.
    Boolean,
    /// Text.
    Text,
    /// Bytes.
    Bytes,
}

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Integer(i64),
    Boolean(bool),
    Text(String),
    Bytes(Vec<u8>),
}

/// A table and its columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Table {
    #[serde(rename = "table")]
    pub(crate) name: String,
    pub(crate) columns: Vec<(String, ColumnKind)>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EndOfTable {
    end_of_table: String,
    rows: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EndOfBackup {
    end_of_backup: bool,
    rows: u64,
    sha256: String,
}

/// Writes a backup.
pub(super) struct Writer<W> {
    out: W,
    digest: Context,
    table: Option<Table>,
    rows_of_table: u64,
    rows: u64,
    line: Vec<u8>,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(out: W, header: &Header) -> io::Result<Self> {
        let mut writer = Self {
            out,
            digest: Context::new(&SHA256),
            table: None,
            rows_of_table: 0,
            rows: 0,
            line: Vec::new(),
        };
        writer.put(header)?;
        Ok(writer)
    }

    fn put(&mut self, line: &impl Serialize) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, line)?;
        self.line.push(b'\n');
        self.digest.update(&self.line);
        self.out.write_all(&self.line)
    }

    /// Begins a table, after the end of the one before.
    pub(super) fn table(&mut self, table: Table) -> io::Result<()> {
        self.put(&table)?;
        self.rows_of_table = 0;
        self.table = Some(table);
        Ok(())
    }

    /// Writes a row of the table that was begun, a value for each of its columns.
    pub(super) fn row(&mut self, values: &[Value]) -> io::Result<()> {
        let json: Vec<serde_json::Value> = values
            .iter()
            .map(|value| match value {
                Value::Null => serde_json::Value::Null,
                Value::Integer(number) => (*number).into(),
                Value::Boolean(truth) => (*truth).into(),
                Value::Text(text) => text.as_str().into(),
                Value::Bytes(bytes) => BASE64.encode(bytes).into(),
            })
            .collect();
        self.rows_of_table += 1;
        self.rows += 1;
        self.put(&json)
    }

    /// Ends the table that was begun.
    pub(super) fn end_table(&mut self) -> io::Result<()> {
        let Some(table) = self.table.take() else {
            return Ok(());
        };
        let rows = self.rows_of_table;
        self.put(&EndOfTable {
            end_of_table: table.name,
            rows,
        })
    }

    /// Ends the backup; returns what was written to, and how many rows.
    pub(super) fn finish(mut self) -> io::Result<(W, u64)> {
        let digest = std::mem::replace(&mut self.digest, Context::new(&SHA256)).finish();
        let rows = self.rows;
        self.put(&EndOfBackup {
            end_of_backup: true,
            rows,
            sha256: crate::seal::hex(digest.as_ref()),
        })?;
        Ok((self.out, rows))
    }
}

/// What comes after the header.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A table begins.
    Table(Table),
    /// A row of it.
    Row(Vec<Value>),
    /// The table ends.
    EndOfTable,
    /// The backup ends, whole.
    End {
        /// Rows of all tables.
        rows: u64,
    },
}

/// Reads a backup, and tells whether it is whole: whoever has got [`Part::End`] has read what was
/// written.
pub(super) struct Reader<R> {
    input: R,
    digest: Context,
    header: Header,
    table: Option<Table>,
    rows_of_table: u64,
    rows: u64,
    line: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Reader<R> {
    pub(super) fn new(input: R) -> Result<Self, BackupError> {
        let empty = Header {
            ringtrip_backup: 0,
            schema: 0,
            made_at: 0,
            encryption_keys: Vec::new(),
            sequences: BTreeMap::new(),
        };
        let mut reader = Self {
            input,
            digest: Context::new(&SHA256),
            header: empty,
            table: None,
            rows_of_table: 0,
            rows: 0,
            line: Vec::new(),
            number: 0,
        };
        /// The part of a header that every version has.
        #[derive(Deserialize)]
        struct AnyVersion {
            ringtrip_backup: u32,
        }
        reader.next_line()?;
        let version: AnyVersion =
            serde_json::from_slice(&reader.line).map_err(|_| BackupError::NotABackup)?;
        if version.ringtrip_backup != VERSION {
            return Err(BackupError::OtherFormat {
                version: version.ringtrip_backup,
            });
        }
        reader.header = serde_json::from_slice(&reader.line).map_err(|_| reader.damaged())?;
        reader.digest.update(&reader.line);
        Ok(reader)
    }

    pub(super) const fn header(&self) -> &Header {
        &self.header
    }

    const fn damaged(&self) -> BackupError {
        BackupError::Damaged { line: self.number }
    }

    /// Reads a line into `self.line`, its end included.
    fn next_line(&mut self) -> Result<(), BackupError> {
        self.line.clear();
        self.number += 1;
        let mut limited = (&mut self.input).take(MAX_LINE_BYTES);
        limited
            .read_until(b'\n', &mut self.line)
            .map_err(BackupError::Read)?;
        match self.line.last() {
            Some(b'\n') => Ok(()),
            None if self.number == 1 => Err(BackupError::NotABackup),
            None => Err(BackupError::Truncated),
            Some(_) if self.line.len() as u64 == MAX_LINE_BYTES => Err(self.damaged()),
            Some(_) if self.number == 1 => Err(BackupError::NotABackup),
            Some(_) => Err(BackupError::Truncated),
        }
    }

    /// Reads the next part.
    ///
    /// # Errors
    /// [`BackupError::Damaged`] or [`BackupError::Truncated`]; then nothing more can be read.
    pub(super) fn read(&mut self) -> Result<Part, BackupError> {
        self.next_line()?;
        let part = self.part().ok_or_else(|| self.damaged())?;
        if matches!(part, Part::End { .. }) {
            let mut more = [0];
            if self.input.read(&mut more).map_err(BackupError::Read)? > 0 {
                return Err(self.damaged());
            }
        }
        self.digest.update(&self.line);
        Ok(part)
    }

    fn part(&mut self) -> Option<Part> {
        if let Some(table) = &self.table {
            if self.line.first() == Some(&b'[') {
                let row = read_row(table, &self.line)?;
                self.rows_of_table += 1;
                self.rows += 1;
                return Some(Part::Row(row));
            }
            let end: EndOfTable = serde_json::from_slice(&self.line).ok()?;
            if end.end_of_table != table.name || end.rows != self.rows_of_table {
                return None;
            }
            self.table = None;
            return Some(Part::EndOfTable);
        }
        if let Ok(end) = serde_json::from_slice::<EndOfBackup>(&self.line) {
            let digest = self.digest.clone().finish();
            let whole = end.rows == self.rows && end.sha256 == crate::seal::hex(digest.as_ref());
            return whole.then_some(Part::End { rows: end.rows });
        }
        let table: Table = serde_json::from_slice(&self.line).ok()?;
        self.rows_of_table = 0;
        self.table = Some(table.clone());
        Some(Part::Table(table))
    }
}

fn read_row(table: &Table, line: &[u8]) -> Option<Vec<Value>> {
    let json: Vec<serde_json::Value> = serde_json::from_slice(line).ok()?;
    if json.len() != table.columns.len() {
        return None;
    }
    let read = |(value, (_, kind)): (serde_json::Value, &(String, ColumnKind))| match (kind, value)
    {
        (_, serde_json::Value::Null) => Some(Value::Null),
        (ColumnKind::Integer, serde_json::Value::Number(number)) => {
            number.as_i64().map(Value::Integer)
        }
        (ColumnKind::Boolean, serde_json::Value::Bool(truth)) => Some(Value::Boolean(truth)),
        (ColumnKind::Text, serde_json::Value::String(text)) => Some(Value::Text(text)),
        (ColumnKind::Bytes, serde_json::Value::String(text)) => {
            BASE64.decode(text).ok().map(Value::Bytes)
        }
        _ => None,
    };
    json.into_iter().zip(&table.columns).map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            ringtrip_backup: VERSION,
            schema: 6,
            made_at: 17,
            encryption_keys: vec!["00aa".to_owned()],
            sequences: BTreeMap::from([("things".to_owned(), 9)]),
        }
    }

    fn things() -> Table {
        let kinds = [
            ("id", ColumnKind::Integer),
            ("name", ColumnKind::Text),
            ("on", ColumnKind::Boolean),
            ("secret", ColumnKind::Bytes),
        ];
        Table {
            name: "things".to_owned(),
            columns: kinds.map(|(name, kind)| (name.to_owned(), kind)).to_vec(),
        }
    }

    fn rows() -> [Vec<Value>; 2] {
        let text = "line\nbreak, \"quotes\", ☎, \u{0}";
        [
            vec![
                Value::Integer(i64::MIN),
                Value::Text(text.to_owned()),
                Value::Boolean(true),
                Value::Bytes((0..=255).collect()),
            ],
            vec![
                Value::Integer(i64::MAX),
                Value::Null,
                Value::Null,
                Value::Null,
            ],
        ]
    }

    fn written() -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), &header()).unwrap();
        writer.table(things()).unwrap();
        for row in rows() {
            writer.row(&row).unwrap();
        }
        writer.end_table().unwrap();
        let empty = Table {
            name: "empty".to_owned(),
            columns: Vec::new(),
        };
        writer.table(empty).unwrap();
        writer.end_table().unwrap();
        let (bytes, count) = writer.finish().unwrap();
        assert_eq!(count, 2);
        bytes
    }

    fn read(bytes: &[u8]) -> Result<(Header, Vec<Part>), BackupError> {
        let mut reader = Reader::new(bytes)?;
        let mut parts = Vec::new();
        loop {
            let part = reader.read()?;
            let end = matches!(part, Part::End { .. });
            parts.push(part);
            if end {
                return Ok((reader.header().clone(), parts));
            }
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let (found, parts) = read(&written()).unwrap();
        assert_eq!(found, header());
        let [first, second] = rows();
        assert_eq!(parts[0], Part::Table(things()));
        assert_eq!(parts[1..3], [Part::Row(first), Part::Row(second)]);
        assert_eq!(parts[3], Part::EndOfTable);
        assert_eq!(parts[6..], [Part::End { rows: 2 }]);
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_noticed() {
        let whole = written();
        for len in 0..whole.len() {
            assert!(read(&whole[..len]).is_err(), "cut at {len}");
        }
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert!(read(&changed).is_err(), "changed at {at}");
        }
        let longer = [whole.as_slice(), b"\n"].concat();
        assert!(read(&longer).is_err(), "something behind the end");
    }

    #[test]
    fn other_files_and_other_formats_are_told_apart() {
        for other in [&b""[..], b"SQLite format 3\0", b"[]\n", b"{\"a\":1}\n"] {
            assert!(matches!(read(other), Err(BackupError::NotABackup)));
        }
        let newer = b"{\"ringtrip_backup\":2,\"new\":true}\n";
        assert!(matches!(
            read(newer),
            Err(BackupError::OtherFormat { version: 2 })
        ));
        let cut = &written()[..200];
        let cut = &cut[..=cut.iter().rposition(|byte| *byte == b'\n').unwrap()];
        assert!(matches!(read(cut), Err(BackupError::Truncated)));
    }
}
