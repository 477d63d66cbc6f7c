//! The media around a node: media threads on our side, browsers' peer connections on the other, and
//! what lies between them.
//!
//! There are two: on [`paper`](crate::paper) neither side sends a packet and their meeting is
//! modelled, which makes a thousand runs affordable and each repeatable to the byte; in the
//! [`air`](crate::air) real shards and real WebRTC peers exchange packets over a lossy network.

use std::net::SocketAddr;

use ringtrip_media::plan::Fingerprint;
use ringtrip_media::{ShardCommand, ShardEvent};
use ringtrip_model::{AudioCodec, Time};

use crate::report::Report;

/// One peer connection of a browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeerId(pub u64);

/// What a browser can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abilities {
    /// What it speaks, most wanted first.
    pub codecs: Vec<AudioCodec>,
    /// Whether it shows VP8.
    pub video: bool,
}

/// Why a browser could not use a description.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a browser cannot use a description: {0}")]
pub struct UnusableDescription(pub String);

/// Media threads, browsers' peer connections and the network between them.
pub trait MediaPlane {
    /// Returns the addresses that each media thread offers.
    fn addresses(&self) -> Vec<Vec<SocketAddr>>;
    /// Returns the digest of our certificate.
    fn fingerprint(&self) -> Fingerprint;

    /// Makes a peer connection for a browser's device and returns its offer.
    fn offer(&mut self, peer: PeerId, device: usize, abilities: &Abilities, now: Time) -> String;
    /// Makes a peer connection that answers an offer.
    ///
    /// # Errors
    /// When a browser could not use the offer.
    fn answer(
        &mut self,
        peer: PeerId,
        device: usize,
        abilities: &Abilities,
        offer: &str,
        now: Time,
    ) -> Result<String, UnusableDescription>;
    /// Takes the answer to the latest offer of a peer connection.
    ///
    /// # Errors
    /// When a browser could not use the answer.
    fn accept(&mut self, peer: PeerId, answer: &str, now: Time) -> Result<(), UnusableDescription>;
    /// Begins an ICE restart; nothing if the connection is gone.
    fn restart(&mut self, peer: PeerId, now: Time) -> Option<String>;
    /// Drops a peer connection.
    fn drop_peer(&mut self, peer: PeerId, now: Time);
    /// Cuts a device off from media, or lets it back.
    fn mute(&mut self, device: usize, muted: bool, now: Time);
    /// Lets a device press a key that goes as RFC 4733 events.
    fn press(&mut self, peer: PeerId, now: Time);

    /// Hands a command to a media thread.
    fn command(&mut self, shard: usize, command: ShardCommand, now: Time);
    /// Does what is due.
    fn handle_timeout(&mut self, now: Time);
    /// Returns when something is due.
    fn poll_timeout(&self) -> Option<Time>;
    /// Takes what a media thread tells.
    fn poll_event(&mut self) -> Option<(usize, ShardEvent)>;
    /// Returns how many anchors there are.
    fn anchors(&self) -> usize;
    /// Adds what it counted to a report.
    fn report(&mut self, report: &mut Report);
    /// Takes what it holds against our side.
    fn take_mistakes(&mut self) -> Vec<String>;
}
