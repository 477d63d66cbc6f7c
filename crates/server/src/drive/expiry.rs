//! Ends sessions whose credential reaches its end. The end may be moved after a login, in either
//! direction, so it is watched here, in the store, and not on a timer set at login.

use std::time::Duration;

use ringtrip_cluster::Bus;
use ringtrip_model::RevokeScope;
use ringtrip_store::{Expiry, Store};

use crate::clock::Clock;

/// How often the store is asked. A session outlives its credential's end by at most this.
const PERIOD: Duration = Duration::from_secs(1);
/// Credentials taken at once.
const BATCH: u32 = 500;

/// Runs until it is aborted.
pub(crate) async fn watch(store: Store, bus: Bus, clock: Clock) {
    let mut done = Expiry::after_all_at(clock.wall());
    loop {
        tokio::time::sleep(PERIOD).await;
        let now = clock.wall();
        match store.credentials_expiring(done, now, BATCH).await {
            Ok(expiring) => {
                for credential in &expiring {
                    tracing::info!(credential.id = %credential.id, "credential {} has ended", credential.id);
                    bus.revoke(RevokeScope::Credential(credential.id)).await;
                }
                let full = expiring.len() == BATCH as usize;
                done = match expiring.last() {
                    Some(last) if full => Expiry::of(last),
                    Some(_) | None => Expiry::after_all_at(now),
                };
            }
            Err(error) => tracing::warn!(%error, "credentials that end cannot be looked up"),
        }
    }
}
