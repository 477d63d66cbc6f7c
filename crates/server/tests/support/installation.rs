//! `ringtrip serve` as an operator sets it up.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::process::{Ended, Server, command, run};

/// A folder with a configuration for free ports of loopback.
#[derive(Debug)]
pub(crate) struct Installation {
    pub(crate) folder: TempDir,
}

impl Installation {
    pub(crate) fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "http_addr = \"127.0.0.1:0\"\nadmin_addr = \"127.0.0.1:0\"\nmedia_addr = \"127.0.0.1:0\"\n\
             media_threads = 2\ndatabase_url = \"sqlite://{0}/ringtrip.db\"\nkey_file = \"{0}/ringtrip.key\"\n{more}",
            folder.path().display()
        );
        std::fs::write(folder.path().join("ringtrip.toml"), text).unwrap();
        Self { folder }
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("ringtrip.toml")
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = command(args);
        command.arg("--config").arg(self.config());
        command.current_dir(self.folder.path());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        run(self.command(args))
    }

    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let ended = self.run(args);
        let printed = ended.success();
        assert_eq!(printed.lines().count(), 1, "{printed}");
        serde_json::from_str(printed).unwrap()
    }

    /// Makes an account and a key, and starts the server.
    pub(crate) fn start(&self, email: &str) -> (Server, String) {
        self.run(&["account", "create", "--email", email]).success();
        let args = ["api-key", "create", "--account", email, "--output", "json"];
        let key = self.json(&args)["api_key"].as_str().unwrap().to_owned();
        (Server::serve(self.command(&["serve"])), key)
    }
}
