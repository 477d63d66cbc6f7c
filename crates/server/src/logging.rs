//! Logs to standard error. Much of what is logged comes from peers: a value stays on its line and within
//! [`MAX_VALUE_BYTES`], whatever characters it has.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal};

use anyhow::anyhow;
use serde_json::Value;
use tracing::field::Field;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{ParseError, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LogFormat;

/// As much of a value is logged; of the message, too.
const MAX_VALUE_BYTES: usize = 1024;
/// Stands where a value was cut.
const CUT: char = '…';

/// Libraries that log what they carry, whole frames with tokens and passwords in them, when they are
/// let. Nothing below this is taken from them, whatever the filter says.
const TALKATIVE: [(&str, Level); 3] = [
    ("tungstenite", Level::INFO),
    ("tokio_tungstenite", Level::INFO),
    ("sqlx::postgres::notice", Level::WARN),
];

/// Starts logging. Standard output stays free for what a command prints.
pub(crate) fn start(filter: &str, format: Option<LogFormat>) -> anyhow::Result<()> {
    let filter = self::filter(filter).map_err(|error| anyhow!("log: {error}"))?;
    let human = io::stderr().is_terminal();
    let format = format.unwrap_or(if human {
        LogFormat::Human
    } else {
        LogFormat::Json
    });
    // Takes in what libraries say by `log`, too.
    build(filter, format, human, io::stderr).try_init()?;
    Ok(())
}

/// Reads a filter such as `info,ringtrip_media=debug`.
pub(crate) fn filter(text: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::try_new(text)
}

/// Tells whether nothing of what peers send is in it.
fn is_discreet(metadata: &Metadata<'_>) -> bool {
    TALKATIVE.iter().all(|(name, level)| {
        let rest = metadata.target().strip_prefix(name);
        let theirs = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
        !theirs || metadata.level() <= level
    })
}

fn build<W>(
    filter: EnvFilter,
    format: LogFormat,
    colours: bool,
    writer: W,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt().with_env_filter(filter);
    let discreet = filter_fn(is_discreet);
    match format {
        LogFormat::Human => Box::new(
            builder
                .with_target(false)
                .with_ansi(colours)
                .fmt_fields(debug_fn(write_field))
                .with_writer(writer)
                .finish()
                .with(discreet),
        ),
        LogFormat::Json => Box::new(
            builder
                .json()
                .flatten_event(true)
                .with_writer(JsonLines(writer))
                .finish()
                .with(discreet),
        ),
    }
}

/// Writes a field for people: the message as it is, others with their names.
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    match field.name() {
        "message" => writer.write_char(' ')?,
        // Where in a library that speaks by `log`.
        name if name.starts_with("log.") => return Ok(()),
        name => write!(writer, " {name}=")?,
    }
    let mut line = OneLine {
        writer,
        left: MAX_VALUE_BYTES,
        cut: false,
    };
    write!(line, "{value:?}")
}

/// Takes text of one value, and lets nothing pass that ends a line or commands a terminal.
struct OneLine<'a, 'w> {
    writer: &'a mut Writer<'w>,
    left: usize,
    cut: bool,
}

impl fmt::Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if self.cut {
                break;
            }
            if c.len_utf8() > self.left {
                self.cut = true;
                self.writer.write_char(CUT)?;
                break;
            }
            self.left -= c.len_utf8();
            if is_plain(c) {
                self.writer.write_char(c)?;
            } else {
                write!(self.writer, "{}", c.escape_default())?;
            }
        }
        Ok(())
    }
}

/// Tells whether a character shows as itself: no control, no end of a line, no turn of direction.
fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{2028}'..='\u{202e}' | '\u{200e}' | '\u{200f}' | '\u{2066}'..='\u{2069}')
}

/// Makes writers that take a line of JSON at a time, and cut its values.
struct JsonLines<W>(W);

struct JsonLine<W>(W);

impl<'w, W: MakeWriter<'w>> MakeWriter<'w> for JsonLines<W> {
    type Writer = JsonLine<W::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        JsonLine(self.0.make_writer())
    }
}

impl<W: io::Write> io::Write for JsonLine<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let parsed = (line.len() > MAX_VALUE_BYTES)
            .then(|| serde_json::from_slice::<Value>(line).ok())
            .flatten();
        match parsed {
            Some(mut value) => {
                cut(&mut value);
                writeln!(self.0, "{value}")?;
            }
            None => self.0.write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn cut(value: &mut Value) {
    match value {
        Value::String(text) if text.len() > MAX_VALUE_BYTES => {
            text.truncate(text.floor_char_boundary(MAX_VALUE_BYTES));
            text.push(CUT);
        }
        Value::Array(values) => values.iter_mut().for_each(cut),
        Value::Object(fields) => fields.values_mut().for_each(cut),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, log: impl FnOnce()) -> String {
        let kept = Kept::default();
        let writer = {
            let kept = kept.clone();
            move || kept.clone()
        };
        let filter = filter("info,tungstenite::protocol=trace,tokio_tungstenite=trace");
        let built = build(filter.unwrap(), format, false, writer);
        tracing::subscriber::with_default(built, log);
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    const NASTY: &str = "a\r\n2026-01-01 ERROR forged \u{1b}[2J\u{85}\u{2028}\u{202e}é";

    #[test]
    fn a_value_of_a_peer_stays_on_its_line() {
        let text = logged(LogFormat::Human, || {
            let other = format!("{NASTY} quoted");
            tracing::info!(user = NASTY, ?other, "said {NASTY}");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.chars().all(|c| c == '\n' || is_plain(c)), "{text:?}");
        assert!(text.contains("said a\\r\\n2026-01-01"), "{text}");
        assert!(text.contains(" user="), "{text}");
        let text = logged(LogFormat::Json, || {
            tracing::info!(user = NASTY, "said {NASTY}");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["user"], NASTY);
    }

    #[test]
    fn what_libraries_carry_is_never_logged_whatever_the_filter_says() {
        for format in [LogFormat::Human, LogFormat::Json] {
            let text = logged(format, || {
                tracing::trace!(target: "tungstenite::protocol", "Received message: passwd");
                tracing::debug!(target: "tokio_tungstenite", "passwd");
                tracing::info!(target: "tungstenite_like", "heard");
                tracing::info!(target: "tungstenite::protocol", "closed");
            });
            assert!(!text.contains("passwd"), "{text}");
            assert!(text.contains("heard") && text.contains("closed"), "{text}");
        }
    }

    #[test]
    fn a_value_has_a_bound() {
        let long = "é".repeat(100_000);
        for format in [LogFormat::Human, LogFormat::Json] {
            let text = logged(format, || {
                tracing::info!(user = %long, n = 7, "said {long}");
            });
            assert!(text.len() < 3 * MAX_VALUE_BYTES, "{}", text.len());
            assert_eq!(text.matches(CUT).count(), 2, "{text}");
            assert!(text.matches('é').count() > 1000, "{text}");
            assert!(text.contains("n=7") || text.contains("\"n\":7"), "{text}");
        }
    }
}
