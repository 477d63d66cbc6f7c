//! How a write finds its way into the audit log.
//!
//! Whoever carries out a request covers it with a [`Trail`]: what is done, from where, when, and, once
//! that is known, by whom. The store looks for the trail of the task that writes, and if what was
//! written is a thing that [`object`] knows, an entry joins the same transaction. No store method and
//! no handler has a line for that.
//!
//! What leaves no trace in the tables, such as a secret that was read, is noted by the one who covers
//! the request, and written in bulk; see [`Store::note_audit_event`](crate::Store::note_audit_event).

use std::any::Any;
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use ringtrip_model::{
    Account, AccountId, Actor, ApiKey, AuditEvent, AuditEventId, CredentialConnection, Invitation,
    MobilePushCredential, OutboundVoiceProfile, PhoneNumber, PortalSession, TelephonyCredential,
    Timestamp, Trunk, User, WebhookDelivery,
};

use crate::{ChangedConnection, ChangedCredential, SignedIn};

tokio::task_local! {
    static TRAIL: Arc<Trail>;
}

/// What is known of a request while it is carried out.
#[derive(Debug)]
pub struct Trail {
    action: Cow<'static, str>,
    source: Option<IpAddr>,
    at: Timestamp,
    actor: OnceLock<(AccountId, Actor)>,
    recorded: AtomicBool,
    refused: AtomicBool,
}

impl Trail {
    /// Begins one, of a request that nobody stands behind yet.
    pub fn new(
        action: impl Into<Cow<'static, str>>,
        source: Option<IpAddr>,
        at: Timestamp,
    ) -> Arc<Self> {
        Arc::new(Self {
            action: action.into(),
            source,
            at,
            actor: OnceLock::new(),
            recorded: AtomicBool::new(false),
            refused: AtomicBool::new(false),
        })
    }

    /// Runs a request under this trail.
    pub async fn cover<F: Future>(self: Arc<Self>, request: F) -> F::Output {
        TRAIL.scope(self, request).await
    }

    /// Returns the trail that this task runs under.
    pub fn current() -> Option<Arc<Self>> {
        TRAIL.try_with(Arc::clone).ok()
    }

    /// Says who is behind the request, and in whose account they act. The first word counts.
    pub fn identify(&self, account: AccountId, actor: Actor) {
        // A second one, as when a person's session and a key come with one request, is not asked for.
        let _ = self.actor.set((account, actor));
    }

    /// Says who is behind the request that this task carries out, if it is covered.
    pub fn identify_current(account: AccountId, actor: impl FnOnce() -> Actor) {
        // Nobody asks who it was where nothing is recorded.
        let _ = TRAIL.try_with(|trail| trail.identify(account, actor()));
    }

    /// Says that the request which this task carries out was refused to somebody, whatever its answer is.
    pub fn refuse_current() {
        // Nothing is recorded of a request that is not covered.
        let _ = TRAIL.try_with(|trail| trail.refused.store(true, Ordering::Relaxed));
    }

    /// Tells whether the request was said to be refused.
    pub fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// Returns who is behind the request.
    pub fn actor(&self) -> Option<&(AccountId, Actor)> {
        self.actor.get()
    }

    /// Tells whether an entry was written already.
    pub fn is_recorded(&self) -> bool {
        self.recorded.load(Ordering::Relaxed)
    }

    /// Puts an entry together about something that no table shows; nothing while nobody is known to be
    /// behind it.
    pub fn event(
        &self,
        id: AuditEventId,
        resource_type: &str,
        resource_id: Option<String>,
        succeeded: bool,
    ) -> Option<AuditEvent> {
        let (account, actor) = self.actor.get()?;
        Some(AuditEvent {
            id,
            account: *account,
            actor: actor.clone(),
            action: self.action.clone().into_owned(),
            resource_type: resource_type.to_owned(),
            resource_id,
            source: self.source,
            succeeded,
            occurred_at: self.at,
        })
    }

    /// Puts together the entry about a value that was written, if it is a thing and somebody is known to
    /// be behind it.
    pub(crate) fn written(&self, id: AuditEventId, value: &dyn Any) -> Option<AuditEvent> {
        let object = object(value)?;
        let (account, actor) = self.actor.get()?;
        self.recorded.store(true, Ordering::Relaxed);
        Some(AuditEvent {
            id,
            account: object.account.unwrap_or(*account),
            actor: actor.clone(),
            action: self.action.clone().into_owned(),
            resource_type: object.kind.to_owned(),
            resource_id: Some(object.id),
            source: self.source,
            succeeded: true,
            occurred_at: self.at,
        })
    }
}

