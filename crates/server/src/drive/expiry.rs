//! Ends sessions whose credential reaches its end, also when that end was moved after the login.

use std::time::Duration;

use ringtrip_cluster::Bus;
use ringtrip_model::RevokeScope;
use ringtrip_store::Store;

use crate::clock::Clock;

/// How often the store is asked. A credential outlives its end by at most this.
const PERIOD: Duration = Duration::from_secs(2);
/// Credentials taken at once.
const BATCH: u32 = 500;

/// Runs until it is aborted.
pub(crate) async fn watch(store: Store, bus: Bus, clock: Clock) {
    let mut done = clock.wall();
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
                done = expiring
                    .last()
                    .filter(|_| full)
                    .map_or(now, |last| last.expires_at);
            }
            Err(error) => tracing::warn!(%error, "credentials that end cannot be looked up"),
        }
    }
}
