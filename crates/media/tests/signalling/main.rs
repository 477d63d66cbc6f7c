//! The signalling side of media: SDP, negotiation, and the life of anchors. One file per behaviour.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod answering;
mod bounds;
mod bridging;
mod closing;
mod fuzz;
mod interleaving;
mod offering;
mod peer;
mod reading;
mod replacing;
mod restarting;
mod support;
