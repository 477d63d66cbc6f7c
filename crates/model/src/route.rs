//! Where a call may go: the question a call asks and the facts it gets.

use crate::{AccountId, CallId, CredentialConnectionId, LegParty, SessionId};

/// A destination after parsing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A user of ours: `sip_username` or a connection's `user_name`.
    User(String),
    /// A telephone number, `+` and digits.
    Number(String),
    /// A SIP URI in a domain that is not ours.
    Foreign,
    /// Nothing we can read.
    Invalid,
}

/// Asks who stands behind a user name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteRequest {
    /// The asking call.
    pub call: CallId,
    /// The user name as dialled.
    pub user: String,
}

/// From whom a connection's users take SIP-URI calls (`sip_uri_calling_preference`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallingPreference {
    /// From its own account only (unset reads the same).
    Disabled,
    /// From its own account only.
    Internal,
    /// From anyone.
    Unrestricted,
}

/// The facts about a dialled user name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// Nobody has this name.
    Unknown,
    /// Somebody has it.
    User {
        /// Who.
        party: LegParty,
        /// Whether connection and credential may be used at all (active, not expired).
        enabled: bool,
        /// Whom the connection lets through.
        preference: CallingPreference,
        /// The devices logged in now.
        devices: Vec<SessionId>,
    },
    /// The store could not be asked.
    Unavailable,
}

/// Asks for a place within the limits of both connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermitRequest {
    /// The asking call.
    pub call: CallId,
    /// The caller's tenant.
    pub account: AccountId,
    /// The caller's connection: counts against its `outbound.channel_limit`.
    pub from: CredentialConnectionId,
    /// The callee's connection: counts against its `inbound.channel_limit`.
    pub to: CredentialConnectionId,
}

/// How many calls a connection may have at once, or the two connections of a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChannelLimits {
    /// Calls from it (`outbound.channel_limit`); [`None`] for any number.
    pub outbound: Option<u32>,
    /// Calls to it (`inbound.channel_limit`); [`None`] for any number.
    pub inbound: Option<u32>,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PermitRefusal {
    /// The caller's connection has as many calls out as it may.
    #[error("the caller's connection is at its outbound channel limit")]
    Outbound,
    /// The callee's connection has as many calls in as it may.
    #[error("the callee's connection is at its inbound channel limit")]
    Inbound,
    /// This node has as many calls as it may.
    #[error("the node is at its call limit")]
    Node,
}
