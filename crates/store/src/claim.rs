//! One process at a time serves from a database: what it remembers would not notice what another one
//! changed. (Commands may add to the database beside it.)
//!
//! A file is claimed by a lock beside it, which is the caller's affair. A Postgres database is claimed by an
//! advisory lock on a connection that does nothing else.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::db::{Location, PATIENCE};
use crate::error::OpenError;

/// The lock's name among the advisory locks of a database.
const LOCK: i64 = 0x7269_6e67_7472_6970;
/// How often the connection is tried, and the database asked again after it was lost.
const PERIOD: Duration = Duration::from_secs(2);
/// How long a lock may outlive the process that had it, until Postgres notices. After an outage it may
/// be this process' own.
const LINGERING: Duration = Duration::from_secs(5);
const LINGERING_AFTER_OUTAGE: Duration = Duration::from_secs(60);
/// How often a lock that may only linger is tried.
const RETRY: Duration = Duration::from_millis(100);

/// Why a database is not ours to serve from.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Another process serves from it.
    #[error("another ringtrip is running on this database")]
    Taken,
    /// The URL leads nowhere.
    #[error(transparent)]
    Url(#[from] OpenError),
    /// The database cannot be asked.
    #[error("the database cannot be asked")]
    Database(#[from] sqlx::Error),
    /// The database does not answer.
    #[error("the database does not answer")]
    Silent,
}

/// The right to serve from a database, given back when this is dropped.
#[derive(Debug)]
pub struct Claim {
    lost: watch::Receiver<bool>,
    keeper: Option<JoinHandle<()>>,
}

impl Claim {
    /// Returns if another process has taken the database, as it may after an outage. For ever otherwise.
    pub async fn lost(&mut self) {
        if self.lost.wait_for(|lost| *lost).await.is_err() {
            std::future::pending().await
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(keeper) = &self.keeper {
            keeper.abort();
        }
    }
}

/// Claims the Postgres database that a URL names for this process, before it is opened. A file is left to
/// its own lock.
///
/// # Errors
/// [`ClaimError::Taken`] while another process has it.
pub async fn claim(url: &str) -> Result<Claim, ClaimError> {
    let (tell, lost) = watch::channel(false);
    let Location::Postgres(options) = Location::from_url(url)? else {
        return Ok(Claim { lost, keeper: None });
    };
    let conn = take(&options, LINGERING).await?;
    let keeper = tokio::spawn(keep(*options, conn, tell));
    Ok(Claim {
        lost,
        keeper: Some(keeper),
    })
}

/// Waits for the database, but not for ever: a server that is cut off never says so.
async fn answer<T>(asked: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, ClaimError> {
    let answered = timeout(PATIENCE, asked).await;
    Ok(answered.map_err(|_| ClaimError::Silent)??)
}

async fn take(options: &PgConnectOptions, patience: Duration) -> Result<PgConnection, ClaimError> {
    let mut conn = answer(options.connect()).await?;
    let deadline = Instant::now() + patience;
    loop {
        let asked = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(LOCK);
        if answer(asked.fetch_one(&mut conn)).await? {
            return Ok(conn);
        }
        if Instant::now() >= deadline {
            return Err(ClaimError::Taken);
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Keeps the lock. An outage of the server ends it; then it is taken anew, unless another was faster.
async fn keep(options: PgConnectOptions, mut conn: PgConnection, tell: watch::Sender<bool>) {
    loop {
        tokio::time::sleep(PERIOD).await;
        if answer(conn.ping()).await.is_ok() {
            continue;
        }
        tracing::warn!("the connection that claims the database is lost");
        // Postgres gives the lock back once it learns that nobody holds on to the connection.
        drop(conn);
        conn = loop {
            match take(&options, LINGERING_AFTER_OUTAGE).await {
                Ok(conn) => break conn,
                Err(ClaimError::Taken) => {
                    // Nobody listens once the claim is dropped.
                    let _ = tell.send(true);
                    return;
                }
                Err(ClaimError::Url(_) | ClaimError::Database(_) | ClaimError::Silent) => {
                    tokio::time::sleep(PERIOD).await;
                }
            }
        };
        tracing::info!("the database is claimed again");
    }
}
