//! A database for one test: on the Postgres that `RINGTRIP_TEST_POSTGRES_URL` names (`scripts/with-postgres` starts one),
//! in a SQLite file otherwise. The tests of other crates take this file in by its path.

#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "what a test prepares must succeed")]

use std::process::Command;

use ringtrip_store::StoreConfig;
use tempfile::TempDir;

/// A database and the key beside it, gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Database {
    folder: TempDir,
    url: String,
    /// The server's URL and the name of the database there.
    postgres: Option<(String, String)>,
}

impl Database {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        match std::env::var("RINGTRIP_TEST_POSTGRES_URL") {
            Ok(server) => {
                // The folder's name is random, and nobody else's.
                let unique = folder.path().file_name().unwrap().to_string_lossy();
                let letters = unique.chars().filter(char::is_ascii_alphanumeric);
                let name: String = letters.map(|c| format!("{:x}", u32::from(c))).collect();
                let name = format!("t{name}");
                psql(&server, &format!("CREATE DATABASE {name}"));
                let (base, _) = server.rsplit_once('/').unwrap();
                Self {
                    url: format!("{base}/{name}"),
                    folder,
                    postgres: Some((server, name)),
                }
            }
            Err(_) => Self::file_in(folder),
        }
    }

    /// As [`Database::new`], but in memory where it would be in a file.
    pub(crate) fn in_memory() -> Self {
        let mut database = Self::new();
        if database.postgres.is_none() {
            database.url = "sqlite::memory:".to_owned();
        }
        database
    }

    /// A SQLite file, whatever the environment says.
    pub(crate) fn on_file() -> Self {
        Self::file_in(tempfile::tempdir().unwrap())
    }

    fn file_in(folder: TempDir) -> Self {
        Self {
            url: format!("sqlite://{}", folder.path().join("ringtrip.db").display()),
            folder,
            postgres: None,
        }
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.postgres.is_some()
    }

    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub(crate) fn config(&self) -> StoreConfig {
        StoreConfig {
            url: self.url.clone(),
            key_file: self.folder.path().join("ringtrip.key"),
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Some((server, name)) = &self.postgres {
            psql(server, &format!("DROP DATABASE {name} WITH (FORCE)"));
        }
    }
}

/// Has the server's own client carry out a command.
fn psql(server: &str, sql: &str) {
    let mut command = Command::new("psql");
    command.args(["--no-psqlrc", "--quiet", "--command", sql, server]);
    let done = command.output().unwrap();
    if !done.status.success() && !std::thread::panicking() {
        panic!("{sql}: {}", String::from_utf8_lossy(&done.stderr));
    }
}
