//! Whole calls in virtual time: the real engines of a node, simulated clients, and everything that
//! can go wrong between them, all following from one seed.
//!
//! There are two levels. At *call level* ([`Paper`](paper::Paper)) signalling, switch and media control
//! are real and the media threads are played, so that a run costs milliseconds and the same seed gives
//! the same outputs to the byte. At *media level* ([`Air`](air::Air)) the shards are real too, and
//! independent WebRTC implementations sit in the browsers; handshakes are real, so events and sound
//! are compared, not bytes.
//!
//! This crate is no test by itself and no part of the product: it holds no store, no HTTP, no socket,
//! no thread, and reads no clock. Tests drive it:
//!
//! ```
//! use ringtrip_sim::chaos::{Options, run};
//!
//! let outcome = run(7, &Options::default());
//! assert_eq!(outcome.mistakes, Vec::<String>::new());
//! assert_eq!(outcome.trace, run(7, &Options::default()).trace);
//! ```

pub mod air;
mod browser;
mod calls;
pub mod chaos;
mod check;
pub mod clock;
pub mod dice;
pub mod facts;
mod handshake;
pub mod net;
pub mod node;
pub mod paper;
pub mod plane;
pub mod report;
pub mod sdp;
mod trace;
mod world;

pub use browser::{Browser, BrowserCall, CallState, Credentials, Habits, Step};
pub use check::Checks;
pub use trace::Trace;
pub use world::{Break, Ground, Knobs, NOBODY, Setup, World};
