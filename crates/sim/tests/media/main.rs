//! Whole calls at media level: real shards, real handshakes, real WebRTC peers, and a network that
//! loses, delays, reorders and repeats. Sound must flow when it should and stop when it should.
//!
//! `SIM_SEED=17` plays one run and prints what happened; `SIM_SEEDS=500` plays more.

mod conversation;
mod runs;
