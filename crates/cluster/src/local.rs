//! The bus of a single process.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ringtrip_model::{
    AccountId, CallId, CallSnapshot, ChannelLimits, Contact, CredentialConnectionId, LegId,
    LegParty, LiveLeg, PermitRefusal, PermitRequest, RevokeScope, SessionId, Timestamp,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::Revocation;
use crate::legs::{LegPage, LegRange, Legs};
use crate::location::{Location, Registration};
use crate::permits::Permits;

/// How long a revocation may take before the caller goes on: signalling that does not react is down,
/// and its sockets with it.
const REVOKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Everything in memory, behind short locks that are never held over an await.
#[derive(Debug)]
pub struct LocalBus {
    location: Mutex<Location>,
    permits: Mutex<Permits>,
    legs: Mutex<Legs>,
    snapshots: Mutex<BTreeMap<CallId, CallSnapshot>>,
    revocations: Mutex<Option<mpsc::Sender<Revocation>>>,
}

/// A panic elsewhere must not take the bus down: each update below leaves its map consistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LocalBus {
    pub(crate) fn new(max_calls: usize) -> Self {
        Self {
            location: Mutex::default(),
            permits: Mutex::new(Permits::new(max_calls)),
            legs: Mutex::default(),
            snapshots: Mutex::default(),
            revocations: Mutex::default(),
        }
    }

    pub(crate) fn subscribe_revocations(&self) -> mpsc::Receiver<Revocation> {
        let (sender, receiver) = mpsc::channel(64);
        *lock(&self.revocations) = Some(sender);
        receiver
    }

    pub(crate) async fn revoke(&self, scope: RevokeScope) {
        let subscriber = lock(&self.revocations).clone();
        let Some(subscriber) = subscriber else { return };
        let (done, finished) = oneshot::channel();
        let ended = async {
            if subscriber.send(Revocation { scope, done }).await.is_ok() {
                // An error means that signalling has stopped, and with it every session.
                let _ = finished.await;
            }
        };
        if tokio::time::timeout(REVOKE_TIMEOUT, ended).await.is_err() {
            tracing::error!(?scope, "signalling did not confirm a revocation within 5 s");
        }
    }

    pub(crate) fn bind(
        &self,
        session: SessionId,
        party: &LegParty,
        call_report_id: &str,
        contact: Contact,
    ) {
        lock(&self.location).bind(session, party, call_report_id, contact);
    }

    pub(crate) fn unbind(
        &self,
        session: SessionId,
        party: &LegParty,
        call_report_id: &str,
        at: Timestamp,
    ) {
        lock(&self.location).unbind(session, party, call_report_id, at, Instant::now());
    }

    pub(crate) fn devices(&self, user: &str) -> Vec<SessionId> {
        lock(&self.location).devices(user)
    }

    pub(crate) fn registration(&self, user: &str) -> Registration {
        lock(&self.location).registration(user)
    }

    pub(crate) fn report_owner(&self, call_report_id: &str) -> Option<AccountId> {
        lock(&self.location).report_owner(call_report_id, Instant::now())
    }

    pub(crate) fn acquire(
        &self,
        request: &PermitRequest,
        limits: ChannelLimits,
    ) -> Result<(), PermitRefusal> {
        lock(&self.permits).acquire(request, limits)
    }

    pub(crate) fn release(&self, call: CallId) {
        lock(&self.permits).release(call);
    }

    pub(crate) fn persist(&self, snapshot: CallSnapshot) {
        lock(&self.snapshots).insert(snapshot.call, snapshot);
    }

    pub(crate) fn forget(&self, call: CallId) {
        lock(&self.snapshots).remove(&call);
    }

    pub(crate) fn snapshot(&self, call: CallId) -> Option<CallSnapshot> {
        lock(&self.snapshots).get(&call).cloned()
    }

    pub(crate) fn begin_leg(&self, leg: LiveLeg) {
        lock(&self.legs).begin(leg);
    }

    pub(crate) fn end_leg(&self, leg: LegId) {
        lock(&self.legs).end(leg);
    }

    pub(crate) fn live_legs(
        &self,
        connection: CredentialConnectionId,
        range: LegRange,
        limit: usize,
    ) -> LegPage {
        lock(&self.legs).list(connection, range, limit)
    }
}
