//! What a node sets, and every bound that a peer can reach.

use std::time::Duration;

use ringtrip_model::Timestamp;

use crate::socket::Rate;

/// Times and limits of an endpoint. The defaults are those of the protocol's description; a test or
/// a node with little memory may lower them.
#[derive(Debug, Clone)]
pub struct Config {
    /// Wall time of [`Time::ZERO`](ringtrip_model::Time::ZERO), to place an identity's expiry.
    pub started_at: Timestamp,
    /// Shown by the SDK as `client.dc`.
    pub datacenter: String,
    /// Shown by the SDK as `client.region`.
    pub region: String,
    /// Time between two server pings; at least this, rounded up to a whole `ping_slot`.
    pub ping_interval: Duration,
    /// Pings of all sockets leave at multiples of this, so that a node with thousands of idle
    /// sockets wakes up once a slot and not once a socket.
    pub ping_slot: Duration,
    /// A logged-in socket without any frame for so long is lost.
    pub silence: Duration,
    /// A socket must be logged in so long after it opened.
    pub login_timeout: Duration,
    /// After a refused login the socket stays open so long.
    pub refusal_timeout: Duration,
    /// So many refused logins close a socket.
    pub max_refusals: u32,
    /// Answered calls survive a lost socket so long, counted from the last frame received.
    pub grace: Duration,
    /// A session without socket and without calls is forgotten after so long.
    pub session_linger: Duration,
    /// A bye for a call that ended less than this ago succeeds.
    pub ended_memory: Duration,
    /// Largest frame before login, in bytes.
    pub max_guest_frame_bytes: usize,
    /// Largest frame after login, in bytes.
    pub max_frame_bytes: usize,
    /// Frames per second that a socket may send in the long run.
    pub frames_per_second: u32,
    /// Frames that a socket may send at once.
    pub frame_burst: u32,
    /// Calls per second that a session may place in the long run.
    pub calls_per_second: u32,
    /// Calls that a session may place at once.
    pub call_burst: u32,
    /// Sockets that have not logged in; beyond it the oldest of them is closed.
    pub max_half_open: usize,
    /// Sessions of one user; beyond it a login is refused.
    pub max_sessions_per_user: usize,
    /// Live legs of one session; beyond it a call is refused.
    pub max_legs: usize,
    /// Unanswered requests of one session; beyond it a request is refused.
    pub max_outstanding: usize,
}

impl Config {
    pub(crate) const fn frame_rate(&self) -> Rate {
        Rate {
            per_second: self.frames_per_second,
            burst: self.frame_burst,
        }
    }

    pub(crate) const fn call_rate(&self) -> Rate {
        Rate {
            per_second: self.calls_per_second,
            burst: self.call_burst,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            started_at: Timestamp::from_micros(0),
            datacenter: "local1".to_owned(),
            region: "local".to_owned(),
            ping_interval: Duration::from_secs(20),
            ping_slot: Duration::from_secs(1),
            silence: Duration::from_secs(40),
            login_timeout: Duration::from_secs(10),
            refusal_timeout: Duration::from_secs(30),
            max_refusals: 5,
            grace: Duration::from_secs(60),
            session_linger: Duration::from_secs(90),
            ended_memory: Duration::from_secs(60),
            max_guest_frame_bytes: 64 * 1024,
            max_frame_bytes: 1024 * 1024,
            frames_per_second: 200,
            frame_burst: 400,
            calls_per_second: 10,
            call_burst: 60,
            max_half_open: 1024,
            max_sessions_per_user: 32,
            max_legs: 16,
            max_outstanding: 64,
        }
    }
}
