//! Forgets what is old, each kind of it by the configuration. Answers to creates are forgotten
//! after a day, as their keys promise.

use std::time::Duration;

use ringtrip_model::Timestamp;
use ringtrip_store::{Forgotten, Store};

use crate::clock::Clock;
use crate::config::Config;

/// How often the store is asked.
const PERIOD: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// How many days each kind is kept; 0 keeps it for ever.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retention {
    audit_events: u32,
    call_events: u32,
    call_reports: u32,
    call_records: u32,
    webhook_deliveries: u32,
}

impl Retention {
    pub(crate) const fn new(config: &Config) -> Self {
        Self {
            audit_events: config.retention_audit_events_days,
            call_events: config.retention_call_events_days,
            call_reports: config.retention_call_reports_days,
            call_records: config.retention_call_records_days,
            webhook_deliveries: config.retention_webhook_deliveries_days,
        }
    }

    fn forgotten(self, now: Timestamp) -> Forgotten {
        Forgotten {
            call_events: before(now, self.call_events),
            call_reports: before(now, self.call_reports),
            call_records: before(now, self.call_records),
            webhook_deliveries: before(now, self.webhook_deliveries),
        }
    }
}

/// The instant so many days ago.
fn before(now: Timestamp, days: u32) -> Option<Timestamp> {
    let kept = i64::try_from((DAY * days).as_micros()).unwrap_or(i64::MAX);
    (days > 0).then(|| Timestamp::from_micros(now.as_micros().saturating_sub(kept)))
}

/// Runs until it is aborted.
pub(crate) async fn prune(store: Store, clock: Clock, retention: Retention) {
    loop {
        let now = clock.wall();
        if let Err(error) = store.prune_history(retention.forgotten(now)).await {
            tracing::warn!(%error, "old call history cannot be pruned");
        }
        if let Err(error) = store.prune_kept_answers(clock.wall()).await {
            tracing::warn!(%error, "old answers to creates cannot be pruned");
        }
        if let Some(before) = before(now, retention.audit_events)
            && let Err(error) = store.prune_audit_events(before).await
        {
            tracing::warn!(%error, "the audit log cannot be pruned");
        }
        if let Err(error) = store.sweep_people(now).await {
            tracing::warn!(%error, "sessions and links that ended cannot be swept");
        }
        tokio::time::sleep(PERIOD).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_back_from_now_and_none_means_for_ever() {
        let config = Config {
            retention_call_events_days: 2,
            retention_call_reports_days: 0,
            ..Config::default()
        };
        let now = Timestamp::from_secs(1_790_000_000);
        let forgotten = Retention::new(&config).forgotten(now);
        let two_days_ago = Timestamp::from_secs(1_790_000_000 - 2 * 86_400);
        assert_eq!(forgotten.call_events, Some(two_days_ago));
        assert_eq!(forgotten.call_reports, None);
        assert_eq!(
            forgotten.call_records, None,
            "records are kept unless told otherwise"
        );
    }
}
