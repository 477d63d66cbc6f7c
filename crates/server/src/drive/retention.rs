//! Forgets what explains a call once it is old: its events and its clients' reports. Records stay.

use std::time::Duration;

use ringtrip_model::Timestamp;
use ringtrip_store::Store;

use crate::clock::Clock;

/// How often the store is asked.
const PERIOD: Duration = Duration::from_secs(3600);
/// How long events and reports are kept.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Runs until it is aborted.
pub(crate) async fn prune(store: Store, clock: Clock) {
    loop {
        let kept = i64::try_from(KEPT.as_micros()).unwrap_or(i64::MAX);
        let before = Timestamp::from_micros(clock.wall().as_micros().saturating_sub(kept));
        if let Err(error) = store.prune_history(before).await {
            tracing::warn!(%error, "old call history cannot be pruned");
        }
        tokio::time::sleep(PERIOD).await;
    }
}
