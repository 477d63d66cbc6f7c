//! The counters that `/metrics` prints.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use axum::http::{Method, StatusCode};
use ringtrip_api::Api;
use ringtrip_store::Store;

use crate::health::Health;

/// Counters and gauges of the process, in Prometheus' text form.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// WebSockets open now.
    pub(crate) sockets: AtomicU64,
    /// Sessions logged in now.
    pub(crate) sessions: AtomicU64,
    /// Calls alive now.
    pub(crate) calls: AtomicU64,
    /// Calls begun.
    pub(crate) calls_total: AtomicU64,
    /// Legs ended and recorded.
    pub(crate) leg_records_total: AtomicU64,
    /// Records and events that could not be queued.
    pub(crate) history_dropped_total: AtomicU64,
    /// Sockets closed because their client read too slowly.
    pub(crate) slow_readers_total: AtomicU64,
    /// Engine values dropped, and background tasks begun anew, after a panic.
    pub(crate) panics_total: AtomicU64,
    /// Sockets without a login that had to go for newer ones of their source.
    pub(crate) sockets_crowded_out_total: AtomicU64,
    /// Connections closed at once, since their source had as many as it may.
    pub(crate) connections_refused_total: AtomicU64,
    /// TLS handshakes completed.
    pub(crate) tls_handshakes_total: AtomicU64,
    /// TLS handshakes that failed or took too long.
    pub(crate) tls_failed_total: AtomicU64,
    /// Connections closed since too many handshakes were under way.
    pub(crate) tls_refused_total: AtomicU64,
    /// Webhooks that wait or are under way.
    pub(crate) webhooks_queued: AtomicU64,
    /// Webhooks that arrived.
    pub(crate) webhooks_delivered_total: AtomicU64,
    /// Webhooks given up after every attempt failed.
    pub(crate) webhooks_failed_total: AtomicU64,
    /// Webhooks that the queue had no room for.
    pub(crate) webhooks_dropped_total: AtomicU64,
    /// Requests answered on the HTTP port.
    pub(crate) requests: Requests,
    /// What counts by itself, once the node has it.
    watched: OnceLock<Watched>,
}

/// Parts of the node that count by themselves.
#[derive(Debug)]
struct Watched {
    store: Store,
    api: Api,
    health: Arc<Health>,
}

/// The methods that are told apart; any other is `other`.
const METHODS: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];
/// The first digits of a status.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Requests answered, by method and class of status.
#[derive(Debug, Default)]
pub(crate) struct Requests([[AtomicU64; CLASSES.len()]; METHODS.len() + 1]);

