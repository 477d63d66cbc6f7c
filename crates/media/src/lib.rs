//! The media engine: SDP, ICE, DTLS, SRTP and the packet path, without I/O.
//!
//! It has two sides. [`Control`] runs with signalling: it takes `MediaCommand`s, reads and writes SDP
//! ([`sdp`], [`negotiate`]) and hands ready work to the media threads. [`Shard`] runs on a media
//! thread: it answers connectivity checks, shakes hands and forwards packets. What passes between
//! the two sides is in [`plan`].
//!
//! It is not a mixer, a transcoder or a full ICE agent: parties with a common codec are relayed, and
//! connectivity checks are answered, never sent. It opens no socket and reads no clock.
//!
//! To drive [`Control`]: call [`Control::handle_command`], [`Control::handle_shard`] or
//! [`Control::handle_timeout`], then drain [`Control::poll_output`] and carry out what comes, in order.
//! [`Shard`] says how to drive it.

mod anchor;
mod bridge;
mod control;
pub mod dtmf;
pub mod fuzz;
pub mod negotiate;
mod outgoing;
mod path_table;
pub mod plan;
mod reception;
mod rewrite;
pub mod rtcp;
pub mod rtp;
pub mod sdp;
mod shard;
mod slots;
pub mod srtp;
pub mod stun;
#[cfg(test)]
mod testing;
mod transmit;

pub use anchor::dtls::{DtlsContext, DtlsSetupError};
pub use control::{CLOSE_TIMEOUT, Control, ControlConfig, ControlOutput, REPLACEMENT_TIMEOUT};
pub use plan::{ShardCommand, ShardEvent};
pub use shard::{Shard, ShardConfig};
pub use slots::MAX_SLOTS;
pub use transmit::{MAX_DATAGRAM_LEN, Transmit};
