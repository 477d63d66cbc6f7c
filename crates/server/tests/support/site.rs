//! An installation: a configuration for free ports of loopback, and a database of either engine.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::database::Database;
use super::process::{Ended, Server, command, run};

/// An installation in a folder of its own.
#[derive(Debug)]
pub(crate) struct Site {
    database: Database,
}

impl Site {
    /// With its data in a SQLite file.
    pub(crate) fn on_file() -> Self {
        Self::on(Database::on_file(), "")
    }

    /// With its data on the Postgres of the tests; none without one (`scripts/with-postgres`).
    pub(crate) fn on_postgres() -> Option<Self> {
        let database = Database::new();
        if !database.is_postgres() {
            eprintln!("there is no Postgres for tests: not tried");
            return None;
        }
        Some(Self::on(database, ""))
    }

    /// With its data in a database, and more lines of configuration.
    pub(crate) fn on(database: Database, more: &str) -> Self {
        let store = database.config();
        let text = format!(
            "http_addr = \"127.0.0.1:0\"\nadmin_addr = \"127.0.0.1:0\"\nmedia_addr = \"127.0.0.1:0\"\n\
             media_threads = 1\ndatabase_url = \"{}\"\nkey_file = \"{}\"\n{more}",
            store.url,
            store.key_file.display(),
        );
        std::fs::write(database.folder().join("ringtrip.toml"), text).unwrap();
        Self { database }
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    pub(crate) fn folder(&self) -> &Path {
        self.database.folder()
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder().join("ringtrip.toml")
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = command(args);
        command.arg("--config").arg(self.config());
        command.current_dir(self.folder());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        run(self.command(args))
    }

    /// Runs a command that prints a line of JSON.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let ended = self.run(&[args, &["--output", "json"]].concat());
        serde_json::from_str(ended.success()).unwrap()
    }

    /// Makes an account; returns a REST key of it.
    pub(crate) fn account(&self, email: &str) -> String {
        self.json(&["account", "create", "--email", email]);
        let key = self.json(&["api-key", "create", "--account", email]);
        key["api_key"].as_str().unwrap().to_owned()
    }

    /// Starts a server.
    pub(crate) fn serve(&self) -> Server {
        Server::serve(self.command(&["serve"]))
    }
}
