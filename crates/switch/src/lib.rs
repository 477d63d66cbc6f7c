//! The call switch: decides who talks to whom, and why a call ends.
//!
//! A [`Call`] holds all legs that belong together. It reads what a caller wants, asks where that is,
//! whether it may go there and whether there is room, rings every device of the callee, lets the
//! first usable answer win, joins the two anchors, carries hold, keys and re-attachment, and gives
//! every leg exactly one end, one cause and one record.
//!
//! Deliberately not here: SDP (opaque text, only the media engine opens it), wire formats, sockets,
//! tasks, a clock, look-ups, limits across calls. A look-up is an [`Output`] and its result an input.
//!
//! # Driving a call
//!
//! 1. [`Call::incoming`] takes the `Incoming` event of a caller's leg.
//! 2. Drain [`Call::poll_output`] to `None` and carry the outputs out, in order. An output may name a
//!    leg that the call has just made: index [`Call::legs`] (or every `MakeOffer`) before delivering
//!    anything about it.
//! 3. Feed results and events through the `handle_…` methods, [`Call::handle_timeout`] at
//!    [`Call::poll_timeout`], and drain again after each.
//! 4. Drop the value when [`Call::is_over`].
//!
//! Every time passed in is clamped so that a call never sees time run backwards. If a handler
//! unwinds, do not touch the call but for [`Call::last_words`], carry those out, and drop it.
//!
//! # Rules a call keeps
//!
//! Every leg ends exactly once and leaves exactly one record; an ended leg is never commanded; every
//! leg for which the media engine was asked anything is closed exactly once; the first answer that
//! can be used wins and every other device gets a cause; no state lasts for ever: each waits with a
//! deadline. Equal inputs and an equal seed give equal outputs.

mod ask;
mod call;
mod dial;
mod ending;
mod event;
pub mod fuzz;
mod hangup;
mod ledger;
mod leg;
mod record;
mod route;
mod settings;
mod talk;

pub use call::{Call, Output, SwitchError};
pub use route::parse_destination;
pub use settings::Settings;
