//! The running binary, seen from outside: a process, HTTP over a socket, a phone over a WebSocket.
#![allow(dead_code, reason = "each test file uses its own part")]
#![expect(clippy::unwrap_used, reason = "what a test prepares must succeed")]

#[path = "../../../store/tests/support/database.rs"]
pub(crate) mod database;
pub(crate) mod http;
pub(crate) mod installation;
pub(crate) mod phone;
pub(crate) mod process;
pub(crate) mod receiver;
pub(crate) mod site;
pub(crate) mod tls;

use std::fmt::Debug;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

/// How long anything may take that a test waits for: long enough for a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A connection, whatever it is over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + Debug {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + Debug> Stream for T {}

/// Waits for something that must happen.
pub(crate) async fn soon<T>(what: &str, wanted: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, wanted).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: nothing within {PATIENCE:?}"),
    }
}

/// Raises this process' limit of open files as far as it goes; returns it.
pub(crate) fn raise_file_limit() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
