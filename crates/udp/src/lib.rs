//! Batched UDP for the media threads: sockets, `recvmmsg` and `sendmmsg`, and waiting for several
//! sockets at once with a waker and a timeout of microseconds.
//!
//! It knows nothing of what it carries, owns no thread and never blocks but in [`Waiter`]. It is the one
//! crate with unsafe code, because these calls have no safe wrapper; its interface is safe. Linux only.
//!
//! To drive it: [`Socket::bind`] some sockets and make a [`Waiter`] for them. In a loop,
//! [`Socket::receive`] into a [`ReceiveBatch`] until it comes back empty, [`SendBatch::send`] what is to
//! be sent, then [`Waiter::wait`]. Another thread ends the wait with a [`Waker`].

mod batch;
mod socket;
mod wait;

pub use batch::{BATCH, MAX_DATAGRAM_LEN, ReceiveBatch, SendBatch, Sent};
pub use socket::Socket;
pub use wait::{Waiter, Waker};
