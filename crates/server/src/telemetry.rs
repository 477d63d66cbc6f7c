//! Logs to standard error, and the few counters that `/metrics` prints.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::anyhow;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use crate::config::LogFormat;

/// Starts logging. Standard output stays free for what a command prints.
pub(crate) fn start_logging(filter: &str, format: Option<LogFormat>) -> anyhow::Result<()> {
    let filter = self::filter(filter).map_err(|error| anyhow!("log: {error}"))?;
    let human = std::io::stderr().is_terminal();
    let format = format.unwrap_or(if human {
        LogFormat::Human
    } else {
        LogFormat::Json
    });
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Human => builder.with_target(false).with_ansi(human).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}

/// Libraries that log what they carry, whole frames with tokens and passwords in them, when they are
/// let. Nothing below `info` is taken from them, whatever the filter says.
const TALKATIVE: [&str; 3] = [
    "tungstenite=info",
    "tokio_tungstenite=info",
    "sqlx::postgres::notice=warn",
];

/// Reads a filter such as `info,ringtrip_media=debug`.
pub(crate) fn filter(text: &str) -> Result<EnvFilter, ParseError> {
    let mut filter = EnvFilter::try_new(text)?;
    for limit in TALKATIVE {
        filter = filter.add_directive(limit.parse()?);
    }
    Ok(filter)
}

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
    /// Engine values dropped after a panic.
    pub(crate) panics_total: AtomicU64,
}

impl Metrics {
    /// Prints every series (text exposition format 0.0.4).
    pub(crate) fn render(&self) -> String {
        use std::fmt::Write;
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
                "Engine values dropped after a panic.",
                &self.panics_total,
            ),
        ];
        let mut text = String::new();
        for (name, kind, help, value) in series {
            let value = value.load(Ordering::Relaxed);
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "# HELP ringtrip_{name} {help}\n# TYPE ringtrip_{name} {kind}\nringtrip_{name} {value}\n"
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
        assert!(metrics.render().contains("\nringtrip_calls_total 3\n"));
    }
}
