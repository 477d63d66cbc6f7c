//! The signalling that the Telnyx WebRTC SDKs speak: JSON-RPC 2.0 in the Verto dialect over one
//! WebSocket, as a state machine without I/O.
//!
//! An [`Endpoint`] owns every signalling socket and session of a node. It knows logins, keep-alive,
//! who may say what about which call, and how a call looks on this wire. It deliberately is *not* a
//! WebSocket server (its driver hands it whole text frames), it verifies no credential
//! ([`Output::Authenticate`] asks), opens no SDP, decides no call ([`Output::Leg`] tells the call
//! switch, [`Endpoint::handle_command`] hears back), and reads no clock.
//!
//! # Driving it
//!
//! Call one `handle_…` method, then drain [`Endpoint::poll_output`] until it returns [`None`] and do
//! what each [`Output`] says, in order; then wait for the next input or for
//! [`Endpoint::poll_timeout`], whichever comes first, and call [`Endpoint::handle_timeout`] then.
//! A deadline may turn out to be early; waking up for nothing is harmless.
//!
//! ```
//! use ringtrip_model::{Generator, SocketId, Time};
//! use ringtrip_verto::{Config, Endpoint, Output};
//!
//! let mut endpoint = Endpoint::new(Config::default(), Generator::from_seed([7; 32]));
//! let socket = SocketId(1);
//! endpoint.handle_opened(socket, Time::ZERO);
//! endpoint.handle_frame(
//!     socket,
//!     r#"{"jsonrpc":"2.0","id":"1","method":"login","params":{"login_token":"a.b.c"}}"#,
//!     Time::from_millis(5),
//! );
//! assert!(matches!(endpoint.poll_output(), Some(Output::Authenticate { request: 1, .. })));
//! assert!(endpoint.poll_output().is_none());
//! ```
//!
//! # Rules kept here
//!
//! - Every frame with an id that is no response is answered once: with an object `result` or an
//!   `error`. A login is never answered with −32000.
//! - Every frame sent carries `voice_sdk_id`; every result of a logged-in request but a debug
//!   report's carries `sessid`; requests of ours have integer ids.
//! - A call is found by its name *within the sessions of the socket that speaks*. A callID or
//!   `sessid` of somebody else opens nothing.
//! - Every leg ends exactly once.
//! - Only a session whose login succeeded, on a socket that lives, is announced with
//!   [`Output::Bind`].
//!
//! # Decisions where the protocol leaves room
//!
//! - A socket that logs in as somebody else keeps carrying the calls of its former session; only
//!   new calls go to the new one.
//! - A second socket with the same `sessid` counts as loss and return in one: answered calls move
//!   and are attached anew, unanswered ones end.
//! - Text messages in a call (`telnyx_rtc.info` with `msg`) are refused, since nothing would carry
//!   them to the far side. The `#SP` speed test is ignored.
//! - A call that ended while its device was away is told with a bye before `clientReady`.

mod calls;
mod config;
mod endpoint;
pub mod fuzz;
mod leg;
mod login;
mod message;
mod outbox;
mod session;
mod socket;
mod timers;

pub use config::Config;
pub use endpoint::Endpoint;
pub use outbox::{CloseReason, Output};
