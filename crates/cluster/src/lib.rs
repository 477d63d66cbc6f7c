//! What is true while a node lives: who is logged in where, which legs are alive, which calls count
//! against which limit, and the word that a credential has been revoked.
//!
//! [`Bus`] is the seam between one node and many. [`LocalBus`] serves one process and is the
//! default; a networked bus joins beside it without a change for its callers. Nothing here survives
//! a restart (that is `store`) and nothing here decides about a call (that is `switch`).

mod legs;
mod local;
mod location;
mod permits;

use std::sync::Arc;

pub use legs::{LegPage, LegRange};
pub use local::LocalBus;
pub use location::Registration;
use ringtrip_model::{
    AccountId, CallId, CallSnapshot, ChannelLimits, Contact, CredentialConnectionId, LegId,
    LegParty, LiveLeg, PermitRefusal, PermitRequest, RevokeScope, SessionId, Timestamp,
};
use tokio::sync::{mpsc, oneshot};

/// A revocation on its way to a node's signalling. Dropping `done` without an answer counts as done.
#[derive(Debug)]
pub struct Revocation {
    /// Whose sessions end.
    pub scope: RevokeScope,
    /// To be told once they have ended.
    pub done: oneshot::Sender<()>,
}

/// The bus of a node. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Bus {
    /// Within this process.
    Local(Arc<LocalBus>),
}

impl Bus {
    /// Makes a bus for a single node that takes at most `max_calls` calls.
    pub fn local(max_calls: usize) -> Self {
        Self::Local(Arc::new(LocalBus::new(max_calls)))
    }

    /// Takes the revocations meant for this node's signalling. The latest subscriber gets them.
    pub fn subscribe_revocations(&self) -> mpsc::Receiver<Revocation> {
        match self {
            Self::Local(bus) => bus.subscribe_revocations(),
        }
    }

    /// Ends every session under `scope`; returns when the sessions are punted and their calls ended.
    pub async fn revoke(&self, scope: RevokeScope) {
        match self {
            Self::Local(bus) => bus.revoke(scope).await,
        }
    }

    /// Notes that a session is logged in, from where, and under which id it may upload call reports. For
    /// one that is bound already: where it is now.
    pub fn bind(
        &self,
        session: SessionId,
        party: &LegParty,
        call_report_id: &str,
        contact: Contact,
    ) {
        match self {
            Self::Local(bus) => bus.bind(session, party, call_report_id, contact),
        }
    }

    /// Forgets a session that went at `at`. Its call reports are taken for ten minutes more.
    pub fn unbind(
        &self,
        session: SessionId,
        party: &LegParty,
        call_report_id: &str,
        at: Timestamp,
    ) {
        match self {
            Self::Local(bus) => bus.unbind(session, party, call_report_id, at),
        }
    }

    /// Returns the sessions logged in with a SIP user name (case does not matter), oldest first.
    pub fn devices(&self, user: &str) -> Vec<SessionId> {
        match self {
            Self::Local(bus) => bus.devices(user),
        }
    }

    /// Tells what is known of a SIP user name's logins (case does not matter). Of those who are logged in,
    /// everything; of those who left, the last 10,000.
    pub fn registration(&self, user: &str) -> Registration {
        match self {
            Self::Local(bus) => bus.registration(user),
        }
    }

    /// Returns whose call reports carry this id; ids end ten minutes after their session.
    pub fn report_owner(&self, call_report_id: &str) -> Option<AccountId> {
        match self {
            Self::Local(bus) => bus.report_owner(call_report_id),
        }
    }

    /// Takes a place for a call within the limits of both connections and of the node.
    ///
    /// # Errors
    /// Says which limit is reached; nothing is taken then.
    pub fn acquire(
        &self,
        request: &PermitRequest,
        limits: ChannelLimits,
    ) -> Result<(), PermitRefusal> {
        match self {
            Self::Local(bus) => bus.acquire(request, limits),
        }
    }

    /// Gives a call's place back. A call without one is passed over.
    pub fn release(&self, call: CallId) {
        match self {
            Self::Local(bus) => bus.release(call),
        }
    }

    /// Keeps what another node would need to carry a call on.
    pub fn persist(&self, snapshot: CallSnapshot) {
        match self {
            Self::Local(bus) => bus.persist(snapshot),
        }
    }

    /// Drops a call's snapshot.
    pub fn forget(&self, call: CallId) {
        match self {
            Self::Local(bus) => bus.forget(call),
        }
    }

    /// Returns a call's snapshot.
    pub fn snapshot(&self, call: CallId) -> Option<CallSnapshot> {
        match self {
            Self::Local(bus) => bus.snapshot(call),
        }
    }

    /// Notes that a leg is alive.
    pub fn begin_leg(&self, leg: LiveLeg) {
        match self {
            Self::Local(bus) => bus.begin_leg(leg),
        }
    }

    /// Notes that a leg has ended. One that is not known is passed over.
    pub fn end_leg(&self, leg: LegId) {
        match self {
            Self::Local(bus) => bus.end_leg(leg),
        }
    }

    /// Lists at most `limit` of the legs of a connection that are alive, the oldest first.
    pub fn live_legs(
        &self,
        connection: CredentialConnectionId,
        range: LegRange,
        limit: usize,
    ) -> LegPage {
        match self {
            Self::Local(bus) => bus.live_legs(connection, range, limit),
        }
    }
}
