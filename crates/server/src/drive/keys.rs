//! Learns of keys that `ringtrip key rotate` has brought in, and finishes what it began.

use std::time::Duration;

use ringtrip_store::Store;

use crate::clock::Clock;

/// How often the store is asked.
const PERIOD: Duration = Duration::from_secs(2);
/// Looks that are left out after one that found rows which cannot be opened: about an hour.
const PASSED_OVER: u32 = 1800;

/// Runs until it is aborted.
pub(crate) async fn watch(store: Store, clock: Clock) {
    let mut passed_over = 0;
    loop {
        tokio::time::sleep(PERIOD).await;
        match store.refresh_keys().await {
            Ok(true) => {
                let signing = store.signing_keys();
                let signing = signing.first().map(|key| key.id.to_string());
                tracing::info!(
                    signing_key.id = signing,
                    "keys have been rotated; new secrets and tokens use the new ones"
                );
                passed_over = 0;
            }
            Ok(false) => {}
            Err(error) => {
                tracing::error!(%error, "rotated keys cannot be read");
                continue;
            }
        }
        if passed_over > 0 {
            passed_over -= 1;
            continue;
        }
        match store.tidy_keys(clock.wall()).await {
            Ok(resealed) => {
                if resealed.rows > 0 {
                    tracing::info!(
                        rows = resealed.rows,
                        "secrets of an older key are sealed with the new one"
                    );
                }
                if resealed.unopened > 0 {
                    passed_over = PASSED_OVER;
                }
            }
            Err(error) => tracing::warn!(%error, "secrets of an older key wait for the store"),
        }
    }
}
