//! Whether the node is alive, and whether it takes work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use ringtrip_store::Store;
use serde_json::json;

use crate::telemetry::Metrics;

/// How often the database is asked whether it is there.
const PERIOD: Duration = Duration::from_secs(2);
/// How long it may take to say so.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where a node is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Not everything answers yet.
    Starting,
    /// It takes work.
    Serving,
    /// It was asked to stop: it carries on what it has and takes nothing new.
    Draining,
}

impl Phase {
    const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Serving => "serving",
            Self::Draining => "draining",
        }
    }
}

/// What `/readyz` and `/health` tell.
#[derive(Debug)]
pub(crate) struct Health {
    started: Instant,
    phase: AtomicU8,
    database: AtomicBool,
}

impl Health {
    /// A node that begins with a database that was just opened.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            phase: AtomicU8::new(Phase::Starting as u8),
            database: AtomicBool::new(true),
        })
    }

    /// Notes that the node is in another phase.
    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    fn phase(&self) -> Phase {
        let phase = self.phase.load(Ordering::Relaxed);
        [Phase::Starting, Phase::Serving, Phase::Draining]
            .into_iter()
            .find(|known| *known as u8 == phase)
            .unwrap_or(Phase::Draining)
    }

    /// Tells whether the database answered when it was last asked.
    pub(crate) fn database_answers(&self) -> bool {
        self.database.load(Ordering::Relaxed)
    }

    /// Returns why the node takes no work; none if it does.
    fn obstacle(&self) -> Option<&'static str> {
        match self.phase() {
            Phase::Starting => Some("starting"),
            Phase::Draining => Some("draining"),
            Phase::Serving if !self.database_answers() => Some("the database does not answer"),
            Phase::Serving => None,
        }
    }

    /// Answers `/readyz`.
    pub(crate) fn readiness(&self) -> Response {
        match self.obstacle() {
            None => "ready\n".into_response(),
            Some(obstacle) => {
                let text = format!("not ready: {obstacle}\n");
                (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
            }
        }
    }

    /// Answers `/health`, for the operator alone.
    pub(crate) fn report(&self, metrics: &Metrics) -> Response {
        let obstacle = self.obstacle();
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let body = json!({
            "ready": obstacle.is_none(),
            "not_ready_because": obstacle,
            "phase": self.phase().name(),
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_seconds": self.started.elapsed().as_secs(),
            "database": {"answers": self.database_answers()},
            "sockets_open": count(&metrics.sockets),
            "sessions_active": count(&metrics.sessions),
            "calls_active": count(&metrics.calls),
            "panics_total": count(&metrics.panics_total),
        });
        let status = match obstacle {
            None => StatusCode::OK,
            Some(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, axum::Json(body)).into_response()
    }
}

/// Asks the database again and again whether it is there, until aborted.
pub(crate) async fn watch(store: Store, health: Arc<Health>) {
    loop {
        let asked = tokio::time::timeout(PATIENCE, store.ping()).await;
        let answers = matches!(asked, Ok(Ok(())));
        if health.database.swap(answers, Ordering::Relaxed) != answers {
            if answers {
                tracing::info!("the database answers again");
            } else {
                tracing::error!("the database does not answer; the node is not ready");
            }
        }
        tokio::time::sleep(PERIOD).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_ready_while_it_serves_and_its_database_answers() {
        let health = Health::new();
        assert_eq!(health.readiness().status(), 503);
        health.enter(Phase::Serving);
        assert_eq!(health.readiness().status(), 200);
        health.database.store(false, Ordering::Relaxed);
        assert_eq!(health.readiness().status(), 503);
        health.database.store(true, Ordering::Relaxed);
        health.enter(Phase::Draining);
        assert_eq!(health.readiness().status(), 503);
        assert_eq!(health.report(&Metrics::default()).status(), 503);
    }
}
