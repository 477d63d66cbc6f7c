//! Ends sessions whose credential reaches its end. The end may be moved after a login, in either
//! direction, so it is watched here, in the store, and not on a timer set at login.

use std::collections::BTreeSet;
use std::time::Duration;

use ringtrip_cluster::Bus;
use ringtrip_model::{RevokeScope, Timestamp};
use ringtrip_store::{Expiry, Store};

use crate::clock::Clock;

/// How often the store is asked. A session outlives its credential's end by at most this.
const PERIOD: Duration = Duration::from_secs(1);
/// How far each look goes back: an end that was set just ahead may be stored a moment after it passed.
const OVERLAP: Duration = Duration::from_secs(10);
/// Credentials taken at once.
const BATCH: u32 = 500;

/// Runs until it is aborted.
pub(crate) async fn watch(store: Store, bus: Bus, clock: Clock) {
    let mut done = Expiry::after_all_at(clock.wall());
    let mut ended = BTreeSet::new();
    loop {
        tokio::time::sleep(PERIOD).await;
        let now = clock.wall();
        match store.credentials_expiring(done, now, BATCH).await {
            Ok(expiring) => {
                for credential in &expiring {
                    if !ended.insert((credential.expires_at, credential.id)) {
                        continue;
                    }
                    tracing::info!(credential.id = %credential.id, "credential {} has ended", credential.id);
                    bus.revoke(RevokeScope::Credential(credential.id)).await;
                }
                let full = expiring.len() == BATCH as usize;
                done = match expiring.last() {
                    Some(last) if full => Expiry::of(last),
                    Some(_) | None => {
                        let back = now.as_micros() - OVERLAP.as_micros() as i64;
                        let back = Timestamp::from_micros(back);
                        ended.retain(|(end, _)| *end > back);
                        Expiry::after_all_at(back)
                    }
                };
            }
            Err(error) => tracing::warn!(%error, "credentials that end cannot be looked up"),
        }
    }
}
