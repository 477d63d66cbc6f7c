//! What applications are told on their own URLs: how an event looks ([`payload`], [`body`]), and whose turn it is to
//! be told ([`Courier`]). Sending is the node's business.

mod courier;
mod event;

pub use courier::{ATTEMPTS, Attempt, Courier, Limits, Outcome, Output, goes_to_failover};
pub use event::{body, payload};
