//! The media engine: SDP, ICE, DTLS, SRTP and the packet path, without I/O.
//!
//! It has two sides. [`Control`] runs with signalling: it takes `MediaCommand`s, reads and writes SDP
//! ([`sdp`], [`negotiate`]) and hands ready work to the media threads. What passes between
//! the two sides is in [`plan`].
//!
//! It is not a mixer, a transcoder or a full ICE agent: parties with a common codec are relayed, and
//! connectivity checks are answered, never sent. It opens no socket and reads no clock.
//!
//! To drive [`Control`]: call [`Control::handle_command`], [`Control::handle_shard`] or
//! [`Control::handle_timeout`], then drain [`Control::poll_output`] and carry out what comes, in order.

mod control;
pub mod fuzz;
pub mod negotiate;
pub mod plan;
pub mod sdp;
mod slots;

pub use control::{CLOSE_TIMEOUT, Control, ControlConfig, ControlOutput, REPLACEMENT_TIMEOUT};
pub use slots::MAX_SLOTS;
