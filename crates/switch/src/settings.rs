//! What all calls of a node have in common.

use std::time::Duration;

use ringtrip_model::{NodeId, Time, Timestamp};

/// What all calls of a node share: who the node is, which domains are ours, and the limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// This node.
    pub node: NodeId,
    /// The calendar time of [`Time::ZERO`], for records.
    pub started_at: Timestamp,
    /// Hosts that are ours in a SIP URI, lower-case, without port.
    pub domains: Vec<String>,
    /// How many devices of one user ring at most; further ones are left out.
    pub max_devices: usize,
    /// How long a look-up, a permit or a snapshot may take.
    pub lookup_timeout: Duration,
    /// How long the media engine may take to answer a command.
    pub media_timeout: Duration,
    /// How long the record of an ended leg waits for what its anchor measured.
    pub close_timeout: Duration,
    /// How long a leg may take from answer to working media, and how long a re-attachment may try
    /// to save a dead path.
    pub connect_timeout: Duration,
    /// The longest an answered call may last.
    pub max_call: Duration,
}

impl Settings {
    /// Makes settings with the usual limits: 32 devices, 5 s for every answer we wait for, 30 s for
    /// media to connect, 4 hours a call.
    pub fn new(node: NodeId, started_at: Timestamp, domains: Vec<String>) -> Self {
        Self {
            node,
            started_at,
            domains,
            max_devices: 32,
            lookup_timeout: Duration::from_secs(5),
            media_timeout: Duration::from_secs(5),
            close_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(30),
            max_call: Duration::from_secs(14_400),
        }
    }

    /// Returns the calendar time of an instant.
    pub(crate) fn wall(&self, time: Time) -> Timestamp {
        self.started_at + time.since(Time::ZERO)
    }
}