impl Requests {
    /// Counts an answer.
    pub(crate) fn count(&self, method: &Method, status: StatusCode) {
        let method = METHODS.iter().position(|name| *name == method.as_str());
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        let row = self.0.get(method.unwrap_or(METHODS.len()));
        if let Some(count) = row.and_then(|row| row.get(class)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn render(&self, text: &mut String) {
        head(
            text,
            "http_requests_total",
            "counter",
            "Requests answered on the HTTP port.",
        );
        for (method, row) in METHODS.iter().chain(&["other"]).zip(&self.0) {
            for (class, count) in CLASSES.iter().zip(row) {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    // Writing to a String cannot fail.
                    let _ = writeln!(
                        text,
                        "ringtrip_http_requests_total{{method=\"{method}\",status=\"{class}\"}} {count}"
                    );
                }
            }
        }
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = write!(
        text,
        "# HELP ringtrip_{name} {help}\n# TYPE ringtrip_{name} {kind}\n"
    );
}

fn line(text: &mut String, (name, kind, help): (&str, &str, &str), value: u64) {
    head(text, name, kind, help);
    let _ = writeln!(text, "ringtrip_{name} {value}");
}

impl Metrics {
    /// Prints from now on what these parts count, too. The first ones count.
    pub(crate) fn watch(&self, store: Store, api: Api, health: Arc<Health>) {
        let _ = self.watched.set(Watched { store, api, health });
    }

    /// Prints every series (text exposition format 0.0.4).
    pub(crate) fn render(&self) -> String {
        let series = [
            (
                "sockets_open",
                "gauge",
                "WebSockets open now.",
                &self.sockets,
            ),
            (
                "sessions_active",
                "gauge",
                "Sessions logged in now.",
                &self.sessions,
            ),
            ("calls_active", "gauge", "Calls alive now.", &self.calls),
            ("calls_total", "counter", "Calls begun.", &self.calls_total),
            (
                "leg_records_total",
                "counter",
                "Legs ended and recorded.",
                &self.leg_records_total,
            ),
            (
                "history_dropped_total",
                "counter",
                "Call records and events that could not be queued.",
                &self.history_dropped_total,
            ),
            (
                "slow_readers_total",
                "counter",
                "Sockets closed because their client read too slowly.",
                &self.slow_readers_total,
            ),
            (
                "panics_total",
                "counter",
                "Engine values dropped, and background tasks begun anew, after a panic.",
                &self.panics_total,
            ),
            (
                "sockets_crowded_out_total",
                "counter",
                "Sockets without a login that had to go for newer ones of their source.",
                &self.sockets_crowded_out_total,
            ),
            (
                "connections_refused_total",
                "counter",
                "Connections closed since their source had as many as it may.",
                &self.connections_refused_total,
            ),
            (
                "tls_handshakes_total",
                "counter",
                "TLS handshakes completed.",
                &self.tls_handshakes_total,
            ),
            (
                "tls_failed_total",
                "counter",
                "TLS handshakes that failed or took too long.",
                &self.tls_failed_total,
            ),
            (
                "tls_refused_total",
                "counter",
                "Connections closed since too many handshakes were under way.",
                &self.tls_refused_total,
            ),
            (
                "webhooks_queued",
                "gauge",
                "Webhooks that wait or are under way.",
                &self.webhooks_queued,
            ),
        ];
        let mut text = String::new();
        for (name, kind, help, value) in series {
            line(&mut text, (name, kind, help), value.load(Ordering::Relaxed));
        }
        self.requests.render(&mut text);
        if let Some(Watched { store, api, health }) = self.watched.get() {
            let writes = store.write_counts();
            for (name, kind, help, value) in [
                (
                    "http_rate_limited_total",
                    "counter",
                    "Requests refused since their key or source had sent too many.",
                    api.rate_limited(),
                ),
                (
                    "http_panics_total",
                    "counter",
                    "Request handlers that panicked.",
                    api.panics(),
                ),
                (
                    "store_writes_total",
                    "counter",
                    "Write requests carried out, refused ones too.",
                    writes.requests,
                ),
                (
                    "store_commits_total",
                    "counter",
                    "Transactions committed for them.",
                    writes.commits,
                ),
                (
                    "database_up",
                    "gauge",
                    "Whether the database answered when it was last asked.",
                    u64::from(health.database_answers()),
                ),
            ] {
                line(&mut text, (name, kind, help), value);
            }
        }
        let _ = write!(
            text,
            "# HELP ringtrip_webhook_deliveries_total Webhooks that left the queue, by what became of them.\n\
             # TYPE ringtrip_webhook_deliveries_total counter\n"
        );
        for (result, value) in [
            ("delivered", &self.webhooks_delivered_total),
            ("failed", &self.webhooks_failed_total),
            ("dropped", &self.webhooks_dropped_total),
        ] {
            let value = value.load(Ordering::Relaxed);
            let _ = writeln!(
                text,
                "ringtrip_webhook_deliveries_total{{result=\"{result}\"}} {value}"
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_rendered_with_their_value() {
        let metrics = Metrics::default();
        metrics.calls_total.fetch_add(3, Ordering::Relaxed);
        metrics.requests.count(&Method::POST, StatusCode::CREATED);
        metrics.requests.count(&Method::POST, StatusCode::OK);
        metrics
            .requests
            .count(&Method::TRACE, StatusCode::NOT_FOUND);
        let text = metrics.render();
        for line in [
            "ringtrip_calls_total 3",
            "ringtrip_http_requests_total{method=\"POST\",status=\"2xx\"} 2",
            "ringtrip_http_requests_total{method=\"other\",status=\"4xx\"} 1",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{line}: {text}");
        }
    }
}
