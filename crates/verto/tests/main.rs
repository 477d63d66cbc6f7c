//! One module for each behaviour of the signalling endpoint, in one binary.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails where something is missing"
)]

mod answer;
mod bad_frames;
mod bye;
mod candidates;
mod client;
mod corpus;
mod debug_frames;
mod drain;
mod dtmf;
mod expiry;
mod fault;
mod hold;
mod invite;
mod isolation;
mod limits;
mod login;
mod login_refused;
mod mistakes;
mod nonsense;
mod ping;
mod reconnect;
mod renewal;
mod revoked;
mod shutdown;
mod takeover;
mod traces;
mod update;
