//! Logins.

use std::net::IpAddr;

use crate::words::words;
use crate::{LegParty, Secret, Timestamp};

/// What a client shows to prove who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginRequest {
    /// An access token.
    Token(Secret<String>),
    /// A SIP user name and password.
    Password {
        /// `sip_username` of a credential, or `user_name` of a connection.
        user: String,
        /// The password.
        password: Secret<String>,
    },
}

/// Who a client proved to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The party it speaks for.
    pub party: LegParty,
    /// When the credential ends, if it does.
    pub expires_at: Option<Timestamp>,
}

words! {
    /// What a client's messages travel over.
    ContactTransport {
        /// A WebSocket.
        Ws = "WS",
        /// A WebSocket over TLS.
        Wss = "WSS",
    }
}

/// Where a client that is logged in can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Its address: of its connection, or what a trusted proxy says it is.
    pub address: IpAddr,
    /// Its port; none behind a proxy.
    pub port: Option<u16>,
    /// What its messages travel over.
    pub transport: ContactTransport,
    /// What it calls itself, as far as that is a text of at most 255 bytes.
    pub user_agent: Option<String>,
    /// When it logged in.
    pub since: Timestamp,
}

/// Why a login is refused. The client is told nothing but "Login Incorrect", unless nobody could judge it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LoginRefusal {
    /// The token is malformed, forged, not yet valid or past its time.
    #[error("the token is not valid")]
    BadToken,
    /// The token's credential, or the user name, does not exist (any more).
    #[error("there is no such user")]
    UnknownUser,
    /// The password is wrong.
    #[error("the password is wrong")]
    WrongPassword,
    /// The credential has expired.
    #[error("the credential has expired")]
    Expired,
    /// The credential or its connection is switched off.
    #[error("the credential or its connection is not active")]
    Inactive,
    /// The store could not be asked.
    #[error("the credential store cannot be asked")]
    Unavailable,
}

/// Whose sessions end now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevokeScope {
    /// One telephony credential.
    Credential(crate::TelephonyCredentialId),
    /// A connection and every credential under it.
    Connection(crate::CredentialConnectionId),
    /// Only the sessions that logged in with the connection's own user name and password.
    ConnectionUser(crate::CredentialConnectionId),
}

impl RevokeScope {
    /// Tells whether a party falls under it.
    pub fn covers(&self, party: &LegParty) -> bool {
        match *self {
            Self::Credential(id) => party.credential == Some(id),
            Self::Connection(id) => party.connection == id,
            Self::ConnectionUser(id) => party.connection == id && party.credential.is_none(),
        }
    }
}
