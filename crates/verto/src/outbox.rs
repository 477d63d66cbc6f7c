//! What the endpoint wants done, in order.

use std::collections::VecDeque;

use ringtrip_model::{LegEvent, LegParty, LoginRequest, SessionId, SocketId};

/// An effect for the driver to carry out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send a text frame.
    Send {
        /// Where to.
        socket: SocketId,
        /// One JSON object.
        frame: String,
    },
    /// Close the socket once what was sent before has left. The endpoint has forgotten it already.
    Close {
        /// Which.
        socket: SocketId,
        /// Why.
        reason: CloseReason,
    },
    /// Find out who this is. Answered by [`Endpoint::handle_authenticated`](crate::Endpoint::handle_authenticated)
    /// with the same socket and number.
    Authenticate {
        /// Who asks.
        socket: SocketId,
        /// Names this question; counts up over the endpoint's life.
        request: u64,
        /// What the client shows.
        login: LoginRequest,
    },
    /// The session can be called from now on. For one that is bound already: its party changed.
    Bind {
        /// The session.
        session: SessionId,
        /// The socket it is on.
        socket: SocketId,
        /// For whom it speaks.
        party: LegParty,
        /// Authorises its call reports.
        call_report_id: String,
    },
    /// The session cannot be called any more.
    Unbind {
        /// The session.
        session: SessionId,
        /// As bound.
        party: LegParty,
        /// As bound; reports of calls just ended may still come in under it.
        call_report_id: String,
    },
    /// Something happened on a leg.
    Leg(LegEvent),
}

/// Why a socket is closed by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// It did not log in in time.
    LoginTimeout,
    /// Too many of its logins were refused.
    LoginRefused,
    /// Too many sockets wait for a login, and this is the oldest.
    HalfOpen,
    /// Nothing was heard from it for too long.
    Silent,
    /// A frame was larger than allowed.
    FrameTooLarge,
    /// It sent more frames than allowed.
    Flood,
    /// The same session logged in on a newer socket.
    TakenOver,
    /// Its credential was deleted, expired or switched off.
    Revoked,
    /// The node goes down.
    Shutdown,
    /// Handling one of its frames failed on our side.
    Fault,
    /// Who logs in cannot be found out at the moment. An SDK that loses its connection tries again, more and
    /// more slowly; one that is refused gives up.
    Unavailable,
}

impl CloseReason {
    /// Returns the close code (RFC 6455 §7.4.1).
    pub const fn code(self) -> u16 {
        match self {
            Self::LoginTimeout
            | Self::LoginRefused
            | Self::HalfOpen
            | Self::Flood
            | Self::TakenOver
            | Self::Revoked => 1008,
            Self::Silent => 1001,
            Self::FrameTooLarge => 1009,
            Self::Shutdown => 1012,
            Self::Fault => 1011,
            Self::Unavailable => 1013,
        }
    }

    /// Returns the close reason as text, below 123 bytes.
    pub const fn text(self) -> &'static str {
        match self {
            Self::LoginTimeout => "no login in time",
            Self::LoginRefused => "too many refused logins",
            Self::HalfOpen => "too many connections without login",
            Self::Silent => "connection lost",
            Self::FrameTooLarge => "frame too large",
            Self::Flood => "too many frames",
            Self::TakenOver => "session continued on another connection",
            Self::Revoked => "credential no longer valid",
            Self::Shutdown => "server restart",
            Self::Fault => "internal error",
            Self::Unavailable => "logins cannot be checked at the moment",
        }
    }
}

/// The queue of outputs.
#[derive(Debug)]
pub(crate) struct Outbox {
    queue: VecDeque<Output>,
    last_id: u32,
}

/// Where our own request ids start: far above the small numbers that a hand-written client counts
/// from, since an id of ours must never equal one the client waits for.
const FIRST_ID: u32 = 1_000_000;

impl Outbox {
    pub(crate) const fn new() -> Self {
        Self {
            queue: VecDeque::new(),
            last_id: FIRST_ID,
        }
    }

    pub(crate) fn push(&mut self, output: Output) {
        self.queue.push_back(output);
    }

    pub(crate) fn pop(&mut self) -> Option<Output> {
        let output = self.queue.pop_front();
        // A burst (a shutdown, a revocation) must not keep its memory.
        if self.queue.is_empty() && self.queue.capacity() > 1024 {
            self.queue = VecDeque::new();
        }
        output
    }

    /// Returns the id of our next request: an integer that fits 31 bits.
    pub(crate) fn next_id(&mut self) -> u32 {
        self.last_id = if self.last_id >= i32::MAX as u32 {
            FIRST_ID + 1
        } else {
            self.last_id + 1
        };
        self.last_id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_stay_positive_31_bit_integers() {
        let mut outbox = Outbox::new();
        outbox.last_id = i32::MAX as u32 - 1;
        assert_eq!(outbox.next_id(), i32::MAX as u32);
        assert_eq!(outbox.next_id(), FIRST_ID + 1);
    }
}