/// Runs a part of a request that gets a task of its own under the trail of the request.
pub fn inherited<F: Future>(part: F) -> impl Future<Output = F::Output> {
    let trail = Trail::current();
    async move {
        match trail {
            Some(trail) => trail.cover(part).await,
            None => part.await,
        }
    }
}

/// A thing that somebody makes, changes or deletes.
struct Object {
    kind: &'static str,
    id: String,
    /// Whose it is, where that is not the account of the one who acts.
    account: Option<AccountId>,
}

macro_rules! objects {
    ($($written:ty => $kind:literal, |$value:ident| $id:expr, $account:expr;)+) => {
        /// Finds out what a written value is. What is not listed here leaves no entry: it is no thing of
        /// anybody's, or is written on the side.
        fn object(value: &dyn Any) -> Option<Object> {
            $(if let Some($value) = one::<$written>(value) {
                return Some(Object { kind: $kind, id: $id.to_string(), account: $account });
            })+
            None
        }
    };
}

objects! {
    TelephonyCredential => "telephony_credential", |it| it.id, Some(it.account);
    ChangedCredential => "telephony_credential", |it| it.after.id, Some(it.after.account);
    CredentialConnection => "credential_connection", |it| it.id, Some(it.account);
    ChangedConnection => "credential_connection", |it| it.after.id, Some(it.after.account);
    OutboundVoiceProfile => "outbound_voice_profile", |it| it.id, Some(it.account);
    Trunk => "trunk", |it| it.id, Some(it.account);
    PhoneNumber => "phone_number", |it| it.id, Some(it.account);
    MobilePushCredential => "mobile_push_credential", |it| it.id, Some(it.account);
    WebhookDelivery => "webhook_delivery", |it| it.id, Some(it.account);
    ApiKey => "api_key", |it| it.id, Some(it.account);
    Account => "account", |it| it.id, Some(it.id);
    User => "user", |it| it.id, Some(it.account);
    Invitation => "invitation", |it| it.id, Some(it.account);
    SignedIn => "portal_session", |it| it.session.id, Some(it.user.account);
    PortalSession => "portal_session", |it| it.id, None;
}

/// A value, or what may be there of one.
fn one<T: 'static>(value: &dyn Any) -> Option<&T> {
    match value.downcast_ref::<T>() {
        Some(value) => Some(value),
        None => value.downcast_ref::<Option<T>>()?.as_ref(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ringtrip_model::{ApiKeyId, Generator, NewAccount};

    use super::*;

    fn account() -> Account {
        let mut rng = Generator::from_seed([1; 32]);
        let new = NewAccount::new("a@example.org", "", Timestamp::from_secs(1), &mut rng);
        new.unwrap().into_account()
    }

    #[test]
    fn things_are_known_whether_they_must_or_may_be_there() {
        let account = account();
        for value in [&account as &dyn Any, &Some(account.clone())] {
            let object = object(value).unwrap();
            assert_eq!((object.kind, object.account), ("account", Some(account.id)));
        }
        assert!(object(&None::<Account>).is_none());
        assert!(object(&()).is_none());
    }

    #[tokio::test]
    async fn a_trail_covers_its_task_and_those_that_inherit_it() {
        assert!(Trail::current().is_none());
        let trail = Trail::new("create", None, Timestamp::from_secs(1));
        let (here, elsewhere, inherited) = Arc::clone(&trail)
            .cover(async {
                let elsewhere = tokio::spawn(async { Trail::current().is_some() });
                let spawned = tokio::spawn(inherited(async { Trail::current().is_some() }));
                (
                    Trail::current().is_some(),
                    elsewhere.await.unwrap(),
                    spawned.await.unwrap(),
                )
            })
            .await;
        assert_eq!((here, elsewhere, inherited), (true, false, true));
    }

    #[test]
    fn nothing_is_recorded_of_nobody_and_the_first_word_counts() {
        let mut rng = Generator::from_seed([2; 32]);
        let (account, id) = (account(), AuditEventId::generate(&mut rng));
        let trail = Trail::new("update", None, Timestamp::from_secs(1));
        assert_eq!(trail.written(id, &account), None);
        assert!(!trail.is_recorded());
        let key = Actor::ApiKey {
            id: ApiKeyId::generate(&mut rng),
            name: "ci".into(),
        };
        trail.identify(account.id, key.clone());
        trail.identify(account.id, Actor::Operator);
        let event = trail.written(id, &account).unwrap();
        assert_eq!((event.actor, event.action.as_str()), (key, "update"));
        assert_eq!(event.resource_id, Some(account.id.to_string()));
        assert!(trail.is_recorded());
    }
}
