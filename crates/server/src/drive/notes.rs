//! Writes in bulk what requests leave behind: entries of the audit log that no change carries, and when
//! keys were used.

use std::time::Duration;

use ringtrip_store::Store;

/// The most that a crash loses.
const PERIOD: Duration = Duration::from_secs(1);

/// Runs until it is aborted. What was noted last is written when the store closes.
pub(crate) async fn write(store: Store) {
    loop {
        tokio::time::sleep(PERIOD).await;
        if let Err(error) = store.write_notes().await {
            tracing::warn!(%error, "the audit log waits for the database");
        }
    }
}
