//! What a run did, as a hash to compare and, if wanted, as lines to read.

use std::fmt;
use std::hash::{DefaultHasher, Hasher};

use ringtrip_model::Time;

/// A running hash over all outputs of a run, in order.
#[derive(Debug)]
pub struct Trace {
    hash: DefaultHasher,
    lines: Option<Vec<String>>,
    text: String,
}

impl Trace {
    /// Starts empty; keeps lines only if told to.
    pub fn new(keep: bool) -> Self {
        Self {
            hash: DefaultHasher::new(),
            lines: keep.then(Vec::new),
            text: String::new(),
        }
    }

    /// Adds an output.
    pub fn note(&mut self, now: Time, what: fmt::Arguments<'_>) {
        use fmt::Write as _;
        self.text.clear();
        // Writing to a string cannot fail.
        let _ = self.text.write_fmt(what);
        self.hash.write_u64(now.as_micros());
        self.hash.write(self.text.as_bytes());
        if let Some(lines) = &mut self.lines {
            let micros = now.as_micros();
            lines.push(format!(
                "{:>4}.{:06} {}",
                micros / 1_000_000,
                micros % 1_000_000,
                self.text
            ));
        }
    }

    /// Adds something to read that is not an output.
    pub fn remark(&mut self, now: Time, what: fmt::Arguments<'_>) {
        if let Some(lines) = &mut self.lines {
            let micros = now.as_micros();
            lines.push(format!(
                "{:>4}.{:06} -- {what}",
                micros / 1_000_000,
                micros % 1_000_000
            ));
        }
    }

    /// Returns the hash of all outputs so far.
    pub fn hash(&self) -> u64 {
        self.hash.finish()
    }

    /// Returns the lines kept.
    pub fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }
}
