//! Who did what.

use std::net::IpAddr;
use std::sync::Arc;

use crate::{AccountId, ApiKeyId, AuditEventId, Role, Timestamp, UserId};

/// Who does something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// Whoever holds a REST key.
    ApiKey {
        /// The key.
        id: ApiKeyId,
        /// Its label at that time.
        name: Arc<str>,
    },
    /// A person, in the portal.
    User {
        /// The person.
        id: UserId,
        /// Their address at that time.
        email: Arc<str>,
        /// Their role at that time.
        role: Role,
    },
    /// Whoever operates the node, on its command line.
    Operator,
}

impl Actor {
    /// Returns the sort of actor: `api_key`, `user` or `operator`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ApiKey { .. } => "api_key",
            Self::User { .. } => "user",
            Self::Operator => "operator",
        }
    }
}

/// An entry of the audit log. It holds names and no values, so that it holds no secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// Its id.
    pub id: AuditEventId,
    /// Whose log it is in.
    pub account: AccountId,
    /// Who.
    pub actor: Actor,
    /// Did what: `create`, `update`, `delete`, `create_token`, `read`, …
    pub action: String,
    /// To what sort of thing, such as `telephony_credential`.
    pub resource_type: String,
    /// To which; nothing where it is a whole list.
    pub resource_id: Option<String>,
    /// From where; nothing on the command line.
    pub source: Option<IpAddr>,
    /// Whether it was done, rather than refused.
    pub succeeded: bool,
    /// When.
    pub occurred_at: Timestamp,
}
